/**
 * Calibrating the household's meter: the gateway's half of the session CALIBRATION, and the record of what was done.
 *
 *   begin ─► point (nothing on) ─► point (a known load) ─► … ─► finish: fitted, judged, signed, kept in the meter
 *
 * The first line of the history is what the meter had when it was met first, as it was commissioned. A document is signed by the household's certified key before it leaves, and its place in the history (calibrations.db) is on the disk
 * before it leaves, too. What the meter says is in force is compared with the history at each of its starts: a document that nobody here
 * signed is told of on the page, and its digest goes to the verifier with the evidence.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { type Calibration, checkCalibration, nominalCalibration } from '../../hardware/calibration.ts';
import type { CalibrationClaim } from '../../protocol/attestation/evidence.ts';
import { LABELS, labelled } from '../../protocol/crypto/labels.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import {
  AVERAGE_MOST_WINDOWS,
  averageMessage,
  CALIBRATION_DIGEST_BYTES,
  CALIBRATION_KEEP,
  CALIBRATION_KEPT,
  CALIBRATION_REFUSED,
  CALIBRATION_TELL,
  readSeen,
  readState,
  type Shown,
} from '../../protocol/wire/calibration-messages.ts';
import { SESSION_CALIBRATION } from '../../protocol/wire/sessions.ts';
import type { MeterSessions } from '../meter/sessions.ts';
import { openDatabase } from '../store-schema.ts';
import { type CalibrationPoint, type Fit, fitCalibration } from './fit.ts';

const SCHEMA = `CREATE TABLE IF NOT EXISTS calibrations (n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, digest BLOB NOT NULL,
  document TEXT NOT NULL, reversed INTEGER NOT NULL, points TEXT NOT NULL, signature BLOB) STRICT;`;
/** Where no windows are asked for: half a minute, ten times what noise needs at 5 % of the range. */
export const USUAL_WINDOWS = 30;
/** How long the meter may take over an answer, beyond the windows, each a second. */
const ANSWER_MS = 30_000;
/** Calibrating is not to go on for ever, nor points to be of yesterday. */
const POINTS_MOST = 24;
const LOOK_MS = 60_000;

/** One line of the history. */
export interface CalibrationEntry {
  n: number;
  atMs: number;
  /** SHA-256 of the document as the meter keeps it. */
  digest: Uint8Array;
  document: string;
  reversed: boolean;
  points: Fit['points'];
  /** By the household's key over the digest; null where the household had no name yet. */
  signature: Uint8Array | null;
}
export interface CalibrationView {
  /** Hexadecimal; null while the meter has not told. Zeros: the board as drawn. */
  digest: string | null;
  /** Whether what is in force stands in the history. */
  known: boolean;
  number: number;
  reversed: boolean;
  points: { volts: number; watts: number; vars: number; seenWatts: number }[];
  busy: boolean;
  history: { n: number; atMs: number; digest: string; reversed: boolean; signed: boolean; points: Fit['points'] }[];
}
export interface MeterCalibrationOptions {
  sessions: MeterSessions;
  dataDir: string;
  clock: Clock;
  /** By the household's key; null while it has no name. @throws TpmError */
  sign(message: Uint8Array): Promise<Uint8Array | null>;
  log(line: string): void;
}

/** What a person can do something about. */
export class CalibrationError extends Error {
  override readonly name = 'CalibrationError';
}

interface Question<T> {
  answer(value: T): void;
  untilMs: number;
  fail(error: Error): void;
}

export class MeterCalibration {
  readonly #options: MeterCalibrationOptions;
  readonly #database: DatabaseSync;
  #document: Calibration | null = null;
  #digest: Uint8Array | null = null;
  #points: CalibrationPoint[] = [];
  #lookMs = 0;
  #boot = 0;
  #seen: Question<Shown> | null = null;
  #kept: Question<void> | null = null;

