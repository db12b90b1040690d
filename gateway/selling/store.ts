/**
 * What the gateway keeps of selling, in a file of its own (`selling.db`, mode 0600). A committed change is on disk.
 *
 *   documents    keyset, terms, weights: as the control centre signed them
 *   sales        what the meter gave to sell, until it says that it is done. Sealed: nothing here says what was sold when
 *   settlements  by month: how far it has come, and what came of it
 *   receipts     of a month, while they are collected and deposited
 *   entries      L4 of a month, in its order; count, digest and tag stand with its settlement
 *   wallet       what the meter said last
 *   secret       of the commitments to exports; never leaves the house
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { SettlementAnswer } from '../../protocol/selling/services.ts';
import type { SaleMessage, SellingStatus } from '../../protocol/wire/selling-session.ts';
import { openDatabase } from '../store-schema.ts';

const TABLES = `
  CREATE TABLE documents (kind TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (kind, number)) STRICT, WITHOUT ROWID;
  CREATE TABLE sales (number INTEGER PRIMARY KEY, month INTEGER NOT NULL, sale_id BLOB NOT NULL, sealed BLOB NOT NULL,
    inverses BLOB NOT NULL, door_id BLOB, taken_slot INTEGER NOT NULL, answered_slot INTEGER, answer BLOB, code INTEGER) STRICT;
  CREATE INDEX sales_by_door ON sales (door_id);
  CREATE TABLE settlements (month INTEGER PRIMARY KEY, stage TEXT NOT NULL, statement BLOB, payment TEXT, trouble TEXT,
    list TEXT) STRICT;
  CREATE TABLE receipts (month INTEGER NOT NULL, id BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (month, id)) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (month INTEGER NOT NULL, place INTEGER NOT NULL, commitment BLOB NOT NULL, PRIMARY KEY (month, place)) STRICT, WITHOUT ROWID;
  CREATE TABLE wallet (one INTEGER PRIMARY KEY CHECK (one = 1), status TEXT NOT NULL) STRICT;
  CREATE TABLE secret (one INTEGER PRIMARY KEY CHECK (one = 1), bytes BLOB NOT NULL) STRICT;`;

/** A sale on its way. */
export interface KeptSale {
  number: number;
  month: number;
  saleId: Uint8Array;
  sealed: Uint8Array;
  /** Of the receipts' blinding, one after the other. */
  inverses: Uint8Array;
  doorId: Uint8Array | null;
  takenSlot: number;
  answeredSlot: number | null;
  answer: Uint8Array | null;
  /** As the meter opened the answer; null while it has not. */
  code: number | null;
}
/**
 * How far a month has come:
 *
 *   collect    the meter gives receipts, or L4
 *   deposit    receipts go to the centre                list, challenge   L4 goes, and what opens it
 *   returns    m of n: what was never shown goes back
 *   settle     exports are opened: payment
 *   paid       the meter may forget the month
 *   over       it has
 *   refused    the centre has found out, or says no for good
 */
export type SettlementStage =
  | 'collect'
  | 'deposit'
  | 'list'
  | 'challenge'
  | 'returns'
  | 'settle'
  | 'paid'
  | 'over'
  | 'refused';
export interface KeptSettlement {
  month: number;
  stage: SettlementStage;
  statement: Uint8Array | null;
  payment: SettlementAnswer | null;
  trouble: string | null;
  /** Of L4. */
  list: { count: number; lapsed: number; digest: string; tag: string } | null;
}
export type DocumentKind = 'keyset' | 'terms' | 'weights';
export interface SaleCounts {
  taken: number;
  answered: number;
  accepted: number;
  refused: number;
}

export class SellingStore {
  readonly #database: DatabaseSync;

  constructor(dataDir: string) {
    this.#database = openDatabase(join(dataDir, 'selling.db'), 'FULL', TABLES);
  }
  close(): void {
    this.#database.close();
  }

  /** 32 B, drawn once. */
  secret(): Uint8Array {
    const row = this.#database.prepare('SELECT bytes FROM secret').get();
    if (row) return row.bytes as Uint8Array;
    const made = randomBytes(32);
    this.#database.prepare('INSERT INTO secret VALUES (1, ?)').run(made);
    return made;
  }

  documents(kind: DocumentKind): Uint8Array[] {
    return this.#database
      .prepare('SELECT bytes FROM documents WHERE kind = ? ORDER BY number')
      .all(kind)
      .map(({ bytes }) => bytes as Uint8Array);
  }
  keepDocument(kind: DocumentKind, number: number, bytes: Uint8Array): void {
    this.#database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?, ?)').run(kind, number, bytes);
  }

  status(): SellingStatus | null {
    const row = this.#database.prepare('SELECT status FROM wallet').get();
    return row ? (JSON.parse(row.status as string) as SellingStatus) : null;
  }
  keepStatus(status: SellingStatus): void {
    this.#database.prepare('INSERT OR REPLACE INTO wallet VALUES (1, ?)').run(JSON.stringify(status));
  }

  // ── sales ──

