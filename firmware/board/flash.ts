/** The journal's pages on the chip. (Espruino dialect; touches Espruino's globals) */
import type { FlashRegion } from '../../hardware/flash.ts';
import type { FlashPages } from '../wallet/flash-pages.ts';

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
