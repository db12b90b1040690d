/**
 * Many equations Σ scalar·element = 0, verified in one multi-scalar multiplication (Bellare, Garay, Rabin, "Fast batch verification for
 * modular exponentiation and digital signatures", 1998, section 3.3): each is multiplied by a random weight, so that a false one passes
 * with a probability of 2^−128 at most. Terms in generators of vectors are added up before they are multiplied, so a proof more costs only
 * what is its own.
 */
import { generators, PRODUCT_BASE } from './generators.ts';
import { BASE, type Element, multiScalar, ORDER } from './group.ts';
import { VALUE_BASE } from './pedersen.ts';

const WEIGHT_BYTES = 16;

export class EquationBatch {
  readonly #random: (bytes: number) => Uint8Array;
  readonly #elements: Element[] = [];
  readonly #scalars: bigint[] = [];
  readonly #vectors: Record<'g' | 'h', bigint[]> = { g: [], h: [] };
  /** Those that stand in nearly all equations. */
  readonly #fixed = new Map<Element, bigint>([
    [BASE, 0n],
    [VALUE_BASE, 0n],
    [PRODUCT_BASE, 0n],
  ]);
  #weight = 1n;

  /**
   * @param random bytes that whoever made the equations cannot know beforehand
   * @param fixed other elements that stand in nearly all equations: the same objects as in the terms
   */
  constructor(random: (bytes: number) => Uint8Array, fixed: readonly Element[] = []) {
    this.#random = random;
    for (const element of fixed) if (!this.#fixed.has(element)) this.#fixed.set(element, 0n);
  }

  /** What is added from now on belongs to another equation than what was added before. */
  next(): void {
    this.#weight = BigInt(`0x${Buffer.from(this.#random(WEIGHT_BYTES)).toString('hex')}`) || 1n;
  }
  term(element: Element, scalar: bigint): void {
    const weighted = (scalar * this.#weight) % ORDER;
    const fixed = this.#fixed.get(element);
    if (fixed !== undefined) {
      this.#fixed.set(element, (fixed + weighted) % ORDER);
      return;
    }
    this.#elements.push(element);
    this.#scalars.push(weighted);
  }
  /** Σ scalars[i] · (generator i of that side) */
  vector(side: 'g' | 'h', scalars: readonly bigint[]): void {
    const all = this.#vectors[side];
    for (const [i, scalar] of scalars.entries()) all[i] = ((all[i] ?? 0n) + scalar * this.#weight) % ORDER;
  }

  /** Takes over all that `other` has, as it is. */
  include(other: EquationBatch): void {
    for (const element of other.#elements) this.#elements.push(element);
    for (const scalar of other.#scalars) this.#scalars.push(scalar);
    for (const [element, scalar] of other.#fixed)
      this.#fixed.set(element, ((this.#fixed.get(element) ?? 0n) + scalar) % ORDER);
    for (const side of ['g', 'h'] as const) {
      const all = this.#vectors[side];
      for (const [i, scalar] of other.#vectors[side].entries()) all[i] = ((all[i] ?? 0n) + scalar) % ORDER;
    }
  }

  /** Whether all hold. */
  holds(): boolean {
    const { g, h } = this.#vectors;
    return multiScalar(
      [...this.#elements, ...this.#fixed.keys(), ...generators('g', g.length), ...generators('h', h.length)],
      [...this.#scalars, ...this.#fixed.values(), ...g, ...h],
    ).isNeutral;
  }
}
