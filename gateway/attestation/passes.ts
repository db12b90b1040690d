/**
 * The gateway's attestation passes: asks the verifier for one for each day, keeps them, and gives them to the uplink.
 *
 *   Gateway ── blinded, under the household's name ──► Verifier ── signed ──► Gateway: the pass, in every submission of that day
 *
 * The verifier knows the household and when it asks, the collector knows the pseudonym and when it reports, and both belong to one
 * company. So nothing that is done here may fall together with anything that is done under the pseudonym:
 * - The pass of a day is fetched **the day before, at a random time**, and again at random times where that fails.
 * - A day's readings carry the pass all of them or none of them. A pass that comes after the first reading of its day is not used:
 *   the slot from which on it was would name the household that fetched it then.
 * - Only where nothing of the running day has left the house yet, as on the day of installation, its pass is fetched at once.
 * - The verifier's keys are pinned by its master key, and a key that changes is an alarm: it would be a mark.
 *
 * Nothing waits for a pass but for a moment: without one the reading is sent, and held back by the collector.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { join } from 'node:path';
import { blindPasses, decodePass, finishPass } from '../../protocol/attestation/pass.ts';
import { PASS_REFUSALS, type PassAnswer, type PassRequest } from '../../protocol/attestation/pass-issue.ts';
import {
  joinPassKeys,
  openPassKeys,
  type PassKeys,
  passKeyOf,
  passKeysDigest,
} from '../../protocol/attestation/pass-keys.ts';
import type { Random } from '../../protocol/crypto/blind-rsa.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { PassFile } from './pass-file.ts';

export const PASS_FILE = 'attestation-passes.json';

/** Passes are kept for as long as a reading of their day may still be made: as long as the meter keeps its quarter hours. */
const KEPT_DAYS = 36;
/** The last pass of a day is fetched so long before the day ends, so that there is time for another try. */
const MARGIN_MS = 2 * 3_600_000;
/** Protocol time between tries: doubled up to the most, each at random within the second half. */
const RETRY_FIRST_MS = 60_000;
const RETRY_MOST_MS = 3_600_000;
/** How long a reading waits for a pass that is on its way, real time. */
const PATIENCE_MS = 3000;

export interface PassKeeperOptions {
  dataDir: string;
  clock: Clock;
  /** The verifier's, Ed25519, 32 B. */
  masterKey: Uint8Array;
  /** POST /passes under the household's name. */
  ask(request: PassRequest): Promise<PassAnswer>;
  /** The verifier's keys as they are published (protocol/attestation/pass-keys.ts). */
  fetchKeys(): Promise<Uint8Array>;
  /** The household's pseudonym of a day, 33 B, or undefined where it has none yet. */
  pseudonymOf(day: number): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  log(line: string): void;
  random?: Random;
  /** A whole number from 0, less than `below`. */
  randomBelow?(below: number): number;
}

const dayOf = (unixMs: number): number => Math.floor(unixMs / DAY_MS);

export class PassKeeper {
  readonly #options: Required<PassKeeperOptions>;
  readonly #file: PassFile;
  #keys: PassKeys | undefined;
  /** When, in protocol time, the pass of a day is fetched. */
  readonly #due = new Map<number, number>();
  readonly #failures = new Map<number, number>();
  #fetching: { days: readonly number[]; done: Promise<void> } | null = null;
  #trouble: string | null = null;
  #closed = false;

