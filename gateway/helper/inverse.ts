/**
 * The helper of a blinding: modular inverses, which the meter's interpreter cannot compute in reasonable time.
 *
 *   Meter ── r · u mod n, several ──► Gateway ── their inverses ──► Meter
 *
 * The gateway learns nothing: u is random and the meter's alone, so r · u is as good as random. It need not be trusted: the meter
 * multiplies and looks for 1 (firmware/arithmetic/blind-rsa.ts).
 *
 * Several at once cost one inversion and three multiplications each (Montgomery 1987, section 10.3.1).
 */
import { HELPER_NO_INVERSE, type HelperAnswer, type HelperQuestion } from '../../protocol/wire/helper.ts';

/** What the meter's question is answered with. */
export function answerHelperQuestion(question: HelperQuestion): HelperAnswer {
  const { modulus, values } = question;
  return { request: question.request, inverses: invertAll(modulus, values) };
}

/**
 * @param modulus big-endian
 * @param values big-endian, as long as the modulus
 * @return the inverses, as long as the modulus; HELPER_NO_INVERSE (no bytes) where a value has none
 */
export function invertAll(modulus: Uint8Array, values: readonly Uint8Array[]): Uint8Array[] {
  const n = toInteger(modulus);
  if (n < 3n) return values.map(() => HELPER_NO_INVERSE);
  const numbers = values.map((value) => toInteger(value) % n);
  const before: bigint[] = [];
  let product = 1n;
  for (const number of numbers) {
    before.push(product);
    product = (product * number) % n;
  }
  let inverse = invert(product, n);
  if (inverse === null) {
    // one of them has none and spoils the product: each by itself
    return numbers.map((number) => {
      const own = invert(number, n);
      return own === null ? HELPER_NO_INVERSE : toBytes(own, modulus.length);
    });
  }
  const inverses: Uint8Array[] = new Array(numbers.length);
  for (let i = numbers.length - 1; i >= 0; i--) {
    inverses[i] = toBytes((inverse * before[i]) % n, modulus.length);
    inverse = (inverse * numbers[i]) % n;
  }
  return inverses;
}

/** Euclid's extended algorithm; null where there is no inverse. */
function invert(value: bigint, n: bigint): bigint | null {
  let [r0, r1] = [n, value];
  let [s0, s1] = [0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [s0, s1] = [s1, s0 - quotient * s1];
  }
  if (r0 !== 1n) return null;
  return s0 < 0n ? s0 + n : s0;
}

const toInteger = (bytes: Uint8Array): bigint =>
  bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

const toBytes = (value: bigint, length: number): Uint8Array =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
