/** The journal's pages on the chip, and what Espruino does natively for it. (Espruino dialect; touches Espruino's globals) */
import type { FlashRegion } from '../../hardware/flash.ts';
import type { FlashPages, JournalNatives } from '../wallet/flash-pages.ts';

export const journalNatives: JournalNatives = {
  crc32: (bytes) => E.CRC32(bytes),
  dot: (bytes, weights) => E.convolve(bytes, weights, 0),
};

export function flashPages(region: FlashRegion): FlashPages {
  const flash = require('Flash');
  const start = region.address;
  const pageBytes = region.pageBytes;
  return {
    pageBytes: pageBytes,
    pageCount: region.pageCount,
    read: (page, offset, length) => flash.read(length, start + page * pageBytes + offset),
    write: (page, offset, bytes) => flash.write(bytes, start + page * pageBytes + offset),
    erase: (page) => flash.erasePage(start + page * pageBytes),
  };
}
