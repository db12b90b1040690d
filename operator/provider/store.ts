/**
 * What the provider keeps.
 *
 *   batches   counter → digest, kind, slot, area and the sum of its readings     for good: the load curve of each area
 *   items     (slot, SHA-256 of a sealed item)                                   until no settlement can bring it again
 *   totals    one row: readings, import, export, items rejected
 *
 * No single reading is kept: a batch becomes a sum in memory, and only that is written. **A sum of fewer than k readings is not
 * written either**: of one reading it would be that reading. Such readings go into the grand total alone. Digests of sealed
 * items tell nothing of their content, and nobody keeps the items themselves.
 *
 * Every method is one transaction, on disk when it returns. The batch, its sums and its counter are one transaction: a batch
 * counts once or, where the process is killed, not yet.
 */
import type { BatchKind } from '../../protocol/readings/batch.ts';
import { type DatabaseSync, inTransaction, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (
    counter INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL,
    slot INTEGER NOT NULL, area TEXT NOT NULL, readings INTEGER, importWh INTEGER, exportWh INTEGER
  );
  CREATE INDEX IF NOT EXISTS batches_by_slot ON batches (slot, area, kind);
  CREATE TABLE IF NOT EXISTS items (slot INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (slot, digest)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS totals (
    one INTEGER PRIMARY KEY CHECK (one = 1), readings INTEGER NOT NULL, importWh INTEGER NOT NULL, exportWh INTEGER NOT NULL,
    rejected INTEGER NOT NULL
  );
  INSERT OR IGNORE INTO totals VALUES (1, 0, 0, 0, 0);
`;

export interface Sum {
  readings: number;
  importWh: number;
  exportWh: number;
}
export interface Totals extends Sum {
  /** Items that were no acceptable reading. */
  rejected: number;
}
export interface BatchRecord {
  counter: number;
  epoch: number;
  /** SHA-256 of the batch's bytes. */
  digest: Uint8Array;
  kind: BatchKind;
  slot: number;
  area: string;
}
/** What is shown of a slot of an area; null where it is fewer than k readings, or none. */
export interface AreaSum {
  slot: number;
  area: string;
  /** The sum that is published, once. */
  regular: Sum | null;
  /** What came late; kept apart. */
  settlement: Sum | null;
}

export class ProviderStore {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = openStore(file, SCHEMA);
  }

  /** The newest batch, or undefined. */
  last(): { counter: number; epoch: number } | undefined {
    return this.#database.prepare('SELECT counter, epoch FROM batches ORDER BY counter DESC LIMIT 1').get() as
      | { counter: number; epoch: number }
      | undefined;
  }
  digestOf(counter: number): Uint8Array | undefined {
    const row = this.#database.prepare('SELECT digest FROM batches WHERE counter = ?').get(counter);
    return row?.digest as Uint8Array | undefined;
  }
  /** Whether there was a batch of this kind for the slot and area. */
  has(slot: number, area: string, kind: BatchKind): boolean {
    return (
      this.#database.prepare('SELECT 1 FROM batches WHERE slot = ? AND area = ? AND kind = ?').get(slot, area, kind) !==
      undefined
    );
  }
  hasItem(slot: number, digest: Uint8Array): boolean {
    return this.#database.prepare('SELECT 1 FROM items WHERE slot = ? AND digest = ?').get(slot, digest) !== undefined;
  }

  /**
   * @param sum of the batch's readings; `keepSum` false where they are fewer than k
   * @param items digests of the sealed items that were counted
   */
  add(batch: BatchRecord, sum: Sum, keepSum: boolean, items: Uint8Array[], rejected: number): void {
    inTransaction(this.#database, () => {
      const { counter, epoch, digest, kind, slot, area } = batch;
      const kept = keepSum ? [sum.readings, sum.importWh, sum.exportWh] : [null, null, null];
      this.#database
        .prepare('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
        .run(counter, epoch, digest, kind, slot, area, ...kept);
      const insert = this.#database.prepare('INSERT INTO items VALUES (?, ?)');
      for (const item of items) insert.run(slot, item);
      this.#database
        .prepare(
          `UPDATE totals SET readings = readings + ?, importWh = importWh + ?, exportWh = exportWh + ?,
           rejected = rejected + ?`,
        )
        .run(sum.readings, sum.importWh, sum.exportWh, rejected);
    });
  }
  /** Items of slots before this one cannot come again. */
  forgetItemsBefore(slot: number): void {
    this.#database.prepare('DELETE FROM items WHERE slot < ?').run(slot);
  }

  totals(): Totals {
    return {
      ...this.#database.prepare('SELECT readings, importWh, exportWh, rejected FROM totals').get(),
    } as unknown as Totals;
  }

  /** In the order of slots and areas. */
  areaSums(): AreaSum[] {
    const rows = this.#database
      .prepare('SELECT slot, area, kind, readings, importWh, exportWh FROM batches ORDER BY slot, area, counter')
      .all() as unknown as ({ slot: number; area: string; kind: BatchKind } & { [K in keyof Sum]: number | null })[];
    const sums = new Map<string, AreaSum>();
    for (const { slot, area, kind, readings, importWh, exportWh } of rows) {
      const key = `${slot} ${area}`;
      const sum = sums.get(key) ?? { slot, area, regular: null, settlement: null };
      sums.set(key, sum);
      if (readings !== null) sum[kind] = { readings, importWh: importWh!, exportWh: exportWh! };
    }
    return [...sums.values()];
  }

  close(): void {
    this.#database.close();
  }
}
