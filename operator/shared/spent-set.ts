/**
 * What was spent, each once: the identities of credentials, receipts, coins, and the answer that was given for them. Atomic and
 * idempotent (protocols.md, section 0):
 *
 *   nobody spent any of the ids   all are marked and the answer stored, in one transaction       `spent`
 *   all are there by this request the stored answer, byte for byte                                `again`
 *   any is there by another       nothing changes                                                 `conflict`
 *
 * A promise resolves when its spend is on disk, and not before. Spends that come in one breath are committed together: one flush of
 * the disk for all of them, which is what makes tens of thousands a second possible.
 *
 * For each period (the month of the key) there are two tables, which are dropped whole when nothing of that period can be presented
 * any more: the set never grows beyond what can still be spent twice.
 *
 *   log     n → id, request, answer      in the order of arrival: a spend writes at the end, one page for a dozen of them
 *   index   id → n                       unique, by id: a row anywhere costs a page, so rows are entered in thousands, sorted
 *
 * Ids that are in the log and not yet in the index are held in memory, and read from the log when a process starts. One process writes.
 */
import { type DatabaseSync, inTransaction, type StatementSync } from './store.ts';

/** Spends in one transaction: at 48,000 a second a group of 128 takes 3 ms. */
const GROUP_MOST = 128;
/** Entered into the index together. */
const TAIL_MOST = 16_384;
const SET_NAME = /^[a-z][a-zA-Z]{0,30}$/;

export interface Spend {
  /** Month of the key, say: in whose table the ids are. */
  period: number;
  /** 32 B each, at least one, all different. */
  ids: readonly Uint8Array[];
  /** Identifies the request: SHA-256 of its bytes. */
  request: Uint8Array;
  /** Given again for the same request. */
  answer: Uint8Array;
  /** More that is written in the same transaction, where the spend is new. */
  also?(): void;
}
export type SpendOutcome = { outcome: 'spent' | 'again'; answer: Uint8Array } | { outcome: 'conflict' };

interface Waiting {
  spend: Spend;
  done(outcome: SpendOutcome): void;
  failed(error: Error): void;
}
interface Row {
  request: Uint8Array;
  answer: Uint8Array | null;
}
interface Period {
  append: StatementSync;
  indexed: StatementSync;
  read: StatementSync;
  enter: StatementSync;
  /** Ids of the log that are not in the index: id as latin1 → n. */
  tail: Map<string, number>;
}

export class SpentSet {
  readonly #database: DatabaseSync;
  readonly #name: string;
  readonly #periods = new Map<number, Period>();
  #waiting: Waiting[] = [];
  #scheduled = false;

  /** @param name of the set in the database: there may be several */
  constructor(database: DatabaseSync, name: string) {
    if (!SET_NAME.test(name)) throw new RangeError(`${name} is no name of a set`);
    this.#database = database;
    this.#name = name;
  }

  /** What `spend` would say, or undefined where the ids are not spent: saves the work of an answer that would not be given. */
  lookUp(period: number, ids: readonly Uint8Array[], request: Uint8Array): SpendOutcome | undefined {
    let answer: Uint8Array | null = null;
    let found = 0;
    for (const id of ids) {
      const row = this.#find(period, id);
      if (!row) continue;
      if (Buffer.compare(row.request, request) !== 0) return { outcome: 'conflict' };
      found++;
      answer ??= row.answer;
    }
    if (found === 0) return undefined;
    return found === ids.length && answer ? { outcome: 'again', answer } : { outcome: 'conflict' };
  }

  /** Resolves when it is on disk. */
  spend(spend: Spend): Promise<SpendOutcome> {
    return new Promise((done, failed) => {
      this.#waiting.push({ spend, done, failed });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.#commit());
    });
  }

  /** How many ids of a period are spent. */
  count(period: number): number {
    this.#period(period);
    return this.#database.prepare(`SELECT count(*) AS n FROM ${this.#tableOf('log', period)}`).get()!.n as number;
  }
  has(period: number, id: Uint8Array): boolean {
    return this.#find(period, id) !== undefined;
  }

