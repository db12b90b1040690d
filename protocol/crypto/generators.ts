/**
 * The generators of vector commitments, G_0, G_1, … and H_0, H_1, …, and Q: hashToElement of "vector/g/0", "vector/h/0" … and
 * "vector/q". They are made when they are needed first, and kept: 4,096 of both take a third of a second.
 */
import { type Element, hashToElement } from './group.ts';

const made: Record<'g' | 'h', Element[]> = { g: [], h: [] };

/** The first `count`. */
export function generators(side: 'g' | 'h', count: number): readonly Element[] {
  const have = made[side];
  while (have.length < count) have.push(hashToElement(`vector/${side}/${have.length}`));
  return have.length === count ? have : have.slice(0, count);
}

/** Carries the inner product. */
export const PRODUCT_BASE: Element = hashToElement('vector/q');
