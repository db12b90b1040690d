/**
 * The power line as a shared bus (microgrid-trading.txt, section 3.2): one transmission at a time, heard by everybody else. Simulated
 * in discrete events, repeatable by its seed.
 *
 *   the paper's channel   one message every 30 ms, whatever its length (section 7)
 *   a bit rate            a modem of G3-PLC: frames of 235 B, about 15 ms for each (preamble, header, acknowledgement, gaps), and
 *                         the bits: 5.6 kbit/s in the robust mode, 20 and 40 kbit/s in the faster ones
 *
 * Who waits is served in the order of asking, as in the paper's shared queue; what has priority comes first (the substation's
 * batches: G3-PLC has a contention window of its own for them). What can go wrong is set: loss for each receiver, frames that arrive
 * twice, late ones that others overtake, collisions. A collision takes its time on the line and reaches nobody; the modems send again.
 */
import { Random } from '../random.ts';
import type { EventQueue } from './events.ts';

export interface Channel {
  /** `30ms`, `5.6kbit/s`. */
  readonly name: string;
  /** What a modem's frame carries; a message that is longer goes in several. */
  readonly frameBytes: number;
  /** How long a message of so many bytes occupies the line. */
  airMs(bytes: number): number;
}

const PAPER_MESSAGE_MS = 30;
export const G3_FRAME_BYTES = 235;
const G3_OVERHEAD_MS = 15;

export const PAPER_CHANNEL: Channel = {
  name: '30ms',
  frameBytes: Number.POSITIVE_INFINITY,
  airMs: () => PAPER_MESSAGE_MS,
};
export const bitRateChannel = (kilobitPerS: number): Channel => ({
  name: `${kilobitPerS}kbit/s`,
  frameBytes: G3_FRAME_BYTES,
  airMs: (bytes) => Math.ceil(bytes / G3_FRAME_BYTES) * G3_OVERHEAD_MS + (bytes * 8) / kilobitPerS,
});

/** Probabilities, and how late a late frame is. */
export interface LineFaults {
  /** That one receiver misses a frame. */
  loss?: number;
  /** That one receiver gets a frame twice. */
  duplication?: number;
  /** That a frame reaches one receiver late. */
  reordering?: number;
  /** … by as much as this. */
  lateMs?: number;
  /** That a transmission collides, for each other one that waits. */
  collision?: number;
  /** How often a modem sends a frame again that collided. */
  repeats?: number;
}
const LATE_MS = 500;
const REPEATS = 4;

export type Receive<T> = (payload: T, atMs: number) => void;
export interface Transmission<T> {
  /** Made when the line is free: it carries what has become known while it waited. Null: nothing is sent. */
  payload: () => { payload: T; bytes: number } | null;
  /** Before what has none. */
  priority?: boolean;
  /** The last bit is on the line. */
  sent?: (payload: T) => void;
}
interface Waiting<T> extends Transmission<T> {
  from: Receive<T> | null;
  tries: number;
}
/** What happened on the line. */
export interface LineCounters {
  transmissions: number;
  bytes: number;
  busyMs: number;
  collisions: number;
  lost: number;
  doubled: number;
  late: number;
}

export class PowerLine<T> {
  readonly counters: LineCounters = {
    transmissions: 0,
    bytes: 0,
    busyMs: 0,
    collisions: 0,
    lost: 0,
    doubled: 0,
    late: 0,
  };
  readonly #events: EventQueue;
  readonly #channel: Channel;
  readonly #random: Random;
  readonly #receivers: Receive<T>[] = [];
  readonly #waiting: Waiting<T>[] = [];
  #urgent = 0;
  #busy = false;
  /** May be changed at any time. */
  faults: LineFaults;

  constructor(
    events: EventQueue,
    channel: Channel,
    { seed = 1, faults = {} }: { seed?: number; faults?: LineFaults } = {},
  ) {
    this.#events = events;
    this.#channel = channel;
    this.#random = new Random(seed, 'power line');
    this.faults = faults;
  }

  get channel(): Channel {
    return this.#channel;
  }
  /** Transmissions that wait, without the one that is on the line. */
  get queue(): number {
    return this.#waiting.length;
  }
  get busy(): boolean {
    return this.#busy;
  }

  /** From now on it hears what others send. */
  attach(receive: Receive<T>): void {
    this.#receivers.push(receive);
  }

  /** @param from the sender's own receiver, which does not hear it */
  send(from: Receive<T> | null, payload: T, bytes: number, more: Omit<Transmission<T>, 'payload'> = {}): void {
    this.transmit(from, { ...more, payload: () => ({ payload, bytes }) });
  }
  transmit(from: Receive<T> | null, transmission: Transmission<T>): void {
    this.#enter({ ...transmission, from, tries: 0 });
    this.#serve();
  }

  #enter(one: Waiting<T>): void {
    if (one.priority) this.#waiting.splice(this.#urgent++, 0, one);
    else this.#waiting.push(one);
  }

  #serve(): void {
    while (!this.#busy && this.#waiting.length > 0) {
      const one = this.#waiting.shift()!;
      if (one.priority) this.#urgent--;
      const content = one.payload();
      if (content) this.#occupy({ ...one, payload: () => content }, content.payload, content.bytes);
    }
  }

  #occupy(one: Waiting<T>, payload: T, bytes: number): void {
    const { counters } = this;
    const airMs = this.#channel.airMs(bytes);
    const { collision = 0, repeats = REPEATS } = this.faults;
    const collides = collision > 0 && this.#random.chance(1 - (1 - collision) ** this.#waiting.length);
    this.#busy = true;
    counters.transmissions++;
    counters.bytes += bytes;
    counters.busyMs += airMs;
    this.#events.after(airMs, () => {
      this.#busy = false;
      if (!collides) {
        one.sent?.(payload);
        this.#deliver(one.from, payload);
      } else {
        counters.collisions++;
        if (one.tries < repeats) this.#enter({ ...one, tries: one.tries + 1 });
        else counters.lost++;
      }
      this.#serve();
    });
  }

  #deliver(from: Receive<T> | null, payload: T): void {
    const { loss = 0, duplication = 0, reordering = 0, lateMs = LATE_MS } = this.faults;
    const atMs = this.#events.nowMs;
    const happens = (probability: number): boolean => probability > 0 && this.#random.chance(probability);
    for (const receive of this.#receivers) {
      if (receive === from) continue;
      if (happens(loss)) {
        this.counters.lost++;
        continue;
      }
      const times = happens(duplication) ? 2 : 1;
      this.counters.doubled += times - 1;
      for (let i = 0; i < times; i++) {
        if (happens(reordering)) {
          this.counters.late++;
          this.#events.after(this.#random.between(0, lateMs), () => receive(payload, this.#events.nowMs));
        } else receive(payload, atMs);
      }
    }
  }
}
