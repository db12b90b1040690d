/**
 * The nonces of signed requests that a service has taken (protocol/identity/signed-request.ts), in the party's own store, so
 * that no request is good twice, not even after a kill. Each is forgotten when its request could not be good any more.
 *
 * `remember` is atomic: of two requests with one nonce one is told false.
 */
import type { DatabaseSync, StatementSync } from './store.ts';

export interface NonceMemory {
  /** False where the nonce is there already. */
  remember(nonce: Uint8Array, forgetAfterMs: number, nowMs: number): boolean;
}

export class StoredNonces implements NonceMemory {
  readonly #insert: StatementSync;
  readonly #forget: StatementSync;

  constructor(database: DatabaseSync) {
    database.exec(
      'CREATE TABLE IF NOT EXISTS nonces (nonce BLOB PRIMARY KEY, forgetAfterMs INTEGER NOT NULL) WITHOUT ROWID',
    );
    this.#insert = database.prepare('INSERT OR IGNORE INTO nonces VALUES (?, ?)');
    this.#forget = database.prepare('DELETE FROM nonces WHERE forgetAfterMs < ?');
  }

  remember(nonce: Uint8Array, forgetAfterMs: number, nowMs: number): boolean {
    this.#forget.run(nowMs);
    return this.#insert.run(nonce, forgetAfterMs).changes === 1;
  }
}

/** The same without a disk, for tests. */
export class VolatileNonces implements NonceMemory {
  readonly #nonces = new Map<string, number>();

  remember(nonce: Uint8Array, forgetAfterMs: number, nowMs: number): boolean {
    for (const [known, until] of this.#nonces) if (until < nowMs) this.#nonces.delete(known);
    const name = Buffer.from(nonce).toString('hex');
    if (this.#nonces.has(name)) return false;
    this.#nonces.set(name, forgetAfterMs);
    return true;
  }
}
