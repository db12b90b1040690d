/**
 * Proof that committed values stand in a public table, and what the table makes of them: the range proof (range-proof.ts) and the
 * tiers of a tariff (billing/payment.ts).
 *
 * The prover knows v_i and r_i of V_i = G^{r_i}·H^{v_i}, and digits with v_i = Σ_j 2^{b·j}·d_{ij}. It proves that every digit is below
 * 2^b and, where the table gives an image for each digit, that Y = G^s·H^{Σ image(d)}. Nothing else is told.
 *
 * 1. **Lookup by multiplicities** (Haböck, "Multivariate lookups based on logarithmic derivatives", ePrint 2022/1530, lemma 5): all φ_t
 *    stand in the table w_v exactly if Σ_t 1/(α + φ_t) = Σ_v m_v/(α + w_v) for a random α, with some m. A digit and its image
 *    make one number: φ_t = d_t + β·image_t for a random β.
 * 2. The reciprocals e_t, the digits and the multiplicities are committed to as vectors, and e_t·(α + φ_t) = 1 together with the linear
 *    equations are one inner product, as in the circuits of Bulletproofs (Bünz et al. 2018, section 5.1, appendix F); an inner-product
 *    argument makes the vectors short (inner-product.ts). (Reciprocals in Bulletproofs: Eagen, Kanade, Ruffing, Nick, "Bulletproofs++",
 *    ePrint 2022/510.)
 *
 * A reading of 12 bits is thus one row instead of twelve: 2,976 readings need vectors of 4,096, not of 65,536.
 *
 *   Prover → Verifier   A_d = Σ d_t·H_t,  A_f = Σ image_t·H_t,  A_m = Σ m_v·G_v
 *           ← α, β
 *           →           A_e = Σ e_t·G_t,  A_s = Σ sl_t·G_t + Σ sr_t·H_t
 *           ← y, u, δ₁, δ₂, δ₃
 *           →           T_k commits to t_k, k ≠ 3
 *           ← x
 *           →           τ, μ, t(x), inner-product argument for l(x) and r(x)
 *
 * (each A with its own multiple of the base G), where, row by row, "·" by component,
 *
 *   l(X) = (βX + X²)·e + δ₃·y⁻·X [rows with images] + δ₂·y⁻·z·X² + X³·m + X⁴·sl
 *   r(X) = −δ₁·w⁻ + (y·(d + α) + δ₁)·X + y·image·X² + y·sr·X⁴
 *   y = (y, y², …), y⁻ its inverses, z = u^i·2^{b·j} in the row of d_{ij}, w⁻_v = 1/(α + w_v)
 *
 * so that the coefficient of X³ of t(X) = ⟨l(X), r(X)⟩ is
 *
 *   Σ y_t·e_t·(α + φ_t) + δ₁·(Σ e_t − Σ m_v·w⁻_v) + δ₂·Σ z_t·d_t + δ₃·Σ image_t + δ₂·Σ z_t·(α + δ₁·y⁻_t)
 *
 * which the verifier knows in the exponent if and only if all is well: Σ y_t + 0 + (what Π V_i^{u^i} commits to) + (what Y does) + …
 *
 *   proof   size
 *           33          A_d
 *           33          A_f, where there are images
 *           33 each     A_m, A_e, A_s, T_1, T_2, T_4 … T_8
 *           32 each     τ, μ, t(x)
 *           …           inner-product argument, n = the least power of two for all digits and all rows of the table
 */
import type { EquationBatch } from './equations.ts';
import { generators, PRODUCT_BASE } from './generators.ts';
import {
  BASE,
  decodeScalar,
  ELEMENT_BYTES,
  Element,
  encodeScalar,
  GroupError,
  invert,
  invertAll,
  modulo,
  multiScalar,
  ORDER,
  SCALAR_BYTES,
  scalarOf,
} from './group.ts';
import {
  type InnerProductProof,
  innerProduct,
  innerProductBytes,
  innerProductEquation,
  powers,
  proveInnerProduct,
} from './inner-product.ts';
import { hide, VALUE_BASE } from './pedersen.ts';
import type { Transcript } from './transcript.ts';

