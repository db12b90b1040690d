/**
 * What the gateway keeps. Two files, both mode 0600:
 *
 *   household.db  records, time marks, quarter hours, reports: what must not be lost. Every commit is on the disk when it
 *                 returns (WAL, synchronous FULL), because the meter forgets what was acknowledged.
 *   live.db       one value a second and minute means: what is only looked at. A power cut may cost the last moments.
 *
 * One `MeterBatch` is one transaction: records, the quarter hours that they complete, and the reports that must leave
 * the house for those. A report is then sealed (its exact bytes are stored before they are first sent) and at last
 * delivered. A process killed between any two of these steps goes on where it was: each step is found by what is
 * missing, and is keyed by its slot, so that none is lost or done twice.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Live, MeterRecord } from '../protocol/wire/link-messages.ts';
import { LINK_LIVE, LINK_RECORD } from '../protocol/wire/link-messages.ts';
import type { TimeMark } from './meter/boot-times.ts';
import { type MeasuredSlot, NO_PROGRESS, type Progress, type RegisterPoint } from './meter/slots.ts';
import { HOUSEHOLD_TABLES, LIVE_TABLES, openDatabase } from './store-schema.ts';

/** The page shows today; a live value is of no use later. */
const LIVE_KEPT_MS = 26 * 3_600_000;
const MINUTES_KEPT_MS = 400 * 86_400_000;
const MINUTE_MS = 60_000;

/** A live value at the instant (Unix ms) that its window was measured. */
export interface TimedLive extends Live {
  unixMs: number;
}
/** A quarter hour to be reported, Wh in steps of the reporting resolution. */
export interface NewReport {
  slot: number;
  importWh: number;
  exportWh: number;
}
export interface Report extends NewReport {
  /** The exact bytes that are sent until they are acknowledged; null before sealing and after delivery. */
  submission: Uint8Array | null;
  /** Unix ms when the collector had it on its disk; null until then. */
  deliveredMs: number | null;
  /** Why the collector will never take it; null where it was not refused. */
  refusal: string | null;
}
/** Everything that one portion of the meter's messages changes. */
export interface MeterBatch {
  lives: readonly TimedLive[];
  records: readonly MeterRecord[];
  edges: readonly RegisterPoint[];
  marks: readonly TimeMark[];
  slots: readonly MeasuredSlot[];
  reports: readonly NewReport[];
  /** Present when records were turned into quarter hours. */
  progress?: Progress;
}
export interface StoreTotals {
  records: number;
  quarterHoursMeasured: number;
  quarterHoursDelivered: number;
  importMwh: number;
  exportMwh: number;
}

const WAITING = 'delivered_ms IS NULL AND refusal IS NULL';

/** Keeps tables of its own in household.db, and writes to them in the transaction that stores a batch. */
export interface StoreCompanion {
  /** Once, before anything else: makes its tables where they are not there. */
  open(household: DatabaseSync): void;
  /** The batch's own rows are written. What is thrown here undoes the batch. */
  written?(batch: MeterBatch): void;
}

export class GatewayStore {
  readonly #household: DatabaseSync;
  readonly #live: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #companions: readonly StoreCompanion[];

  constructor(dataDir: string, companions: readonly StoreCompanion[] = []) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.#household = openDatabase(join(dataDir, 'household.db'), 'FULL', HOUSEHOLD_TABLES);
    this.#live = openDatabase(join(dataDir, 'live.db'), 'NORMAL', LIVE_TABLES);
    this.#companions = companions;
    for (const companion of companions) companion.open(this.#household);
  }

  close(): void {
    this.#household.close();
    this.#live.close();
  }

