import { FLAG_NO_CLOCK } from '../../protocol/wire/link-messages.ts';
import type { JournalNatives } from './flash-pages.ts';

/**
 * One line of the journal: both registers at one instant. Entries are written in *runs*: a full entry, then short ones directly
 * behind it, in units of 12 bytes. All integers are little-endian.
 *
 *   full, 4 units: everything, absolute
 *      0  u32  kind of ring: FULL_CHECKPOINT or FULL_RECORD
 *      4  u32  number
 *      8  u32  boot
 *     12  u53  uptimeMs     (high u32, low u32)
 *     20  u32  flags
 *     24  u53  importMwh
 *     32  u32  newest slot recorded so far, this entry's own included
 *     36  u53  exportMwh
 *     44  u32  CRC-32 of bytes 0 … 43
 *
 *   short, 1 unit: what has changed since the entry directly before it, of the same boot
 *      0  u24  import, mWh
 *      3  u8   flags (7 bits; the highest bit is 0)
 *      4  u24  export, mWh
 *      7  u8   uptime − period + 128, ms
 *      8  u32  CRC-32 of the whole run up to here
 *
 * So the last entry of a run vouches for all before it, and what it stands at is three sums over columns of bytes: a page is read in
 * a handful of native calls. And a short entry counts only where everything it counts from is there, whatever an erase that was broken
 * off has left of the page. 24 bits of mWh are 67 kW over a quarter hour. What does not fit goes in full and begins a new run.
 * The first word of a unit is never all ones, which is what erased flash reads as.
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

const SHORT_FLAGS = 127;
const DRIFT_MS = 128;
const SHORT_MWH = 16777216;
const TWO_32 = 4294967296;

/** Columns of the short entries of a run, as weights of their bytes. */
const IMPORT = new Int32Array([1, 256, 65536, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const EXPORT = new Int32Array([0, 0, 0, 0, 1, 256, 65536, 0, 0, 0, 0, 0]);
const DRIFT = new Int32Array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);

/** How a ring's short entries count. */
export interface Stride {
  /** Time between two entries; short ones differ from it by less than 128 ms. */
  periodMs: number;
  /** How much the slot moves on with each entry that has one: 1 in the ring of records, 0 in that of checkpoints. */
  slots: number;
}

function setU53(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  view.setUint32(at, high, true);
  view.setUint32(at + 4, value - high * TWO_32, true);
}
const getU53 = (view: DataView, at: number) => view.getUint32(at, true) * TWO_32 + view.getUint32(at + 4, true);

export function encodeFull(entry: Entry, kind: number, natives: JournalNatives): Uint8Array {
  const bytes = new Uint8Array(FULL_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, entry.number, true);
  view.setUint32(8, entry.boot, true);
  setU53(view, 12, entry.uptimeMs);
  view.setUint32(20, entry.flags, true);
  setU53(view, 24, entry.importMwh);
  view.setUint32(32, entry.newestSlot, true);
  setU53(view, 36, entry.exportMwh);
  view.setUint32(44, natives.crc32(bytes.subarray(0, 44)), true);
  return bytes;
}

/** The full entry at the byte `at`, null where there is none. `view` is of `bytes`. */
export function decodeFull(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  kind: number,
  natives: JournalNatives,
): Entry | null {
  if (at + FULL_BYTES > bytes.length || view.getUint32(at, true) !== kind) return null;
  if (view.getUint32(at + 44, true) !== natives.crc32(bytes.subarray(at, at + 44))) return null;
  return {
    number: view.getUint32(at + 4, true),
    boot: view.getUint32(at + 8, true),
    newestSlot: view.getUint32(at + 32, true),
    uptimeMs: getU53(view, at + 12),
    importMwh: getU53(view, at + 24),
    exportMwh: getU53(view, at + 36),
    flags: view.getUint32(at + 20, true),
  };
}

/** Whether the short form can say what has changed. */
export function fitsShort(entry: Entry, before: Entry, stride: Stride): boolean {
  const drift = entry.uptimeMs - before.uptimeMs - stride.periodMs + DRIFT_MS;
  const noClock = entry.flags & FLAG_NO_CLOCK;
  return (
    entry.boot === before.boot &&
    entry.newestSlot === before.newestSlot + (noClock ? 0 : stride.slots) &&
    noClock === (before.flags & FLAG_NO_CLOCK) &&
    entry.flags <= SHORT_FLAGS &&
    drift >= 0 &&
    drift < 2 * DRIFT_MS &&
    entry.importMwh - before.importMwh < SHORT_MWH &&
    entry.exportMwh - before.exportMwh < SHORT_MWH
  );
}

/** The short form of an entry that fits. `run`: the bytes of the run so far. */
export function encodeShort(
  entry: Entry,
  before: Entry,
  run: Uint8Array,
  stride: Stride,
  natives: JournalNatives,
): Uint8Array {
  const whole = new Uint8Array(run.length + UNIT_BYTES);
  whole.set(run, 0);
  const at = run.length;
  const view = new DataView(whole.buffer, at, UNIT_BYTES);
  const drift = entry.uptimeMs - before.uptimeMs - stride.periodMs + DRIFT_MS;
  view.setUint32(0, entry.importMwh - before.importMwh + entry.flags * SHORT_MWH, true);
  view.setUint32(4, entry.exportMwh - before.exportMwh + drift * SHORT_MWH, true);
  view.setUint32(8, natives.crc32(whole.subarray(0, at + 8)), true);
  return whole.subarray(at, at + UNIT_BYTES);
}

/**
 * Moves a full entry, at the byte `at`, on to the `count`-th short one behind it. False, and unmoved, where that one is not there or
 * anything before it in its run is damaged.
 */
export function moveOn(
  entry: Entry,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  count: number,
  stride: Stride,
  natives: JournalNatives,
): boolean {
  if (count === 0) return true;
  const first = at + FULL_BYTES;
  const last = first + (count - 1) * UNIT_BYTES;
  if (last + UNIT_BYTES > bytes.length) return false;
  if (view.getUint32(last + 8, true) !== natives.crc32(bytes.subarray(at, last + 8))) return false;
  const run = bytes.subarray(first, last + UNIT_BYTES);
  entry.number += count;
  entry.importMwh += natives.dot(run, IMPORT);
  entry.exportMwh += natives.dot(run, EXPORT);
  entry.uptimeMs += natives.dot(run, DRIFT) + count * (stride.periodMs - DRIFT_MS);
  entry.flags = view.getUint8(last + 3);
  if (!(entry.flags & FLAG_NO_CLOCK)) entry.newestSlot += count * stride.slots;
  return true;
}
