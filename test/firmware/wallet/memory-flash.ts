import { crc32 as zlibCrc32 } from 'node:zlib';
import type { FlashPages, JournalNatives } from '../../../firmware/wallet/flash-pages.ts';

/** Thrown inside a flash operation: the power has failed. */
export class PowerFailed extends Error {}

/** One operation as the chip did it. */
export type FlashOperation =
  | { kind: 'write'; page: number; offset: number; bytes: Uint8Array }
  | { kind: 'erase'; page: number };

/** Flash in memory: bits only clear, words ascend, every operation can be watched, broken off or be taken back. */
export class MemoryFlash implements FlashPages {
  readonly pageBytes: number;
  readonly pageCount: number;
  readonly image: Uint8Array;
  readonly erases: number[];
  writes = 0;
  wordsWritten = 0;
  /** Called before each operation; may throw PowerFailed after having changed the image in its own way. */
  before: ((operation: FlashOperation) => void) | null = null;
  /** Cells that stay 0 whatever is erased: byte addresses. */
  readonly stuck = new Set<number>();

  constructor(pageCount: number, image = new Uint8Array(pageCount * 4096).fill(0xff)) {
    this.pageCount = pageCount;
    this.pageBytes = image.length / pageCount;
    this.image = image;
    this.erases = new Array(pageCount).fill(0);
  }

  read(page: number, offset: number, length: number): Uint8Array {
    this.#check(page, offset, length);
    const at = page * this.pageBytes + offset;
    return this.image.subarray(at, at + length);
  }

  write(page: number, offset: number, bytes: Uint8Array): void {
    this.#check(page, offset, bytes.length);
    this.before?.({ kind: 'write', page, offset, bytes });
    this.writes++;
    this.wordsWritten += bytes.length / 4;
    const at = page * this.pageBytes + offset;
    for (let i = 0; i < bytes.length; i++) this.image[at + i] &= bytes[i];
    for (const cell of this.stuck) this.image[cell] = 0;
  }

  erase(page: number): void {
    this.#check(page, 0, 4);
    this.before?.({ kind: 'erase', page });
    this.erases[page]++;
    this.image.fill(0xff, page * this.pageBytes, (page + 1) * this.pageBytes);
    for (const cell of this.stuck) this.image[cell] = 0;
  }

  #check(page: number, offset: number, length: number): void {
    const inside = page >= 0 && page < this.pageCount && offset >= 0 && offset + length <= this.pageBytes && length > 0;
    if (!inside || offset % 4 !== 0 || length % 4 !== 0) throw new Error(`flash: ${page} ${offset} ${length}`);
  }
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
/** The journal's natives on Node, as quick as they can be: for a few bytes a table beats a call of zlib. */
export const natives: JournalNatives = {
  crc32(bytes) {
    if (bytes.length > 64) return zlibCrc32(bytes);
    let crc = 0xffffffff;
    for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
    return (crc ^ 0xffffffff) >>> 0;
  },
  dot(bytes, weights) {
    let sum = 0;
    for (let column = 0; column < weights.length; column++) {
      const weight = weights[column];
      if (weight !== 0) for (let i = column; i < bytes.length; i += weights.length) sum += bytes[i] * weight;
    }
    return sum;
  },
};

/** A generator with a seed (mulberry32): numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
