/**
 * The log in the household's store: every record of the meter, every quarter hour that follows from them and every line of the
 * allocation ledger gets its place in a chain of codes (protocol/billing/log.ts) in the transaction that stores it. So whatever is
 * stored is in the log, once, and a process that is killed at any moment has either both or neither.
 *
 *   log   n → kind and key of the row in `records`, `quarter_hours` or `allocations` that it is about, its code, whether it was late
 *
 * The rows themselves are what the codes are over: nothing is written twice, and a change of either table is a change of the log.
 *
 * The key comes from the TPM and is held in memory only. While the TPM is away, entries take their places without a code; they
 * get it, marked as late, when the key is there. The chain is verified at each start and once a day, and its head is anchored
 * after each. **A log that was changed is shown and left as it is**: what comes is stored, but nothing more is chained, anchored
 * or billed until the right data are back, or the customer has been told and lets a new chain begin (`beginAnew`). The old chain is
 * kept beside it with what was found, what is stored now enters the new one as late, and the anchor counts the chains: that a log
 * was once changed stays visible for good.
 *
 *   old_chains   chain → what was found in it, and when it was closed       old_log   its entries, as they were
 */
import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as breathe } from 'node:timers/promises';
import {
  type Anchor,
  decodeAnchor,
  type EntryKind,
  encodeAnchor,
  encodeEntry,
  entryCode,
  LEDGER_COLUMNS,
  type LogContent,
  LogFault,
  type LoggedAllocation,
  LogVerifier,
  NO_CODE,
  type StoredEntry,
} from '../../protocol/billing/log.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { ALLOCATIONS_TABLE } from '../ledger/tables.ts';
import type { MeterBatch, StoreCompanion } from '../store.ts';
import { withRecovery } from '../tpm/error.ts';
import type { LogState } from '../web/household-view.ts';

/** Where the log's key comes from. */
export interface LogKeySource {
  /** 32 B, always the same. @throws Error whose message says why it is not there now; ask again later */
  key(): Promise<Uint8Array>;
}

/**
 * A place for the anchor that nobody can put back: a TPM's NV memory. It counts what was written to it, and the count never
 * falls, not even where the place is removed and made anew.
 */
export interface AnchorPlace {
  /** `generation` is the count, from wherever it began; `anchor` null where there is none. @throws Error while the place cannot be reached */
  read(): Promise<{ generation: number; anchor: Uint8Array | null }>;
  /** Keeps `anchor`, then counts up to `generation`, which is one more than `read` said. Both are durable when it returns. */
  write(generation: number, anchor: Uint8Array): Promise<void>;
}

export interface HouseholdLogOptions {
  keys: LogKeySource;
  anchors: AnchorPlace;
  clock: Clock;
  log(line: string): void;
}

export interface LogReport extends LogState {
  /** Entries with a code, those that wait for the key, and those that once did. */
  entries: number;
  waiting: number;
  late: number;
  anchored: { entries: number; day: number } | null;
}

/** After the TPM failed, in ms of real time: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 10_000;

/** So many entries are checked in one go: some 20 ms. */
const PAGE = 1000;
/** The least number that SQLite can hold. */
const LEAST = -(2n ** 63n);

const TABLE = `CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, ref INTEGER NOT NULL,
  late INTEGER NOT NULL, code BLOB, UNIQUE (kind, ref)) STRICT`;
const OLD_TABLES = `CREATE TABLE IF NOT EXISTS old_chains (chain INTEGER PRIMARY KEY, closed_ms INTEGER NOT NULL,
    fault TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS old_log (chain INTEGER NOT NULL, n INTEGER NOT NULL, kind INTEGER NOT NULL, ref INTEGER NOT NULL,
    late INTEGER NOT NULL, code BLOB, PRIMARY KEY (chain, n)) STRICT`;
