import { Journal } from '../../firmware/wallet/journal.ts';
import type { MeterRecord } from '../../protocol/wire/link-messages.ts';
import { type FlashOperation, MemoryFlash, natives, seeded } from '../firmware/wallet/memory-flash.ts';

/** A day of a meter's flash operations, and the ways in which power fails in one of them. */

export const PAGES = 16;
export const random = seeded(20_240_229);
export const below = (n: number) => Math.floor(random() * n);

/** What the meter had been told is in flash, before an operation, and what the operation was to add. */
export interface Promised {
  importMwh: number;
  exportMwh: number;
  newestRecord: number;
  boot: number;
  /** The checkpoint that is being written; the registers as they are where none is. */
  nextImportMwh: number;
  nextExportMwh: number;
}

/** 50 days before, so that both rings have gone round, then the day: checkpoints, records, two starts, a clock that is set back. */
export function recordDay() {
  const flash = new MemoryFlash(PAGES);
  let journal = new Journal(flash, natives);
  journal.open();
  const records = new Map<number, MeterRecord>();
  const operations: (FlashOperation & { promised: Promised })[] = [];
  let { importMwh, exportMwh } = journal;
  let slot = 1_800_000;
  const promise = (): Promised => ({
    importMwh: journal.importMwh,
    exportMwh: journal.exportMwh,
    newestRecord: journal.newestRecord(),
    boot: journal.boot,
    nextImportMwh: importMwh,
    nextExportMwh: exportMwh,
  });
  const remember = () => {
    const record = journal.record(journal.newestRecord());
    if (record) records.set(record.number, record);
  };
  const quarterHour = (uptimeMs: number, step: number) => {
    for (let s = 0; s < 900; s += step) {
      importMwh += below(3000 * step);
      if (random() < 0.3) exportMwh += below(900 * step);
      journal.checkpoint(importMwh, exportMwh, uptimeMs + s * 1000 + below(5));
      journal.tidy();
    }
    journal.appendRecord(uptimeMs + 900_000 + below(20), ++slot, 0);
    remember();
  };
  for (let i = 0; i < 49 * 96; i++) quarterHour(i * 900_000, 300);

  const image = Uint8Array.from(flash.image);
  const before = promise();
  flash.before = (operation) => {
    const copy = operation.kind === 'write' ? { ...operation, bytes: Uint8Array.from(operation.bytes) } : operation;
    operations.push({ ...copy, promised: promise() });
  };
  for (let i = 0; i < 96; i++) {
    if (i === 30 || i === 60) {
      importMwh += 5000;
      journal.checkpoint(importMwh, exportMwh, 910_000);
      const { boot } = journal;
      journal = new Journal(flash, natives);
      // while it opens nothing new is promised
      const last = { ...operations.at(-1)!.promised, importMwh, exportMwh };
      const from = operations.length;
      journal.open();
      for (const operation of operations.slice(from)) operation.promised = { ...last, boot };
      remember();
    }
    if (i === 45) slot -= 3;
    quarterHour((i % 30) * 900_000, 10);
  }
  flash.before = null;
  return { image, operations, records, before };
}

/** What a cut leaves of an operation; each mutates the image, which the caller puts back. */
export type Damage = (flash: MemoryFlash, operation: FlashOperation) => void;
const nothing: Damage = () => {};
export const words =
  (count: number): Damage =>
  (flash, operation) => {
    if (operation.kind !== 'write') return;
    const at = operation.page * flash.pageBytes + operation.offset;
    for (let i = 0; i < count * 4; i++) flash.image[at + i] &= operation.bytes[i];
  };
const torn =
  (count: number): Damage =>
  (flash, operation) => {
    if (operation.kind !== 'write') return;
    words(count)(flash, operation);
    const at = operation.page * flash.pageBytes + operation.offset;
    for (let i = count * 4; i < count * 4 + 4; i++) flash.image[at + i] &= operation.bytes[i] | below(256);
  };
/** Cells rise to 1 here and there, as many as `share` says. */
const randomErase =
  (share: number): Damage =>
  (flash, operation) => {
    const at = operation.page * flash.pageBytes;
    for (let i = 0; i < flash.pageBytes; i++) {
      if (random() < share) flash.image[at + i] |= share > 0.9 ? 0xff : below(256);
    }
  };
export const halfErase =
  (from: number, to: number): Damage =>
  (flash, operation) => {
    const at = operation.page * flash.pageBytes;
    flash.image.fill(0xff, at + from * flash.pageBytes, at + to * flash.pageBytes);
  };
const noise: Damage = (flash, operation) => {
  const at = operation.page * flash.pageBytes;
  for (let i = 0; i < flash.pageBytes; i++) flash.image[at + i] = below(256);
};

const ERASES = [
  nothing,
  randomErase(0.5),
  randomErase(0.05),
  randomErase(0.99),
  halfErase(0, 0.5),
  halfErase(0.5, 1),
  halfErase(0.01, 1),
  halfErase(0, 1),
  noise,
];
export const everyDamage = (operation: FlashOperation): Damage[] => {
  if (operation.kind === 'erase') return ERASES;
  const list = [nothing];
  for (let n = 0; n < operation.bytes.length / 4; n++) list.push(torn(n), words(n + 1));
  return list;
};
export const someDamage = (operation: FlashOperation): Damage[] => {
  if (operation.kind === 'erase') return [ERASES[1 + below(ERASES.length - 1)]];
  const count = operation.bytes.length / 4;
  return [words(1 + below(count)), torn(below(count))];
};
