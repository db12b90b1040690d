/**
 * What the relay keeps, and for how long.
 *
 *   arrived  (slot, address, digest of the bundle)     two slots; one bundle for each gateway and slot, and k
 *   waiting  (digest of the cell) → destination, cell  until the next shuffle
 *   batches  (destination, place) → batch, part, cells  until the party has them all on its disk, shuffled
 *   lists    the parties' lists of answers             two weeks, for gateways that were away
 *
 * Nothing here opens a cell. Which cells came together, and from where, is written down nowhere: `waiting` is ordered by the cells'
 * digests, what is deleted is overwritten, and the write-ahead log is emptied at every shuffle. Every method is one transaction,
 * on disk when it returns.
 */
import { type DatabaseSync, forgetLog, inTransaction, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS arrived (
    slot INTEGER NOT NULL, address TEXT NOT NULL, digest BLOB NOT NULL, shuffled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, address, digest)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS waiting (digest BLOB PRIMARY KEY, destination TEXT NOT NULL, cell BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS batches (
    destination TEXT NOT NULL, number INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, batch BLOB NOT NULL,
    cells BLOB NOT NULL, PRIMARY KEY (destination, number, part)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS lists (
    destination TEXT NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (destination, number)
  );
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
`;
const LISTS_KEPT = 14 * 96;

export interface WaitingCell {
  destination: string;
  digest: Uint8Array;
  cell: Uint8Array;
}
/** A part of a batch: cells of one length, one after the other. */
export interface BatchPart {
  destination: string;
  number: number;
  part: number;
  parts: number;
  batch: Uint8Array;
  cells: Uint8Array;
}
export type Arrival = 'stored' | 'again' | 'too many';
export type StateName = 'roundsThroughSlot' | 'batch' | 'bundles' | 'shuffles' | 'heldBack';

export class RelayStore {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = openStore(file, SCHEMA);
  }

  state(name: StateName): number | undefined {
    const row = this.#database.prepare('SELECT value FROM state WHERE name = ?').get(name);
    return row?.value as number | undefined;
  }
  setState(name: StateName, value: number): void {
    this.#database
      .prepare('INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value')
      .run(name, value);
  }
  #count(name: StateName): void {
    this.setState(name, (this.state(name) ?? 0) + 1);
  }

  /** Takes a bundle's cells, once, where its address has not given too many of this slot. */
  arrive(
    { slot, address, digest }: { slot: number; address: string; digest: Uint8Array },
    cells: readonly WaitingCell[],
    most: number,
  ): Arrival {
    return inTransaction(this.#database, () => {
      const same = this.#database.prepare('SELECT 1 FROM arrived WHERE slot = ? AND address = ? AND digest = ?');
      if (same.get(slot, address, digest)) return 'again';
      const had = this.#database.prepare('SELECT count(*) AS n FROM arrived WHERE slot = ? AND address = ?');
      if ((had.get(slot, address)!.n as number) >= most) return 'too many';
      this.#database.prepare('INSERT INTO arrived (slot, address, digest) VALUES (?, ?, ?)').run(slot, address, digest);
      const insert = this.#database.prepare('INSERT OR IGNORE INTO waiting VALUES (?, ?, ?)');
      for (const one of cells) insert.run(one.digest, one.destination, one.cell);
      this.#count('bundles');
      return 'stored';
    });
  }

  /**
   * How many gateways the waiting cells come from, at least: a gateway gives one bundle in a slot, so it is the number of bundles
   * in that slot that has most.
   */
  gatewaysWaiting(): number {
    const row = this.#database
      .prepare(
        'SELECT coalesce(max(n), 0) AS n FROM (SELECT count(*) AS n FROM arrived WHERE shuffled = 0 GROUP BY slot)',
      )
      .get()!;
    return row.n as number;
  }

  /**
   * The round of `slot` has come: with at least k gateways all that waits goes into batches, else it goes on waiting.
   * @param makeBatches puts the cells of all destinations into random order, in parts
   */
  closeRound(
    slot: number,
    k: number,
    forgetBeforeSlot: number,
    makeBatches: (cells: WaitingCell[], number: number) => BatchPart[],
  ): void {
    inTransaction(this.#database, () => {
      this.setState('roundsThroughSlot', slot);
      const gateways = this.gatewaysWaiting();
      if (gateways >= k) {
        const cells = this.#database.prepare('SELECT digest, destination, cell FROM waiting').all();
        const number = (this.state('batch') ?? 0) + 1;
        const insert = this.#database.prepare('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)');
        for (const one of makeBatches(cells as unknown as WaitingCell[], number))
          insert.run(one.destination, one.number, one.part, one.parts, one.batch, one.cells);
        this.setState('batch', number);
        this.#database.exec('DELETE FROM waiting; UPDATE arrived SET shuffled = 1');
        this.#count('shuffles');
      } else if (gateways > 0) this.#count('heldBack');
      this.#database.prepare('DELETE FROM arrived WHERE slot < ? AND shuffled = 1').run(forgetBeforeSlot);
    });
    forgetLog(this.#database);
  }

  /** The parts of the oldest batch for this destination; none: nothing is to be sent. */
  oldestBatch(destination: string): BatchPart[] {
    return this.#database
      .prepare(
        `SELECT * FROM batches WHERE destination = ?1
          AND number = (SELECT min(number) FROM batches WHERE destination = ?1) ORDER BY part`,
      )
      .all(destination) as unknown as BatchPart[];
  }

  /** The list that answers the batch is here, and with it all lists before. */
  batchAnswered(destination: string, number: number): void {
    this.#database.prepare('DELETE FROM batches WHERE destination = ? AND number = ?').run(destination, number);
    forgetLog(this.#database);
  }

  unsent(): number {
    const row = this.#database.prepare('SELECT count(*) AS n FROM (SELECT DISTINCT destination, number FROM batches)');
    return row.get()!.n as number;
  }
  waiting(): number {
    return this.#database.prepare('SELECT count(*) AS n FROM waiting').get()!.n as number;
  }

  // Lists

  /** Numbers of the oldest and the newest list of a destination; 0 and 0: none. */
  lists(destination: string): { first: number; last: number } {
    const row = this.#database
      .prepare(
        'SELECT coalesce(min(number), 0) AS first, coalesce(max(number), 0) AS last FROM lists WHERE destination = ?',
      )
      .get(destination)!;
    return { first: row.first as number, last: row.last as number };
  }
  list(destination: string, number: number): Uint8Array | undefined {
    const row = this.#database
      .prepare('SELECT bytes FROM lists WHERE destination = ? AND number = ?')
      .get(destination, number);
    return row?.bytes as Uint8Array | undefined;
  }
  digestOf(destination: string, number: number): Uint8Array | undefined {
    const row = this.#database
      .prepare('SELECT digest FROM lists WHERE destination = ? AND number = ?')
      .get(destination, number);
    return row?.digest as Uint8Array | undefined;
  }
  keepList(destination: string, number: number, digest: Uint8Array, bytes: Uint8Array): void {
    inTransaction(this.#database, () => {
      this.#database.prepare('INSERT INTO lists VALUES (?, ?, ?, ?)').run(destination, number, digest, bytes);
      this.#database
        .prepare('DELETE FROM lists WHERE destination = ? AND number <= ?')
        .run(destination, number - LISTS_KEPT);
    });
  }

  close(): void {
    this.#database.close();
  }
}
