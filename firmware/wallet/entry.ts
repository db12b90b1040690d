import { FLAG_NO_CLOCK } from '../../protocol/wire/link-messages.ts';
import type { Crc32 } from './flash-pages.ts';

/**
 * One line of the journal: both registers at one instant. An entry is written in one of two forms, in units of 12 bytes,
 * words little-endian.
 *
 *   full, 4 units: everything, absolute
 *      0  u32  kind of ring: FULL_CHECKPOINT or FULL_RECORD
 *      4  u32  number
 *      8  u32  boot
 *     12  u32  newest slot recorded so far, this entry's own included
 *     16  u53  uptimeMs     (low u32, high u32)
 *     24  u53  importMwh
 *     32  u53  exportMwh
 *     40  u32  flags
 *     44  u32  CRC-32 of bytes 0 … 43
 *
 *   short, 1 unit: what has changed since the entry directly before it, of the same boot
 *      0  u32  0 (1 bit) · flags (5 bits) · uptime − period + 512 ms (10 bits) · import, low 16 bits, mWh
 *      4  u32  export, 24 bits, mWh · import, high 8 bits
 *      8  u32  CRC-32 of the 4 bytes before the entry and its bytes 0 … 7
 *
 * The CRC of a short entry covers the CRC of the one before: it can only be read where what it counts from was read, whatever an
 * erase that was broken off has left of the page. 24 bits of mWh are 67 kW over a quarter hour. What does not fit goes in full.
 * The first word is never all ones, which is what erased flash reads as.
 */
export interface Entry {
  /** Counts up by one from 1 within its ring. */
  number: number;
  boot: number;
  uptimeMs: number;
  /** Newest slot (quarter hour) in this or any entry before it; 0: none yet. It is this entry's own unless FLAG_NO_CLOCK. */
  newestSlot: number;
  importMwh: number;
  exportMwh: number;
  flags: number;
}

export const UNIT_BYTES = 12;
export const FULL_UNITS = 4;
export const FULL_BYTES = 48;
/** First word of a full entry; the last digit is the layout's version. */
export const FULL_CHECKPOINT = 0xc4ec6b01;
export const FULL_RECORD = 0x9ec04d01;
/** First word of what is erased. */
export const BLANK = 0xffffffff;

const SHORT_FLAGS = 31;
const DRIFT_MS = 512;
const SHORT_MWH = 16777216;
const TWO_32 = 4294967296;

/** How a ring's short entries count. */
export interface Stride {
  /** Time between two entries; short ones may differ from it by half a second. */
  periodMs: number;
  /** How much the slot moves on with each entry: 1 in the ring of records, 0 in that of checkpoints. */
  slots: number;
}

function setU53(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  view.setUint32(at, value - high * TWO_32, true);
  view.setUint32(at + 4, high, true);
}
const getU53 = (view: DataView, at: number) => view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;

export function encodeFull(entry: Entry, kind: number, crc32: Crc32): Uint8Array {
  const bytes = new Uint8Array(FULL_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, entry.number, true);
  view.setUint32(8, entry.boot, true);
  view.setUint32(12, entry.newestSlot, true);
  setU53(view, 16, entry.uptimeMs);
  setU53(view, 24, entry.importMwh);
  setU53(view, 32, entry.exportMwh);
  view.setUint32(40, entry.flags, true);
  view.setUint32(44, crc32(bytes.subarray(0, 44)), true);
  return bytes;
}

/** The entry at the byte `at`, null where there is none in full. */
export function decodeFull(bytes: Uint8Array, view: DataView, at: number, kind: number, crc32: Crc32): Entry | null {
  if (at + FULL_BYTES > bytes.length || view.getUint32(at, true) !== kind) return null;
  if (view.getUint32(at + 44, true) !== crc32(bytes.subarray(at, at + 44))) return null;
  return {
    number: view.getUint32(at + 4, true),
    boot: view.getUint32(at + 8, true),
    newestSlot: view.getUint32(at + 12, true),
    uptimeMs: getU53(view, at + 16),
    importMwh: getU53(view, at + 24),
    exportMwh: getU53(view, at + 32),
    flags: view.getUint32(at + 40, true),
  };
}

/** The short form; null where it cannot say what has changed. `chain`: the 4 bytes before, as a little-endian word. */
export function encodeShort(
  entry: Entry,
  before: Entry,
  chain: number,
  stride: Stride,
  crc32: Crc32,
): Uint8Array | null {
  const drift = entry.uptimeMs - before.uptimeMs - stride.periodMs + DRIFT_MS;
  const imported = entry.importMwh - before.importMwh;
  const exported = entry.exportMwh - before.exportMwh;
  const slot = entry.flags & FLAG_NO_CLOCK ? before.newestSlot : before.newestSlot + stride.slots;
  const fits =
    entry.boot === before.boot &&
    entry.newestSlot === slot &&
    entry.flags <= SHORT_FLAGS &&
    drift >= 0 &&
    drift < 2 * DRIFT_MS &&
    imported < SHORT_MWH &&
    exported < SHORT_MWH;
  if (!fits) return null;
  // The CRC's first four bytes stand before the entry in flash: put there to be summed, cut off to be written.
  const bytes = new Uint8Array(4 + UNIT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, chain, true);
  view.setUint32(4, entry.flags * 67108864 + drift * 65536 + (imported & 65535), true);
  view.setUint32(8, exported * 256 + (imported >> 16), true);
  view.setUint32(12, crc32(bytes.subarray(0, 12)), true);
  return bytes.subarray(4, 16);
}

/** Moves `entry` on by the short entry at the byte `at`, which directly follows it. False, and unmoved, where there is none. */
export function advanceByShort(
  entry: Entry,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  stride: Stride,
  crc32: Crc32,
): boolean {
  const first = view.getUint32(at, true);
  if (first > 0x7fffffff || view.getUint32(at + 8, true) !== crc32(bytes.subarray(at - 4, at + 8))) return false;
  const second = view.getUint32(at + 4, true);
  entry.number++;
  entry.flags = first >> 26;
  entry.uptimeMs += stride.periodMs + ((first >> 16) & 1023) - DRIFT_MS;
  entry.importMwh += (first & 65535) + (second & 255) * 65536;
  entry.exportMwh += second >>> 8;
  if (!(entry.flags & FLAG_NO_CLOCK)) entry.newestSlot += stride.slots;
  return true;
}
