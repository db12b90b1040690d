/**
 * Messages of the protocols between meter and gateway, in parts small enough for the line (Espruino dialect: the firmware
 * imports this file). A *session* is one protocol's half on either machine; the number says which.
 *
 *   SAY   meter → gateway     TELL   gateway → meter
 *   a message of 1 … 16,384 bytes goes in 1 … 64 parts, all but the last of 256 bytes, in their order, not mixed with those of
 *   another message; `message` counts a sender's messages modulo 256
 *
 * Nothing here is acknowledged or repeated: a message arrives whole or not at all, and a session that misses its answer says its
 * message again. Who receives holds one unfinished message at a time, whatever comes.
 */
import type { Say, Tell } from './link-messages.ts';
import { SESSION_MOST_PARTS, SESSION_PART_BYTES } from './link-messages.ts';

export const SESSION_RANDOM = 1; // fresh bytes from the gateway's TPM
export const SESSION_LEDGER = 2; // what each Wh was for
export const SESSION_SELLING = 3;
export const SESSION_TRADING = 4;
export const SESSION_TOKENS = 5;
export const SESSION_TASKS = 6;
export const SESSION_STORE = 7; // values that the meter has sealed and the gateway keeps
export const SESSION_CALIBRATION = 8;

/** Of a message. */
export const SESSION_MOST_BYTES = SESSION_MOST_PARTS * SESSION_PART_BYTES;

/** A message's parts, without their type. */
export interface SessionPart {
  session: number;
  message: number;
  part: number;
  parts: number;
  bytes: Uint8Array;
}
export interface SessionMessage {
  session: number;
  body: Uint8Array;
}

/** How many parts a message of so many bytes has. */
export function partsOf(bytes: number): number {
  return Math.ceil(bytes / SESSION_PART_BYTES);
}

/** One part of a message, from 0. */
export function partOf(session: number, message: number, body: Uint8Array, part: number): SessionPart {
  const begin = part * SESSION_PART_BYTES;
  const bytes = body.subarray(begin, Math.min(begin + SESSION_PART_BYTES, body.length));
  return { session: session, message: message, part: part, parts: partsOf(body.length), bytes: bytes };
}

/** Puts messages together again. A part that does not continue what is there costs the message that it belongs to. */
export class SessionReader {
  /** Messages that were whole. */
  messages = 0;
  /** Parts that came to nothing: out of order, of a wrong length, of a message whose rest never came. */
  dropped = 0;
  session = 0;
  message = 0;
  parts = 0;
  /** The part that is wanted next; 0: none is there. */
  next = 0;
  body: Uint8Array | null = null;

  /** @return the message that this part completes, or null */
  push(p: Say | Tell): SessionMessage | null {
    const isLast = p.part === p.parts - 1;
    if (p.part === 0) {
      this.dropped += this.next;
      this.next = 0;
      this.body = null;
    } else if (p.session !== this.session || p.message !== this.message || p.parts !== this.parts) {
      this.dropped++;
      return null;
    }
    if (p.part !== this.next || p.part >= p.parts || (!isLast && p.bytes.length !== SESSION_PART_BYTES)) {
      this.dropped += this.next + 1;
      this.next = 0;
      this.body = null;
      return null;
    }
    if (p.part === 0) {
      this.session = p.session;
      this.message = p.message;
      this.parts = p.parts;
      if (!isLast) this.body = new Uint8Array(p.parts * SESSION_PART_BYTES);
    }
    if (!isLast) {
      this.body!.set(p.bytes, p.part * SESSION_PART_BYTES);
      this.next++;
      return null;
    }
    const whole = this.body;
    this.next = 0;
    this.body = null;
    this.messages++;
    if (!whole) return { session: p.session, body: p.bytes };
    whole.set(p.bytes, p.part * SESSION_PART_BYTES);
    return { session: p.session, body: whole.subarray(0, p.part * SESSION_PART_BYTES + p.bytes.length) };
  }
}
