/**
 * Where attestation passes come from (protocol/attestation/pass.ts). The verifier signs blindly, once for each device and day, for
 * devices that it trusts at that moment; what it signs it cannot read, so nothing here is a way from a household to a pseudonym.
 *
 *   keys     day → modulus; private key until the day is over, the modulus until nobody can send a reading of that day any more
 *   issued   (device, day) → SHA-256 of what was to be signed, and the signature, until the day is over
 *   list     the keys as they were published last
 *
 * Every method is one transaction, on disk when it returns: a signature is remembered before it leaves, so that a device has one
 * pass for a day, however often the verifier is killed and asked again. Keys are made ahead and never changed.
 */
import { createHash, createPrivateKey } from 'node:crypto';
import {
  PASS_DAYS_AHEAD,
  type PassAnswer,
  type PassRefusal,
  type PassRequest,
} from '../../protocol/attestation/pass-issue.ts';
import { publishPassKeys } from '../../protocol/attestation/pass-keys.ts';
import {
  BlindRsaError,
  type BlindSigningKey,
  blindSign,
  blindSigningKey,
  generateBlindSigningKey,
} from '../../protocol/crypto/blind-rsa.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { type DatabaseSync, forgetLog, inTransaction, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS keys (day INTEGER PRIMARY KEY, modulus BLOB NOT NULL, private BLOB) STRICT;
  CREATE TABLE IF NOT EXISTS issued (
    device TEXT NOT NULL, day INTEGER NOT NULL, digest BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (device, day)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS list (one INTEGER PRIMARY KEY CHECK (one = 1), bytes BLOB NOT NULL) STRICT;
`;

/** Two months, and the time until the second is settled (collector's settlementDelayDays). */
const KEPT_DAYS = 100;

export interface PassOfficeOptions {
  /** SQLite; made if it is not there. */
  file: string;
  /** Ed25519 by the master key. Asked once for each batch of days, so the key may be kept offline. */
  sign(message: Uint8Array): Uint8Array;
  /** Keys are published for so many days ahead at least … */
  leastDaysAhead?: number;
  /** … and made for so many more at once when they have become fewer. */
  batchDays?: number;
}

export interface PassQuestion {
  /** Who asks, as the household certificate says: the serial number of the endorsement key's certificate. */
  device: string;
  request: PassRequest;
  /** Whether meter and gateway are found in order now. */
  trusted: boolean;
  /** Protocol time, Unix ms. */
  nowMs: number;
}

const dayOf = (unixMs: number): number => Math.floor(unixMs / DAY_MS);

export class PassOffice {
  readonly #database: DatabaseSync;
  readonly #options: Required<PassOfficeOptions>;
  readonly #keys = new Map<number, BlindSigningKey>();
  #today = -1;
  #making: Promise<void> = Promise.resolve();

  constructor(options: PassOfficeOptions) {
    this.#options = { leastDaysAhead: 31, batchDays: 7, ...options };
    this.#database = openStore(options.file, SCHEMA);
  }

  /**
   * A new day has begun, or the office has: private keys of days that are over are forgotten, keys for days to come are made.
   * @returns resolves when there are keys for as many days ahead as there should be
   */
  advance(nowMs: number): Promise<void> {
    const today = dayOf(nowMs);
    if (today <= this.#today) return this.#making;
    this.#today = today;
    inTransaction(this.#database, () => this.#forget(today));
    forgetLog(this.#database);
    // one after the other: two days that begin in one breath would make two keys for one day
    this.#making = this.#making.catch(() => {}).then(() => this.#makeKeys(today));
    return this.#making;
  }

  /** The keys of the days, signed, for everybody (protocol/attestation/pass-keys.ts). Undefined before the first were made. */
  get passKeys(): Uint8Array | undefined {
    return this.#database.prepare('SELECT bytes FROM list').get()?.bytes as Uint8Array | undefined;
  }

  /** The same question gets the same answer, for as long as the device is trusted. */
  issuePasses({ device, request, trusted, nowMs }: PassQuestion): PassAnswer {
    const today = dayOf(nowMs);
    return inTransaction(this.#database, () => ({
      passes: request.passes.map(({ day, blinded }) => {
        const answer = trusted ? this.#issue(device, day, blinded, today) : 'not trusted';
        return typeof answer === 'string' ? { day, refusal: answer } : { day, signature: answer };
      }),
    }));
  }

  close(): void {
    this.#database.close();
  }

  #issue(device: string, day: number, blinded: Uint8Array, today: number): Uint8Array | PassRefusal {
    const key = day >= today && day <= today + PASS_DAYS_AHEAD ? this.#keyOf(day) : undefined;
    if (!key) return 'day out of reach';
    const digest = createHash('sha256').update(blinded).digest();
    const known = this.#database
      .prepare('SELECT digest, signature FROM issued WHERE device = ? AND day = ?')
      .get(device, day) as { digest: Uint8Array; signature: Uint8Array } | undefined;
    if (known) return Buffer.compare(known.digest, digest) === 0 ? known.signature : 'already issued';
    let signature: Uint8Array;
    try {
      signature = blindSign(key, blinded);
    } catch (error) {
      if (error instanceof BlindRsaError && error.field === 'blinded') return 'malformed';
      throw error;
    }
    this.#database.prepare('INSERT INTO issued VALUES (?, ?, ?, ?)').run(device, day, digest, signature);
    return signature;
  }

  #keyOf(day: number): BlindSigningKey | undefined {
    const ready = this.#keys.get(day);
    if (ready) return ready;
    const kept = this.#database.prepare('SELECT private FROM keys WHERE day = ?').get(day)
      ?.private as Uint8Array | null;
    if (!kept) return undefined;
    const key = blindSigningKey(createPrivateKey({ key: Buffer.from(kept), format: 'der', type: 'pkcs8' }));
    this.#keys.set(day, key);
    return key;
  }

  async #makeKeys(today: number): Promise<void> {
    const { leastDaysAhead, batchDays } = this.#options;
    const newest = this.#database.prepare('SELECT max(day) AS day FROM keys').get()!.day as number | null;
    if (newest !== null && newest >= today + leastDaysAhead) return;
    // without a gap, so that the list has one form
    const first = newest === null ? today : Math.max(newest + 1, today - KEPT_DAYS);
    const last = today + leastDaysAhead + batchDays - 1;
    const days = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const made = await Promise.all(days.map(() => generateBlindSigningKey()));
    inTransaction(this.#database, () => {
      const insert = this.#database.prepare('INSERT INTO keys VALUES (?, ?, ?)');
      made.forEach(({ modulus, privateKey }, i) => {
        insert.run(days[i], modulus, privateKey.export({ format: 'der', type: 'pkcs8' }));
      });
      this.#forget(today);
      this.#publish();
    });
  }

  #publish(): void {
    const rows = this.#database.prepare('SELECT day, modulus FROM keys ORDER BY day').all() as {
      day: number;
      modulus: Uint8Array;
    }[];
    const keys = { firstDay: rows[0].day, moduli: rows.map(({ modulus }) => modulus) };
    const bytes = publishPassKeys(keys, this.#options.sign);
    this.#database
      .prepare('INSERT INTO list VALUES (1, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes')
      .run(bytes);
  }

  #forget(today: number): void {
    this.#database.prepare('UPDATE keys SET private = NULL WHERE day < ?').run(today);
    this.#database.prepare('DELETE FROM keys WHERE day < ?').run(today - KEPT_DAYS);
    this.#database.prepare('DELETE FROM issued WHERE day < ?').run(today);
    for (const day of this.#keys.keys()) if (day < today) this.#keys.delete(day);
  }
}