const KIND = { record: 1, quarterHour: 2, allocation: 3 } as const;
/** All that is stored, in the order of its keys, waiting for codes. */
const FILL = `INSERT INTO log SELECT row_number() OVER (ORDER BY kind, ref), kind, ref, 1, NULL FROM (
  SELECT ${KIND.record} AS kind, number AS ref FROM records
  UNION ALL SELECT ${KIND.quarterHour}, slot FROM quarter_hours
  UNION ALL SELECT ${KIND.allocation}, number FROM allocations WHERE final = 1)`;

export class HouseholdLog implements StoreCompanion {
  readonly #options: HouseholdLogOptions;
  #database!: DatabaseSync;
  #key: Uint8Array | null = null;
  /** Whether the log was found good and complete, so that what comes can be chained at once. */
  #chaining = false;
  /** The last day that it was checked on, whatever came of it; -1 before. */
  #checkedDay = -1;
  #anchor: Anchor | null = null;
  #fault: string | null = null;
  #trouble: string | null = null;
  #work: Promise<void> | null = null;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: HouseholdLogOptions) {
    this.#options = options;
  }

  // ── in the store's transactions ──

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(`${TABLE}; ${ALLOCATIONS_TABLE}`);
    household.exec(OLD_TABLES);
    // a store from before there was a log: what is in it comes late, but it comes
    if (household.prepare('SELECT 1 FROM log').get() !== undefined) return;
    household.exec(FILL);
  }

  written({ records, slots }: MeterBatch): void {
    this.#append([
      ...records.map(({ number }) => ({ kind: 'record' as const, ref: number })),
      ...slots.map(({ slot }) => ({ kind: 'quarterHour' as const, ref: slot })),
    ]);
  }

  /** To be called in the transaction that makes these lines of the allocation ledger final. @param numbers of their records */
  allocated(numbers: readonly number[]): void {
    this.#append(numbers.map((number) => ({ kind: 'allocation' as const, ref: number })));
  }

  #append(entries: readonly { kind: EntryKind; ref: number }[]): void {
    if (entries.length === 0) return;
    let { n, code } = this.#last();
    const key = this.#chaining ? this.#key : null;
    const insert = this.#database.prepare('INSERT INTO log VALUES (?,?,?,?,?)');
    for (const { kind, ref } of entries) {
      n++;
      const late = key === null || code === null;
      code = late ? null : entryCode(key, n, code!, encodeEntry(this.#content(kind, ref)));
      insert.run(n, KIND[kind], ref, Number(late), code);
    }
  }

  // ── the keeper's work ──

  /** Gets the key, verifies the log, chains what waits, anchors. A TPM that is away is asked again later. */
  async start(): Promise<void> {
    await this.#do();
  }

  /** To be called when protocol time has moved: does what is due once a day. */
  tick(): void {
    if (this.#timer === undefined && this.#today() > this.#checkedDay) void this.#do();
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#work;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#work;
    this.#key?.fill(0);
    this.#key = null;
    this.#chaining = false;
  }

  get state(): LogState {
    return { ...this.#standing(), ...this.#begunAnew() };
  }
  #standing(): LogState {
    if (this.#fault !== null) return { ok: false, reason: this.#fault };
    if (this.#trouble !== null)
      return { ok: true, reason: `the security chip does not answer, the log waits for it: ${this.#trouble}` };
    return { ok: true, reason: this.#checkedDay >= 0 ? null : 'the log has not been checked yet' };
  }
  /** The anchor counts; what was found is the store's word. */
  #begunAnew(): Pick<LogState, 'begunAnew'> {
    const last = this.#database.prepare('SELECT * FROM old_chains ORDER BY chain DESC LIMIT 1').get();
    const times = Math.max(this.#anchor?.begunAnew ?? 0, (last?.chain as number | undefined) ?? 0);
    if (times === 0) return {};
    return { begunAnew: { times, atMs: (last?.closed_ms as number) ?? null, why: (last?.fault as string) ?? null } };
  }

  /**
   * Closes a chain that was found changed, and begins a new one with what is stored now. First in the anchor, then on the disk: cut
   * between the two, the anchor tells of it all the same.
   * @throws Error in plain words where there is nothing to begin anew, or the TPM does not answer
   */
  async beginAnew(): Promise<void> {
    await this.#work;
    const key = this.#key;
    const fault = this.#fault;
    if (key === null || fault === null) throw new Error('the record is in order, or cannot be checked now');
    const { generation, anchor } = await this.#options.anchors.read();
    const before = anchor && readAnchor(key, anchor);
    const closed = (this.#database.prepare('SELECT max(chain) AS n FROM old_chains').get()!.n as number | null) ?? 0;
    const chain = Math.max(before?.begunAnew ?? 0, closed) + 1;
    await this.#anchorAt(key, Math.max(generation, before?.generation ?? 0) + 1, 0, NO_CODE, chain);
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      this.#database.prepare('INSERT INTO old_chains VALUES (?, ?, ?)').run(chain, this.#options.clock.nowMs(), fault);
      this.#database.prepare('INSERT INTO old_log SELECT ?, * FROM log').run(chain);
      this.#database.exec('DELETE FROM log');
      this.#database.exec(FILL);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
    this.#options.log(`log: chain ${chain} is begun anew; the one before is kept: ${fault}`);
    this.#anchor = null;
    await this.#do();
  }

  report(): LogReport {
    const { entries, waiting, late } = this.#database
      .prepare(
        'SELECT count(code) AS entries, count(*) - count(code) AS waiting, coalesce(sum(late), 0) AS late FROM log',
      )
      .get() as { entries: number; waiting: number; late: number };
    const anchored = this.#anchor && { entries: this.#anchor.entries, day: this.#anchor.day };
    return { ...this.state, entries, waiting, late, anchored };
  }

  /**
   * Checks the whole log now. @returns whether it is as it was written and nothing waits; `state` says what is wrong
   */
  async verify(): Promise<boolean> {
    await this.#work;
    if (this.#key === null) return false;
    try {
      await this.#check(this.#key, this.#anchor);
    } catch (error) {
      if (!(error instanceof LogFault)) throw error;
      this.#found(error.message);
    }
    return this.#chaining;
  }

  /** The code of a quarter hour's entry; null where it has none. */
  codeOf(slot: number): Uint8Array | null {
    const row = this.#database.prepare('SELECT code FROM log WHERE kind = ? AND ref = ?').get(KIND.quarterHour, slot);
    return (row?.code as Uint8Array | null | undefined) ?? null;
  }

  #do(): Promise<void> {
    this.#work ??= this.#keep().finally(() => {
      this.#work = null;
    });
    return this.#work;
  }

  async #keep(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { keys, anchors, log } = this.#options;
    try {
      const key = this.#key ?? (await keys.key());
      const place = await anchors.read();
      if (this.#closed) return;
      this.#key = key;
      this.#anchor = this.#judge(key, place);
      await this.#check(key, this.#anchor);
      // without this first one, whoever removed the anchor could say that there never was one
      if (this.#anchor === null) await this.#anchorAt(key, place.generation + 1, 0, NO_CODE);
      this.#chainWaiting(key);
      this.#checkedDay = this.#today();
      if (this.#fault !== null) log('log: it is as it was written again');
      this.#fault = null;
      const { generation, day } = this.#anchor!;
      const last = this.#last();
      if (this.#today() > day) await this.#anchorAt(key, generation + 1, last.n, last.code!);
      if (this.#trouble !== null) log('log: the security chip answers again');
      this.#trouble = null;
      this.#failures = 0;
    } catch (error) {
      if (error instanceof LogFault) this.#found(error.message);
      else if (!this.#closed) this.#failed(withRecovery(error as Error));
    }
  }

  /** The anchor that the place holds. @throws LogFault where it was removed, put back or forged */
  #judge(
    key: Uint8Array,
    { generation, anchor: bytes }: { generation: number; anchor: Uint8Array | null },
  ): Anchor | null {
    if (bytes === null) {
      if (this.#database.prepare('SELECT 1 FROM log WHERE code IS NOT NULL').get() === undefined) return null;
      throw new LogFault('replaced', 1, 'cannot be judged: the anchor in the security chip was removed');
    }
    const anchor = readAnchor(key, bytes);
    if (anchor === null)
      throw new LogFault('replaced', 1, "cannot be judged: the anchor was not made under this log's key");
    // one more than the count: the process ended between the two halves of `write`
    if (anchor.generation !== generation && anchor.generation !== generation + 1)
      throw new LogFault('replaced', 1, 'cannot be judged: an older anchor was put back');
    return anchor;
  }

  async #check(key: Uint8Array, anchor: Anchor | null): Promise<void> {
    const verifier = new LogVerifier(key, anchor);
    // from the very first: a row before 1 is none that was written
    let last: number | bigint = LEAST;
    for (let more = true; more; ) {
      let rows = 0;
      for (const row of this.#entries(last, PAGE)) {
        rows++;
        last = row.n;
        verifier.next(row, () => this.#entries(row.n));
      }
      more = rows === PAGE;
      if (more) await breathe(); // the meter goes on talking
      if (this.#closed) throw new Error('closed');
    }
    verifier.end();
    for (const [kind, table, column, which] of [
      ['record', 'records', 'number', 'TRUE'],
      ['quarterHour', 'quarter_hours', 'slot', 'TRUE'],
      ['allocation', 'allocations', 'number', 'final = 1'],
    ] as const) {
      const added = this.#database
        .prepare(
          `SELECT ${column} AS ref FROM ${table} WHERE ${which} AND NOT EXISTS (SELECT 1 FROM log WHERE kind = ? AND ref = ${column})`,
        )
        .get(KIND[kind]);
      if (added)
        throw new LogFault('added', this.#last().n + 1, `was never written, yet ${table} has one for ${added.ref}`);
    }
  }

  /** At most `most` entries behind number `after`. */
  *#entries(after: number | bigint, most = -1): Generator<StoredEntry> {
    let n = Math.max(0, Number(after));
    const rows = this.#database
      .prepare(`SELECT n, kind, late, code, ${ROW_COLUMNS} FROM log ${ROW_JOINS} WHERE n > ? ORDER BY n LIMIT ?`)
      .iterate(after, most);
    try {
      for (const row of rows) {
        n = row.n as number;
        yield { n, entry: entryOf(row), code: row.code as Uint8Array | null };
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_OUT_OF_RANGE') throw error;
      throw new LogFault('changed', n + 1, 'was changed'); // to a number that nobody wrote
    }
  }

  #content(kind: EntryKind, ref: number): LogContent {
    const row = this.#database
      .prepare(`SELECT kind, 0 AS late, ${ROW_COLUMNS} FROM (SELECT ? AS kind, ? AS ref) AS log ${ROW_JOINS}`)
      .get(KIND[kind], ref)!;
    return contentOf(row)!;
  }

  #last(): { n: number; code: Uint8Array | null } {
    const row = this.#database.prepare('SELECT n, code FROM log ORDER BY n DESC LIMIT 1').get();
    return row === undefined ? { n: 0, code: NO_CODE } : { n: row.n as number, code: row.code as Uint8Array | null };
  }

  /** Entries that waited for the key get their codes, all of them or none. */
  #chainWaiting(key: Uint8Array): void {
    const before = this.#database.prepare('SELECT code FROM log WHERE code IS NOT NULL ORDER BY n DESC LIMIT 1').get();
    let code = (before?.code as Uint8Array | undefined) ?? NO_CODE;
    const waiting = this.#database
      .prepare(`SELECT n, kind, 1 AS late, ${ROW_COLUMNS} FROM log ${ROW_JOINS} WHERE code IS NULL ORDER BY n`)
      .all();
    if (waiting.length > 0) {
      const update = this.#database.prepare('UPDATE log SET code = ?, late = 1 WHERE n = ?');
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        for (const row of waiting) {
          const entry = entryOf(row);
          const n = row.n as number;
          if (entry === null) throw new LogFault('removed', n, 'was removed before it could be chained');
          code = entryCode(key, n, code, entry);
          update.run(code, n);
        }
        this.#database.exec('COMMIT');
      } catch (error) {
        this.#database.exec('ROLLBACK');
        throw error;
      }
    }
    this.#chaining = true;
  }

  async #anchorAt(
    key: Uint8Array,
    generation: number,
    entries: number,
    head: Uint8Array,
    begunAnew = this.#anchor?.begunAnew ?? 0,
  ): Promise<void> {
    const anchor = { generation, entries, head, day: this.#today(), begunAnew };
    await this.#options.anchors.write(generation, encodeAnchor(key, anchor));
    this.#anchor = anchor;
  }

  #found(fault: string): void {
    this.#chaining = false;
    this.#checkedDay = this.#today();
    if (fault !== this.#fault) this.#options.log(`log: ${fault}`);
    this.#fault = fault;
  }

  #failed(trouble: string): void {
    if (trouble !== this.#trouble) this.#options.log(`log: the security chip does not answer: ${trouble}`);
    this.#trouble = trouble;
    const delay = Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
    this.#timer = setTimeout(() => void this.#do(), delay);
  }

  #today(): number {
    return Math.floor(this.#options.clock.nowMs() / DAY_MS);
  }
}

/** Null where it was not made under this key, or has not even its form. */
function readAnchor(key: Uint8Array, bytes: Uint8Array): Anchor | null {
  try {
    return decodeAnchor(key, bytes);
  } catch {
    return null;
  }
}

// ── from rows to entries ──

const ROW_COLUMNS = `r.number, r.boot, r.uptime_ms, r.slot AS record_slot, r.import_mwh, r.export_mwh, r.flags,
  q.slot, q.start_import_mwh, q.start_export_mwh, q.end_import_mwh, q.end_export_mwh, q.exact,
  a.number AS line_number, a.slot AS line_slot, a.final, ${LEDGER_COLUMNS.map((column) => `a.${column}`).join(', ')}`;
const ROW_JOINS = `LEFT JOIN records AS r ON log.kind = ${KIND.record} AND r.number = log.ref
  LEFT JOIN quarter_hours AS q ON log.kind = ${KIND.quarterHour} AND q.slot = log.ref
  LEFT JOIN allocations AS a ON log.kind = ${KIND.allocation} AND a.number = log.ref AND a.final = 1`;

type Row = Record<string, unknown>;

/** Null where what the entry is about is not there. */
function contentOf(row: Row): LogContent | null {
  const late = row.late !== 0;
  const number = (column: string): number => row[column] as number;
  if (row.kind === KIND.record && row.number !== null)
    return {
      kind: 'record',
      late,
      fields: {
        number: number('number'),
        boot: number('boot'),
        uptimeMs: number('uptime_ms'),
        slot: number('record_slot'),
        importMwh: number('import_mwh'),
        exportMwh: number('export_mwh'),
        flags: number('flags'),
      },
    };
  if (row.kind === KIND.quarterHour && row.slot !== null)
    return {
      kind: 'quarterHour',
      late,
      fields: {
        slot: number('slot'),
        startImportMwh: number('start_import_mwh'),
        startExportMwh: number('start_export_mwh'),
        endImportMwh: number('end_import_mwh'),
        endExportMwh: number('end_export_mwh'),
        exact: number('exact'),
      },
    };
  if (row.kind === KIND.allocation && row.line_number !== null) {
    const energies = LEDGER_COLUMNS.map((column) => [column, number(column)] as const);
    const fields = { number: number('line_number'), slot: number('line_slot'), ...Object.fromEntries(energies) };
    return { kind: 'allocation', late, fields: fields as LoggedAllocation };
  }
  return null;
}

/** Bytes that nobody made a code for, where a field is none that could have been written. */
const NO_ENTRY = new Uint8Array();

function entryOf(row: Row): Uint8Array | null {
  const content = contentOf(row);
  if (content === null) return null;
  try {
    return encodeEntry(content);
  } catch {
    return NO_ENTRY;
  }
}
