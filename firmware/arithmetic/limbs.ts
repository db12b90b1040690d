/** Numbers as limbs: from and to bytes, carries, comparison. (Espruino dialect) */
import { type ArithmeticNatives, LIMB_BASE, LIMB_BITS, LIMB_MASK, type Limbs } from './natives.ts';

/** Four limbs are eleven bytes: only whole fours can be regrouped natively. */
const FOUR = 4;
const FOUR_BYTES = 11;

/** Enough limbs for R = 2^(22 · limbs) > 4n, with which Montgomery's products of numbers below 2n stay below 2n. */
export function limbsFor(bytes: number): number {
  return Math.ceil((8 * bytes + 2) / LIMB_BITS);
}

/** @param bytes big-endian, not more than the limbs take */
export function fromBytes(natives: ArithmeticNatives, bytes: Uint8Array, limbs: number): Limbs {
  const fours = Math.ceil(limbs / FOUR);
  const padded = new Uint8Array(FOUR_BYTES * fours);
  padded.set(bytes, padded.length - bytes.length);
  const reversed = new Int32Array(FOUR * fours);
  natives.regroup(padded, reversed);
  const result = new Int32Array(FOUR * fours);
  new Reversal(reversed).into(result);
  return result.subarray(0, limbs);
}

/**
 * Limbs the other way round, by native calls. In halves: Espruino 2v29 never frees an array of 128 elements or more of which
 * `reverse` was called.
 */
export class Reversal {
  private upper: Limbs;
  private lower: Limbs;

  /** @param limbs are disordered by it */
  constructor(limbs: Limbs) {
    const half = limbs.length >> 1;
    this.lower = limbs.subarray(0, half);
    this.upper = limbs.subarray(half);
  }

  into(to: Limbs): void {
    const { lower, upper } = this;
    lower.reverse();
    upper.reverse();
    to.set(upper, 0);
    to.set(lower, upper.length);
  }
}

/** Big-endian, of this length, which has to suffice. */
export function toBytes(limbs: Limbs, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = length - 1;
  let held = 0;
  let bits = 0;
  for (const limb of limbs) {
    held |= limb << bits;
    bits += LIMB_BITS;
    while (bits >= 8 && at >= 0) {
      bytes[at--] = held & 255;
      held = held >>> 8;
      bits -= 8;
    }
  }
  return bytes;
}

/**
 * Makes limbs of columns. The loop is what interpreting costs in a multiplication, four microseconds a limb on a PC, and is written
 * for that. `&` of a number up to 2^53 takes its lower 32 bits; the carry stays below 2^31.
 * @param carry into the first column
 * @return what goes on into the column after the last
 */
export function carryColumns(columns: Float64Array, to: Limbs, carry: number): number {
  let k = 0;
  let v = carry;
  let column = 0;
  for (column of columns) {
    v += column;
    to[k++] = v & 4194303;
    v = (v / 4194304) | 0;
  }
  return v;
}

/** The same of the sums of two arrays of columns. */
export function carrySums(columns: Float64Array, others: Float64Array, to: Limbs, carry: number): number {
  let k = 0;
  let v = carry;
  let column = 0;
  for (column of columns) {
    v += column + others[k];
    to[k++] = v & 4194303;
    v = (v / 4194304) | 0;
  }
  return v;
}

/** a < b */
export function isBelow(a: Limbs, b: Limbs): boolean {
  let k = a.length - 1;
  while (k > 0 && a[k] === b[k]) k--;
  return a[k] < b[k];
}

/** a − b, for a ≥ b. */
export function subtract(a: Limbs, b: Limbs): Limbs {
  const difference = new Int32Array(a.length);
  let k = 0;
  let v = 0;
  for (const limb of a) {
    v += limb - b[k];
    difference[k++] = v & LIMB_MASK;
    v = v < 0 ? -1 : 0;
  }
  return difference;
}

/** a · 2^shift − q · n, for what is positive and fits; shift < 22, q < 2^22. */
export function shiftAndSubtract(a: Limbs, shift: number, q: number, n: Limbs): Limbs {
  const out = new Int32Array(a.length);
  const factor = 1 << shift;
  let k = 0;
  let v = 0;
  for (const limb of a) {
    v += limb * factor - q * n[k];
    out[k++] = v & LIMB_MASK;
    v = Math.floor(v / LIMB_BASE);
  }
  return out;
}

export function isSame(a: Limbs, b: Limbs): boolean {
  let k = 0;
  for (const limb of a) if (limb !== b[k++]) return false;
  return true;
}