/** What is proved. */
export interface LookupStatement {
  /** V_i. */
  commitments: readonly Element[];
  /** Digits are below 2^digitBits: the table has as many rows. */
  digitBits: number;
  /** Of each value. */
  digits: number;
  /** Only where `digits` is 1: */
  images?: {
    /** The image of each digit, whole numbers of any sign. */
    table: readonly bigint[];
    /** Y. */
    total: Element;
  };
}
export interface LookupWitness {
  values: readonly bigint[];
  /** r_i. */
  randomness: readonly bigint[];
  /** s of Y; 0 where there are no images. */
  totalRandomness: bigint;
}

/** Powers of X that t has beside 3. */
const T_POWERS = [1, 2, 4, 5, 6, 7, 8];

interface Sizes {
  rows: number;
  tableRows: number;
  n: number;
}
function sizesOf({ commitments, digits, digitBits }: LookupStatement): Sizes {
  const rows = commitments.length * digits;
  const tableRows = 2 ** digitBits;
  return { rows, tableRows, n: 2 ** Math.ceil(Math.log2(Math.max(rows, tableRows))) };
}

export function lookupProofBytes(statement: LookupStatement): number {
  const elements = 4 + (statement.images ? 1 : 0) + T_POWERS.length;
  return elements * ELEMENT_BYTES + 3 * SCALAR_BYTES + innerProductBytes(sizesOf(statement).n);
}

/** The public vectors of both sides. */
interface PublicVectors {
  alpha: bigint;
  beta: bigint;
  y: bigint;
  u: bigint;
  delta: [bigint, bigint, bigint];
  /** y_t and 1/y_t, for the rows in use. */
  yPowers: bigint[];
  yInverses: bigint[];
  z: bigint[];
  /** 1/(α + w_v). */
  wInverses: bigint[];
}

function publicVectors(
  statement: LookupStatement,
  { rows }: Sizes,
  lookup: { alpha: bigint; beta: bigint },
  combine: { y: bigint; u: bigint; delta: [bigint, bigint, bigint] },
  wInverses: bigint[],
): PublicVectors {
  const { y, u } = combine;
  const inverseY = invert(y);
  const { digits, digitBits } = statement;
  const places = Array.from({ length: digits }, (_, j) => 1n << BigInt(digitBits * j));
  const z = powers(u, statement.commitments.length, 1n).flatMap((power) => places.map((p) => (power * p) % ORDER));
  return {
    ...lookup,
    ...combine,
    yPowers: powers(y, rows, y),
    yInverses: powers(inverseY, rows, inverseY),
    z,
    wInverses,
  };
}

/** 1/(α + w_v) of all rows of the table. @throws RangeError where α is one of them: once in 2^240 */
const tableInverses = ({ digitBits, images }: LookupStatement, alpha: bigint, beta: bigint): bigint[] =>
  invertAll(
    Array.from({ length: 2 ** digitBits }, (_, v) =>
      modulo(alpha + BigInt(v) + (images ? beta * images.table[v] : 0n)),
    ),
  );

function bind(transcript: Transcript, statement: LookupStatement): void {
  const { commitments, digitBits, digits, images } = statement;
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32BE(commitments.length);
  numbers.writeUInt32BE(digitBits, 4);
  numbers.writeUInt32BE(digits, 8);
  transcript.absorb('lookup', numbers);
  transcript.absorb('commitments', Buffer.concat(commitments.map((element) => element.encode())));
  if (!images) return;
  transcript.absorb('table', Buffer.from(images.table.join()));
  transcript.absorbElement('total', images.total);
}
function checkStatement({ commitments, digits, digitBits, images }: LookupStatement): void {
  if (commitments.length === 0) throw new RangeError('there is nothing to look up');
  if (!images) return;
  if (digits !== 1) throw new RangeError('only values of one digit have images');
  if (images.table.length !== 2 ** digitBits) throw new RangeError('the table has an image for each digit');
}

