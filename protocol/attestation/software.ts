/**
 * What "the gateway's software" is as a number: the SHA-256 of each of its files, listed in the order of their paths, and the
 * SHA-256 of that list. Gateway, release and verifier all come to the same 32 bytes.
 *
 *   per file   digest 32 · length of the path 1 · path
 */
import { createHash } from 'node:crypto';
import type { MeasuredFile } from './evidence.ts';

/** Sorted by code units, so that no locale changes a digest. */
export function sortFiles(files: readonly MeasuredFile[]): MeasuredFile[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** 32 B: what the gateway's PCR is extended by. The order in which the files come makes no difference. */
export function listingDigest(files: readonly MeasuredFile[]): Uint8Array {
  const hash = createHash('sha256');
  for (const { path, digest } of sortFiles(files))
    hash.update(digest).update(Buffer.of(path.length)).update(path, 'latin1');
  return hash.digest();
}

/** In words: where the files of a device differ from those of a release. At most three are named. */
export function differenceOf(files: readonly MeasuredFile[], released: ReadonlyMap<string, Uint8Array>): string[] {
  const found = new Map(files.map(({ path, digest }) => [path, digest]));
  const words: string[] = [];
  for (const [path, digest] of found) {
    const expected = released.get(path);
    if (!expected) words.push(`${path} was added`);
    else if (Buffer.compare(expected, digest) !== 0) words.push(`${path} was changed`);
  }
  for (const path of released.keys()) if (!found.has(path)) words.push(`${path} is missing`);
  return words.length > 3 ? [...words.slice(0, 3), `${words.length - 3} more`] : words;
}

/** The value of a PCR that begins at zero and is extended by these digests in this order. */
export function replay(digests: Iterable<Uint8Array>): Uint8Array {
  let value: Uint8Array = Buffer.alloc(32);
  for (const digest of digests) value = createHash('sha256').update(value).update(digest).digest();
  return value;
}