  constructor(options: MeterCalibrationOptions) {
    this.#options = options;
    this.#database = openDatabase(join(options.dataDir, 'calibrations.db'), 'FULL', SCHEMA);
    options.sessions.on(SESSION_CALIBRATION, (body) => this.#receive(body));
  }

  /** For the verifier: what the meter says is in force, and whether it stands in the history. */
  get claim(): CalibrationClaim {
    if (this.#digest === null) return { state: 'untold', digest: null };
    return { state: this.#isKnown() ? 'known' : 'unknown', digest: this.#digest };
  }

  /** To be called when time has moved. @param boot which start of the meter is heard; 0: none */
  tick(boot: number): void {
    const nowMs = this.#options.clock.nowMs();
    for (const question of [this.#seen, this.#kept])
      if (question && nowMs > question.untilMs) {
        if (question === this.#seen) this.#seen = null;
        else this.#kept = null;
        question.fail(new CalibrationError('the meter does not answer'));
      }
    if (boot === 0 || (boot === this.#boot && nowMs < this.#lookMs)) return;
    this.#boot = boot;
    this.#lookMs = nowMs + LOOK_MS;
    this.#options.sessions.tell(SESSION_CALIBRATION, Uint8Array.of(CALIBRATION_TELL));
  }

  view(): CalibrationView {
    const history = this.history();
    return {
      digest: this.#digest && hex(this.#digest),
      known: this.#isKnown(),
      number: this.#document?.number ?? 0,
      reversed: this.#document?.current.reversed ?? false,
      points: this.#points.map(({ volts, watts, vars, seen }) => ({ volts, watts, vars, seenWatts: seen.watts })),
      busy: this.#seen !== null || this.#kept !== null,
      history: history.map(({ n, atMs, digest, reversed, signature, points }) => ({
        n,
        atMs,
        digest: hex(digest),
        reversed,
        signed: signature !== null,
        points,
      })),
    };
  }
  /** Newest first. */
  history(): CalibrationEntry[] {
    return this.#database
      .prepare('SELECT * FROM calibrations ORDER BY n DESC')
      .all()
      .map((row) => ({
        n: row.n as number,
        atMs: row.at_ms as number,
        digest: row.digest as Uint8Array,
        document: row.document as string,
        reversed: row.reversed === 1,
        points: JSON.parse(row.points as string),
        signature: row.signature as Uint8Array | null,
      }));
  }

  /** Forgets points that were taken. */
  begin(): void {
    this.#points = [];
  }

  /** Has the meter average what it sees while this is really there. @throws CalibrationError */
  async addPoint(real: { volts: number; watts: number; vars: number }, windows = USUAL_WINDOWS): Promise<Shown> {
    for (const [name, value] of Object.entries(real))
      if (!Number.isFinite(value)) throw new CalibrationError(`${name}: a number is wanted`);
    if (!Number.isInteger(windows) || windows < 1 || windows > AVERAGE_MOST_WINDOWS)
      throw new CalibrationError(`windows: from 1 to ${AVERAGE_MOST_WINDOWS}`);
    if (this.#points.length >= POINTS_MOST) throw new CalibrationError('enough points: finish, or begin anew');
    if (this.#document === null) throw new CalibrationError('the meter has not told yet what it is calibrated with');
    if (this.#seen) throw new CalibrationError('the meter is looking already');
    const seen = await this.#ask<Shown>(averageMessage(windows), windows * 1000 + ANSWER_MS, (question) => {
      this.#seen = question;
    });
    this.#points.push({ ...real, seen });
    return seen;
  }

  /** What the points come to, without writing anything. @throws ImplausibleCalibration, CalibrationError */
  fit(): Fit {
    if (this.#document === null) throw new CalibrationError('the meter has not told yet what it is calibrated with');
    return fitCalibration(this.#document, this.#points);
  }

  /** Signs what the points come to and has the meter keep it. @throws ImplausibleCalibration, CalibrationError, TpmError */
  async finish(): Promise<Fit> {
    const fit = this.fit();
    await this.#write(fit.document, fit.reversed, fit.points);
    this.#points = [];
    return fit;
  }

  /** Turns the clamp round in software: a decision of a person, signed and recorded as any calibration. */
  async swap(): Promise<void> {
    if (this.#document === null) throw new CalibrationError('the meter has not told yet what it is calibrated with');
    const document = structuredClone(this.#document);
    document.number = (document.number ?? 0) + 1;
    document.current.reversed = !document.current.reversed;
    await this.#write(document, true, []);
  }

  close(): void {
    const gone = new CalibrationError('the gateway ends');
    this.#seen?.fail(gone);
    this.#kept?.fail(gone);
    this.#database.close();
  }

  async #write(document: Calibration, reversed: boolean, points: Fit['points']): Promise<void> {
    if (this.#kept) throw new CalibrationError('a calibration is being written already');
    const { sign, log } = this.#options;
    const text = Buffer.from(JSON.stringify(checkCalibration(document)), 'latin1');
    const digest = createHash('sha256').update(text).digest();
    const signature = await sign(labelled(LABELS.calibration, digest));
    this.#record(text.toString('latin1'), digest, reversed, points, signature);
    await this.#ask<void>(Buffer.concat([Uint8Array.of(CALIBRATION_KEEP), text]), ANSWER_MS, (question) => {
      this.#kept = question;
    });
    log(`calibration: document ${document.number}, ${hex(digest).slice(0, 16)}, is kept in the meter`);
  }

  #record(
    document: string,
    digest: Uint8Array,
    reversed: boolean,
    points: Fit['points'],
    signature: Uint8Array | null,
  ): void {
    this.#database
      .prepare('INSERT INTO calibrations (at_ms, digest, document, reversed, points, signature) VALUES (?,?,?,?,?,?)')
      .run(this.#options.clock.nowMs(), digest, document, Number(reversed), JSON.stringify(points), signature);
  }

  #ask<T>(body: Uint8Array, limitMs: number, put: (question: Question<T>) => void): Promise<T> {
    const { sessions, clock } = this.#options;
    return new Promise((answer, fail) => {
      put({ answer, fail, untilMs: clock.nowMs() + limitMs });
      if (!sessions.tell(SESSION_CALIBRATION, body)) fail(new CalibrationError('the line is full: try again'));
    });
  }

  #receive(body: Uint8Array): void {
    const seen = readSeen(body);
    if (seen) {
      const question = this.#seen;
      this.#seen = null;
      question?.answer(seen.shown);
      return;
    }
    const state = readState(body);
    if (!state) return;
    const question = this.#kept;
    if (state.condition === CALIBRATION_KEPT || state.condition === CALIBRATION_REFUSED) {
      this.#kept = null;
      if (state.condition === CALIBRATION_KEPT) question?.answer();
      else question?.fail(new CalibrationError('the meter did not keep it: what it had before is in force'));
      return;
    }
    this.#inForce(state.digest, Buffer.from(state.text).toString('latin1'));
  }

  #inForce(digest: Uint8Array, text: string): void {
    const { sessions, log } = this.#options;
    const before = this.#digest;
    try {
      const claimed =
        text === '' ? Buffer.alloc(CALIBRATION_DIGEST_BYTES) : createHash('sha256').update(text, 'latin1').digest();
      if (!claimed.equals(digest)) throw new Error('the digest is of another document');
      this.#document = text === '' ? nominalCalibration() : checkCalibration(JSON.parse(text));
    } catch (error) {
      log(`calibration: what the meter tells is none: ${(error as Error).message}`);
      return;
    }
    this.#digest = Uint8Array.from(digest);
    if (before && Buffer.compare(before, digest) === 0) return;
    if (this.history().length === 0) this.#record(text, digest, this.#document.current.reversed, [], null);
    sessions.setAlarm(
      SESSION_CALIBRATION,
      this.#isKnown() ? null : 'the meter works with a calibration that this gateway did not write',
    );
  }
  #isKnown(): boolean {
    if (this.#digest === null) return true;
    return this.history().some(({ digest }) => Buffer.compare(digest, this.#digest!) === 0);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
