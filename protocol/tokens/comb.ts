/**
 * How a meter, which has no curves, makes v = G^{−s} and x = G^r ahead of need: a comb of 8 teeth over the fixed base (Lim, Lee, "More
 * flexible exponentiation with precomputation", 1994): 32 doublings and at most 32 additions with a table of 255 points; about 800
 * multiplications modulo the field's prime, one for each tick of the firmware's worker, while nothing else is to be done.
 *
 *   table[b]    Σ_{i: bit i of b is set} 2^{32·i}·G,  b = 1 … 255;  x ‖ y, 64 B each: 16,320 B
 *   G^s         for column c = 31 … 0: double; add table[the 8 bits of s at c, c + 32, c + 64 …]
 *
 * **The table is checked before it is used**: a wrong point (one that is on no curve of prime order, say) would make v tell s. Its SHA-256
 * stands in the attested program (COMB_DIGEST), and the table lies in flash; a meter whose table has another digest makes no tokens.
 */
import { createHash } from 'node:crypto';
import { AFFINE_BYTES, BASE, type Element, sum } from '../crypto/group.ts';

const TEETH = 8;
const COLUMNS = 32;
export const COMB_POINTS = 2 ** TEETH - 1;
export const COMB_DIGEST = 'a9ca496a52e93290828541dce57dced5e029248b0e60c1b1058aa14caf36112c';

/** 16,320 B. */
export function combTable(): Uint8Array {
  const teeth: Element[] = [BASE];
  for (let i = 1; i < TEETH; i++) teeth.push(teeth[i - 1].multiply(1n << BigInt(COLUMNS)));
  const bytes = new Uint8Array(COMB_POINTS * AFFINE_BYTES);
  for (let b = 1; b <= COMB_POINTS; b++)
    bytes.set(sum(teeth.filter((_, i) => (b >> i) & 1)).encodeAffine(), (b - 1) * AFFINE_BYTES);
  return bytes;
}

export const isCombTable = (table: Uint8Array): boolean =>
  createHash('sha256').update(table).digest('hex') === COMB_DIGEST;

/** Which point is added in columns 31 … 0; 0: none. @param secret 32 B, big-endian */
export function combDigits(secret: Uint8Array): number[] {
  return Array.from({ length: COLUMNS }, (_, k) => {
    const column = COLUMNS - 1 - k;
    let digit = 0;
    for (let tooth = 0; tooth < TEETH; tooth++) {
      const bit = column + COLUMNS * tooth;
      digit |= ((secret[secret.length - 1 - (bit >> 3)] >> (bit & 7)) & 1) << tooth;
    }
    return digit;
  });
}