  /** Nothing of these periods can be presented any more. */
  dropBefore(period: number): void {
    const own = new RegExp(`^spent_${this.#name}_(?:log|index)_(\\d+)$`);
    const tables = this.#database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    for (const { name } of tables as { name: string }[]) {
      const found = own.exec(name);
      if (!found || Number(found[1]) >= period) continue;
      this.#periods.delete(Number(found[1]));
      this.#database.exec(`DROP TABLE ${name}`);
    }
  }

  #commit(): void {
    const group = this.#waiting.splice(0, GROUP_MOST);
    this.#scheduled = this.#waiting.length > 0;
    if (this.#scheduled) setImmediate(() => this.#commit());
    let outcomes: SpendOutcome[];
    try {
      outcomes = this.#apply(group);
    } catch {
      this.#oneByOne(group);
      return;
    }
    group.forEach(({ done }, i) => {
      done(outcomes[i]);
    });
    // where this fails the process ends: everything is in the log, and is read again at the next start
    for (const period of this.#periods.values()) this.#enterTail(period);
  }

  #apply(group: readonly Waiting[]): SpendOutcome[] {
    // tables are made outside, so that a group that fails leaves them
    for (const { spend } of group) this.#period(spend.period);
    const added: { tail: Map<string, number>; name: string }[] = [];
    try {
      return inTransaction(this.#database, () => group.map(({ spend }) => this.#spend(spend, added)));
    } catch (error) {
      for (const { tail, name } of added) tail.delete(name);
      throw error;
    }
  }

  /** Something in the group fails: the others are not to pay for it. */
  #oneByOne(group: readonly Waiting[]): void {
    for (const one of group) {
      try {
        one.done(this.#apply([one])[0]);
      } catch (error) {
        one.failed(error as Error);
      }
    }
  }

  #spend(spend: Spend, added: { tail: Map<string, number>; name: string }[]): SpendOutcome {
    const { period, ids, request, answer, also } = spend;
    const before = this.lookUp(period, ids, request);
    if (before) return before;
    const { append, tail } = this.#period(period);
    ids.forEach((id, i) => {
      const name = nameOf(id);
      if (tail.has(name)) throw new RangeError('an id stands twice in one spend');
      // the answer stands with the first
      tail.set(name, Number(append.run(id, request, i === 0 ? answer : null).lastInsertRowid));
      added.push({ tail, name });
    });
    also?.();
    return { outcome: 'spent', answer };
  }

  #find(period: number, id: Uint8Array): Row | undefined {
    const { tail, indexed, read } = this.#period(period);
    const n = tail.get(nameOf(id)) ?? indexed.get(id)?.n;
    return n === undefined ? undefined : (read.get(n) as unknown as Row);
  }

  /** The index is unique: an id that stood in the log twice would stop everything here. */
  #enterTail({ tail, enter }: Period): void {
    if (tail.size < TAIL_MOST) return;
    enter.run();
    tail.clear();
  }

  #period(period: number): Period {
    const known = this.#periods.get(period);
    if (known) return known;
    const [log, index] = [this.#tableOf('log', period), this.#tableOf('index', period)];
    this.#database.exec(`
      CREATE TABLE IF NOT EXISTS ${log} (n INTEGER PRIMARY KEY, id BLOB NOT NULL, request BLOB NOT NULL, answer BLOB) STRICT;
      CREATE TABLE IF NOT EXISTS ${index} (id BLOB PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    `);
    const rest = `FROM ${log} WHERE n > (SELECT coalesce(max(n), 0) FROM ${index})`;
    const rows = this.#database.prepare(`SELECT id, n ${rest}`).all() as { id: Uint8Array; n: number }[];
    const opened = {
      append: this.#database.prepare(`INSERT INTO ${log} (id, request, answer) VALUES (?, ?, ?)`),
      indexed: this.#database.prepare(`SELECT n FROM ${index} WHERE id = ?`),
      read: this.#database.prepare(`SELECT request, answer FROM ${log} WHERE n = ?`),
      enter: this.#database.prepare(`INSERT INTO ${index} SELECT id, n ${rest} ORDER BY id`),
      tail: new Map(rows.map(({ id, n }) => [nameOf(id), n])),
    };
    this.#periods.set(period, opened);
    return opened;
  }

  #tableOf(what: 'log' | 'index', period: number): string {
    if (!Number.isSafeInteger(period) || period < 0) throw new RangeError(`${period} is no period`);
    return `spent_${this.#name}_${what}_${period}`;
  }
}

const nameOf = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
