/**
 * What the gateway believes of what a meter says. Pure: messages in, a portion of accepted facts and commands out; the caller
 * writes the facts to the disk first, then sends the commands (so that nothing is acknowledged that could be lost).
 *
 * The line is not trusted: it may be noisy, doubled, cut, or lead to another meter. The checks, in their order:
 *   1  nobody is listened to before HELLO: the meter that was met first is this household's meter, another one is refused
 *   2  boots never count down, a meter never forgets a record that was acknowledged
 *   3  records come with contiguous numbers; a gap is asked for again (READ), a number that was had is a doubled frame
 *   4  live values go forward in (boot, uptime); what is not later is a doubled frame
 *   5  registers never fall, between any two messages
 * A refused message changes nothing but its counter and, where a person should look, an alarm in plain words.
 */
import { SLOT_MS, slotEndMs } from '../../protocol/time/slots.ts';
import {
  type Clamp,
  FLAG_NO_CLOCK,
  type GatewayCommand,
  type Hello,
  LINK_ACK,
  LINK_CLAMP,
  LINK_HELLO,
  LINK_IMAGE_STATE,
  LINK_LIVE,
  LINK_MEASUREMENT,
  LINK_PHASES,
  LINK_READ,
  LINK_RECORD,
  LINK_REFUSED,
  LINK_RELAY_STATE,
  LINK_SAY,
  LINK_STATUS,
  LINK_TIME,
  type Live,
  type MeterMessage,
  type MeterRecord,
  type Phases,
  REFUSED_NOT_KEPT,
  type RelayState,
} from '../../protocol/wire/link-messages.ts';
import { BootTimes, type TimeMark } from './boot-times.ts';
import { believedSlot, byMeterTime, isLater, type RegisterPoint } from './slots.ts';

/** What the store knows when the gateway starts. */
export interface IntakeMemory {
  meterId: string | null;
  lastRecord: MeterRecord | null;
  lastLive: Live | null;
  marks: readonly TimeMark[];
  /** Unix ms of the last instant that was measured: a clock that shows less is wrong. 0 where there is none. */
  knownMs: number;
}
/** One portion of facts; all of it is new. */
export interface Intake {
  lives: Live[];
  records: MeterRecord[];
  /** Registers at the beginning and the end of boots. */
  edges: RegisterPoint[];
  marks: TimeMark[];
  clamps: Clamp[];
  /** Present when a meter was met for the first time. */
  newMeterId: string | null;
  /** To be sent when the facts are on the disk. TIME has to be filled in when it is sent. */
  commands: GatewayCommand[];
}
/** Alarms that a person should see, in words. */
export const ALARMS = {
  foreignMeter: 'another meter is connected to this gateway',
  bootFell: 'the meter counts its starts backwards: its memory was changed',
  recordsForgotten: 'the meter has forgotten quarter hours that it had sent: its memory was changed',
  registersFell: 'the meter reported a lower register than before; it is not believed',
  recordContradicts: 'the meter sent a quarter hour that contradicts what it said before; it is not believed',
  clockBehind: 'the gateway does not know the time yet; the meter is not set by it',
  recordsLost: 'quarter hours were overwritten in the meter before the gateway read them',
} as const;
export type Alarm = keyof typeof ALARMS;

/** So many messages wait for a HELLO: what a meter says in half an hour. */
const HELD_MOST = 2000;
const QUIET_MS = 5000;
/** TIME for a meter that says it has none, and READ for a gap, are not repeated faster than this. */
const REPEAT_MS = 5000;

export class MeterIntake {
  readonly times: BootTimes;
  readonly alarms = new Set<Alarm>();
  /** Frames that were right but said nothing new, and messages that were not believed. */
  doubled = 0;
  refused = 0;
  hello: Hello | null = null;
  /** What the meter said last of its relay. */
  relay: RelayState | null = null;
  /** What it said last of its phases: they belong to the LIVE of the same uptime. */
  phases: Phases | null = null;
  readonly #knownMs: number;
  #meterId: string | null;
  #identified = false;
  /** The last HELLO was not believed: nor is what follows it. */
  #distrusted = false;
  #held: MeterMessage[] = [];
  #lastRecord: MeterRecord | null;
  #lastLive: Live | null;
  #portion = emptyPortion();
  #wanted = { time: false, ack: false, read: false, status: false };
  /** The least delayed arrival of this portion, and whether it is worth keeping. */
  #arrival: TimeMark | null = null;
  #heardMs = 0;
  #timeSentMs = 0;
  #readSentMs = 0;
  #statusSentMs = 0;

  constructor(memory: IntakeMemory) {
    this.#knownMs = memory.knownMs;
    this.#meterId = memory.meterId;
    this.#lastRecord = memory.lastRecord;
    this.#lastLive = memory.lastLive;
    this.times = new BootTimes(memory.marks);
  }

