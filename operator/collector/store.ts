/**
 * What the collector keeps, and for how long.
 *
 *   seen      (slot, pseudonym) → SHA-256 of the submission     until the slot's month is settled; refuses replays
 *   passes    (day, pseudonym) → SHA-256 of the pass             until the day's month is settled; one pass for each
 *   held      (slot, area, sealed item), for which provider,    until the slot's batch closes, or the month's settlement
 *             without a pseudonym
 *   batches   provider, counter → the batch's bytes             until that provider has it on its disk
 *   counters  provider → counter of its newest batch            for good
 *   state     how far slots are closed and months settled, and sums for those who watch over it
 *
 * Who reported which slot is in `seen`, what was reported (sealed) in `held`, and the two have nothing in common to join them by
 * (`seen` does not say which provider it was for):
 * - No times of arrival are kept. Neither table has row numbers, which would count arrivals: rows are ordered by their keys, in
 *   `held` by the sealed bytes, which begin with a random point.
 * - Inside a page of the file SQLite puts rows in the order in which they came. So whatever stays in `held` when a slot closes
 *   (late readings stay for weeks) is written anew, in the order of its keys.
 * - The write-ahead log shows which rows were written together. It is emptied whenever a slot closes, and what is deleted is
 *   overwritten (secure_delete). So pseudonym and sealed item are tied for one slot and its grace at most.
 * - The digest in `seen` covers the submission's signature, which the provider never sees. Nobody who has only a sealed item can
 *   compute it.
 * - `seen` does not say whether a reading was late. That a pseudonym had no pass on a day, and so is held back, does show.
 * - Nothing joins two days of one household: pseudonyms, passes and keys are new every day.
 *
 * Every method is one transaction, on disk when it returns.
 */
