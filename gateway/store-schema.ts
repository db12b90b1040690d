/**
 * The tables of the gateway's two files, and how a file is opened: made where it is missing, refused where a newer gateway
 * wrote it.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const SCHEMA_VERSION = 1;
export const HOUSEHOLD_TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE records (number INTEGER PRIMARY KEY, boot INTEGER NOT NULL, uptime_ms INTEGER NOT NULL, slot INTEGER NOT NULL,
    import_mwh INTEGER NOT NULL, export_mwh INTEGER NOT NULL, flags INTEGER NOT NULL) STRICT;
  CREATE TABLE edges (boot INTEGER, uptime_ms INTEGER, import_mwh INTEGER NOT NULL, export_mwh INTEGER NOT NULL,
    PRIMARY KEY (boot, uptime_ms)) STRICT, WITHOUT ROWID;
  CREATE TABLE marks (boot INTEGER, exact INTEGER, uptime_ms INTEGER, unix_ms INTEGER NOT NULL,
    PRIMARY KEY (boot, exact, uptime_ms)) STRICT, WITHOUT ROWID;
  CREATE TABLE quarter_hours (slot INTEGER PRIMARY KEY, start_import_mwh INTEGER NOT NULL, start_export_mwh INTEGER NOT NULL,
    end_import_mwh INTEGER NOT NULL, end_export_mwh INTEGER NOT NULL, exact INTEGER NOT NULL) STRICT;
  CREATE TABLE reports (slot INTEGER PRIMARY KEY, import_wh INTEGER NOT NULL, export_wh INTEGER NOT NULL,
    submission BLOB, delivered_ms INTEGER, refusal TEXT) STRICT;
  CREATE INDEX reports_waiting ON reports (slot) WHERE delivered_ms IS NULL AND refusal IS NULL;`;

export const LIVE_TABLES = `
  CREATE TABLE live (unix_ms INTEGER PRIMARY KEY, boot INTEGER NOT NULL, uptime_ms INTEGER NOT NULL, power_mw INTEGER NOT NULL,
    reactive_mvar INTEGER NOT NULL, apparent_mva INTEGER NOT NULL, voltage_mv INTEGER NOT NULL, current_ma INTEGER NOT NULL,
    power_factor_e4 INTEGER NOT NULL, frequency_mhz INTEGER NOT NULL, import_mwh INTEGER NOT NULL,
    export_mwh INTEGER NOT NULL, flags INTEGER NOT NULL) STRICT;
  CREATE TABLE minutes (minute INTEGER PRIMARY KEY, power_mw_sum INTEGER NOT NULL, samples INTEGER NOT NULL) STRICT;`;

/** A store that was written by a newer gateway: update this one; nothing has been changed. */
export class SchemaError extends Error {
  readonly file: string;
  readonly found: number;
  constructor(file: string, found: number) {
    super(
      `${file} has schema version ${found}, this gateway knows ${SCHEMA_VERSION}: it was written by a newer gateway`,
    );
    this.name = 'SchemaError';
    this.file = file;
    this.found = found;
  }
}

/** @throws SchemaError, and what SQLite says of a file that is none of its own */
export function openDatabase(file: string, synchronous: 'FULL' | 'NORMAL', tables: string): DatabaseSync {
  closeSync(openSync(file, 'a', 0o600)); // SQLite gives its -wal and -shm the mode of the file itself
  chmodSync(file, 0o600);
  const database = new DatabaseSync(file, { timeout: 5000 });
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
  const version = database.prepare('PRAGMA user_version').get()!.user_version as number;
  if (version > SCHEMA_VERSION) {
    database.close();
    throw new SchemaError(file, version);
  }
  if (version === 0) database.exec(`BEGIN; ${tables} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
  return database;
}
