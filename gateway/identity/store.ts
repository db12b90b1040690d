/**
 * What the gateway keeps of its names: one SQLite file (mode 0600) whose every commit is on the disk when it returns.
 *
 *   entries      attempt: an initialisation under way, as its exact bytes · certificates: what the third party gave last ·
 *                refusal: why it gave none, for people · another: a change of provider that is asked for · former: identifiers
 *                of former providers, for their last bills
 *   keys         the household's TPM keys by name, as blobs that only its TPM loads; `next …` of an initialisation under way
 *   pseudonyms   day → key and certificate; certificate null where it is asked for
 *
 * No personal data and no PIN is ever in it: the request is kept sealed to the third party.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { openDatabase } from '../store-schema.ts';
import type { KeyBlob } from '../tpm/key-file.ts';

const TABLES = `
  CREATE TABLE entries (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE keys (
    name TEXT PRIMARY KEY, purpose TEXT NOT NULL, privateBlob BLOB NOT NULL, publicBlob BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE pseudonyms (
    next INTEGER NOT NULL, day INTEGER NOT NULL, privateBlob BLOB NOT NULL, publicBlob BLOB NOT NULL, certificate BLOB,
    PRIMARY KEY (next, day)
  ) WITHOUT ROWID;
`;

/** `another` is the identifier key of a provider that is to come, `former …` one of a provider that was. */
export type KeyName = 'attestation' | 'identifier' | 'household' | 'another' | `former ${string}`;
/** Of the names in use, or of an initialisation that is under way. */
export type Generation = 'present' | 'next';

/** An initialisation under way: what is sent until it is answered. Base64url. */
export type Attempt = { phase: 'request'; sealed: string } | { phase: 'answer'; transaction: string; sealed: string };

/** DER in base64url, as the third party gave them. */
export interface KeptCertificates {
  identifier: string;
  household: string;
  attestation: string;
  area: string;
}
/** An identifier beside the present one. */
export interface FormerIdentifier {
  provider: string;
  /** DER, base64url. */
  certificate: string;
}
interface Entries {
  attempt: Attempt;
  /** Base64url: what is sent until it is answered. */
  another: { sealed: string };
  former: FormerIdentifier[];
  certificates: KeptCertificates;
  refusal: string;
}

