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
 * Rows are kept in a table for each period (the month of the key), which is dropped whole when nothing of that period can be
 * presented any more: the set never grows beyond what can still be spent twice.
 */
import { type DatabaseSync, inTransaction, type StatementSync } from './store.ts';

/** Spends in one transaction: at 48,000 a second a group of 128 takes 3 ms. */
const GROUP_MOST = 128;
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
interface Table {
  insert: StatementSync;
  find: StatementSync;
}

export class SpentSet {
  readonly #database: DatabaseSync;
  readonly #name: string;
  readonly #tables = new Map<number, Table>();
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
    const { find } = this.#table(period);
    let answer: Uint8Array | null = null;
    let found = 0;
    for (const id of ids) {
      const row = find.get(id) as { request: Uint8Array; answer: Uint8Array | null } | undefined;
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
    this.#table(period);
    return this.#database.prepare(`SELECT count(*) AS n FROM ${this.#tableName(period)}`).get()!.n as number;
  }
  has(period: number, id: Uint8Array): boolean {
    return this.#table(period).find.get(id) !== undefined;
  }

  /** Nothing of these periods can be presented any more. */
  dropBefore(period: number): void {
    const tables = this.#database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE ?")
      .all(`spent_${this.#name}_%`) as { name: string }[];
    for (const { name } of tables) {
      const kept = Number(name.slice(`spent_${this.#name}_`.length));
      if (kept >= period) continue;
      this.#tables.delete(kept);
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
  }

  #apply(group: readonly Waiting[]): SpendOutcome[] {
    // a table is made outside, so that a group that fails leaves it
    for (const { spend } of group) this.#table(spend.period);
    return inTransaction(this.#database, () => group.map(({ spend }) => this.#spend(spend)));
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

  #spend({ period, ids, request, answer, also }: Spend): SpendOutcome {
    const { insert } = this.#table(period);
    // one id is the common case: its insertion is the check
    if (ids.length > 1) {
      const before = this.lookUp(period, ids, request);
      if (before) return before;
    }
    for (let i = 0; i < ids.length; i++) {
      // the answer stands with the first
      if (insert.run(ids[i], request, i === 0 ? answer : null).changes === 1) continue;
      if (i > 0) throw new RangeError('an id stands twice in one spend');
      return this.lookUp(period, ids, request)!;
    }
    also?.();
    return { outcome: 'spent', answer };
  }

  #table(period: number): Table {
    const known = this.#tables.get(period);
    if (known) return known;
    const name = this.#tableName(period);
    this.#database.exec(
      `CREATE TABLE IF NOT EXISTS ${name} (id BLOB PRIMARY KEY, request BLOB NOT NULL, answer BLOB) STRICT, WITHOUT ROWID`,
    );
    const table = {
      insert: this.#database.prepare(`INSERT OR IGNORE INTO ${name} VALUES (?, ?, ?)`),
      find: this.#database.prepare(`SELECT request, answer FROM ${name} WHERE id = ?`),
    };
    this.#tables.set(period, table);
    return table;
  }

  #tableName(period: number): string {
    if (!Number.isSafeInteger(period) || period < 0) throw new RangeError(`${period} is no period`);
    return `spent_${this.#name}_${period}`;
  }
}
