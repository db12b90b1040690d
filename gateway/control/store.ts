/**
 * What the gateway remembers of control, in a file of its own:
 *
 *   messages   every one that was taken: what is in force after a power cut, and what may not be taken again
 *   refusals   why others were not, each reason once with how often
 *   rules      the customer's, by appliance
 *
 * Every method is one transaction, on disk when it returns. What is over is forgotten after LISTED_MS.
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { ControlMemory, ControlMessage } from '../../protocol/control/message.ts';
import type { Rule } from '../../protocol/control/policies.ts';
import { openDatabase } from '../store-schema.ts';

const TABLES = `
  CREATE TABLE messages (id BLOB PRIMARY KEY, area TEXT NOT NULL, device_class TEXT NOT NULL, command TEXT NOT NULL,
    limit_w INTEGER, issued_ms INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE refusals (reason TEXT PRIMARY KEY, times INTEGER NOT NULL, last_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE rules (appliance TEXT PRIMARY KEY, rules TEXT NOT NULL) STRICT, WITHOUT ROWID;`;

/** The page shows the last month. */
const LISTED_MS = 31 * 86_400_000;
const REFUSALS_MOST = 50;

export interface TakenMessage extends ControlMessage {
  receivedMs: number;
}
export interface RefusedControl {
  reason: string;
  times: number;
  lastMs: number;
}

export class ControlStore implements ControlMemory {
  readonly #database: DatabaseSync;

  /** @param dataDir is there already */
  constructor(dataDir: string) {
    this.#database = openDatabase(join(dataDir, 'control.db'), 'FULL', TABLES);
  }

  has(id: Uint8Array): boolean {
    return this.#database.prepare('SELECT 1 FROM messages WHERE id = ?').get(id) !== undefined;
  }
  countIssued(fromMs: number, toMs: number): number {
    const row = this.#database
      .prepare('SELECT count(*) AS n FROM messages WHERE issued_ms >= ? AND issued_ms < ?')
      .get(fromMs, toMs);
    return row!.n as number;
  }
  add({ receivedMs, ...m }: TakenMessage): void {
    this.#database
      .prepare('INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(m.id, m.area, m.deviceClass, m.command, m.limitW, m.issuedMs, m.notBeforeMs, m.expiresMs, receivedMs);
    this.#database.prepare('DELETE FROM messages WHERE expires_ms < ?').run(receivedMs - LISTED_MS);
  }
  /** Those that expire after `nowMs`, oldest first. */
  unexpired(nowMs: number): TakenMessage[] {
    return this.#messages('WHERE expires_ms > ? ORDER BY issued_ms, id', nowMs);
  }
  /** Newest first. */
  list(most: number): TakenMessage[] {
    return this.#messages('ORDER BY issued_ms DESC, id LIMIT ?', most);
  }

  refuse(reason: string, nowMs: number): void {
    this.#database
      .prepare(
        `INSERT INTO refusals VALUES (?, 1, ?)
         ON CONFLICT (reason) DO UPDATE SET times = times + 1, last_ms = max(last_ms, excluded.last_ms)`,
      )
      .run(reason, nowMs);
    this.#database
      .prepare(
        `DELETE FROM refusals WHERE reason NOT IN (SELECT reason FROM refusals ORDER BY last_ms DESC LIMIT ${REFUSALS_MOST})`,
      )
      .run();
  }
  /** Newest first. */
  refusals(): RefusedControl[] {
    return this.#database
      .prepare('SELECT reason, times, last_ms FROM refusals ORDER BY last_ms DESC, reason')
      .all()
      .map((row) => ({ reason: row.reason as string, times: row.times as number, lastMs: row.last_ms as number }));
  }

  rules(appliance: string): Rule[] {
    const row = this.#database.prepare('SELECT rules FROM rules WHERE appliance = ?').get(appliance);
    return row === undefined ? [] : (JSON.parse(row.rules as string) as Rule[]);
  }
  setRules(appliance: string, rules: readonly Rule[]): void {
    this.#database.prepare('INSERT OR REPLACE INTO rules VALUES (?, ?)').run(appliance, JSON.stringify(rules));
  }

  close(): void {
    this.#database.close();
  }

  #messages(clause: string, value: number): TakenMessage[] {
    return this.#database
      .prepare(`SELECT * FROM messages ${clause}`)
      .all(value)
      .map((row) => ({
        id: row.id as Uint8Array,
        area: row.area as string,
        deviceClass: row.device_class as string,
        command: row.command as TakenMessage['command'],
        limitW: row.limit_w as number | null,
        issuedMs: row.issued_ms as number,
        notBeforeMs: row.not_before_ms as number,
        expiresMs: row.expires_ms as number,
        receivedMs: row.received_ms as number,
      }));
  }
}