import { dayOfSlot } from '../../protocol/identity/pseudonym-certificate.ts';
import { type DatabaseSync, forgetLog, inTransaction, openStore, type StatementSync } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS seen (
    slot INTEGER NOT NULL, pseudonym BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (slot, pseudonym)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS passes (
    day INTEGER NOT NULL, pseudonym BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (day, pseudonym)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS held (
    slot INTEGER NOT NULL, area TEXT NOT NULL, sealed BLOB NOT NULL, provider TEXT NOT NULL, late INTEGER NOT NULL,
    PRIMARY KEY (slot, area, sealed)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS batches (
    provider TEXT NOT NULL, counter INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (provider, counter)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS counters (provider TEXT PRIMARY KEY, counter INTEGER NOT NULL) WITHOUT ROWID;
`;

/** Numbers that outlive the process. */
export type StateName =
  /** Every slot up to this one is closed: its regular batch exists, or there was nothing to put into one. */
  | 'closedThroughSlot'
  /** Every month up to this one is settled. */
  | 'settledThroughMonth'
  /** Of the newest batch. */
  | 'epoch'
  /** Readings stored; of them, after their slot had closed; of the others, without a pass. */
  | 'stored'
  | 'late'
  | 'heldBack'
  /** Readings, late or held back, that a settlement released, and that it did not for being fewer than k. */
  | 'settled'
  | 'withheld';

export interface Accepted {
  slot: number;
  area: string;
  /** Party to which it is delivered. */
  provider: string;
  pseudonym: Uint8Array;
  digest: Uint8Array;
  sealed: Uint8Array;
  /** The pass that came with it, found good; null where there was none. */
  pass: { day: number; digest: Uint8Array } | null;
  /** Whether it waits for the settlement although it is in time. */
  heldBack: boolean;
}
export interface Group {
  slot: number;
  area: string;
  provider: string;
  items: Uint8Array[];
}
/** Encodes a group of items as the batch with this counter. */
export type BatchMaker = (group: Group, counter: number) => Uint8Array;

export class CollectorStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** The number of late readings and those held back when `held` was last written in the order of its keys. */
  #waitingInOrder = -1;

  constructor(file: string) {
    this.#database = openStore(file, SCHEMA);
  }

  state(name: StateName): number | undefined {
    return this.#get<{ value: number }>('SELECT value FROM state WHERE name = ?', name)?.value;
  }
  setState(name: StateName, value: number): void {
    this.#run('INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', name, value);
  }

  /** The digest of what this pseudonym reported of this slot, or undefined. */
  digestOf(slot: number, pseudonym: Uint8Array): Uint8Array | undefined {
    return this.#get<{ digest: Uint8Array }>(
      'SELECT digest FROM seen WHERE slot = ? AND pseudonym = ?',
      slot,
      pseudonym,
    )?.digest;
  }

  /** The digest of the pass that this pseudonym has used on its day, or undefined. */
  passOf(day: number, pseudonym: Uint8Array): Uint8Array | undefined {
    return this.#get<{ digest: Uint8Array }>(
      'SELECT digest FROM passes WHERE day = ? AND pseudonym = ?',
      day,
      pseudonym,
    )?.digest;
  }

  /**
   * Stores all of a group in one transaction (one flush to disk).
   * @returns for each what became of it; `conflict` where its pseudonym has another reading of that slot, or its sealed item is
   *   one that another pseudonym has sent
   */
  accept(group: readonly Accepted[]): ('stored' | 'conflict' | 'secondPass')[] {
    return inTransaction(this.#database, () => {
      const closedThrough = this.state('closedThroughSlot') ?? -1;
      let stored = 0;
      let late = 0;
      let held = 0;
      const results = group.map(({ slot, area, provider, pseudonym, digest, sealed, pass, heldBack }) => {
        const known = this.digestOf(slot, pseudonym);
        if (known) return Buffer.compare(known, digest) === 0 ? 'stored' : 'conflict';
        const used = pass && this.passOf(pass.day, pseudonym);
        if (used && Buffer.compare(used, pass.digest) !== 0) return 'secondPass';
        const isLate = slot <= closedThrough;
        const waits = Number(isLate || heldBack);
        const item = [slot, area, sealed, provider, waits];
        if (this.#run('INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?, ?)', ...item) === 0) return 'conflict';
        if (pass && !used) this.#run('INSERT INTO passes VALUES (?, ?, ?)', pass.day, pseudonym, pass.digest);
        this.#run('INSERT INTO seen VALUES (?, ?, ?)', slot, pseudonym, digest);
        stored++;
        if (isLate) late++;
        else if (heldBack) held++;
        return 'stored';
      });
      this.#add('stored', stored);
      this.#add('late', late);
      this.#add('heldBack', held);
      return results;
    });
  }

  /** Turns what is held of the slots up to `throughSlot` that are not closed yet into batches, and closes them. */
  closeSlots(throughSlot: number, makeBatch: BatchMaker): void {
    const waiting = (this.state('late') ?? 0) + (this.state('heldBack') ?? 0);
    inTransaction(this.#database, () => {
      const after = this.state('closedThroughSlot') ?? -1;
      for (const group of this.#groups(after + 1, throughSlot, 0)) this.#addBatch(group, makeBatch);
      this.#run('DELETE FROM held WHERE slot > ? AND slot <= ? AND late = 0', after, throughSlot);
      this.setState('closedThroughSlot', throughSlot);
      if (waiting !== this.#waitingInOrder) this.#forgetOrderOfArrival();
    });
    this.#waitingInOrder = waiting;
    forgetLog(this.#database);
  }

  #forgetOrderOfArrival(): void {
    const rows = this.#statement(
      'SELECT slot, area, sealed, provider, late FROM held ORDER BY slot, area, sealed',
    ).all();
    this.#run('DELETE FROM held');
    for (const { slot, area, sealed, provider, late } of rows as {
      slot: number;
      area: string;
      sealed: Uint8Array;
      provider: string;
      late: number;
    }[])
      this.#run('INSERT INTO held VALUES (?, ?, ?, ?, ?)', slot, area, sealed, provider, late);
  }

  /**
   * Releases the month's readings that were late or held back where there are at least k of a slot, area and provider, and forgets
   * everything else of it.
   */
  settleMonth(month: number, firstSlot: number, lastSlot: number, k: number, makeBatch: BatchMaker): void {
    inTransaction(this.#database, () => {
      for (const group of this.#groups(firstSlot, lastSlot, 1)) {
        const released = group.items.length >= k;
        if (released) this.#addBatch(group, makeBatch);
        this.#add(released ? 'settled' : 'withheld', group.items.length);
      }
      this.#run('DELETE FROM held WHERE slot <= ?', lastSlot);
      this.#run('DELETE FROM seen WHERE slot <= ?', lastSlot);
      this.#run('DELETE FROM passes WHERE day <= ?', dayOfSlot(lastSlot));
      this.setState('settledThroughMonth', month);
    });
    forgetLog(this.#database);
  }

  /** Batches that a provider has not acknowledged, oldest first. */
  batchesFrom(provider: string, counter: number, atMost: number): { counter: number; bytes: Uint8Array }[] {
    return this.#statement(
      'SELECT counter, bytes FROM batches WHERE provider = ? AND counter >= ? ORDER BY counter LIMIT ?',
    ).all(provider, counter, atMost) as { counter: number; bytes: Uint8Array }[];
  }
  batch(provider: string, counter: number): Uint8Array | undefined {
    return this.#get<{ bytes: Uint8Array }>(
      'SELECT bytes FROM batches WHERE provider = ? AND counter = ?',
      provider,
      counter,
    )?.bytes;
  }
  /** The provider has it on its disk. */
  forgetBatch(provider: string, counter: number): void {
    this.#run('DELETE FROM batches WHERE provider = ? AND counter = ?', provider, counter);
    if (this.unacknowledged() === 0) forgetLog(this.#database);
  }

  /** How many batches to a provider, or to any, up to this counter are not acknowledged. */
  unacknowledged(provider?: string, through = Number.MAX_SAFE_INTEGER): number {
    return this.#get<{ n: number }>(
      'SELECT count(*) AS n FROM batches WHERE (? IS NULL OR provider = ?) AND counter <= ?',
      provider ?? null,
      provider ?? null,
      through,
    )!.n;
  }
  /** Batches that were ever made. */
  batchesMade(): number {
    return this.#get<{ n: number }>('SELECT total(counter) AS n FROM counters')!.n;
  }
  /** Readings that wait for their slot to close. */
  waiting(): number {
    const after = this.state('closedThroughSlot') ?? -1;
    return this.#get<{ n: number }>('SELECT count(*) AS n FROM held WHERE slot > ? AND late = 0', after)!.n;
  }

  close(): void {
    this.#database.close();
  }

  *#groups(firstSlot: number, lastSlot: number, late: 0 | 1): Iterable<Group> {
    const keys = this.#statement(
      `SELECT DISTINCT slot, area, provider FROM held WHERE slot BETWEEN ? AND ? AND late = ?
       ORDER BY slot, area, provider`,
    ).all(firstSlot, lastSlot, late) as { slot: number; area: string; provider: string }[];
    for (const { slot, area, provider } of keys) {
      const rows = this.#statement(
        'SELECT sealed FROM held WHERE slot = ? AND area = ? AND provider = ? AND late = ?',
      ).all(slot, area, provider, late) as { sealed: Uint8Array }[];
      yield { slot, area, provider, items: rows.map(({ sealed }) => sealed) };
    }
  }
  #addBatch(group: Group, makeBatch: BatchMaker): void {
    const { provider } = group;
    const last = this.#get<{ counter: number }>('SELECT counter FROM counters WHERE provider = ?', provider);
    const counter = (last?.counter ?? 0) + 1;
    this.#run('INSERT INTO batches VALUES (?, ?, ?)', provider, counter, makeBatch(group, counter));
    this.#run('INSERT OR REPLACE INTO counters VALUES (?, ?)', provider, counter);
  }
  #add(name: StateName, howMany: number): void {
    if (howMany > 0) this.setState(name, (this.state(name) ?? 0) + howMany);
  }
  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
  #get<Row>(sql: string, ...values: (string | number | Uint8Array | null)[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }
  #run(sql: string, ...values: (string | number | Uint8Array)[]): number | bigint {
    return this.#statement(sql).run(...values).changes;
  }
}
