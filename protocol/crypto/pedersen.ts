/**
 * Pedersen commitments (Pedersen, "Non-interactive and information-theoretic secure verifiable secret sharing", 1991, section 3):
 *
 *   C = G^r · H^value        hides the value perfectly, binds to it as long as nobody knows the logarithm of H to G
 *
 * G is the curve's base point, H = hashToElement("pedersen/value"). Products of commitments commit to sums:
 * Π C_i^{w_i} = G^{Σ w_i·r_i} · H^{Σ w_i·value_i}, which is all that a linear tariff needs.
 */
import { FixedBase } from './fixed-base.ts';
import { BASE, Element, encodeScalar, hashToElement, multiplyBase, multiScalar, sum } from './group.ts';

/** H. */
export const VALUE_BASE = hashToElement('pedersen/value');
/** Commitments are made to values below 2^VALUE_BITS. */
export const VALUE_BITS = 24;

const DIGIT_BITS = 4;
const DIGITS = 1 << DIGIT_BITS;
const WINDOWS = VALUE_BITS / DIGIT_BITS;

/**
 * tables[w][d] = H^{d·16^w} · O_w. The offsets O_w, of unknown logarithm, keep the neutral element, which the engine treats apart, out
 * of the way; their product is taken off again at the end.
 */
const offsets = Array.from({ length: WINDOWS }, (_, w) => hashToElement(`pedersen/offset/${w}`));
const tables: Uint32Array[][] = offsets.map((offset, w) =>
  Array.from({ length: DIGITS }, (_, d) => {
    const { raw } = multiScalar([VALUE_BASE, offset], [BigInt(d) << BigInt(DIGIT_BITS * w), 1n]);
    return new Uint32Array(raw.slice().buffer);
  }),
);
const withoutOffsets = multiScalar(
  offsets,
  offsets.map(() => -1n),
);

/**
 * A commitment to a secret value under secret randomness. No branch and no address depends on either: the multiple of H is picked by
 * reading each table whole. (The engine's additions themselves run in constant time but for operands that are equal or neutral, which
 * do not occur; its inversion at the end works on a coordinate that r, used once, hides.)
 * @param value a whole number from 0 to 2^24 − 1
 * @param randomness 32 B, a scalar from 1 to ORDER − 1
 * @throws RangeError, Error where it is none
 */
export function commit(value: number, randomness: Uint8Array): Element {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** VALUE_BITS)
    throw new RangeError(`the value is no whole number from 0 to 2^${VALUE_BITS} − 1`);
  const parts = [multiplyBase(randomness), withoutOffsets];
  for (let w = 0; w < WINDOWS; w++) parts.push(pick(tables[w], (value >>> (DIGIT_BITS * w)) & (DIGITS - 1)));
  return sum(parts);
}

function pick(table: readonly Uint32Array[], digit: number): Element {
  const words = new Uint32Array(table[0].length);
  for (let d = 0; d < DIGITS; d++) {
    const mask = ((d ^ digit) - 1) >> 31; // all ones where d is the digit
    for (let i = 0; i < words.length; i++) words[i] |= table[d][i] & mask;
  }
  return new Element(new Uint8Array(words.buffer));
}

/** G^randomness · H^value for scalars of any size: to verify, or to prove at home. Variable time. */
export const commitment = (value: bigint, randomness: bigint): Element =>
  multiScalar([VALUE_BASE, BASE], [value, randomness]);

/** As `commitment`, with the multiple of G in constant time. @param randomness not 0 */
export const hide = (value: bigint, randomness: bigint): Element =>
  multiplyBase(encodeScalar(randomness)).add(VALUE_BASE.multiply(value));

let valueTable: FixedBase | undefined;
/** G^randomness · H^value for secrets of any size, both in constant time. @param randomness not 0 */
export function hideSecret(value: bigint, randomness: bigint): Element {
  valueTable ??= new FixedBase(VALUE_BASE);
  return valueTable.multiply(value, multiplyBase(encodeScalar(randomness)));
}