  sale(number: number): KeptSale | null {
    const row = this.#database.prepare('SELECT * FROM sales WHERE number = ?').get(number);
    return row ? saleOf(row) : null;
  }
  /** A number that another wallet had is taken over. */
  keepSale({ number, month, saleId, sealed }: SaleMessage, inverses: Uint8Array, takenSlot: number): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO sales VALUES (?, ?, ?, ?, ?, NULL, ?, NULL, NULL, NULL)')
      .run(number, month, saleId, sealed, inverses, takenSlot);
  }
  posted(number: number, doorId: Uint8Array): void {
    this.#database.prepare('UPDATE sales SET door_id = ? WHERE number = ?').run(doorId, number);
  }
  saleByDoor(doorId: Uint8Array): KeptSale | null {
    const row = this.#database.prepare('SELECT * FROM sales WHERE door_id = ?').get(doorId);
    return row ? saleOf(row) : null;
  }
  answered(number: number, answer: Uint8Array, slot: number): void {
    this.#database
      .prepare('UPDATE sales SET answer = ?, answered_slot = ? WHERE number = ? AND answer IS NULL')
      .run(answer, slot, number);
  }
  /** The meter has what it needs of it. */
  done(number: number, code: number): void {
    this.#database
      .prepare("UPDATE sales SET code = ?, sealed = x'', inverses = x'' WHERE number = ? AND code IS NULL")
      .run(code, number);
  }
  /** Those without an answer, and those whose answer the meter has not said to have. */
  open(): { unanswered: KeptSale[]; answered: KeptSale[] } {
    const rows = this.#database.prepare('SELECT * FROM sales WHERE code IS NULL ORDER BY number').all().map(saleOf);
    return {
      unanswered: rows.filter(({ answer }) => answer === null),
      answered: rows.filter(({ answer }) => answer !== null),
    };
  }
  saleCounts(month: number): SaleCounts {
    return this.#database
      .prepare(
        `SELECT count(*) AS taken, count(answer) AS answered, coalesce(sum(code = 0), 0) AS accepted,
          coalesce(sum(code > 0), 0) AS refused FROM sales WHERE month = ?`,
      )
      .get(month) as unknown as SaleCounts;
  }
  /** Slots in which answers came, newest first: what the centre saw of them, and when. */
  answeredSlots(most: number): { slot: number; sales: number }[] {
    return this.#database
      .prepare(
        `SELECT answered_slot AS slot, count(*) AS sales FROM sales WHERE answered_slot IS NOT NULL
          GROUP BY answered_slot ORDER BY answered_slot DESC LIMIT ?`,
      )
      .all(most) as unknown as { slot: number; sales: number }[];
  }

  // ── months ──

  settlement(month: number): KeptSettlement | null {
    return this.settlements().find((one) => one.month === month) ?? null;
  }
  settlements(): KeptSettlement[] {
    return this.#database
      .prepare('SELECT * FROM settlements ORDER BY month')
      .all()
      .map((row) => ({
        month: row.month as number,
        stage: row.stage as SettlementStage,
        statement: row.statement as Uint8Array | null,
        payment: parsed(row.payment),
        trouble: row.trouble as string | null,
        list: parsed(row.list),
      }));
  }
  keepSettlement({ month, stage, statement, payment, trouble, list }: KeptSettlement): void {
    const text = (value: object | null): string | null => value && JSON.stringify(value);
    this.#database
      .prepare('INSERT OR REPLACE INTO settlements VALUES (?, ?, ?, ?, ?, ?)')
      .run(month, stage, statement, text(payment), trouble, text(list));
  }

  addReceipts(month: number, receipts: readonly { id: Uint8Array; signature: Uint8Array }[]): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO receipts VALUES (?, ?, ?)');
    for (const { id, signature } of receipts) insert.run(month, id, signature);
  }
  receipts(month: number): { id: Uint8Array; signature: Uint8Array }[] {
    return this.#database
      .prepare('SELECT id, signature FROM receipts WHERE month = ? ORDER BY id')
      .all(month) as unknown as { id: Uint8Array; signature: Uint8Array }[];
  }
  addEntries(month: number, commitments: readonly Uint8Array[]): void {
    const first = this.entries(month).length;
    const insert = this.#database.prepare('INSERT INTO entries VALUES (?, ?, ?)');
    for (const [i, commitment] of commitments.entries()) insert.run(month, first + i, commitment);
  }
  entries(month: number): Uint8Array[] {
    return this.#database
      .prepare('SELECT commitment FROM entries WHERE month = ? ORDER BY place')
      .all(month)
      .map(({ commitment }) => commitment as Uint8Array);
  }
  /** What was collected of a month and is not needed any more, or is collected anew. */
  forgetCollected(month: number): void {
    this.#database.prepare('DELETE FROM receipts WHERE month = ?').run(month);
    this.#database.prepare('DELETE FROM entries WHERE month = ?').run(month);
  }
}

const parsed = (text: unknown) => (text === null ? null : JSON.parse(text as string));

function saleOf(row: Record<string, unknown>): KeptSale {
  return {
    number: row.number as number,
    month: row.month as number,
    saleId: row.sale_id as Uint8Array,
    sealed: row.sealed as Uint8Array,
    inverses: row.inverses as Uint8Array,
    doorId: row.door_id as Uint8Array | null,
    takenSlot: row.taken_slot as number,
    answeredSlot: row.answered_slot as number | null,
    answer: row.answer as Uint8Array | null,
    code: row.code as number | null,
  };
}
