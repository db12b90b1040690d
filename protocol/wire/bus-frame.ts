/**
 * Frames on the power line, which everybody hears (protocols.md, section 0, "The bus"). (Espruino dialect: the firmware imports this file)
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  epoch      of the beacon, big-endian
 *        5    12  nonce      random, the same in all frames of one message, another whenever it is sent again
 *       17     1  part       0 …
 *       18     1  parts      1 … 64
 *       19   1 …  part of the message; all but the last are full
 *      end     8  tag        of HMAC-SHA256(group key, all before ‖ 00000001): Espruino's native PBKDF2 appends the counter
 *
 * Nothing in a frame says who sent it. The group key is as good as public: any owner of a meter with a serial cable has it. Its tag
 * keeps noise and outsiders' frames out, and nothing else; what must be true is signed by the substation. A number of one's own
 * messages would be a pseudonym, so there is a nonce: who receives keeps those of this epoch and of the one before.
 */
import { equalBytes } from '../selling/natives.ts';

export const BUS_FRAME_BYTES = 235; // what a G3-PLC modem carries
export const BUS_KEY_BYTES = 32;
export const BUS_NONCE_BYTES = 12;
const VERSION = 1;
const HEAD_BYTES = 19;
const TAG_BYTES = 8;
const PART_AT = 17;
export const BUS_PART_BYTES = BUS_FRAME_BYTES - HEAD_BYTES - TAG_BYTES;
export const BUS_MOST_PARTS = 64;
export const BUS_MOST_BYTES = BUS_MOST_PARTS * BUS_PART_BYTES;

/** The native HMAC-SHA256(key, message ‖ 00000001). */
export interface BusNatives {
  expand(key: Uint8Array, message: Uint8Array, length: number): Uint8Array;
}

/** Bytes on the line of a message of so many bytes. */
export function busBytes(bytes: number): number {
  return bytes + Math.ceil(bytes / BUS_PART_BYTES) * (HEAD_BYTES + TAG_BYTES);
}

function tagOf(natives: BusNatives, groupKey: Uint8Array, frame: Uint8Array): Uint8Array {
  return natives.expand(groupKey, frame.subarray(0, frame.length - TAG_BYTES), TAG_BYTES);
}

/** @param nonce 12 B, fresh each time a message is sent @throws Error that names the field */
export function encodeBusFrames(
  natives: BusNatives,
  groupKey: Uint8Array,
  epoch: number,
  nonce: Uint8Array,
  message: Uint8Array,
): Uint8Array[] {
  if (nonce.length !== BUS_NONCE_BYTES) throw new Error('busFrame.nonce: ' + nonce.length + ' bytes');
  if (message.length < 1 || message.length > BUS_MOST_BYTES)
    throw new Error('busFrame.message: ' + message.length + ' bytes');
  const parts = Math.ceil(message.length / BUS_PART_BYTES);
  const frames: Uint8Array[] = [];
  for (let part = 0; part < parts; part++) {
    const piece = message.subarray(part * BUS_PART_BYTES, Math.min((part + 1) * BUS_PART_BYTES, message.length));
    const frame = new Uint8Array(HEAD_BYTES + piece.length + TAG_BYTES);
    frame[0] = VERSION;
    new DataView(frame.buffer).setUint32(1, epoch, false);
    frame.set(nonce, 5);
    frame[PART_AT] = part;
    frame[PART_AT + 1] = parts;
    frame.set(piece, HEAD_BYTES);
    frame.set(tagOf(natives, groupKey, frame), HEAD_BYTES + piece.length);
    frames.push(frame);
  }
  return frames;
}

/** Why frames came to nothing. */
export interface BusCounters {
  messages: number;
  badLength: number;
  badTag: number;
  oldEpoch: number;
  repeated: number;
  /** More in one epoch than a cell can mean. */
  flooded: number;
}
/** A message of which parts are missing. */
interface Unfinished {
  nonce: string;
  epoch: number;
  got: number;
  parts: Uint8Array[];
}

export interface BusLimits {
  /** Messages taken in one epoch; what is above is an insider's flood. */
  perEpoch: number;
  /** Unfinished messages that are held; the oldest gives way. */
  unfinished: number;
}
const LIMITS: BusLimits = { perEpoch: 2000, unfinished: 8 };

function nameOf(nonce: Uint8Array): string {
  let name = '';
  for (let i = 0; i < nonce.length; i++) name += String.fromCharCode(nonce[i]);
  return name;
}

