/** The areas for programs on the chip. (Espruino dialect; touches Espruino's globals) */
import type { FlashRegion } from '../../hardware/flash.ts';
import { layoutOf } from '../../hardware/flash.ts';
import type { ImageNatives } from '../update/image-area.ts';
import { ImageArea } from '../update/image-area.ts';
import { flashPages } from './flash.ts';

/** A program's bytes come in order and are none of these: a file that ends with one is not whole. */
const BLANK = '\xff';

/**
 * The length of a program in Storage; 0 where it is not there or not whole.
 * @param lastPart where its last part begins: a string's length has 16 bits, and Storage says no other
 */
export function programLength(name: string, lastPart: number): number {
  const storage = require('Storage');
  const rest = storage.read(name, lastPart);
  if (!rest) return 0;
  const length = lastPart + rest.length;
  return storage.read(name, length - 1, 1) === BLANK ? 0 : length;
}

const sha256 = require('crypto').SHA256;
const natives: ImageNatives = {
  crc32: (bytes) => E.CRC32(bytes),
  sha256: (bytes, text) => new Uint8Array(sha256(E.toUint8Array(bytes, text))),
};

/** Two, or none where this build has no room for them. */
export function imageAreas(): ImageArea[] {
  return layoutOf(require('Storage').getStats().totalBytes).images.map((region: FlashRegion) => {
    const pages = flashPages(region);
    return new ImageArea(
      {
        pageBytes: pages.pageBytes,
        pageCount: pages.pageCount,
        read: pages.read,
        write: pages.write,
        erase: pages.erase,
        text: (offset, length) => E.memoryArea(region.address + offset, length),
      },
      natives,
    );
  });
}

export const imageNatives = natives;