  /** Writes a batch; when it returns, all of it but the live values survives a power cut. */
  write(batch: MeterBatch): void {
    if (batch.lives.length > 0) this.#inTransaction(this.#live, () => this.#writeLives(batch.lives));
    const { records, edges, marks, slots, reports, progress } = batch;
    if (records.length + edges.length + marks.length + slots.length + reports.length === 0 && !progress) return;
    this.#inTransaction(this.#household, () => {
      for (const r of records) {
        this.#run('INSERT INTO records VALUES (?,?,?,?,?,?,?)', [
          r.number,
          r.boot,
          r.uptimeMs,
          r.slot,
          r.importMwh,
          r.exportMwh,
          r.flags,
        ]);
      }
      for (const e of edges) {
        this.#run('INSERT OR IGNORE INTO edges VALUES (?,?,?,?)', [e.boot, e.uptimeMs, e.importMwh, e.exportMwh]);
      }
      for (const m of marks) {
        this.#run('INSERT OR REPLACE INTO marks VALUES (?,?,?,?)', [m.boot, Number(m.exact), m.uptimeMs, m.unixMs]);
      }
      for (const s of slots) {
        this.#run('INSERT INTO quarter_hours VALUES (?,?,?,?,?,?)', [
          s.slot,
          s.startImportMwh,
          s.startExportMwh,
          s.endImportMwh,
          s.endExportMwh,
          Number(s.exact),
        ]);
      }
      for (const r of reports) {
        this.#run('INSERT INTO reports VALUES (?,?,?,NULL,NULL,NULL)', [r.slot, r.importWh, r.exportWh]);
      }
      if (progress) this.#keepProgress(progress);
      for (const companion of this.#companions) companion.written?.(batch);
    });
  }

  // ── what the meter link goes on from ──

  /** Null where nothing was kept under this name. */
  meta(key: string): string | null {
    const row = this.#get('SELECT value FROM meta WHERE key = ?', [key]);
    return row === undefined ? null : (row.value as string);
  }

  setMeta(key: string, value: string): void {
    this.#run('INSERT OR REPLACE INTO meta VALUES (?,?)', [key, value]);
  }

  progress(): Progress {
    const kept = this.meta('progress');
    return kept === null ? NO_PROGRESS : (JSON.parse(kept) as Progress);
  }

  lastRecord(): MeterRecord | null {
    const row = this.#get('SELECT * FROM records ORDER BY number DESC LIMIT 1');
    return row === undefined ? null : toRecord(row);
  }

  record(number: number): MeterRecord | null {
    const row = this.#get('SELECT * FROM records WHERE number = ?', [number]);
    return row === undefined ? null : toRecord(row);
  }

  recordsAfter(number: number): MeterRecord[] {
    return this.#all('SELECT * FROM records WHERE number > ? ORDER BY number', [number]).map(toRecord);
  }

  edges(): RegisterPoint[] {
    return this.#all('SELECT * FROM edges').map((row) => ({
      boot: row.boot as number,
      uptimeMs: row.uptime_ms as number,
      slot: 0,
      importMwh: row.import_mwh as number,
      exportMwh: row.export_mwh as number,
    }));
  }

  marks(): TimeMark[] {
    return this.#all('SELECT * FROM marks').map((row) => ({
      boot: row.boot as number,
      uptimeMs: row.uptime_ms as number,
      unixMs: row.unix_ms as number,
      exact: row.exact === 1,
    }));
  }

  hasSlot(slot: number): boolean {
    return this.#get('SELECT 1 FROM quarter_hours WHERE slot = ?', [slot]) !== undefined;
  }

  /** The first and the last quarter hour that were measured; null where there is none. */
  measuredRange(): { first: number; last: number } | null {
    const { first, last } = this.#get('SELECT min(slot) AS first, max(slot) AS last FROM quarter_hours')!;
    return first === null ? null : { first: first as number, last: last as number };
  }

  // ── reports: unsealed → sealed → delivered (or refused for good) ──

  /** Reports whose bytes are not made yet, oldest first. */
  unsealed(limit: number): Report[] {
    return this.#reports(`${WAITING} AND submission IS NULL ORDER BY slot LIMIT ?`, [limit]);
  }

  /** Reports whose bytes wait for the collector's acknowledgement, oldest first. */
  undelivered(): Report[] {
    return this.#reports(`${WAITING} AND submission IS NOT NULL ORDER BY slot`, []);
  }

  /** Keeps the bytes of a report. Bytes that are kept already stay: what was sent once is sent again, never replaced. */
  seal(slot: number, submission: Uint8Array): void {
    this.#run('UPDATE reports SET submission = ? WHERE slot = ? AND submission IS NULL AND delivered_ms IS NULL', [
      submission,
      slot,
    ]);
  }

  /** Marks reports as delivered, in one transaction. */
  deliver(slots: readonly number[], deliveredMs: number): void {
    this.#inTransaction(this.#household, () => {
      for (const slot of slots) {
        this.#run('UPDATE reports SET delivered_ms = ?, submission = NULL WHERE slot = ? AND delivered_ms IS NULL', [
          deliveredMs,
          slot,
        ]);
      }
    });
  }

  /** The collector will never take it. The bytes are kept: they are the evidence. */
  refuse(slot: number, refusal: string): void {
    this.#run('UPDATE reports SET refusal = ? WHERE slot = ? AND delivered_ms IS NULL', [refusal, slot]);
  }

  pendingReports(): number {
    return this.#get(`SELECT count(*) AS n FROM reports WHERE ${WAITING}`)!.n as number;
  }

  /** Slots in [fromSlot, toSlot). */
  reports(fromSlot: number, toSlot: number): Report[] {
    return this.#reports('slot >= ? AND slot < ? ORDER BY slot', [fromSlot, toSlot]);
  }

  // ── what the page shows ──

  /** Slots in [fromSlot, toSlot). */
  quarterHours(fromSlot: number, toSlot: number): MeasuredSlot[] {
    const rows = this.#all('SELECT * FROM quarter_hours WHERE slot >= ? AND slot < ? ORDER BY slot', [
      fromSlot,
      toSlot,
    ]);
    return rows.map((row) => ({
      slot: row.slot as number,
      startImportMwh: row.start_import_mwh as number,
      startExportMwh: row.start_export_mwh as number,
      endImportMwh: row.end_import_mwh as number,
      endExportMwh: row.end_export_mwh as number,
      exact: row.exact === 1,
    }));
  }

  lastLive(): TimedLive | null {
    const row = this.#get('SELECT * FROM live ORDER BY boot DESC, uptime_ms DESC LIMIT 1', [], this.#live);
    return row === undefined ? null : toLive(row);
  }

  /** Minutes that begin in [fromMs, toMs), with the mean of their live values in W. */
  minutes(fromMs: number, toMs: number): { unixMs: number; powerW: number }[] {
    const range = [Math.ceil(fromMs / MINUTE_MS), Math.ceil(toMs / MINUTE_MS)];
    const rows = this.#all('SELECT * FROM minutes WHERE minute >= ? AND minute < ? ORDER BY minute', range, this.#live);
    return rows.map((row) => ({
      unixMs: (row.minute as number) * MINUTE_MS,
      powerW: (row.power_mw_sum as number) / (row.samples as number) / 1000,
    }));
  }

  totals(): StoreTotals {
    const slots = this.#get(
      `SELECT count(*) AS n, coalesce(sum(end_import_mwh - start_import_mwh), 0) AS import_mwh,
        coalesce(sum(end_export_mwh - start_export_mwh), 0) AS export_mwh FROM quarter_hours`,
    )!;
    const delivered = this.#get('SELECT count(*) AS n FROM reports WHERE delivered_ms IS NOT NULL')!;
    return {
      records: this.#get('SELECT count(*) AS n FROM records')!.n as number,
      quarterHoursMeasured: slots.n as number,
      quarterHoursDelivered: delivered.n as number,
      importMwh: slots.import_mwh as number,
      exportMwh: slots.export_mwh as number,
    };
  }

  // ── inside ──

  #writeLives(lives: readonly TimedLive[]): void {
    const insert = this.#statement('INSERT OR REPLACE INTO live VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)', this.#live);
    const sums = new Map<number, { sum: number; samples: number }>();
    for (const l of lives) {
      insert.run(
        l.unixMs,
        l.boot,
        l.uptimeMs,
        l.powerMw,
        l.reactiveMvar,
        l.apparentMva,
        l.voltageMv,
        l.currentMa,
        l.powerFactorE4,
        l.frequencyMhz,
        l.importMwh,
        l.exportMwh,
        l.flags,
      );
      const minute = Math.floor(l.unixMs / MINUTE_MS);
      const sum = sums.get(minute);
      if (sum === undefined) sums.set(minute, { sum: l.powerMw, samples: 1 });
      else {
        sum.sum += l.powerMw;
        sum.samples++;
      }
    }
    const upsert = this.#statement(
      `INSERT INTO minutes VALUES (?,?,?) ON CONFLICT (minute) DO UPDATE SET
        power_mw_sum = power_mw_sum + excluded.power_mw_sum, samples = samples + excluded.samples`,
      this.#live,
    );
    for (const [minute, { sum, samples }] of sums) upsert.run(minute, sum, samples);
    const newestMs = lives[lives.length - 1].unixMs;
    this.#run('DELETE FROM live WHERE unix_ms < ?', [newestMs - LIVE_KEPT_MS], this.#live);
    this.#run(
      'DELETE FROM minutes WHERE minute < ?',
      [Math.floor((newestMs - MINUTES_KEPT_MS) / MINUTE_MS)],
      this.#live,
    );
  }

  /** Goes on from `progress`; marks and edges that lie before it have done their work. */
  #keepProgress(progress: Progress): void {
    this.setMeta('progress', JSON.stringify(progress));
    const { boot, uptimeMs } = progress;
    this.#run('DELETE FROM edges WHERE boot < ? OR (boot = ? AND uptime_ms <= ?)', [boot, boot, uptimeMs]);
    this.#run(
      `DELETE FROM marks WHERE boot < ? OR (boot = ? AND uptime_ms < (SELECT max(uptime_ms) FROM marks AS newer
        WHERE newer.boot = marks.boot AND newer.exact = marks.exact AND newer.uptime_ms <= ?))`,
      [boot, boot, uptimeMs],
    );
  }

  #reports(where: string, values: number[]): Report[] {
    return this.#all(`SELECT * FROM reports WHERE ${where}`, values).map((row) => ({
      slot: row.slot as number,
      importWh: row.import_wh as number,
      exportWh: row.export_wh as number,
      submission: row.submission as Uint8Array | null,
      deliveredMs: row.delivered_ms as number | null,
      refusal: row.refusal as string | null,
    }));
  }

  #inTransaction(database: DatabaseSync, work: () => void): void {
    database.exec('BEGIN IMMEDIATE');
    try {
      work();
      database.exec('COMMIT');
    } catch (error) {
      database.exec('ROLLBACK');
      throw error;
    }
  }

  #statement(sql: string, database: DatabaseSync): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(sql: string, values: Value[], database = this.#household): void {
    this.#statement(sql, database).run(...values);
  }
  #get(sql: string, values: Value[] = [], database = this.#household): Row | undefined {
    return this.#statement(sql, database).get(...values);
  }
  #all(sql: string, values: Value[] = [], database = this.#household): Row[] {
    return this.#statement(sql, database).all(...values);
  }
}

type Value = number | string | Uint8Array;
type Row = Record<string, unknown>;

const toRecord = (row: Row): MeterRecord => ({
  type: LINK_RECORD,
  number: row.number as number,
  boot: row.boot as number,
  uptimeMs: row.uptime_ms as number,
  slot: row.slot as number,
  importMwh: row.import_mwh as number,
  exportMwh: row.export_mwh as number,
  flags: row.flags as number,
});

const toLive = (row: Row): TimedLive => ({
  type: LINK_LIVE,
  unixMs: row.unix_ms as number,
  boot: row.boot as number,
  uptimeMs: row.uptime_ms as number,
  powerMw: row.power_mw as number,
  reactiveMvar: row.reactive_mvar as number,
  apparentMva: row.apparent_mva as number,
  voltageMv: row.voltage_mv as number,
  currentMa: row.current_ma as number,
  powerFactorE4: row.power_factor_e4 as number,
  frequencyMhz: row.frequency_mhz as number,
  importMwh: row.import_mwh as number,
  exportMwh: row.export_mwh as number,
  flags: row.flags as number,
});
