/**
 * Secret multiples of an element that is used often: a server's public key, the base of Pedersen's values. A table of 64 windows of 4
 * bits; no branch and no address depends on the scalar, for each window is picked by reading it whole (as in pedersen.ts). One
 * multiplication costs 64 additions; the table takes about 2 ms and 150 kB, so it is kept.
 *
 *   tables[w][d] = P^{d·16^w} · O_w      the offsets O_w, of unknown logarithm, keep the neutral element out of the way; their product
 *                                        is taken off again at the end
 */
import { Element, encodeScalar, hashToElement, multiScalar, progression, sum } from './group.ts';

const DIGIT_BITS = 4;
const DIGITS = 1 << DIGIT_BITS;
const WINDOWS = 64;

const offsets = Array.from({ length: WINDOWS }, (_, w) => hashToElement(`fixed-base/offset/${w}`));
const withoutOffsets = multiScalar(
  offsets,
  offsets.map(() => -1n),
);

export class FixedBase {
  readonly base: Element;
  /** All windows one after the other, by digit. */
  readonly #tables: Uint32Array[][];

  /** @param base not neutral; public */
  constructor(base: Element) {
    this.base = base;
    let step = base;
    this.#tables = offsets.map((offset) => {
      const entries = progression(offset, step, DIGITS);
      step = step.multiply(BigInt(DIGITS));
      return entries.map(({ raw }) => new Uint32Array(raw.slice().buffer));
    });
  }

  /** base^scalar, or base^scalar · other. Constant time. @param scalar 0 ≤ scalar < ORDER */
  multiply(scalar: bigint, other?: Element): Element {
    const bytes = encodeScalar(scalar);
    const parts = [withoutOffsets];
    for (let w = 0; w < WINDOWS; w++) {
      const byte = bytes[bytes.length - 1 - (w >> 1)];
      parts.push(pick(this.#tables[w], (byte >>> (DIGIT_BITS * (w & 1))) & (DIGITS - 1)));
    }
    if (other) parts.push(other);
    return sum(parts);
  }
}

/** Where x, y and z stand in an element, in words (group.ts: 48 B each, of which the curve uses 32); z is 1 in all. */
const [X, Y, Z, COORDINATE_WORDS] = [0, 12, 24, 8];

function pick(table: readonly Uint32Array[], digit: number): Element {
  const words = new Uint32Array(table[0].length);
  for (let d = 0; d < DIGITS; d++) {
    const entry = table[d];
    const mask = ((d ^ digit) - 1) >> 31; // all ones where d is the digit
    for (let i = 0; i < COORDINATE_WORDS; i++) {
      words[X + i] |= entry[X + i] & mask;
      words[Y + i] |= entry[Y + i] & mask;
    }
  }
  for (let i = Z; i < words.length; i++) words[i] = table[0][i];
  return new Element(new Uint8Array(words.buffer));
}
