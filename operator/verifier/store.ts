/**
 * What the verifier keeps. It knows devices by the serial number of their endorsement key's certificate; addresses stand in the
 * grid operator's register and in certificates, no person stands anywhere, and nothing of readings or pseudonyms.
 *
 *   devices      one row each: what the last verdict was and why, what was seen of its TPM
 *   evidence     the bytes as they came, when, and the answer that was given: verified again whenever somebody asks
 *   challenges   those that were answered, until they could not be answered any more
 *   revocations  of devices, with severity and reason
 *   manifests    releases, as they were signed
 *   notices      for the web hook, until somebody took them
 *
 * Every method is one transaction, on disk when it returns. Evidence, its challenge, the device's new state and the notice of it
 * are one: killed at any moment, the verifier has judged evidence wholly or not at all, and the same bytes get the same answer.
 */
import type { KnownDevice, Revocation } from '../../protocol/attestation/appraisal.ts';
import { type DatabaseSync, inTransaction, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS devices (
    serial TEXT PRIMARY KEY, verdict TEXT NOT NULL, sinceMs INTEGER NOT NULL, seenMs INTEGER NOT NULL,
    trustedMs INTEGER, expiresMs INTEGER NOT NULL, failures INTEGER NOT NULL, restarts INTEGER NOT NULL,
    reasons TEXT NOT NULL, warnings TEXT NOT NULL, result TEXT NOT NULL, known TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS evidence (
    digest BLOB PRIMARY KEY, serial TEXT NOT NULL, receivedMs INTEGER NOT NULL, trusted INTEGER NOT NULL,
    bytes BLOB NOT NULL, answer TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS evidence_by_device ON evidence (serial, receivedMs);
  CREATE TABLE IF NOT EXISTS challenges (nonce BLOB PRIMARY KEY, untilMs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS revocations (
    serial TEXT PRIMARY KEY, severity TEXT NOT NULL, reason TEXT NOT NULL, atMs INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS manifests (version INTEGER PRIMARY KEY, bytes BLOB NOT NULL, takenMs INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL, attempts INTEGER NOT NULL, notBeforeMs INTEGER NOT NULL
  ) STRICT;
`;

export interface DeviceRow {
  serial: string;
  /** Of the last evidence that showed who it was from. */
  verdict: 'trusted' | 'failed';
  /** Since when the verdict is that one. */
  sinceMs: number;
  seenMs: number;
  /** When it was trusted last; null: never. */
  trustedMs: number | null;
  /** Until when a trusting verdict holds. */
  expiresMs: number;
  /** In a row. */
  failures: number;
  /** Starts of its TPM that were seen between two evidences. */
  restarts: number;
  /** Sentences. */
  reasons: string[];
  warnings: string[];
  /** EAR, JWT. */
  result: string;
  /** Null where no evidence ever showed who it was from. */
  known: KnownDevice | null;
}

export interface NoticeContent {
  /** `failed`, `recovered`, `revoked`, `reinstated`. */
  event: string;
  device: string;
  atMs: number;
  severity?: string;
  reasons: string[];
}
export interface Notice {
  id: number;
  content: NoticeContent;
  attempts: number;
  notBeforeMs: number;
}

export interface Judged {
  digest: Uint8Array;
  serial: string;
  receivedMs: number;
  trusted: boolean;
  bytes: Uint8Array;
  /** JSON, given again for the same bytes. */
  answer: string;
  /** The challenge that it used up, and until when that must be remembered; null where it used none. */
  used: { nonce: Uint8Array; untilMs: number } | null;
  /** Null where the evidence says nothing of the device (a late answer, a replay). */
  device: DeviceRow | null;
  notices: NoticeContent[];
}

export class VerifierStore {
  readonly database: DatabaseSync;

  constructor(file: string) {
    this.database = openStore(file, SCHEMA);
  }

  device(serial: string): DeviceRow | undefined {
    const row = this.database.prepare('SELECT * FROM devices WHERE serial = ?').get(serial);
    return row && readDevice(row);
  }
  /** In the order of their serial numbers. */
  devices(): DeviceRow[] {
    return this.database.prepare('SELECT * FROM devices ORDER BY serial').all().map(readDevice);
  }

  /** The answer to evidence that came before. */
  answerTo(digest: Uint8Array): string | undefined {
    return this.database.prepare('SELECT answer FROM evidence WHERE digest = ?').get(digest)?.answer as
      | string
      | undefined;
  }
  isUsed(nonce: Uint8Array): boolean {
    return this.database.prepare('SELECT 1 FROM challenges WHERE nonce = ?').get(nonce) !== undefined;
  }

  add(judged: Judged): void {
    inTransaction(this.database, () => {
      const { digest, serial, receivedMs, trusted, bytes, answer, used, device, notices } = judged;
      this.database
        .prepare('INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?)')
        .run(digest, serial, receivedMs, Number(trusted), bytes, answer);
      if (used) this.database.prepare('INSERT OR IGNORE INTO challenges VALUES (?, ?)').run(used.nonce, used.untilMs);
      if (device) this.#write(device);
      for (const notice of notices) this.#notify(notice);
    });
  }

  #write(row: DeviceRow): void {
    const { serial, verdict, sinceMs, seenMs, trustedMs, expiresMs, failures, restarts, result } = row;
    this.database
      .prepare('INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(
        ...[serial, verdict, sinceMs, seenMs, trustedMs, expiresMs, failures, restarts],
        ...[JSON.stringify(row.reasons), JSON.stringify(row.warnings), result, writeKnown(row.known)],
      );
  }

  /** Newest first. */
  evidenceOf(serial: string, most: number): { digest: Uint8Array; receivedMs: number; trusted: boolean }[] {
    const rows = this.database
      .prepare('SELECT digest, receivedMs, trusted FROM evidence WHERE serial = ? ORDER BY receivedMs DESC LIMIT ?')
      .all(serial, most);
    return rows.map(({ digest, receivedMs, trusted }) => ({
      digest: digest as Uint8Array,
      receivedMs: receivedMs as number,
      trusted: trusted === 1,
    }));
  }
  evidence(digest: Uint8Array): { serial: string; receivedMs: number; bytes: Uint8Array; answer: string } | undefined {
    return this.database
      .prepare('SELECT serial, receivedMs, bytes, answer FROM evidence WHERE digest = ?')
      .get(digest) as { serial: string; receivedMs: number; bytes: Uint8Array; answer: string } | undefined;
  }
  /** Good evidence is kept for a while, bad evidence for longer: it is what a visit to the household will be about. */
  forget(before: { trustedMs: number; failedMs: number; nowMs: number }): void {
    inTransaction(this.database, () => {
      this.database
        .prepare('DELETE FROM evidence WHERE receivedMs < CASE trusted WHEN 1 THEN ? ELSE ? END')
        .run(before.trustedMs, before.failedMs);
      this.database.prepare('DELETE FROM challenges WHERE untilMs < ?').run(before.nowMs);
    });
  }

  // Revocation

  revocation(serial: string): (Revocation & { atMs: number }) | null {
    const row = this.database.prepare('SELECT severity, reason, atMs FROM revocations WHERE serial = ?').get(serial);
    return (row as (Revocation & { atMs: number }) | undefined) ?? null;
  }
  /** The same again changes nothing, and tells nobody twice. */
  revoke(serial: string, { severity, reason }: Revocation, notice: NoticeContent): void {
    inTransaction(this.database, () => {
      const now = this.revocation(serial);
      if (now && now.severity === severity && now.reason === reason) return;
      this.database
        .prepare('INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?)')
        .run(serial, severity, reason, notice.atMs);
      this.#notify(notice);
    });
  }
  reinstate(serial: string, notice: NoticeContent): void {
    inTransaction(this.database, () => {
      const { changes } = this.database.prepare('DELETE FROM revocations WHERE serial = ?').run(serial);
      if (changes > 0) this.#notify(notice);
    });
  }

  // Releases

  /** In the order of their versions. */
  manifests(): { version: number; bytes: Uint8Array; takenMs: number }[] {
    return this.database.prepare('SELECT * FROM manifests ORDER BY version').all() as unknown as {
      version: number;
      bytes: Uint8Array;
      takenMs: number;
    }[];
  }
  /** False where there is one of this version already; it stands. */
  addManifest(version: number, bytes: Uint8Array, takenMs: number): boolean {
    const insert = this.database.prepare('INSERT OR IGNORE INTO manifests VALUES (?, ?, ?)');
    return insert.run(version, bytes, takenMs).changes === 1;
  }

  // Web hook

  nextNotice(): Notice | undefined {
    const row = this.database.prepare('SELECT * FROM notices ORDER BY id LIMIT 1').get();
    return row && ({ ...row, content: JSON.parse(row.content as string) } as unknown as Notice);
  }
  noticeTaken(id: number): void {
    this.database.prepare('DELETE FROM notices WHERE id = ?').run(id);
  }
  noticeGivenUp(id: number): void {
    this.noticeTaken(id);
    console.error(`verifier: web hook: notice ${id} is given up, nobody took it`);
  }
  noticeRefused(id: number, notBeforeMs: number): void {
    this.database
      .prepare('UPDATE notices SET attempts = attempts + 1, notBeforeMs = ? WHERE id = ?')
      .run(notBeforeMs, id);
  }
  noticesWaiting(): number {
    return this.database.prepare('SELECT count(*) AS n FROM notices').get()!.n as number;
  }

  close(): void {
    this.database.close();
  }

  #notify(notice: NoticeContent): void {
    this.database
      .prepare('INSERT INTO notices (content, attempts, notBeforeMs) VALUES (?, 0, 0)')
      .run(JSON.stringify(notice));
  }
}

function readDevice(row: Record<string, unknown>): DeviceRow {
  const { reasons, warnings, known, ...rest } = row as Record<string, string>;
  return {
    ...rest,
    reasons: JSON.parse(reasons),
    warnings: JSON.parse(warnings),
    known: readKnown(known),
  } as unknown as DeviceRow;
}

function readKnown(text: string | null): KnownDevice | null {
  if (text === null) return null;
  const { akName, ...rest } = JSON.parse(text);
  return { ...rest, akName: Buffer.from(akName, 'hex') };
}
const writeKnown = (known: KnownDevice | null): string | null =>
  known && JSON.stringify({ ...known, akName: Buffer.from(known.akName).toString('hex') });
