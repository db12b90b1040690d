/**
 * Proof that one committed value lies from 0 to 2^bits − 1, short enough for a reading and quicker to make than the logarithmic one
 * (range-proof.ts), which pays for many values at once: its bits are committed to as one vector, and opened under a mask
 * (the bit proofs of Groth, Kohlweiss, "One-out-of-many proofs", 2015, figure 1, over a vector as in Bootle et al., "Short accountable
 * ring signatures based on DDH", 2015, figure 4).
 *
 * The prover knows v and b of V = G^b·H^v, and a_i with v = Σ 2^i·a_i.
 *
 *   Prover → Verifier   A = G^α·Π G_i^{a_i},  S = G^σ·Π G_i^{s_i}
 *           ← y, δ
 *           →           T_1 = G^{τ_1}·H^{Σ y^i·s_i·(1 − 2a_i)},  T_0 = G^{τ_0}·H^{δ·Σ 2^i·s_i − Σ y^i·s_i²}
 *           ← x
 *           →           f_i = a_i·x + s_i,  ρ = α·x + σ,  τ = δ·b·x + τ_1·x + τ_0
 *
 * and the verifier checks A^x·S = G^ρ·Π G_i^{f_i} and V^{δx}·T_1^x·T_0 = G^τ·H^{Σ y^i·f_i·(x − f_i) + δ·Σ 2^i·f_i}: f_i·(x − f_i) has no term in
 * x² exactly if a_i is 0 or 1. The f_i are uniform, so nothing else is told. The vectors are made in variable time: the prover is at home
 * and sends when its slot's bundle leaves, whatever it took.
 *
 *   proof   A 33 ‖ S 33 ‖ T_1 33 ‖ T_0 33 ‖ ρ 32 ‖ τ 32 ‖ f_i 32 each: 1,220 B for 32 bits
 */
import type { EquationBatch } from './equations.ts';
import { generators } from './generators.ts';
import {
  BASE,
  decodeElements,
  decodeScalar,
  ELEMENT_BYTES,
  type Element,
  encodeScalar,
  GroupError,
  modulo,
  multiplyBase,
  multiScalar,
  ORDER,
  SCALAR_BYTES,
  scalarOf,
  sum,
} from './group.ts';
import { innerProduct, powers } from './inner-product.ts';
import { hideSecret, VALUE_BASE } from './pedersen.ts';
import type { Transcript } from './transcript.ts';

const ELEMENTS = 4;

export const bitProofBytes = (bits: number): number => ELEMENTS * ELEMENT_BYTES + (2 + bits) * SCALAR_BYTES;

/**
 * @param transcript to which all is bound that the proof is about; the verifier's must have heard the same
 * @param commitment V = G^randomness · H^value
 * @throws RangeError where the value is out of the range: what is false cannot be proved
 */
export function proveBits(
  transcript: Transcript,
  commitment: Element,
  bits: number,
  value: number,
  randomness: bigint,
  random: (bytes: number) => Uint8Array,
): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
    throw new RangeError(`value: is no whole number from 0 to 2^${bits} − 1`);
  const secret = (): bigint => scalarOf(random(64)) || 1n;
  const bases = generators('g', bits);
  const a = Array.from({ length: bits }, (_, i) => (BigInt(value) >> BigInt(i)) & 1n);
  const s = a.map(secret);
  const [alpha, sigma, tau1, tau0] = [secret(), secret(), secret(), secret()];
  const vectors = [
    sum([multiplyBase(encodeScalar(alpha)), ...bases.filter((_, i) => a[i] === 1n)]),
    multiplyBase(encodeScalar(sigma)).add(multiScalar(bases, s)),
  ];
  const { y, delta } = combining(transcript, commitment, bits, vectors);
  const yPowers = powers(y, bits);
  const linear = innerProduct(
    yPowers,
    s.map((mask, i) => (a[i] === 0n ? mask : -mask)),
  );
  const constant = modulo(
    delta * innerProduct(places(bits), s) -
      innerProduct(
        yPowers,
        s.map((mask) => mask * mask),
      ),
  );
  const sums = [hideSecret(linear, tau1), hideSecret(constant, tau0)];
  const x = evaluation(transcript, sums);
  const scalars = [
    alpha * x + sigma,
    ((delta * randomness + tau1) % ORDER) * x + tau0,
    ...a.map((bit, i) => bit * x + s[i]),
  ];
  return Buffer.concat([...vectors, ...sums].map((element) => element.encode()).concat(scalars.map(encodeScalar)));
}

/** Adds to `batch` what holds if the proof does. @throws GroupError with the field's path where it is malformed */
export function bitEquations(
  batch: EquationBatch,
  transcript: Transcript,
  commitment: Element,
  bits: number,
  proof: Uint8Array,
  path = 'proof',
): void {
  if (proof.length !== bitProofBytes(bits))
    throw new GroupError(path, `is ${proof.length} bytes long, not ${bitProofBytes(bits)}`);
  const [bitVector, maskVector, sum1, sum0] = decodeElements(proof.subarray(0, ELEMENTS * ELEMENT_BYTES), path);
  const [rho, tau, ...f] = Array.from({ length: 2 + bits }, (_, i) => {
    const at = ELEMENTS * ELEMENT_BYTES + i * SCALAR_BYTES;
    return decodeScalar(proof.subarray(at, at + SCALAR_BYTES), `${path}.scalars.${i}`);
  });
  const { y, delta } = combining(transcript, commitment, bits, [bitVector, maskVector]);
  const x = evaluation(transcript, [sum1, sum0]);

  batch.next();
  batch.term(bitVector, x);
  batch.term(maskVector, 1n);
  batch.term(BASE, -rho);
  batch.vector(
    'g',
    f.map((opened) => -opened),
  );

  batch.next();
  batch.term(commitment, (delta * x) % ORDER);
  batch.term(sum1, x);
  batch.term(sum0, 1n);
  batch.term(BASE, -tau);
  const quadratic = innerProduct(
    powers(y, bits),
    f.map((opened) => (opened * (x - opened)) % ORDER),
  );
  batch.term(VALUE_BASE, -modulo(quadratic + delta * innerProduct(places(bits), f)));
}

const places = (bits: number): bigint[] => Array.from({ length: bits }, (_, i) => 1n << BigInt(i));

function combining(
  transcript: Transcript,
  commitment: Element,
  bits: number,
  [bitVector, maskVector]: readonly Element[],
): { y: bigint; delta: bigint } {
  transcript.absorb('bits', Uint8Array.of(bits)).absorbElement('V', commitment);
  transcript.absorbElement('A', bitVector).absorbElement('S', maskVector);
  return { y: transcript.challenge('y'), delta: transcript.challenge('delta') };
}
function evaluation(transcript: Transcript, [sum1, sum0]: readonly Element[]): bigint {
  return transcript.absorbElement('T1', sum1).absorbElement('T0', sum0).challenge('x');
}
