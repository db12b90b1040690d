/**
 * Built as a firmware of its own by power-cuts.test.ts: the journal on flash in RAM, for many cuts in one run of real Espruino.
 * What power leaves is made in Node; here it is recovered, on demand with a second cut. Calls come through `global`.
 */
import type { FlashPages, JournalNatives } from '../../firmware/wallet/flash-pages.ts';
import { Journal } from '../../firmware/wallet/journal.ts';
import { JOURNAL_REGION } from '../../hardware/flash.ts';

/** Espruino's. */
declare var global: { [name: string]: unknown };
declare function print(line: string): void;
declare const E: {
  CRC32(bytes: Uint8Array): number;
  convolve(a: Uint8Array, b: Int32Array, offset: number): number;
  toUint8Array(text: string): Uint8Array;
};

const natives: JournalNatives = {
  crc32: (bytes) => E.CRC32(bytes),
  dot: (bytes, weights) => E.convolve(bytes, weights, 0),
};

const pageBytes = JOURNAL_REGION.pageBytes;
const image = new Uint8Array(pageBytes * JOURNAL_REGION.pageCount);
/** Flash operations until power fails in one; −1: it does not. */
let cutAfter = -1;
let cutWords = 0;

const flash: FlashPages = {
  pageBytes: pageBytes,
  pageCount: JOURNAL_REGION.pageCount,
  read: (page, offset, length) =>
    new Uint8Array(image.subarray(page * pageBytes + offset, page * pageBytes + offset + length)),
  write: (page, offset, bytes) => {
    const cut = cutAfter === 0;
    const length = cut ? Math.min(bytes.length, cutWords * 4) : bytes.length;
    cutAfter--;
    const at = page * pageBytes + offset;
    for (let i = 0; i < length; i++) image[at + i] &= bytes[i];
    if (cut) throw new Error('power');
  },
  erase: (page) => {
    const cut = cutAfter === 0;
    cutAfter--;
    image.fill(255, page * pageBytes, page * pageBytes + (cut ? pageBytes / 2 : pageBytes));
    if (cut) throw new Error('power');
  },
};

global.load = (page: number, base64: string) => {
  image.set(E.toUint8Array(atob(base64)), page * pageBytes);
};
/** Opens the journal; with `again` ≥ 0 power fails in that operation first, after so many words of it. The image stays as it was. */
global.recover = (again: number, words: number) => {
  const left = new Uint8Array(image);
  cutAfter = again;
  cutWords = words;
  let journal = new Journal(flash, natives);
  try {
    journal.open();
  } catch (error) {
    if ((error as Error).message !== 'power') throw error;
    cutAfter = -1;
    journal = new Journal(flash, natives);
    journal.open();
  }
  cutAfter = -1;
  const found = {
    boot: journal.boot,
    importMwh: journal.importMwh,
    exportMwh: journal.exportMwh,
    oldest: journal.oldestRecord(),
    newest: journal.newestRecord(),
    record: Object.assign({}, journal.record(journal.newestRecord())),
    next: journal.newestRecord() + 1,
  };
  // One more of each, so that writing is tried as well.
  journal.checkpoint(journal.importMwh + 1, journal.exportMwh, 10000);
  journal.appendRecord(10000, 0, 0);
  const next = journal.record(found.next);
  print(`\x02${JSON.stringify(found)}`);
  if (!next || next.importMwh !== found.importMwh + 1) print('\x02not written');
  image.set(left);
};