/**
 * @param transcript to which all is bound that the proof is about; the verifier's must have heard the same
 * @param random uniform bytes, never used elsewhere
 * @throws RangeError where a value does not stand in the table: what is false cannot be proved
 */
export function proveLookup(
  transcript: Transcript,
  statement: LookupStatement,
  witness: LookupWitness,
  random: (bytes: number) => Uint8Array,
): Uint8Array {
  checkStatement(statement);
  bind(transcript, statement);
  const sizes = sizesOf(statement);
  const { rows, n, tableRows } = sizes;
  const { digits, digitBits, images } = statement;
  const secret = (): bigint => scalarOf(random(64));
  const [g, h] = [generators('g', n), generators('h', n)];
  const vector = (blind: bigint, side: readonly Element[], values: readonly bigint[]): Element =>
    multiScalar([BASE, ...side.slice(0, values.length)], [blind, ...values]);

  // digits, images, multiplicities
  const d = witness.values.flatMap((value, i) => digitsOf(value, digits, digitBits, i));
  const rowOf = (t: number): number => Number(d[t]);
  const f = images ? d.map((digit) => images.table[Number(digit)]) : [];
  const m = new Array<bigint>(tableRows).fill(0n);
  for (let t = 0; t < rows; t++) m[rowOf(t)]++;
  const blinds = { d: secret(), f: secret(), m: secret(), e: secret(), s: secret() };
  const aD = vector(blinds.d, h, d);
  const aF = images ? vector(blinds.f, h, f) : null;
  const aM = vector(blinds.m, g, m);
  const lookup = lookupChallenges(transcript, aD, aF, aM);

  // reciprocals and masks
  const wInverses = tableInverses(statement, lookup.alpha, lookup.beta);
  const e = d.map((_, t) => wInverses[rowOf(t)]);
  const [maskL, maskR] = [0, 1].map(() => Array.from({ length: n }, secret));
  const aE = vector(blinds.e, g, e);
  const aS = multiScalar([BASE, ...g, ...h], [blinds.s, ...maskL, ...maskR]);
  const combine = combiningChallenges(transcript, aE, aS);
  const known = publicVectors(statement, sizes, lookup, combine, wInverses);

  // l(X), r(X), t(X)
  const { alpha, beta, delta, yPowers, yInverses, z } = known;
  const [delta1, delta2, delta3] = delta;
  const allY = powers(known.y, n, known.y);
  const row = <T>(t: number, inRow: () => T, outside: T): T => (t < rows ? inRow() : outside);
  const each = (make: (t: number) => bigint): bigint[] => Array.from({ length: n }, (_, t) => make(t));
  const l: Record<number, bigint[]> = {
    1: each((t) => row(t, () => modulo(beta * e[t] + (images ? delta3 * yInverses[t] : 0n)), 0n)),
    2: each((t) => row(t, () => modulo(e[t] + delta2 * yInverses[t] * z[t]), 0n)),
    3: each((t) => m[t] ?? 0n),
    4: maskL,
  };
  const r: Record<number, bigint[]> = {
    0: each((t) => modulo(-delta1 * (wInverses[t] ?? 0n))),
    1: each((t) => row(t, () => modulo(yPowers[t] * (d[t] + alpha) + delta1), 0n)),
    2: each((t) => row(t, () => (images ? modulo(yPowers[t] * f[t]) : 0n), 0n)),
    4: each((t) => (allY[t] * maskR[t]) % ORDER),
  };
  const coefficients = new Map<number, bigint>(T_POWERS.map((k) => [k, 0n]));
  for (const [i, left] of Object.entries(l))
    for (const [j, right] of Object.entries(r)) {
      const k = Number(i) + Number(j);
      if (k !== 3) coefficients.set(k, coefficients.get(k)! + innerProduct(left, right));
    }
  const tau = new Map(T_POWERS.map((k) => [k, secret()]));
  const tCommitments = T_POWERS.map((k) => hide(modulo(coefficients.get(k)!), tau.get(k)!));
  const x = evaluationChallenge(transcript, tCommitments);

  // the answer
  const xPowers = powers(x, 9);
  const at = (polynomial: Record<number, bigint[]>): bigint[] =>
    each((t) =>
      modulo(Object.entries(polynomial).reduce((sum, [k, values]) => sum + values[t] * xPowers[Number(k)], 0n)),
    );
  const [lx, rx] = [at(l), at(r)];
  const product = innerProduct(lx, rx);
  const randomnessOfSum = innerProduct(powers(known.u, witness.randomness.length), witness.randomness);
  let blindT = xPowers[3] * (delta2 * randomnessOfSum + (images ? delta3 * witness.totalRandomness : 0n));
  for (const [k, secretK] of tau) blindT += secretK * xPowers[k];
  const blindP =
    blinds.d * xPowers[1] +
    (images ? blinds.f * xPowers[2] : 0n) +
    blinds.m * xPowers[3] +
    blinds.e * (xPowers[2] + beta * xPowers[1]) +
    blinds.s * xPowers[4];
  const scalars = [blindT, blindP, product].map(encodeScalar);
  const xi = productChallenge(transcript, scalars);
  const inner = proveInnerProduct(transcript, known.y, PRODUCT_BASE.multiply(xi), lx, rx);
  return encode([aD, ...(aF ? [aF] : []), aM, aE, aS, ...tCommitments], scalars, inner);
}

