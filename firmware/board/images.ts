/** The areas for programs on the chip. (Espruino dialect; touches Espruino's globals) */
import type { FlashRegion } from '../../hardware/flash.ts';
import { layoutOf } from '../../hardware/flash.ts';
import type { ImageNatives } from '../update/image-area.ts';
import { ImageArea } from '../update/image-area.ts';
import { flashPages } from './flash.ts';

/** Storage's file with the program that the meter was commissioned with. */
export const FIRST_PROGRAM = 'firmware';

// biome-ignore lint/style/useNodejsImportProtocol: the interpreter's module, not Node's
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
