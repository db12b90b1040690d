/**
 * What the grid operator's register keeps: which gateway (by its EK certificate) hangs at which address. No name, no customer
 * number, no pseudonym ever comes near it.
 *
 *   devices   serial → EK certificate, address, area, state, version of the last change       for ever: a revoked one must stay so
 *   state     the newest version, and the one that the trusted third party has
 *
 * Every method is one transaction, on disk when it returns.
 */
import type { Device, DeviceState } from '../../protocol/identity/devices.ts';
import { type DatabaseSync, inTransaction, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS devices (
    serial TEXT PRIMARY KEY, ekCertificate BLOB NOT NULL, address TEXT, area TEXT, state TEXT NOT NULL, version INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS devicesByVersion ON devices (version);
  CREATE INDEX IF NOT EXISTS devicesByArea ON devices (area);
`;

export interface RegisteredDevice extends Device {
  /** DER. */
  ekCertificate: Uint8Array;
}
const COLUMNS = 'serial, address, area, state, ekCertificate';

export class RegisterStore {
  /** Other steps of the grid operator keep tables of their own in it. */
  readonly database: DatabaseSync;

  constructor(file: string) {
    this.database = openStore(file, SCHEMA);
  }

  device(serial: string): RegisteredDevice | undefined {
    return this.database.prepare(`SELECT ${COLUMNS} FROM devices WHERE serial = ?`).get(serial) as
      | RegisteredDevice
      | undefined;
  }
  /** In the order of their serials, for whoever reads page by page. */
  devicesAfter(serial: string, most: number): Device[] {
    return this.database
      .prepare('SELECT serial, address, area, state FROM devices WHERE serial > ? ORDER BY serial LIMIT ?')
      .all(serial, most) as unknown as Device[];
  }

  installedIn(area: string): number {
    const row = this.database
      .prepare("SELECT count(*) AS n FROM devices WHERE area = ? AND state = 'installed'")
      .get(area) as { n: number };
    return row.n;
  }

  /** Stores the device as it is now, under a new version. */
  put({ serial, ekCertificate, address, area, state }: RegisteredDevice): void {
    inTransaction(this.database, () => {
      const version = this.version + 1;
      this.database
        .prepare('INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?)')
        .run(serial, ekCertificate, address, area, state satisfies DeviceState, version);
      this.#set('version', version);
    });
  }

  get version(): number {
    return this.#get('version');
  }
  /** What the trusted third party said that it has. */
  get deliveredVersion(): number {
    return this.#get('deliveredVersion');
  }
  set deliveredVersion(version: number) {
    this.#set('deliveredVersion', version);
  }
  /** In the order of their changes. */
  changesAfter(version: number, most: number): (Device & { version: number })[] {
    return this.database
      .prepare('SELECT serial, address, area, state, version FROM devices WHERE version > ? ORDER BY version LIMIT ?')
      .all(version, most) as unknown as (Device & { version: number })[];
  }

  /** Makes all versions greater by `by`, which must be more than the newest one. */
  raiseVersions(by: number): void {
    inTransaction(this.database, () => {
      this.database.prepare('UPDATE devices SET version = version + ?').run(by);
      this.#set('version', this.version + by);
    });
  }

  close(): void {
    this.database.close();
  }

  #get(name: string): number {
    const row = this.database.prepare('SELECT value FROM state WHERE name = ?').get(name) as
      | { value: number }
      | undefined;
    return row?.value ?? 0;
  }
  #set(name: string, value: number): void {
    this.database.prepare('INSERT OR REPLACE INTO state VALUES (?, ?)').run(name, value);
  }
}
