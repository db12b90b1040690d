/**
 * Merkle tree hash as in RFC 6962, section 2.1 (SHA-256; leaves and nodes are told apart by their first byte, and a tree of n leaves
 * splits at the largest power of two below n).
 */
import { createHash } from 'node:crypto';

export const HASH_BYTES = 32;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

const hash = (...parts: Uint8Array[]): Uint8Array => {
  const sha = createHash('sha256');
  for (const part of parts) sha.update(part);
  return sha.digest();
};
/** The largest power of two below n. */
const split = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));

/** 32 B. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return hash();
  if (leaves.length === 1) return hash(LEAF, leaves[0]);
  const left = split(leaves.length);
  return hash(NODE, merkleRoot(leaves.slice(0, left)), merkleRoot(leaves.slice(left)));
}

/** What leads from leaf `index` to the root, the lowest first (RFC 6962, section 2.1.1). @throws RangeError */
export function merklePath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!(index >= 0 && index < leaves.length)) throw new RangeError(`there is no leaf ${index}`);
  if (leaves.length === 1) return [];
  const left = split(leaves.length);
  return index < left
    ? [...merklePath(leaves.slice(0, left), index), merkleRoot(leaves.slice(left))]
    : [...merklePath(leaves.slice(left), index - left), merkleRoot(leaves.slice(0, left))];
}

/** Whether `leaf` is the one at `index` among `count` under `root` (RFC 9162, section 2.1.3.2). */
export function isInTree(
  root: Uint8Array,
  leaf: Uint8Array,
  { index, count, path }: { index: number; count: number; path: readonly Uint8Array[] },
): boolean {
  if (!(index >= 0 && index < count)) return false;
  const rootOf = (at: number, n: number, rest: readonly Uint8Array[]): Uint8Array | null => {
    if (n === 1) return rest.length === 0 ? hash(LEAF, leaf) : null;
    if (rest.length === 0) return null;
    const [sibling, below] = [rest[rest.length - 1], rest.slice(0, -1)];
    const left = split(n);
    const inner = at < left ? rootOf(at, left, below) : rootOf(at - left, n - left, below);
    if (inner === null) return null;
    return at < left ? hash(NODE, inner, sibling) : hash(NODE, sibling, inner);
  };
  const found = rootOf(index, count, path);
  return found !== null && Buffer.compare(found, root) === 0;
}
