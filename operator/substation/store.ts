/**
 * What the substation keeps, and so all that it can know (protocols.md, "What each party may know"): accounts by name, with how many
 * coins were withdrawn and deposited; and of the anonymous part messages, coins and batches that lead to nobody.
 *
 *   messages   id → OFFER, REQUEST or EXCHANGE and what became of it
 *                OPEN    an offer that can be paired            HELD  a request or exchange whose coins are marked
 *                PAIRED  in a batch                             GONE  refused or expired; `reason`
 *              `batch` is the batch with its line; null: not in one yet
 *   coins      identity → what holds it: one row for each coin, whether it was requested, exchanged or deposited
 *   tokens     blinded tokens that were seen, hashed: none is signed twice
 *   batches    as they were signed, and whether they went out
 *   issued     by key: how many coins were signed, and why
 *   accounts   by customer and key; withdrawals and statements as they were answered
 *
 * Whatever a method writes is one transaction, on disk when it returns.
 */
import { type DatabaseSync, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, state TEXT NOT NULL, reason INTEGER, batch INTEGER,
    keyId BLOB NOT NULL, startSlot INTEGER NOT NULL, slots INTEGER NOT NULL, validUntil INTEGER NOT NULL, tokens BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS messagesByState ON messages (state, kind, n);
  CREATE INDEX IF NOT EXISTS messagesWithoutLine ON messages (batch, state);
  CREATE TABLE IF NOT EXISTS coins (
    identity BLOB PRIMARY KEY, keyId BLOB NOT NULL, state TEXT NOT NULL, holder BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS coinsByHolder ON coins (holder);
  CREATE TABLE IF NOT EXISTS tokens (hash BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL, announced INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS issued (
    keyId BLOB NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (keyId, reason)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS accounts (
    customer TEXT NOT NULL, keyId BLOB NOT NULL, withdrawn INTEGER NOT NULL, deposited INTEGER NOT NULL,
    PRIMARY KEY (customer, keyId)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS withdrawals (
    customer TEXT NOT NULL, keyId BLOB NOT NULL, number INTEGER NOT NULL, request BLOB NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (customer, keyId, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS staged (
    customer TEXT NOT NULL, keyId BLOB NOT NULL, root BLOB NOT NULL, identity BLOB NOT NULL,
    PRIMARY KEY (customer, keyId, root, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS statements (
    customer TEXT NOT NULL, keyId BLOB NOT NULL, root BLOB NOT NULL, count INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (customer, keyId)
  ) STRICT, WITHOUT ROWID;
`;

export const openSubstationStore = (file: string): DatabaseSync => openStore(file, SCHEMA);

/** Why a coin was signed. */
export type Issued = 'withdrawn' | 'paired' | 'bought' | 'exchanged';
/** What became of a coin. */
export type CoinState = 'held' | 'paid' | 'sold' | 'exchanged' | 'deposited';

export function issue(database: DatabaseSync, keyId: Uint8Array, reason: Issued, count: number): void {
  database
    .prepare(
      'INSERT INTO issued VALUES (?, ?, ?) ON CONFLICT (keyId, reason) DO UPDATE SET count = count + excluded.count',
    )
    .run(keyId, reason, count);
}