  constructor(options: PassKeeperOptions) {
    this.#options = { random: randomBytes, randomBelow: randomInt, ...options };
    this.#file = new PassFile(join(options.dataDir, PASS_FILE), options.log);
    if (this.#file.keys) this.#keys = this.#opened(this.#file.keys);
  }

  /** Undefined where the master key is another than it was when they were kept. */
  #opened(keys: Uint8Array): PassKeys | undefined {
    try {
      return openPassKeys(keys, this.#options.masterKey);
    } catch (error) {
      this.#options.log(`attestation pass: the keys that were kept are no good: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Why there is no pass for today, in words; null where there is one, or it is not known yet that there will be none. */
  get trouble(): string | null {
    return this.#trouble;
  }
  /** What all households compare: SHA-256 of the verifier's keys, hexadecimal; null before they were fetched. */
  get keysDigest(): string | null {
    return this.#keys ? Buffer.from(passKeysDigest(this.#keys)).toString('hex') : null;
  }

  /**
   * What kept today's pass from coming may be gone: initialised, attested, online again. Today's is asked for now; tomorrow's keeps
   * its time, whatever happens.
   */
  wake(): void {
    this.#due.delete(dayOf(this.#options.clock.nowMs()));
    this.tick();
  }

  /** Looks what is due. Called as time goes on; asks for nothing that is there or on its way. */
  tick(): void {
    if (this.#fetching || this.#closed) return;
    const nowMs = this.#options.clock.nowMs();
    const today = dayOf(nowMs);
    if (today === 0) return; // a conductor has not told the time yet
    for (const day of this.#due.keys()) if (day < today) this.#due.delete(day);
    const days = [today, today + 1].filter((day) => this.#wants(day) && this.#dueAt(day, nowMs) <= nowMs);
    if (days.length > 0) this.#start(days);
  }

  /** Resolves when nothing is on its way. */
  settled(): Promise<void> {
    return this.#fetching?.done ?? Promise.resolve();
  }

  /** For the uplink: the pass of a day, or null; what it is once, it is for the whole day. */
  async passFor(day: number, pseudonym: Uint8Array): Promise<Uint8Array | null> {
    if (this.#fetching?.days.includes(day)) await withPatience(this.#fetching.done);
    const entry = this.#file.get(day);
    if (entry?.state === 'held') {
      // after the household was initialised anew the pass is another's
      return Buffer.compare(decodePass(entry.pass)!.pseudonym, pseudonym) === 0 ? entry.pass : null;
    }
    if (entry?.state !== 'without') {
      this.#keep([{ day, entry: { state: 'without' } }]);
      const why = this.#trouble ?? 'none was asked for in time';
      this.#options.log(`no attestation pass for day ${day}: ${why}; its readings are held back`);
    }
    return null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await withPatience(this.settled());
  }

  #wants(day: number): boolean {
    const state = this.#file.get(day)?.state;
    return state === undefined || state === 'asked';
  }

  /** Today's pass is wanted at once, where it still is; tomorrow's at a time that is drawn once. */
  #dueAt(day: number, nowMs: number): number {
    const known = this.#due.get(day);
    if (known !== undefined) return known;
    const untilMs = day * DAY_MS - MARGIN_MS;
    const dueMs = nowMs + (untilMs > nowMs ? this.#options.randomBelow(untilMs - nowMs) : 0);
    this.#due.set(day, dueMs);
    return dueMs;
  }

  #start(days: readonly number[]): void {
    const done = this.#fetch(days)
      .then(() => {
        this.#trouble = null;
        for (const day of days) this.#failures.delete(day);
      })
      .catch((error: Error) => {
        if (error.message !== this.#trouble) this.#options.log(`attestation pass: ${error.message}`);
        this.#trouble = error.message;
        for (const day of days) this.#later(day);
      })
      .finally(() => {
        this.#fetching = null;
      });
    this.#fetching = { days, done };
  }

  #later(day: number): void {
    const failures = this.#failures.get(day) ?? 0;
    this.#failures.set(day, failures + 1);
    const most = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_MOST_MS);
    this.#due.set(day, this.#options.clock.nowMs() + most / 2 + this.#options.randomBelow(most / 2));
  }

  /** @throws Error whose message says why some day has no pass yet */
  async #fetch(days: readonly number[]): Promise<void> {
    const keys = await this.#keysFor(days[days.length - 1]);
    const passes: PassRequest['passes'] = [];
    for (const day of days) {
      const blinded = await this.#question(day, keys);
      if (blinded) passes.push({ day, blinded });
    }
    if (passes.length === 0) return;
    const answer = await this.#options.ask({ passes });
    const refusals = answer.passes.map((one) => this.#answered(one, keys)).filter((reason) => reason !== null);
    if (refusals.length > 0) throw new Error(refusals[0]);
  }

  /** What to have signed for a day: as it was asked before, where it was. */
  async #question(day: number, keys: PassKeys): Promise<Uint8Array | undefined> {
    const kept = this.#file.get(day);
    const pseudonym = await this.#options.pseudonymOf(day);
    if (!pseudonym) throw new Error('the household has no pseudonym for that day yet');
    if (kept?.state === 'asked' && Buffer.compare(kept.pseudonym, pseudonym) === 0) return kept.blinded;
    // while the pseudonym was looked up a reading may have left without
    if (!this.#wants(day)) return undefined;
    const key = passKeyOf(keys, day)!;
    const [{ random, blinded, inverse }] = blindPasses([{ key, day, pseudonym }], this.#options.random);
    this.#keep([{ day, entry: { state: 'asked', pseudonym, random, blinded, inverse } }]);
    return blinded;
  }

  /** @returns why there is no pass, where there is none */
  #answered(answer: PassAnswer['passes'][number], keys: PassKeys): string | null {
    const { day } = answer;
    const asked = this.#file.get(day);
    if (asked?.state !== 'asked') return null;
    if ('refusal' in answer) {
      // what was lost is lost; what can be asked again is asked again
      if (answer.refusal === 'already issued') this.#keep([{ day, entry: { state: 'without' } }]);
      if (answer.refusal === 'malformed') this.#keep([{ day, entry: null }]);
      return PASS_REFUSALS[answer.refusal];
    }
    const { pseudonym, random, inverse } = asked;
    const pass = finishPass(passKeyOf(keys, day)!, { day, pseudonym, random }, answer.signature, inverse);
    this.#keep([{ day, entry: { state: 'held', pass } }]);
    return null;
  }

  async #keysFor(lastDay: number): Promise<PassKeys> {
    if (this.#keys && passKeyOf(this.#keys, lastDay)) return this.#keys;
    const bytes = await this.#options.fetchKeys();
    const keys = joinPassKeys(this.#keys, openPassKeys(bytes, this.#options.masterKey));
    if (!passKeyOf(keys, lastDay)) throw new Error('the verifier has not published its keys for that day');
    this.#keys = keys;
    this.#file.setKeys(bytes);
    return keys;
  }

  #keep(entries: Parameters<PassFile['set']>[0]): void {
    this.#file.set(entries, dayOf(this.#options.clock.nowMs()) - KEPT_DAYS);
  }
}

/** When `done` is, or after a moment. */
function withPatience(done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS);
  });
  return Promise.race([done, enough]).finally(() => clearTimeout(timer));
}
