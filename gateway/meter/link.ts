/**
 * The gateway's half of the serial line: frames ⇄ channel, what the intake believes → store, then the answers.
 *
 *   bytes ─► frames ─► messages ─► intake ─► (records → quarter hours → reports) ─► store ─► commands
 *
 * The order is the point: ACK leaves when the records, and all that follows from them, are on the disk.
 */
import { quantiseReading } from '../../protocol/readings/quantise.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { decodeMessage, encodeMessage, isLinkError } from '../../protocol/wire/link-codec.ts';
import { encodeFrame, FrameReader } from '../../protocol/wire/link-frame.ts';
import {
  type Clamp,
  FLAG_NO_CLOCK,
  type GatewayCommand,
  type Hello,
  type ImageCommand,
  type ImageState,
  LINK_CHECK_CLAMP,
  LINK_HELLO,
  LINK_IMAGE_STATE,
  LINK_MEASUREMENT,
  LINK_REFUSED,
  LINK_TIME,
  type Live,
  type Measurement,
  type MeterMessage,
  type MeterRecord,
  type Refused,
  type RelayCommand,
  type RelayState,
} from '../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../protocol/wire/node-natives.ts';
import type { GatewayStore, NewReport, TimedLive } from '../store.ts';
import type { PhasePoint } from '../web/household-view.ts';
import type { BootTimes } from './boot-times.ts';
import type { MeterChannel } from './channel.ts';
import { ALARMS, type Intake, MeterIntake } from './intake.ts';
import { phasesOf } from './phases.ts';
import { MeterSessions } from './sessions.ts';
import { isLater, type MeasuredSlot, measureSlots, type Progress, type RegisterPoint } from './slots.ts';

/** The meter speaks every second; after this silence it is shown as gone. */
const SILENT_MS = 5000;
const CLAMP_ANSWER_MS = 10_000;
/** Commands have the high bit set (link-messages.ts): a gateway that hears one hears itself or another gateway. */
const COMMAND_BIT = 0x80;

export interface MeterLinkOptions {
  channel: MeterChannel;
  store: GatewayStore;
  clock: Clock;
  /** Wh; readings are rounded to it. */
  resolutionWh: number;
  /** Whether a slot is reported: where nobody has a contract for it, it stays in the house. */
  isReported?(slot: number): boolean;
  onLives(lives: readonly TimedLive[]): void;
  /** New reports are in the store. */
  onReports(): void;
  /** A message of the household's own meter that is about its program (gateway/update). */
  onImages?(message: Hello | ImageState | Measurement | Refused): void;
  log(line: string): void;
}
export interface LinkCounters {
  frames: number;
  /** Lines that were no frame, frames that were no message, messages that were not believed. */
  linkErrors: number;
  doubled: number;
}

export class MeterLink {
  readonly #options: MeterLinkOptions;
  /** The other protocols' way over this line. */
  readonly sessions: MeterSessions;
  readonly #reader = new FrameReader(nodeNatives);
  readonly #intake: MeterIntake;
  #progress: Progress;
  /** Records and edges that are not quarter hours yet, in order. */
  #waiting: MeterRecord[];
  #edges: RegisterPoint[];
  #malformed = 0;
  #alarmsLogged = '';
  /** Why the line is broken, as it was logged; empty while it is not. */
  #brokenLogged = '';
  #clampQuestions: ((answer: Clamp) => void)[] = [];

  constructor(options: MeterLinkOptions) {
    const { store } = options;
    this.#options = options;
    this.sessions = new MeterSessions({ send: (part) => this.#send(part), log: options.log });
    this.#progress = store.progress();
    this.#waiting = store.recordsAfter(this.#progress.record);
    this.#edges = store.edges();
    this.#intake = new MeterIntake({
      meterId: store.meta('meterId'),
      lastRecord: store.lastRecord(),
      lastLive: store.lastLive(),
      marks: store.marks(),
      knownMs: this.#progress.point?.unixMs ?? 0,
    });
  }

