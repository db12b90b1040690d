/**
 * How many times the base stands in an element, where the answer is known to be small: baby steps and giant steps (Shanks, "Class
 * number, a theory of factorization, and genera", 1971). A sum of readings comes out as G^sum; this finds the sum.
 *
 * The table of baby steps, G^0 … G^(2^16 − 1), is made once for each base (a tenth of a second); a search over 2^32 takes 2^16 giant
 * steps at most, about as long again.
 */
import { BASE, type Element, encodeScalar, multiplyBase, NEUTRAL, progression } from './group.ts';

const BABY_STEPS = 2 ** 16;
const CHUNK = 1024;
/** Larger sums are refused: nobody should wait for them. */
export const LOGARITHM_BOUND = 2 ** 32;

/** Elements by 48 bits of their x; the few that share them are told apart by their whole. */
const keyOf = ({ raw }: Element): number => {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, 8);
  return bytes.readUIntLE(0, 6);
};

let babies: Map<number, number> | undefined;
function babySteps(): Map<number, number> {
  if (babies) return babies;
  babies = new Map();
  let first = NEUTRAL;
  for (let from = 0; from < BABY_STEPS; from += CHUNK) {
    const steps = progression(first, BASE, CHUNK + 1);
    for (let i = 0; i < CHUNK; i++) babies.set(keyOf(steps[i]), from + i);
    first = steps[CHUNK];
  }
  return babies;
}

/**
 * The number below `bound` whose multiple of the curve's base point is `element`; null where there is none. Variable time: for what is
 * to be published.
 * @throws RangeError where the bound is above 2^32
 */
export function smallLogarithm(element: Element, bound = LOGARITHM_BOUND): number | null {
  if (!Number.isSafeInteger(bound) || bound < 1 || bound > LOGARITHM_BOUND)
    throw new RangeError(`the bound is no whole number from 1 to 2^32`);
  const table = babySteps();
  const giant = NEUTRAL.subtract(BASE.multiply(BigInt(BABY_STEPS)));
  const giants = Math.ceil(bound / BABY_STEPS);
  let at = element;
  for (let from = 0; from < giants; from += CHUNK) {
    const count = Math.min(CHUNK, giants - from);
    const steps = progression(at, giant, count + 1);
    for (let i = 0; i < count; i++) {
      const baby = table.get(keyOf(steps[i]));
      if (baby === undefined) continue;
      const found = (from + i) * BABY_STEPS + baby;
      if (found < bound && isMultiple(element, found)) return found;
    }
    at = steps[count];
  }
  return null;
}

const isMultiple = (element: Element, times: number): boolean =>
  times === 0 ? element.isNeutral : multiplyBase(encodeScalar(BigInt(times))).equals(element);
