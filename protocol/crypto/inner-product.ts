/**
 * The inner-product argument of Bulletproofs (Bünz, Bootle, Boneh, Poelstra, Wuille, Maxwell, 2018, section 3, protocol 2; verified in
 * one multiplication as in section 3.1): the prover knows vectors l and r with
 *
 *   P = Σ l_i·G_i + Σ r_i·H'_i + ⟨l, r⟩·Q        H'_i = y^{−(i+1)}·H_i
 *
 * It tells nothing but two elements for each halving and the two scalars that are left. (It hides nothing: whoever uses it masks l and
 * r.) Challenges enter as in "Halo" (Bowe, Grigg, Hopwood, 2019, section 3.1), on one half only: l' = l_lo + e⁻¹·l_hi,
 * G' = G_lo + e·G_hi; r' = r_lo + e·r_hi, H' = H_lo + e⁻¹·H_hi; P' = P + e·L + e⁻¹·R.
 *
 * Layout of a proof: 2·log₂ n elements (L_1, R_1, L_2 …), then l and r; 33 and 32 B each.
 */
import type { EquationBatch } from './equations.ts';
import { generators, PRODUCT_BASE } from './generators.ts';
import {
  ELEMENT_BYTES,
  type Element,
  foldBlocks,
  invert,
  invertAll,
  modulo,
  multiScalar,
  ORDER,
  SCALAR_BYTES,
} from './group.ts';
import type { Transcript } from './transcript.ts';

export interface InnerProductProof {
  /** L and R of each halving. */
  halvings: [Element, Element][];
  l: bigint;
  r: bigint;
}

export const innerProductBytes = (n: number): number => 2 * Math.log2(n) * ELEMENT_BYTES + 2 * SCALAR_BYTES;

export function innerProduct(a: readonly bigint[], b: readonly bigint[]): bigint {
  let sum = 0n;
  for (let i = 0; i < a.length; i++) if (a[i] !== 0n && b[i] !== 0n) sum += a[i] * b[i];
  return modulo(sum);
}
/** 1, x, x² … */
export function powers(x: bigint, count: number, first = 1n): bigint[] {
  const all = new Array<bigint>(count);
  let power = first;
  for (let i = 0; i < count; i++) {
    all[i] = power;
    power = (power * x) % ORDER;
  }
  return all;
}

/** As many blocks are folded at once, which is cheaper than folding after each challenge. */
const MOST_BLOCKS = 8;

/**
 * Generators that were folded `blocks.length` to one, at least in thought: the i-th of `n` is Σ_j blocks[j]·elements[i + j·n]. While
 * there are few blocks it is cheaper to carry them along.
 */
class Folded {
  #elements: readonly Element[];
  #blocks = [1n];
  constructor(elements: readonly Element[]) {
    this.#elements = elements;
  }
  /** Terms of Σ scalars[i]·(generator from + i) */
  terms(from: number, scalars: readonly bigint[]): { elements: Element[]; scalars: bigint[] } {
    const n = this.#elements.length / this.#blocks.length;
    const terms: { elements: Element[]; scalars: bigint[] } = { elements: [], scalars: [] };
    for (const [j, block] of this.#blocks.entries()) {
      for (const [i, scalar] of scalars.entries()) {
        if (scalar === 0n) continue;
        terms.elements.push(this.#elements[from + i + j * n]);
        terms.scalars.push((scalar * block) % ORDER);
      }
    }
    return terms;
  }
  /** generator i ← generator i + challenge · generator i + n/2 */
  fold(challenge: bigint): void {
    this.#blocks = this.#blocks.flatMap((block) => [block, (block * challenge) % ORDER]);
    if (this.#blocks.length < MOST_BLOCKS && this.#blocks.length < this.#elements.length) return;
    this.#elements = foldBlocks(this.#elements, this.#blocks);
    this.#blocks = [1n];
  }
}

/** @param l and r of equal length, a power of two */
export function proveInnerProduct(
  transcript: Transcript,
  y: bigint,
  q: Element,
  l: readonly bigint[],
  r: readonly bigint[],
): InnerProductProof {
  let n = l.length;
  const inverseY = invert(y);
  const scale = powers(inverseY, n, inverseY);
  const [g, h] = [new Folded(generators('g', n)), new Folded(generators('h', n))];
  const halvings: [Element, Element][] = [];
  let [a, b] = [l, r];
  while (n > 1) {
    n /= 2;
    const [aLow, aHigh, bLow, bHigh] = [a.slice(0, n), a.slice(n), b.slice(0, n), b.slice(n)];
    const side = (
      gTerms: { elements: Element[]; scalars: bigint[] },
      hTerms: { elements: Element[]; scalars: bigint[] },
      product: bigint,
    ): Element =>
      multiScalar([...gTerms.elements, ...hTerms.elements, q], [...gTerms.scalars, ...hTerms.scalars, product]);
    const scaled = (values: readonly bigint[], from: number): bigint[] =>
      values.map((value, i) => (value * scale[from + i]) % ORDER);
    const left = side(g.terms(n, aLow), h.terms(0, scaled(bHigh, 0)), innerProduct(aLow, bHigh));
    const right = side(g.terms(0, aHigh), h.terms(n, scaled(bLow, n)), innerProduct(aHigh, bLow));
    halvings.push([left, right]);
    const e = absorbHalving(transcript, left, right);
    const inverse = invert(e);
    g.fold(e);
    h.fold((inverse * scale[n] * y) % ORDER); // scale[n] · y = y^−n
    a = aLow.map((value, i) => (value + inverse * aHigh[i]) % ORDER);
    b = bLow.map((value, i) => (value + e * bHigh[i]) % ORDER);
  }
  return { halvings, l: a[0], r: b[0] };
}

function absorbHalving(transcript: Transcript, left: Element, right: Element): bigint {
  return transcript.absorbElement('L', left).absorbElement('R', right).challenge('halving');
}

/**
 * Adds what must hold to the equation that `batch` is at: P, whose terms the caller has added with sign +, minus what the proof says.
 * @param qScalar Q of the argument is qScalar · PRODUCT_BASE
 */
export function innerProductEquation(
  batch: EquationBatch,
  transcript: Transcript,
  y: bigint,
  qScalar: bigint,
  n: number,
  { halvings, l, r }: InnerProductProof,
): void {
  const challenges = halvings.map(([left, right]) => absorbHalving(transcript, left, right));
  const inverses = invertAll([...challenges, y]);
  const inverseY = inverses.pop()!;
  for (const [j, [left, right]] of halvings.entries()) {
    batch.term(left, challenges[j]);
    batch.term(right, inverses[j]);
  }
  // s_i: the product of the challenges of those halvings in which i lay in the upper half; the first halving is the highest bit
  const products = (factors: readonly bigint[]): bigint[] =>
    factors.reduce<bigint[]>((all, factor) => all.flatMap((s) => [s, (s * factor) % ORDER]), [1n]);
  const scale = powers(inverseY, n, inverseY);
  batch.vector(
    'g',
    products(challenges).map((s) => -((s * l) % ORDER)),
  );
  batch.vector(
    'h',
    products(inverses).map((s, i) => -((((s * r) % ORDER) * scale[i]) % ORDER)),
  );
  batch.term(PRODUCT_BASE, -((((l * r) % ORDER) * qScalar) % ORDER));
}
