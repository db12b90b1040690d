/**
 * An area of flash for one program, and how much of it can be believed after power has failed anywhere. (Espruino dialect)
 *
 *   page 0, the head        words little-endian; each is written once after an erase, in this order
 *       0  u32  IMAGE_HEAD
 *       4  u32  version
 *       8  u32  length, bytes
 *      12  32   digest of the program (protocol/updates/measurement.ts, digestOfImage)
 *      44  u32  CRC-32 of bytes 0 … 43
 *     128  u32  × pages: 0 when that page of the program is whole
 *      48  u32  COMPLETE: all pages are there and their digest was right
 *      56  u32  × TRIALS: 0 for each time that the boot loader has started it
 *      52  u32  CONFIRMED: it has run and has talked to its gateway
 *   pages 1 …               the program's text
 *
 * A word counts when all its bits are right. One that was torn is written again with the same value: bits only clear.
 */
import type { FlashPages } from '../wallet/flash-pages.ts';

const IMAGE_HEAD = 0x31696d71;
const HEAD_BYTES = 48;
const CRC_AT = 44;
const COMPLETE_AT = 48;
const CONFIRMED_AT = 52;
const TRIALS_AT = 56;
const PAGES_AT = 128;
const COMPLETE = 0x600d1a6e;
const CONFIRMED = 0xc0f12ed5;
const BLANK = 0xffffffff;
/** Of one step of a digest. */
export const BLOCK_BYTES = 4096;
/** So often a program that has not confirmed itself is started. */
export const TRIALS = 3;

/** Raw pages that can also be read in place. */
export interface ImagePages extends FlashPages {
  /** A piece of the pages, one character per byte; takes no memory on the board. */
  text(offset: number, length: number): string;
}
export interface ImageNatives {
  /** As in zlib, unsigned. */
  crc32(bytes: Uint8Array): number;
  /** SHA-256 of bytes, then text (one byte a character). */
  sha256(bytes: Uint8Array, text: string): Uint8Array;
}
export interface ImageHead {
  version: number;
  length: number;
  digest: Uint8Array;
}

const word = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export class ImageArea {
  pages: ImagePages;
  natives: ImageNatives;

  constructor(pages: ImagePages, natives: ImageNatives) {
    this.pages = pages;
    this.natives = natives;
  }

  /** Bytes of the longest program that fits. */
  capacity(): number {
    return (this.pages.pageCount - 1) * this.pages.pageBytes;
  }

  /** What is or will be in the area; null where that cannot be told. */
  head(): ImageHead | null {
    const bytes = this.pages.read(0, 0, HEAD_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
    if (view.getUint32(0, true) !== IMAGE_HEAD) return null;
    if (view.getUint32(CRC_AT, true) !== this.natives.crc32(bytes.subarray(0, CRC_AT))) return null;
    const length = view.getUint32(8, true);
    if (length === 0 || length > this.capacity()) return null;
    return { version: view.getUint32(4, true), length: length, digest: new Uint8Array(bytes.subarray(12, CRC_AT)) };
  }
  /** Into an erased first page. */
  writeHead(head: ImageHead): void {
    const bytes = new Uint8Array(HEAD_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, IMAGE_HEAD, true);
    view.setUint32(4, head.version, true);
    view.setUint32(8, head.length, true);
    bytes.set(head.digest, 12);
    view.setUint32(CRC_AT, this.natives.crc32(bytes.subarray(0, CRC_AT)), true);
    this.pages.write(0, 0, bytes);
  }

  /** Whether the program's page (from 0) is whole. */
  pageIsWhole(page: number): boolean {
    return this.word(PAGES_AT + 4 * page) === 0;
  }
  markPage(page: number): void {
    this.pages.write(0, PAGES_AT + 4 * page, word(0));
  }

  isComplete(): boolean {
    return this.word(COMPLETE_AT) === COMPLETE;
  }
  markComplete(): void {
    this.pages.write(0, COMPLETE_AT, word(COMPLETE));
  }
  isConfirmed(): boolean {
    return this.word(CONFIRMED_AT) === CONFIRMED;
  }
  confirm(): void {
    this.pages.write(0, CONFIRMED_AT, word(CONFIRMED));
  }

  /** How often it was started; a torn mark counts. */
  trials(): number {
    let count = 0;
    for (let i = 0; i < TRIALS; i++) if (this.word(TRIALS_AT + 4 * i) !== BLANK) count++;
    return count;
  }
  markTrial(): void {
    for (let i = 0; i < TRIALS; i++) {
      if (this.word(TRIALS_AT + 4 * i) === BLANK) {
        this.pages.write(0, TRIALS_AT + 4 * i, word(0));
        return;
      }
    }
  }

  /** Whether what is stored is what the head says. Reads all of it. */
  isIntact(head: ImageHead): boolean {
    let chain: Uint8Array = new Uint8Array(32);
    for (let at = 0; at < head.length; at += BLOCK_BYTES) {
      chain = this.natives.sha256(chain, this.text(at, Math.min(BLOCK_BYTES, head.length - at)));
    }
    return sameBytes(chain, head.digest);
  }
  /** A piece of the program. */
  text(offset: number, length: number): string {
    return this.pages.text(this.pages.pageBytes + offset, length);
  }

  word(offset: number): number {
    const bytes = this.pages.read(0, offset, 4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  }
}