/** Puts messages together again and keeps out what is no message of now. Bounded memory, whatever comes. */
export class BusReceiver {
  natives: BusNatives;
  groupKey: Uint8Array;
  limits: BusLimits;
  /** Of the beacon; 0: none was heard, every epoch is taken. */
  epoch = 0;
  counters: BusCounters = { messages: 0, badLength: 0, badTag: 0, oldEpoch: 0, repeated: 0, flooded: 0 };
  /** Epochs of whole messages by their nonces: this epoch's, the one's before, and what comes from clocks that are ahead. */
  nonces: Record<string, number> = {};
  /** Messages of this epoch. */
  count = 0;
  waiting: Unfinished[] = [];

  constructor(natives: BusNatives, groupKey: Uint8Array, limits?: BusLimits) {
    this.natives = natives;
    this.groupKey = groupKey;
    this.limits = limits || LIMITS;
  }

  /** The beacon's, or one's own clock's. An epoch that is not later changes nothing. */
  enterEpoch(epoch: number): void {
    if (epoch <= this.epoch) return;
    const kept: Record<string, number> = {};
    for (const nonce of Object.keys(this.nonces)) if (this.nonces[nonce] >= epoch - 1) kept[nonce] = this.nonces[nonce];
    this.nonces = kept;
    this.epoch = epoch;
    this.count = 0;
    this.waiting = this.waiting.filter((one) => one.epoch >= epoch - 1);
  }

  /** Nonces are forgotten as in a restart: every message is known by its id, too. */
  forget(): void {
    this.nonces = {};
    this.waiting = [];
  }

  /** @return the message that this frame completes, or null */
  push(frame: Uint8Array): Uint8Array | null {
    const counters = this.counters;
    if (frame.length <= HEAD_BYTES + TAG_BYTES || frame.length > BUS_FRAME_BYTES || frame[0] !== VERSION) {
      counters.badLength++;
      return null;
    }
    const part = frame[PART_AT];
    const parts = frame[PART_AT + 1];
    const isLast = part === parts - 1;
    const length = frame.length - HEAD_BYTES - TAG_BYTES;
    if (parts < 1 || parts > BUS_MOST_PARTS || part >= parts || (!isLast && length !== BUS_PART_BYTES)) {
      counters.badLength++;
      return null;
    }
    const tag = frame.subarray(frame.length - TAG_BYTES);
    if (!equalBytes(tagOf(this.natives, this.groupKey, frame), tag)) {
      counters.badTag++;
      return null;
    }
    const epoch = new DataView(frame.buffer, frame.byteOffset, frame.length).getUint32(1, false);
    // a later one is taken: who has missed beacons must still hear the next
    if (this.epoch !== 0 && epoch < this.epoch - 1) {
      counters.oldEpoch++;
      return null;
    }
    const nonce = nameOf(frame.subarray(5, PART_AT));
    if (this.nonces[nonce] !== undefined) {
      counters.repeated++;
      return null;
    }
    const bytes = new Uint8Array(frame.subarray(HEAD_BYTES, frame.length - TAG_BYTES));
    if (parts === 1) return this.finish(nonce, epoch, bytes);
    return this.gather(nonce, epoch, part, parts, bytes);
  }

  gather(nonce: string, epoch: number, part: number, parts: number, bytes: Uint8Array): Uint8Array | null {
    let one: Unfinished | null = null;
    for (const held of this.waiting) if (held.nonce === nonce) one = held;
    if (!one) {
      if (this.waiting.length >= this.limits.unfinished) this.waiting.shift();
      one = { nonce: nonce, epoch: epoch, got: 0, parts: [] };
      for (let i = 0; i < parts; i++) one.parts.push(new Uint8Array(0));
      this.waiting.push(one);
    }
    if (one.parts.length !== parts) {
      this.counters.badLength++;
      return null;
    }
    if (one.parts[part].length > 0) {
      this.counters.repeated++;
      return null;
    }
    one.parts[part] = bytes;
    one.got++;
    if (one.got < parts) return null;
    this.waiting = this.waiting.filter((held) => held.nonce !== nonce);
    let length = 0;
    for (const piece of one.parts) length += piece.length;
    const message = new Uint8Array(length);
    let at = 0;
    for (const piece of one.parts) {
      message.set(piece, at);
      at += piece.length;
    }
    return this.finish(nonce, epoch, message);
  }

  finish(nonce: string, epoch: number, message: Uint8Array): Uint8Array | null {
    if (this.count >= this.limits.perEpoch) {
      this.counters.flooded++;
      return null;
    }
    this.count++;
    this.nonces[nonce] = epoch;
    this.counters.messages++;
    return message;
  }
}