/**
 * Adds to `batch` what holds if the proof does.
 * @throws GroupError with the field's path where the proof is malformed, RangeError where the statement is
 */
export function lookupEquations(
  batch: EquationBatch,
  transcript: Transcript,
  statement: LookupStatement,
  bytes: Uint8Array,
  path = 'proof',
): void {
  checkStatement(statement);
  bind(transcript, statement);
  const sizes = sizesOf(statement);
  const { rows, n } = sizes;
  const { images } = statement;
  const { aD, aF, aM, aE, aS, tCommitments, scalars, inner } = decode(bytes, statement, path);
  const lookup = lookupChallenges(transcript, aD, aF, aM);
  const wInverses = tableInverses(statement, lookup.alpha, lookup.beta);
  const known = publicVectors(statement, sizes, lookup, combiningChallenges(transcript, aE, aS), wInverses);
  const { alpha, beta, y, u, delta, yPowers, yInverses, z } = known;
  const [delta1, delta2, delta3] = delta;
  const x = evaluationChallenge(transcript, tCommitments);
  const xPowers = powers(x, 9);
  const [blindT, blindP, product] = scalars.map((scalar) => decodeScalar(scalar));
  const xi = productChallenge(transcript, scalars);

  // t(x) is what V, Y and the T commit to: G^τ·H^{t(x)} = H^{x³·(Σ y_t + known)} · Π V_i^{δ₂·x³·u^i} · Y^{δ₃·x³} · Π T_k^{x^k}
  batch.next();
  let constant = 0n;
  for (let t = 0; t < rows; t++)
    constant += yPowers[t] + ((delta2 * z[t]) % ORDER) * ((alpha + delta1 * yInverses[t]) % ORDER);
  batch.term(VALUE_BASE, modulo(xPowers[3] * modulo(constant) - product));
  batch.term(BASE, -blindT);
  const weights = powers(u, statement.commitments.length);
  batch.term(multiScalar(statement.commitments, weights), (delta2 * xPowers[3]) % ORDER);
  if (images) batch.term(images.total, (delta3 * xPowers[3]) % ORDER);
  for (const [i, k] of T_POWERS.entries()) batch.term(tCommitments[i], xPowers[k]);

  // l(x) and r(x) are what the A commit to, and t(x) is their product
  batch.next();
  batch.term(aD, xPowers[1]);
  if (aF) batch.term(aF, xPowers[2]);
  batch.term(aM, xPowers[3]);
  batch.term(aE, (xPowers[2] + beta * xPowers[1]) % ORDER);
  batch.term(aS, xPowers[4]);
  batch.term(BASE, -blindP);
  batch.term(PRODUCT_BASE, (product * xi) % ORDER);
  const [l1, l2] = [images ? delta3 * xPowers[1] : 0n, delta2 * xPowers[2]];
  batch.vector(
    'g',
    z.map((zt, t) => (((l1 + l2 * zt) % ORDER) * yInverses[t]) % ORDER),
  );
  const scaleOutside = powers(invert(y), n, invert(y));
  batch.vector(
    'h',
    scaleOutside.map((inverse, t) => {
      const fixed = t < rows ? (yPowers[t] * alpha + delta1) % ORDER : 0n;
      return (((fixed * xPowers[1] - delta1 * (wInverses[t] ?? 0n)) % ORDER) * inverse) % ORDER;
    }),
  );
  innerProductEquation(batch, transcript, y, xi, n, inner);
}

