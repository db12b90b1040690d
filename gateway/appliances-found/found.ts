/**
 * Appliances that the house shows by itself: by how its power jumps when one is switched. Found here, named by the customer, kept in a
 * file of its own and told to nobody: no other part of the gateway reads it, and none sends it.
 *
 *   live values ─► steps (edges.ts) ─► runs (runs.ts) ─► kinds (kinds.ts) ─► appliances.db ─► the page
 *
 * What is on while the gateway restarts, or while the meter is silent, is left out. Memory is bounded: what is on at once, the kinds, the
 * newest weeks of runs.
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { TimedLive } from '../store.ts';
import { openDatabase } from '../store-schema.ts';
import type { FoundDay } from '../web/household-view.ts';
import { StepFinder } from './edges.ts';
import { ENOUGH_RUNS, grown, type Kind, kindOf, MOST_KINDS } from './kinds.ts';
import { type Run, RunFinder } from './runs.ts';

const TABLES = `
  CREATE TABLE kinds (id INTEGER PRIMARY KEY, label TEXT, runs INTEGER NOT NULL, power_w REAL NOT NULL, reactive_var REAL NOT NULL,
    squares_w2 REAL NOT NULL, last_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE runs (kind INTEGER NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, power_w REAL NOT NULL) STRICT;
  CREATE INDEX runs_by_end ON runs (to_ms);`;

const KEPT_MS = 35 * 86_400_000;
const MOST_RUNS = 50_000;
const MOST_LETTERS = 40;
const MWH_PER_W_MS = 1000 / 3_600_000;

export class FoundAppliances {
  readonly #database: DatabaseSync;
  readonly #steps = new StepFinder();
  readonly #runs = new RunFinder();
  readonly #kinds = new Map<number, Kind>();

  constructor(dataDir: string) {
    this.#database = openDatabase(join(dataDir, 'appliances.db'), 'NORMAL', TABLES);
    for (const row of this.#database.prepare('SELECT * FROM kinds').all()) {
      const kind = kindFrom(row);
      this.#kinds.set(kind.id, kind);
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Live values in the order of time. */
  take(lives: readonly Pick<TimedLive, 'unixMs' | 'powerMw' | 'reactiveMvar'>[]): void {
    const ended: Run[] = [];
    for (const { unixMs, powerMw, reactiveMvar } of lives) {
      const step = this.#steps.take({ unixMs, powerW: powerMw / 1000, reactiveVar: reactiveMvar / 1000 });
      if (step === 'lost') this.#runs.forget();
      else if (step) ended.push(...this.#runs.take(step));
    }
    if (ended.length === 0) return;
    this.#database.exec('BEGIN');
    for (const run of ended) this.#keep(run);
    const newestMs = ended[ended.length - 1].toMs;
    this.#run('DELETE FROM runs WHERE to_ms < ?', newestMs - KEPT_MS);
    this.#run(
      'DELETE FROM runs WHERE rowid <= (SELECT rowid FROM runs ORDER BY rowid DESC LIMIT 1 OFFSET ?)',
      MOST_RUNS,
    );
    this.#database.exec('COMMIT');
  }

  /**
   * What was found in [fromMs, toMs).
   * @param drawnMwh what the house drew in that time, and @param fedMwh what it fed in
   */
  day(fromMs: number, toMs: number, drawnMwh: number, fedMwh: number): FoundDay {
    const rows = this.#database
      .prepare(
        `SELECT kind, count(*) AS times, sum((min(to_ms, :to) - max(from_ms, :from)) * power_w) AS w_ms
          FROM runs WHERE to_ms > :from AND from_ms < :to GROUP BY kind`,
      )
      .all({ from: fromMs, to: toMs });
    const byKind = new Map(rows.map((row) => [row.kind as number, row]));
    const on = new Set(this.#runs.on.map((step) => kindOf(step, this.#kinds.values())?.id));
    const appliances = [...this.#kinds.values()]
      .filter(({ runs, label }) => runs >= ENOUGH_RUNS || label !== null)
      .map(({ id, label, powerW, lastMs }) => ({
        id,
        label,
        powerW: Math.round(powerW),
        times: (byKind.get(id)?.times as number | undefined) ?? 0,
        energyMwh: Math.round(((byKind.get(id)?.w_ms as number | undefined) ?? 0) * MWH_PER_W_MS),
        on: on.has(id),
        lastMs,
      }))
      .sort((a, b) => b.energyMwh - a.energyMwh || b.powerW - a.powerW);
    const foundMwh = appliances.reduce((sum, { energyMwh }) => sum + energyMwh, 0);
    // what panels gave to appliances directly never passed the meter: then nobody knows the whole
    const restMwh = fedMwh > 0 || foundMwh > drawnMwh ? null : drawnMwh - foundMwh;
    return { drawnMwh, restMwh, appliances };
  }

  /** Names a kind; nothing or spaces: it has no name any more. @throws MalformedError */
  label(id: unknown, label: unknown): void {
    const kind = typeof id === 'number' ? this.#kinds.get(id) : undefined;
    if (!kind) throw new MalformedError('found.id', 'is none of what was found here');
    if (typeof label !== 'string') throw new MalformedError('found.label', 'is no text');
    const text = label.trim().replace(/\s+/g, ' ');
    if ([...text].length > MOST_LETTERS || /\p{Cc}/u.test(text))
      throw new MalformedError('found.label', `is longer than ${MOST_LETTERS} letters, or no plain text`);
    this.#put({ ...kind, label: text === '' ? null : text });
  }

  #keep(run: Run): void {
    const known = kindOf(run, this.#kinds.values());
    const kind = known ? grown(known, run) : this.#begin(run);
    this.#put(kind);
    const { fromMs, toMs, powerW } = run;
    this.#run('INSERT INTO runs VALUES (?,?,?,?)', kind.id, fromMs, toMs, powerW);
  }

  #begin({ powerW, reactiveVar, toMs }: Run): Kind {
    if (this.#kinds.size >= MOST_KINDS) this.#dropOne();
    const id = Math.max(0, ...this.#kinds.keys()) + 1;
    return { id, label: null, runs: 1, powerW, reactiveVar, squaresW2: 0, lastMs: toMs };
  }

  /** What has no name and was rare, or was not seen for the longest time. */
  #dropOne(): void {
    const rare = ({ runs }: Kind) => Number(runs >= ENOUGH_RUNS);
    const [oldest] = [...this.#kinds.values()].sort(
      (a, b) => Number(a.label !== null) - Number(b.label !== null) || rare(a) - rare(b) || a.lastMs - b.lastMs,
    );
    this.#kinds.delete(oldest.id);
    this.#run('DELETE FROM kinds WHERE id = ?', oldest.id);
    this.#run('DELETE FROM runs WHERE kind = ?', oldest.id);
  }

  #put(kind: Kind): void {
    this.#kinds.set(kind.id, kind);
    const { id, label, runs, powerW, reactiveVar, squaresW2, lastMs } = kind;
    this.#run(
      'INSERT OR REPLACE INTO kinds VALUES (?,?,?,?,?,?,?)',
      id,
      label,
      runs,
      powerW,
      reactiveVar,
      squaresW2,
      lastMs,
    );
  }

  #run(sql: string, ...values: (number | string | null)[]): void {
    this.#database.prepare(sql).run(...values);
  }
}

const kindFrom = (row: Record<string, unknown>): Kind => ({
  id: row.id as number,
  label: row.label as string | null,
  runs: row.runs as number,
  powerW: row.power_w as number,
  reactiveVar: row.reactive_var as number,
  squaresW2: row.squares_w2 as number,
  lastMs: row.last_ms as number,
});
