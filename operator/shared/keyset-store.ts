/**
 * A party's keys: made ahead of time, published in one signed keyset (protocol/crypto/keyset.ts), forgotten when they have done their
 * work. The private half of a key goes when it closes; its public half stays in the list until nothing that it signed can be presented
 * any more. The master key signs each new list, once for all months that are made together, so it can be kept offline.
 *
 * Every method is one transaction, on disk when it returns: a key is never used before the list that names it is kept.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { ED25519_SIGNATURE_BYTES } from '../../protocol/crypto/ed25519.ts';
import {
  type KeyDescription,
  type KeyKind,
  type Keyset,
  type KeysetKey,
  type KeyTimes,
  keyIdOf,
  keysetDigest,
  publishKeyset,
} from '../../protocol/crypto/keyset.ts';
import { type DatabaseSync, inTransaction } from './store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS keysetKeys (
    keyId BLOB PRIMARY KEY, kind TEXT NOT NULL, purpose TEXT NOT NULL, value INTEGER NOT NULL, month INTEGER NOT NULL,
    publicKey BLOB NOT NULL, private BLOB, opensMs INTEGER NOT NULL, closesMs INTEGER NOT NULL, deadlineMs INTEGER NOT NULL,
    revokedMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS keysets (
    one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
`;
/** Exponents by kind: never chosen by anybody (protocols.md, A4). */
const EXPONENT = { blind: 65_537, sealing: 3 } as const;

/** A key that there should be. */
export interface KeyPlan extends Omit<KeyDescription, 'publicKey'>, KeyTimes {
  /** Of the modulus; 2048 unless told. */
  bits?: 2048 | 3072 | 4096;
}

export interface KeysetStoreOptions {
  database: DatabaseSync;
  party: string;
  /** Ed25519 by the master key. */
  sign(message: Uint8Array): Uint8Array;
  /** Which keys there should be at this time, those of months to come among them. */
  plan(nowMs: number): readonly KeyPlan[];
  /** Makes a key pair. */
  generate?(plan: KeyPlan): Promise<NewKey>;
}
/** Modulus or Ed25519's 32 B, and PKCS #8 in DER. */
export interface NewKey {
  publicKey: Uint8Array;
  pkcs8: Uint8Array;
}

/** A key with its private half, for as long as there is one. */
export interface OwnKey extends KeysetKey {
  privateKey: KeyObject | null;
}

export class KeysetStore {
  readonly #options: KeysetStoreOptions;
  readonly #database: DatabaseSync;
  #making: Promise<void> = Promise.resolve();
  #keys: OwnKey[] | undefined;

  constructor(options: KeysetStoreOptions) {
    this.#options = options;
    this.#database = options.database;
    this.#database.exec(SCHEMA);
  }

  /** Makes what is missing and forgets what is over. Resolves when the keyset is the one for this time. */
  advance(nowMs: number): Promise<void> {
    // one after the other, or two would make two keys for one place
    this.#making = this.#making.catch(() => {}).then(() => this.#advance(nowMs));
    return this.#making;
  }

  /** Takes a key out of use; one for the same place is made. The list says so to everybody. */
  async revoke(keyId: Uint8Array, nowMs: number): Promise<void> {
    const changed = this.#database
      .prepare('UPDATE keysetKeys SET revokedMs = ?, private = NULL WHERE keyId = ? AND revokedMs = 0')
      .run(Math.max(1, nowMs), keyId).changes;
    if (changed === 0) return;
    this.#keys = undefined;
    await this.advance(nowMs);
  }

  /** As it is published; undefined before the first was made. */
  get bytes(): Uint8Array | undefined {
    return this.#database.prepare('SELECT bytes FROM keysets').get()?.bytes as Uint8Array | undefined;
  }
  get keyset(): Keyset {
    const number = (this.#database.prepare('SELECT number FROM keysets').get()?.number ?? 0) as number;
    return { party: this.#options.party, number, keys: this.keys };
  }
  /** SHA-256 that everybody compares. */
  get digest(): Uint8Array {
    return keysetDigest(this.keyset);
  }
  /** In the order of their purposes and months. */
  get keys(): readonly OwnKey[] {
    this.#keys ??= this.#database
      .prepare('SELECT * FROM keysetKeys ORDER BY purpose, month, value, keyId')
      .all()
      .map(readKey);
    return this.#keys;
  }
  byId(keyId: Uint8Array): OwnKey | undefined {
    return this.keys.find((key) => Buffer.compare(key.keyId, keyId) === 0);
  }
  /** The one in force. */
  find(purpose: string, month: number): OwnKey | undefined {
    return this.keys.find((key) => key.purpose === purpose && key.month === month && key.revokedMs === 0);
  }

  async #advance(nowMs: number): Promise<void> {
    const missing = this.#options.plan(nowMs).filter((plan) => !this.keys.some((key) => isFor(key, plan)));
    const make = this.#options.generate ?? generateKey;
    const made = await Promise.all(missing.map(async (plan) => ({ plan, ...(await make(plan)) })));
    inTransaction(this.#database, () => {
      const insert = this.#database.prepare('INSERT INTO keysetKeys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)');
      for (const { plan, publicKey, pkcs8 } of made) {
        const { kind, purpose, value, month, opensMs, closesMs, deadlineMs } = plan;
        const keyId = keyIdOf(this.#options.party, { kind, purpose, value, month, publicKey });
        insert.run(keyId, kind, purpose, value, month, publicKey, pkcs8, opensMs, closesMs, deadlineMs);
      }
      // blind signers and signers end when they close; what was sealed in time may still arrive until the deadline
      this.#database
        .prepare("UPDATE keysetKeys SET private = NULL WHERE kind = 'blind' AND closesMs <= ? AND private NOT NULL")
        .run(nowMs);
      this.#database.prepare('DELETE FROM keysetKeys WHERE deadlineMs <= ?').run(nowMs);
    });
    this.#keys = undefined;
    this.#publish();
  }

  /** Where the list is another than the one that is out. */
  #publish(): void {
    const { keyset, bytes: published } = this;
    const before = published && createHash('sha256').update(published.subarray(0, -ED25519_SIGNATURE_BYTES)).digest();
    if (before && Buffer.compare(before, keysetDigest(keyset)) === 0) return;
    const next = { ...keyset, number: keyset.number + 1 };
    const bytes = publishKeyset(next, this.#options.sign);
    this.#database
      .prepare(
        'INSERT INTO keysets VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET number = excluded.number, bytes = excluded.bytes',
      )
      .run(next.number, bytes);
  }
}

const isFor = (key: KeysetKey, plan: KeyPlan): boolean =>
  key.revokedMs === 0 &&
  key.kind === plan.kind &&
  key.purpose === plan.purpose &&
  key.value === plan.value &&
  key.month === plan.month;

export async function generateKey({ kind, bits = 2048 }: KeyPlan): Promise<NewKey> {
  const { privateKey } =
    kind === 'signing'
      ? await promisify(generateKeyPair)('ed25519')
      : await promisify(generateKeyPair)('rsa', { modulusLength: bits, publicExponent: EXPONENT[kind] });
  const { n, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return {
    publicKey: Buffer.from((n ?? x)!, 'base64url'),
    pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }),
  };
}

function readKey(row: Record<string, unknown>): OwnKey {
  const { private: pkcs8, kind, ...rest } = row;
  const der = pkcs8 as Uint8Array | null;
  return {
    ...(rest as unknown as Omit<KeysetKey, 'kind'>),
    kind: kind as KeyKind,
    privateKey: der && createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' }),
  };
}