  /** Whether the household's own meter speaks now. */
  heardWithin(ms: number, nowMs: number): boolean {
    return this.#identified && nowMs - this.#heardMs <= ms;
  }
  /** Records that the meter is known to hold and the gateway has not; 1 while nobody has said HELLO. */
  get missingRecords(): number {
    if (!this.#identified) return 1;
    return Math.max(0, this.hello!.newestRecord + 1 - this.#nextNumber());
  }
  /** The registers that the meter said last; null where it never spoke. */
  get registers(): { importMwh: number; exportMwh: number } | null {
    const [live, record] = [this.#lastLive, this.#lastRecord];
    const last = live !== null && (record === null || isLater(live, record)) ? live : record;
    return last === null ? null : { importMwh: last.importMwh, exportMwh: last.exportMwh };
  }

  /** The line was opened (again): whoever is at its end must say who it is. */
  lineOpened(): void {
    this.#identified = false;
    this.#distrusted = false;
    this.#held = [];
    this.#statusSentMs = 0;
    this.#wanted.status = true;
  }

  /** Takes one message in. `take` then gives what came of it. */
  receive(message: MeterMessage, nowMs: number): void {
    if (message.type === LINK_HELLO) {
      this.#heardMs = nowMs;
      this.#receiveHello(message, nowMs);
    } else if (this.#distrusted) {
      this.refused++;
    } else if (!this.#identified || ('boot' in message && message.boot > this.hello!.boot)) {
      this.#identified = false;
      if (this.#held.length === HELD_MOST) this.#held.shift();
      this.#held.push(message);
      this.#wanted.status = true;
    } else {
      this.#heardMs = nowMs;
      this.#believe(message, nowMs);
    }
  }

  #believe(message: MeterMessage, nowMs: number): void {
    if (message.type === LINK_LIVE) this.#receiveLive(message, nowMs);
    else if (message.type === LINK_RECORD) this.#receiveRecord(message, nowMs);
    else if (message.type === LINK_CLAMP) this.#portion.clamps.push(message);
    else if (message.type === LINK_RELAY_STATE) this.relay = message;
    else if (message.type === LINK_PHASES) this.phases = message;
    else if (message.type === LINK_IMAGE_STATE || message.type === LINK_MEASUREMENT || message.type === LINK_SAY)
      return; // link.ts hands them on
    else if (message.type === LINK_REFUSED) {
      // What is no longer in the meter's flash: HELLO says from where on it still has records.
      if (message.command === LINK_READ && message.reason === REFUSED_NOT_KEPT) this.#wanted.status = true;
    } else this.refused++;
  }

  /** What came of the messages since the last call, and what is to be said now. */
  take(nowMs: number): Intake {
    const portion = this.#portion;
    this.#portion = emptyPortion();
    if (this.#arrival !== null) this.#addMark(this.#arrival, portion);
    this.#arrival = null;
    const { commands } = portion;
    const wanted = this.#wanted;
    this.#wanted = { time: false, ack: false, read: false, status: false };
    const quiet = nowMs - this.#heardMs >= QUIET_MS;
    if ((wanted.status || quiet || !this.#identified) && nowMs - this.#statusSentMs >= REPEAT_MS) {
      this.#statusSentMs = nowMs;
      commands.push({ type: LINK_STATUS });
    }
    if (!this.#identified) return portion;
    if (this.#clockIsBehind(nowMs)) this.alarms.add('clockBehind');
    else if (wanted.time || nowMs - this.#timeSentMs >= SLOT_MS) {
      this.alarms.delete('clockBehind');
      this.#timeSentMs = nowMs;
      commands.push({ type: LINK_TIME, unixMs: nowMs });
    }
    if (wanted.ack && this.#lastRecord) commands.push({ type: LINK_ACK, number: this.#lastRecord.number });
    if (wanted.read && nowMs - this.#readSentMs >= REPEAT_MS) {
      this.#readSentMs = nowMs;
      commands.push({ type: LINK_READ, from: this.#nextNumber() });
    }
    return portion;
  }

  // ── one method per message ──

  #receiveHello(hello: Hello, nowMs: number): void {
    const lastBoot = Math.max(this.#lastRecord?.boot ?? 0, this.#lastLive?.boot ?? 0);
    const foreign = this.#meterId !== null && hello.meterId !== this.#meterId;
    const bootFell = hello.boot < lastBoot;
    const forgotten = hello.newestRecord < (this.#lastRecord?.number ?? 0);
    this.#distrusted = foreign || bootFell || forgotten;
    if (this.#distrusted) {
      this.#identified = false;
      this.#held = [];
      this.#refuse(foreign ? 'foreignMeter' : bootFell ? 'bootFell' : 'recordsForgotten');
      return;
    }
    for (const alarm of ['foreignMeter', 'bootFell', 'recordsForgotten'] as const) this.alarms.delete(alarm);
    if (this.#meterId === null) {
      this.#meterId = hello.meterId;
      this.#portion.newMeterId = hello.meterId;
    }
    this.hello = hello;
    this.#identified = true;
    this.#wanted.status = false;
    this.#addMark({ boot: hello.boot, uptimeMs: hello.uptimeMs, unixMs: nowMs, exact: false }, this.#portion);
    this.#wanted.time = true;
    this.#wanted.ack = true;
    if (this.missingRecords > 0) {
      this.#wanted.read = true;
      this.#readSentMs = 0;
    }
    for (const message of this.#held.splice(0)) this.receive(message, nowMs);
  }

  #receiveLive(live: Live, nowMs: number): void {
    const last = this.#lastLive;
    if (last !== null && !isLater(live, last)) {
      this.doubled++;
      return;
    }
    if (!registersFit(live, last) || !registersFit(live, this.#lastRecord)) {
      this.#refuse('registersFell');
      return;
    }
    this.alarms.delete('registersFell');
    if (last === null || live.boot > last.boot) {
      if (last !== null) this.#portion.edges.push(pointOf(last));
      this.#portion.edges.push(pointOf(live));
    }
    this.#lastLive = live;
    this.#portion.lives.push(live);
    const clockless = (live.flags & FLAG_NO_CLOCK) !== 0;
    if (clockless || !this.times.knows(live.boot)) {
      // The latest of a portion was the least delayed.
      this.#arrival = { boot: live.boot, uptimeMs: live.uptimeMs, unixMs: nowMs, exact: false };
      if (nowMs - this.#timeSentMs >= REPEAT_MS) this.#wanted.time = true;
    }
  }

  #receiveRecord(record: MeterRecord, nowMs: number): void {
    const last = this.#lastRecord;
    if (last !== null && record.number <= last.number) {
      this.doubled++;
      this.#wanted.ack = true; // the meter sends it because it has not heard the last one
      return;
    }
    if (record.number !== this.#nextNumber()) {
      this.#wanted.read = true;
      return;
    }
    const later = last === null || isLater(record, last);
    if (!later || !registersFit(record, last) || !registersFit(record, this.#lastLive)) {
      this.#refuse('recordContradicts');
      return;
    }
    if (last !== null && record.number > last.number + 1) this.alarms.add('recordsLost');
    this.alarms.delete('recordContradicts');
    this.#lastRecord = record;
    this.#portion.records.push(record);
    this.#wanted.ack = true;
    if (believedSlot(record, nowMs)) {
      const { boot, uptimeMs, slot } = record;
      this.#addMark({ boot, uptimeMs, unixMs: slotEndMs(slot), exact: true }, this.#portion);
    }
  }

  /** The number that the next record must have: what the meter no longer holds is passed over. */
  #nextNumber(): number {
    return Math.max((this.#lastRecord?.number ?? 0) + 1, this.hello!.oldestRecord);
  }

  /** A computer without a battery for its clock starts in the past, until the network tells it the time. */
  #clockIsBehind(nowMs: number): boolean {
    return nowMs < this.#knownMs;
  }

  #addMark(mark: TimeMark, portion: Intake): void {
    if (!mark.exact && this.#clockIsBehind(mark.unixMs)) return;
    if (this.times.add(mark)) portion.marks.push(mark);
  }

  #refuse(alarm: Alarm): void {
    this.refused++;
    this.alarms.add(alarm);
  }
}

type Registers = Pick<Live, 'boot' | 'uptimeMs' | 'importMwh' | 'exportMwh'>;

/** Whether the registers of two messages could be of one meter: the later message's are not lower. */
function registersFit(message: Registers, other: Registers | null): boolean {
  if (other === null) return true;
  const order = byMeterTime(message, other);
  const importDifference = message.importMwh - other.importMwh;
  const exportDifference = message.exportMwh - other.exportMwh;
  if (order > 0) return importDifference >= 0 && exportDifference >= 0;
  if (order < 0) return importDifference <= 0 && exportDifference <= 0;
  return true;
}

const pointOf = ({ boot, uptimeMs, importMwh, exportMwh }: Registers): RegisterPoint => ({
  boot,
  uptimeMs,
  slot: 0,
  importMwh,
  exportMwh,
});

const emptyPortion = (): Intake => ({
  lives: [],
  records: [],
  edges: [],
  marks: [],
  clamps: [],
  newMeterId: null,
  commands: [],
});