// ── challenges, in their order ──

function lookupChallenges(transcript: Transcript, aD: Element, aF: Element | null, aM: Element) {
  transcript.absorbElement('A_d', aD);
  if (aF) transcript.absorbElement('A_f', aF);
  transcript.absorbElement('A_m', aM);
  return { alpha: transcript.challenge('alpha'), beta: transcript.challenge('beta') };
}
function combiningChallenges(transcript: Transcript, aE: Element, aS: Element) {
  transcript.absorbElement('A_e', aE).absorbElement('A_s', aS);
  const [y, u] = [transcript.challenge('y'), transcript.challenge('u')];
  const delta: [bigint, bigint, bigint] = [
    transcript.challenge('delta1'),
    transcript.challenge('delta2'),
    transcript.challenge('delta3'),
  ];
  return { y, u, delta };
}
function evaluationChallenge(transcript: Transcript, tCommitments: readonly Element[]): bigint {
  for (const commitment of tCommitments) transcript.absorbElement('T', commitment);
  return transcript.challenge('x');
}
function productChallenge(transcript: Transcript, scalars: readonly Uint8Array[]): bigint {
  for (const scalar of scalars) transcript.absorb('answer', scalar);
  return transcript.challenge('xi');
}

function digitsOf(value: bigint, digits: number, digitBits: number, i: number): bigint[] {
  if (value < 0n || value >> BigInt(digits * digitBits) !== 0n)
    throw new RangeError(`value ${i} is not below 2^${digits * digitBits}`);
  const mask = (1n << BigInt(digitBits)) - 1n;
  return Array.from({ length: digits }, (_, j) => (value >> BigInt(digitBits * j)) & mask);
}

// ── layout ──

function encode(elements: readonly Element[], scalars: readonly Uint8Array[], inner: InnerProductProof): Uint8Array {
  return Buffer.concat([
    ...elements.map((element) => element.encode()),
    ...scalars,
    ...inner.halvings.flatMap((pair) => pair.map((element) => element.encode())),
    encodeScalar(inner.l),
    encodeScalar(inner.r),
  ]);
}

function decode(bytes: Uint8Array, statement: LookupStatement, path: string) {
  const size = lookupProofBytes(statement);
  if (bytes.length !== size) throw new GroupError(path, `is ${bytes.length} bytes long, not ${size}`);
  let at = 0;
  const take = (length: number): Uint8Array => {
    at += length;
    return bytes.slice(at - length, at);
  };
  const element = (field: string): Element => Element.decode(take(ELEMENT_BYTES), `${path}.${field}`);
  const scalar = (field: string): Uint8Array => {
    const taken = take(SCALAR_BYTES);
    decodeScalar(taken, `${path}.${field}`);
    return taken;
  };
  const aD = element('digits');
  const aF = statement.images ? element('images') : null;
  const [aM, aE, aS] = ['multiplicities', 'reciprocals', 'masks'].map(element);
  const tCommitments = T_POWERS.map((k) => element(`t${k}`));
  const scalars = ['tau', 'mu', 'product'].map(scalar);
  const halvings = Array.from({ length: Math.log2(sizesOf(statement).n) }, (_, j): [Element, Element] => [
    element(`halvings.${j}.left`),
    element(`halvings.${j}.right`),
  ]);
  const inner = { halvings, l: decodeScalar(scalar('l')), r: decodeScalar(scalar('r')) };
  return { aD, aF, aM, aE, aS, tCommitments, scalars, inner };
}
