/**
 * What the trusted third party keeps, and for how long. By its part in the system it may know who is behind a pseudonym, and
 * nothing of when or how much they use: readings never come near it.
 *
 *   devices       the grid operator's list: serial → address, area, state
 *   customers     provider's batches: customer number → salted hash of the PIN, wrong tries, the gateway that used it
 *   tries         serial → wrong PINs since the last right one
 *   transactions  an initialisation under way or done: its answers, byte for byte     a day after its last message; personal data in it
 *                 only until the answer is given
 *   identities    gateway ↔ customer, with the keys and certificates' serial numbers  until those have expired
 *   pseudonyms    identity, day → public key and certificate: one for a day           until the month of the day is settled
 *   lists         the signed lists of what is revoked
 *   nonces        of signed requests (shared/nonce-memory.ts)
 *
 * Every method is one transaction, on disk when it returns: an answer is stored before it is sent.
 */
import type { Device } from '../../protocol/identity/devices.ts';
import type { CustomerPin } from '../../protocol/identity/pin.ts';
import { type DatabaseSync, forgetLog, inTransaction, openStore, type StatementSync } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS devices (
    serial TEXT PRIMARY KEY, address TEXT, area TEXT, state TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS customers (
    provider TEXT NOT NULL, customerNumber TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, usedBy TEXT, PRIMARY KEY (provider, customerNumber)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS tries (serial TEXT PRIMARY KEY, wrong INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS transactions (
    id BLOB PRIMARY KEY, atMs INTEGER NOT NULL, serial TEXT NOT NULL, secret BLOB, request TEXT,
    challenge TEXT NOT NULL, answered BLOB, outcome TEXT
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS identities (
    id INTEGER PRIMARY KEY, serial TEXT NOT NULL, provider TEXT NOT NULL, customerNumber TEXT NOT NULL,
    name TEXT NOT NULL, address TEXT NOT NULL, area TEXT NOT NULL, ekPublic BLOB NOT NULL, akPublic BLOB NOT NULL,
    identifierSerial TEXT NOT NULL UNIQUE, householdSerial TEXT NOT NULL, attestationSerial TEXT NOT NULL,
    firstDay INTEGER NOT NULL, notAfterMs INTEGER NOT NULL, endedMs INTEGER
  );
  CREATE TABLE IF NOT EXISTS pseudonyms (
    identity INTEGER NOT NULL, day INTEGER NOT NULL, publicKey BLOB NOT NULL UNIQUE, certificate BLOB NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (identity, day)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS lists (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
`;

export interface Customer {
  provider: string;
  customerNumber: string;
  salt: Uint8Array;
  hash: Uint8Array;
  tries: number;
  /** EK serial of the gateway that its PIN was used for. */
  usedBy: string | null;
}

/** What is kept of a request between challenge and answer. */
export interface PendingRequest {
  ekPublic: string;
  akPublic: string;
  name: string;
  address: string;
  provider: string;
  customerNumber: string;
  pinMatches: boolean;
}
export interface Transaction {
  id: Uint8Array;
  atMs: number;
  serial: string;
  /** Activates step 3; null when the outcome is there. */
  secret: Uint8Array | null;
  /** JSON of a PendingRequest (base64url for bytes); null when the outcome is there. */
  request: string | null;
  /** JSON of the answer to step 1. */
  challenge: string;
  /** SHA-256 of the sealed answer that has the outcome; null before. */
  answered: Uint8Array | null;
  /** JSON of the answer to step 3, or of its refusal. */
  outcome: string | null;
}

export interface IdentityRow {
  id: number;
  serial: string;
  provider: string;
  customerNumber: string;
  name: string;
  address: string;
  area: string;
  ekPublic: Uint8Array;
  akPublic: Uint8Array;
  identifierSerial: string;
  householdSerial: string;
  attestationSerial: string;
  firstDay: number;
  notAfterMs: number;
  endedMs: number | null;
}
export interface PseudonymRow {
  day: number;
  publicKey: Uint8Array;
  certificate: Uint8Array;
}
export type ListName = 'revokedPseudonyms' | 'revokedCertificates';

type Value = string | number | Uint8Array | null;

export class ThirdPartyStore {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(file: string) {
    this.database = openStore(file, SCHEMA);
  }

  /** All of it or nothing; may not be nested. */
  atOnce<T>(work: () => T): T {
    return inTransaction(this.database, work);
  }

  // The grid operator's list

  get devicesVersion(): number {
    return this.#get<{ value: number }>("SELECT value FROM state WHERE name = 'devicesVersion'")?.value ?? 0;
  }
  takeDevices(version: number, devices: readonly Device[]): void {
    for (const { serial, address, area, state } of devices)
      this.#run('INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?)', serial, address, area, state);
    this.#run("INSERT OR REPLACE INTO state VALUES ('devicesVersion', ?)", version);
  }
  device(serial: string): Device | undefined {
    return this.#get<Device>('SELECT serial, address, area, state FROM devices WHERE serial = ?', serial);
  }

  // Customers and their PINs

  /** A new PIN for a number takes the place of the old one, and unlocks it. The same line again changes nothing. */
  takePins(provider: string, pins: readonly CustomerPin[]): void {
    this.atOnce(() => {
      for (const { customerNumber, salt, hash } of pins) {
        const known = this.customer(provider, customerNumber);
        if (known && Buffer.from(known.hash).equals(hash)) continue;
        this.#run(
          'INSERT OR REPLACE INTO customers VALUES (?, ?, ?, ?, 0, NULL)',
          provider,
          customerNumber,
          salt,
          hash,
        );
      }
    });
  }
  customer(provider: string, customerNumber: string): Customer | undefined {
    return this.#get<Customer>(
      'SELECT * FROM customers WHERE provider = ? AND customerNumber = ?',
      provider,
      customerNumber,
    );
  }
  wrongTries(serial: string): number {
    return this.#get<{ wrong: number }>('SELECT wrong FROM tries WHERE serial = ?', serial)?.wrong ?? 0;
  }
  countWrongPin(serial: string, provider: string, customerNumber: string): void {
    this.#run('INSERT INTO tries VALUES (?, 1) ON CONFLICT (serial) DO UPDATE SET wrong = wrong + 1', serial);
    this.#run(
      'UPDATE customers SET tries = tries + 1 WHERE provider = ? AND customerNumber = ?',
      provider,
      customerNumber,
    );
  }
  pinUsed(serial: string, provider: string, customerNumber: string): void {
    this.forgetTries(serial);
    this.#run(
      'UPDATE customers SET tries = 0, usedBy = ? WHERE provider = ? AND customerNumber = ?',
      serial,
      provider,
      customerNumber,
    );
  }
  /** By hand, when the customer has shown who they are, or by a new batch of PINs. */
  forgetTries(serial: string): void {
    this.#run('DELETE FROM tries WHERE serial = ?', serial);
  }

  // Transactions

  transaction(id: Uint8Array): Transaction | undefined {
    return this.#get<Transaction>('SELECT * FROM transactions WHERE id = ?', id);
  }
  begin({ id, atMs, serial, secret, request, challenge }: Omit<Transaction, 'answered' | 'outcome'>): void {
    this.#run(
      'INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)',
      id,
      atMs,
      serial,
      secret,
      request,
      challenge,
    );
  }
  /** Keeps the answer for who asks again, and nothing else of it. */
  finish(id: Uint8Array, atMs: number, answered: Uint8Array, outcome: string): void {
    this.#run(
      'UPDATE transactions SET atMs = ?, answered = ?, outcome = ?, secret = NULL, request = NULL WHERE id = ?',
      atMs,
      answered,
      outcome,
      id,
    );
  }

  // Identities and pseudonyms

  /** @returns the new identity's number */
  addIdentity(identity: Omit<IdentityRow, 'id' | 'endedMs'>): number {
    const i = identity;
    return Number(
      this.#statement(
        `INSERT INTO identities (serial, provider, customerNumber, name, address, area, ekPublic, akPublic, identifierSerial,
           householdSerial, attestationSerial, firstDay, notAfterMs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(
        i.serial,
        i.provider,
        i.customerNumber,
        i.name,
        i.address,
        i.area,
        i.ekPublic,
        i.akPublic,
        i.identifierSerial,
        i.householdSerial,
        i.attestationSerial,
        i.firstDay,
        i.notAfterMs,
      ).lastInsertRowid,
    );
  }
  identityOf(identifierSerial: string): IdentityRow | undefined {
    return this.#get<IdentityRow>('SELECT * FROM identities WHERE identifierSerial = ?', identifierSerial);
  }
  identityOfHousehold(householdSerial: string): IdentityRow | undefined {
    return this.#get<IdentityRow>('SELECT * FROM identities WHERE householdSerial = ?', householdSerial);
  }
  /** Its identifier is another one from now on. */
  changeProvider(
    id: number,
    {
      provider,
      customerNumber,
      identifierSerial,
    }: Pick<IdentityRow, 'provider' | 'customerNumber' | 'identifierSerial'>,
  ): void {
    this.#run(
      'UPDATE identities SET provider = ?, customerNumber = ?, identifierSerial = ? WHERE id = ?',
      provider,
      customerNumber,
      identifierSerial,
      id,
    );
  }
  /** Whether a certificate of this serial number is no longer believed, or never was issued. */
  isEnded(serialNumber: string): boolean {
    return (
      this.#get(
        'SELECT 1 FROM identities WHERE endedMs IS NULL AND (identifierSerial = ? OR householdSerial = ? OR attestationSerial = ?)',
        serialNumber,
        serialNumber,
        serialNumber,
      ) === undefined
    );
  }
  activeIdentitiesOfDevice(serial: string): IdentityRow[] {
    return this.#all<IdentityRow>('SELECT * FROM identities WHERE endedMs IS NULL AND serial = ?', serial);
  }
  activeIdentities(serial: string, provider: string, customerNumber: string): IdentityRow[] {
    return this.#all<IdentityRow>(
      'SELECT * FROM identities WHERE endedMs IS NULL AND (serial = ? OR (provider = ? AND customerNumber = ?))',
      serial,
      provider,
      customerNumber,
    );
  }
  /** Nothing of it is believed from now on: its certificates, and its pseudonyms from `fromDay` on. */
  endIdentity(id: number, nowMs: number, fromDay: number): void {
    this.#run('UPDATE identities SET endedMs = ? WHERE id = ? AND endedMs IS NULL', nowMs, id);
    this.#run('UPDATE pseudonyms SET revoked = 1 WHERE identity = ? AND day >= ?', id, fromDay);
  }

  pseudonyms(identity: number): PseudonymRow[] {
    return this.#all<PseudonymRow>('SELECT day, publicKey, certificate FROM pseudonyms WHERE identity = ?', identity);
  }
  addPseudonym(identity: number, { day, publicKey, certificate }: PseudonymRow): void {
    this.#run(
      'INSERT INTO pseudonyms (identity, day, publicKey, certificate) VALUES (?, ?, ?, ?)',
      identity,
      day,
      publicKey,
      certificate,
    );
  }
  /** Whether a gateway, or a customer wherever they lived, has a pseudonym of this day that is believed. */
  hasPseudonym(day: number, serial: string, provider: string, customerNumber: string): boolean {
    return (
      this.#get(
        `SELECT 1 FROM pseudonyms JOIN identities ON identity = id WHERE day = ? AND NOT revoked
           AND (serial = ? OR (provider = ? AND customerNumber = ?))`,
        day,
        serial,
        provider,
        customerNumber,
      ) !== undefined
    );
  }
  keyIsKnown(publicKey: Uint8Array): boolean {
    return this.#get('SELECT 1 FROM pseudonyms WHERE publicKey = ?', publicKey) !== undefined;
  }

  // What is revoked

  revokedPseudonyms(fromDay: number, toDay: number): Uint8Array[] {
    const rows = this.#all<{ publicKey: Uint8Array }>(
      'SELECT publicKey FROM pseudonyms WHERE revoked AND day BETWEEN ? AND ?',
      fromDay,
      toDay,
    );
    return rows.map(({ publicKey }) => publicKey);
  }
  revokedCertificates(nowMs: number): string[] {
    const rows = this.#all<Pick<IdentityRow, 'identifierSerial' | 'householdSerial' | 'attestationSerial'>>(
      'SELECT identifierSerial, householdSerial, attestationSerial FROM identities WHERE endedMs IS NOT NULL AND notAfterMs > ?',
      nowMs,
    );
    return rows.flatMap((row) => [row.identifierSerial, row.householdSerial, row.attestationSerial]);
  }
  list(name: ListName): Uint8Array | undefined {
    return this.#get<{ bytes: Uint8Array }>('SELECT bytes FROM lists WHERE name = ?', name)?.bytes;
  }
  setList(name: ListName, bytes: Uint8Array): void {
    this.#run('INSERT OR REPLACE INTO lists VALUES (?, ?)', name, bytes);
  }

  /** Forgets transactions before `transactionsMs`, pseudonyms of days before `day`, and identities that expired. */
  forget({ transactionsMs, day, nowMs }: { transactionsMs: number; day: number; nowMs: number }): void {
    const forgotten = this.atOnce(
      () =>
        this.#run('DELETE FROM transactions WHERE atMs < ?', transactionsMs) +
        this.#run('DELETE FROM pseudonyms WHERE day < ?', day) +
        this.#run('DELETE FROM identities WHERE notAfterMs < ?', nowMs),
    );
    if (forgotten > 0) forgetLog(this.database);
  }

  /** For those who watch over it. */
  counts(): Record<'devices' | 'customers' | 'identities' | 'ended' | 'pseudonyms' | 'revokedPseudonyms', number> {
    const count = (of: string): number => this.#get<{ n: number }>(`SELECT count(*) AS n FROM ${of}`)!.n;
    return {
      devices: count('devices'),
      customers: count('customers'),
      identities: count('identities WHERE endedMs IS NULL'),
      ended: count('identities WHERE endedMs IS NOT NULL'),
      pseudonyms: count('pseudonyms'),
      revokedPseudonyms: count('pseudonyms WHERE revoked'),
    };
  }

  close(): void {
    this.database.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
  #get<Row>(sql: string, ...values: Value[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }
  #all<Row>(sql: string, ...values: Value[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }
  #run(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }
}