  start(): void {
    this.#options.channel.start({
      opened: () => {
        if (this.#brokenLogged !== '') this.#options.log('meter link: the line is there again');
        this.#brokenLogged = '';
        this.#intake.lineOpened();
        this.tick();
      },
      bytes: (chunk) => this.#receive(chunk),
      broken: (reason) => {
        // tried again every second: a line that stays broken for the same reason is told of once
        if (reason !== this.#brokenLogged) this.#options.log(`meter link: ${reason}`);
        this.#brokenLogged = reason;
      },
    });
  }

  /** To be called about once a second: asks a silent meter who it is, tells it the time. */
  tick(): void {
    this.#settle();
  }

  async close(): Promise<void> {
    await this.#options.channel.close();
  }

  /** Whether the household's own meter was heard within the last seconds. */
  get connected(): boolean {
    return this.#intake.heardWithin(SILENT_MS, this.#options.clock.nowMs());
  }
  /** Which start of the meter is heard now; 0 where none is. */
  get boot(): number {
    return this.connected ? (this.#intake.hello?.boot ?? 0) : 0;
  }
  /** The phases of a LIVE; empty where it said none: one phase is measured. */
  phasesOf({ boot, uptimeMs }: Pick<Live, 'boot' | 'uptimeMs'>): PhasePoint[] {
    const { phases } = this.#intake;
    return phases?.boot === boot && phases.uptimeMs === uptimeMs ? phasesOf(phases) : [];
  }

  /** What the meter said last of its relay; null where it never did. */
  get relay(): RelayState | null {
    return this.#intake.relay;
  }
  /** Records that are known to be still in the meter only. */
  get missingRecords(): number {
    return this.#intake.missingRecords;
  }
  /** The registers that the meter said last; null where it never spoke. */
  get registers(): { importMwh: number; exportMwh: number } | null {
    return this.#intake.registers;
  }
  /** What a person should look at, in words. */
  get alarms(): string[] {
    return [...[...this.#intake.alarms].map((alarm) => ALARMS[alarm]), ...this.sessions.alarms];
  }
  get counters(): LinkCounters {
    const { frames, damaged, oversize } = this.#reader;
    const { doubled, refused } = this.#intake;
    return { frames, linkErrors: damaged + oversize + this.#malformed + refused, doubled };
  }

  /** Asks the meter about its clamp. @throws Error where no meter answers */
  checkClamp(): Promise<Clamp> {
    return new Promise((resolve, reject) => {
      const impatient = setTimeout(() => {
        this.#clampQuestions = this.#clampQuestions.filter((question) => question !== answered);
        reject(new Error('the meter does not answer'));
      }, CLAMP_ANSWER_MS);
      const answered = (clamp: Clamp): void => {
        clearTimeout(impatient);
        resolve(clamp);
      };
      this.#clampQuestions.push(answered);
      this.#send({ type: LINK_CHECK_CLAMP });
    });
  }

  /** Switches the load on the meter's relay. Without a new word the meter switches it on again (RELAY_LEASE_MS). */
  setRelay(command: RelayCommand): void {
    this.#send(command);
  }

  /** An update, or the question which program runs; who sends it waits for `onImages`. */
  sendImageCommand(command: ImageCommand): void {
    this.#send(command);
  }

  #receive(chunk: Uint8Array): void {
    const nowMs = this.#options.clock.nowMs();
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    const bodies = this.#reader.push(text);
    const believed: MeterMessage[] = [];
    for (const body of bodies) {
      const message = this.#decode(body);
      if (message === null) continue;
      this.#intake.receive(message, nowMs);
      if (!this.connected) continue;
      believed.push(message);
      if (isOfImages(message)) this.#options.onImages?.(message);
    }
    if (bodies.length > 0) this.#settle();
    this.sessions.receive(believed);
  }

  #decode(body: Uint8Array): MeterMessage | null {
    try {
      const message = decodeMessage(body);
      if ((message.type & COMMAND_BIT) === 0) return message as MeterMessage;
    } catch (error) {
      if (!isLinkError(error)) throw error;
    }
    this.#malformed++;
    return null;
  }

  /** Facts to the disk, then answers to the meter. */
  #settle(): void {
    const { store, clock, resolutionWh, isReported = () => true, onLives, onReports } = this.#options;
    const nowMs = clock.nowMs();
    const portion = this.#intake.take(nowMs);
    const lives = placeLives(portion.lives, this.#intake.times);
    const { slots, progress } = this.#measure(portion, nowMs);
    const reports = slots.filter(({ slot }) => isReported(slot)).map((slot) => reportOf(slot, resolutionWh));
    if (portion.newMeterId !== null) store.setMeta('meterId', portion.newMeterId);
    const { records, edges, marks } = portion;
    store.write({ lives, records, edges, marks, slots, reports, progress });
    for (const command of portion.commands) this.#send(command);
    if (lives.length > 0) onLives(lives);
    if (reports.length > 0) onReports();
    for (const clamp of portion.clamps) for (const answered of this.#clampQuestions.splice(0)) answered(clamp);
    this.#logAlarms();
  }

  #measure(portion: Intake, nowMs: number): { slots: MeasuredSlot[]; progress?: Progress } {
    this.#edges.push(...portion.edges);
    if (portion.records.length === 0) return { slots: [] };
    this.#waiting.push(...portion.records);
    const { progress, slots } = measureSlots(this.#progress, this.#waiting, this.#edges, this.#intake.times, nowMs);
    this.#progress = progress;
    this.#waiting = this.#waiting.filter((record) => record.number > progress.record);
    this.#edges = this.#edges.filter((edge) => isLater(edge, progress));
    this.#intake.times.prune(progress.boot, progress.uptimeMs);
    // A clock that was set back leads over quarter hours that were measured before: the first measurement stands.
    return { slots: slots.filter(({ slot }) => !this.#options.store.hasSlot(slot)), progress };
  }

  #send(command: GatewayCommand): void {
    const { channel, clock } = this.#options;
    const now = command.type === LINK_TIME ? { ...command, unixMs: clock.nowMs() } : command;
    channel.write(encodeFrame(encodeMessage(now), nodeNatives));
  }

  #logAlarms(): void {
    const alarms = this.alarms.join('; ');
    if (alarms !== this.#alarmsLogged && alarms !== '') this.#options.log(`meter: ${alarms}`);
    this.#alarmsLogged = alarms;
  }
}

const isOfImages = (message: MeterMessage): message is Hello | ImageState | Measurement | Refused =>
  message.type === LINK_HELLO ||
  message.type === LINK_IMAGE_STATE ||
  message.type === LINK_MEASUREMENT ||
  message.type === LINK_REFUSED;

/** A meter that knows the time ticks on whole seconds; what its marks cannot say to the ms, this does. */
function placeLives(lives: readonly Live[], times: BootTimes): TimedLive[] {
  const placed: TimedLive[] = [];
  for (const live of lives) {
    const unixMs = times.unixMsOf(live.boot, live.uptimeMs);
    if (unixMs === null) continue;
    const clockless = (live.flags & FLAG_NO_CLOCK) !== 0;
    placed.push({ ...live, unixMs: clockless ? unixMs : Math.round(unixMs / 1000) * 1000 });
  }
  return placed;
}

/** What a quarter hour says to the grid: its registers rounded, and what was rounded off carried on. */
export function reportOf(measured: MeasuredSlot, resolutionWh: number): NewReport {
  const start = { importMwh: measured.startImportMwh, exportMwh: measured.startExportMwh };
  const end = { importMwh: measured.endImportMwh, exportMwh: measured.endExportMwh };
  return quantiseReading(measured.slot, start, end, resolutionWh);
}