export class IdentityStore {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#database = openDatabase(file, 'FULL', TABLES);
    this.#database.exec('PRAGMA secure_delete = ON');
  }

  get<Name extends keyof Entries>(name: Name): Entries[Name] | null {
    const row = this.#database.prepare('SELECT json FROM entries WHERE name = ?').get(name) as
      | { json: string }
      | undefined;
    return row ? JSON.parse(row.json) : null;
  }
  set<Name extends keyof Entries>(name: Name, value: Entries[Name]): void {
    this.#database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)').run(name, JSON.stringify(value));
  }
  delete(name: keyof Entries): void {
    this.#database.prepare('DELETE FROM entries WHERE name = ?').run(name);
  }

  key(name: KeyName, generation: Generation = 'present'): KeyBlob | null {
    const row = this.#database
      .prepare('SELECT purpose, privateBlob, publicBlob FROM keys WHERE name = ?')
      .get(generation === 'next' ? `next ${name}` : name);
    return (row as unknown as KeyBlob | undefined) ?? null;
  }
  setNextKey(name: KeyName, { purpose, privateBlob, publicBlob }: KeyBlob): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)')
      .run(`next ${name}`, purpose, privateBlob, publicBlob);
  }

  /** Keys that no certificate is there for yet, in the order of their days. */
  uncertified(generation: Generation): { day: number; key: KeyBlob }[] {
    const rows = this.#database
      .prepare(
        'SELECT day, privateBlob, publicBlob FROM pseudonyms WHERE next = ? AND certificate IS NULL ORDER BY day',
      )
      .all(generation === 'next' ? 1 : 0) as unknown as {
      day: number;
      privateBlob: Uint8Array;
      publicBlob: Uint8Array;
    }[];
    return rows.map(({ day, privateBlob, publicBlob }) => ({
      day,
      key: { purpose: 'signing' as const, privateBlob, publicBlob },
    }));
  }
  addUncertified(generation: Generation, day: number, { privateBlob, publicBlob }: KeyBlob): void {
    this.#database
      .prepare('INSERT INTO pseudonyms VALUES (?, ?, ?, ?, NULL)')
      .run(generation === 'next' ? 1 : 0, day, privateBlob, publicBlob);
  }
  /** Days that have a pseudonym which is certified. */
  certifiedDays(): number[] {
    const rows = this.#database
      .prepare('SELECT day FROM pseudonyms WHERE next = 0 AND certificate IS NOT NULL ORDER BY day')
      .all() as { day: number }[];
    return rows.map(({ day }) => day);
  }
  pseudonym(day: number): { key: KeyBlob; certificate: Uint8Array } | null {
    const row = this.#database
      .prepare(
        'SELECT privateBlob, publicBlob, certificate FROM pseudonyms WHERE next = 0 AND day = ? AND certificate IS NOT NULL',
      )
      .get(day) as { privateBlob: Uint8Array; publicBlob: Uint8Array; certificate: Uint8Array } | undefined;
    if (!row) return null;
    const { privateBlob, publicBlob, certificate } = row;
    return { key: { purpose: 'signing', privateBlob, publicBlob }, certificate };
  }

  /** A new initialisation: what was made for another one is thrown away, but for the attestation key, which says nothing. */
  beginAttempt(attempt: Attempt): void {
    this.#atOnce(() => {
      this.#database.exec(
        "DELETE FROM pseudonyms WHERE next = 1; DELETE FROM keys WHERE name IN ('next identifier', 'next household')",
      );
      this.set('attempt', attempt);
      this.delete('refusal');
    });
  }
  /** It came to nothing: the names from before, where there are any, hold. */
  refuse(reason: string): void {
    this.#atOnce(() => {
      this.delete('attempt');
      this.set('refusal', reason);
    });
  }
  /** What the third party gave takes the place of what was; pseudonyms of other days stay, for what is still to be reported. */
  accept(certificates: KeptCertificates, pseudonyms: readonly { day: number; certificate: Uint8Array }[]): void {
    this.#atOnce(() => {
      this.#database.exec(`
        DELETE FROM keys WHERE name NOT LIKE 'next %' AND 'next ' || name IN (SELECT name FROM keys);
        UPDATE keys SET name = substr(name, 6) WHERE name LIKE 'next %';
        DELETE FROM keys WHERE name LIKE 'former %';
        DELETE FROM pseudonyms WHERE next = 0 AND certificate IS NULL`);
      this.delete('former');
      this.delete('another');
      const first = Math.min(...pseudonyms.map(({ day }) => day));
      // from there on the former ones are revoked
      this.#database.prepare('DELETE FROM pseudonyms WHERE next = 0 AND day >= ?').run(first);
      for (const { day, certificate } of pseudonyms)
        this.#database
          .prepare('UPDATE pseudonyms SET next = 0, certificate = ? WHERE next = 1 AND day = ?')
          .run(certificate, day);
      this.#database.exec('DELETE FROM pseudonyms WHERE next = 1');
      this.set('certificates', certificates);
      this.delete('attempt');
      this.delete('refusal');
    });
  }
  /** Another provider's identifier takes the place of the present one, which is kept under its provider's name. */
  acceptAnother(certificate: string, formerProvider: string): void {
    this.#atOnce(() => {
      const certificates = this.get('certificates')!;
      const former = (this.get('former') ?? []).filter(({ provider }) => provider !== formerProvider);
      this.set('former', [...former, { provider: formerProvider, certificate: certificates.identifier }]);
      this.#database.prepare('DELETE FROM keys WHERE name = ?').run(`former ${formerProvider}`);
      this.#database.prepare("UPDATE keys SET name = ? WHERE name = 'identifier'").run(`former ${formerProvider}`);
      this.#database.exec("UPDATE keys SET name = 'identifier' WHERE name = 'next another'");
      this.set('certificates', { ...certificates, identifier: certificate });
      this.delete('another');
    });
  }
  /** The people have moved out: no names any longer, and no pseudonym from `fromDay` on. */
  forgetHousehold(fromDay: number): void {
    this.#atOnce(() => {
      this.#database.exec("DELETE FROM keys WHERE name <> 'attestation'");
      this.#database.prepare('DELETE FROM pseudonyms WHERE day >= ?').run(fromDay);
      for (const name of ['attempt', 'another', 'former', 'certificates', 'refusal'] as const) this.delete(name);
    });
  }
  /** More days were certified. */
  certify(pseudonyms: readonly { day: number; certificate: Uint8Array }[]): void {
    this.#atOnce(() => {
      for (const { day, certificate } of pseudonyms)
        this.#database
          .prepare('UPDATE pseudonyms SET certificate = ? WHERE next = 0 AND day = ? AND certificate IS NULL')
          .run(certificate, day);
    });
  }
  /** What was to be reported of these days is reported, or can be no more. */
  forgetBefore(day: number): void {
    this.#database.prepare('DELETE FROM pseudonyms WHERE next = 0 AND day < ?').run(day);
  }

  close(): void {
    this.#database.close();
  }

  #atOnce(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
