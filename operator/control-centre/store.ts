/**
 * What the control centre keeps, and so all that it can know (protocols.md, "What each party may know"):
 *
 *   customers      who is set up: secret value and sk of the customer's meter
 *   candidates     cut-and-choose under way: what was asked for, which candidate is kept        c > 1 only
 *   l1             the paper's L1: each blinded candidate that was signed, with BID and customer
 *   spent_…        the paper's L2 (operator/shared/spent-set.ts): identities of credentials that were shown, and the answers
 *   accepted       by epoch: slot that was sold, the entry that is published. Nothing that leads to a customer
 *   lists          acceptance lists as they were published
 *   staged, deposited, statements            receipt mode
 *   usedLists, usedEntries, credited         m-of-n mode: L4, L5 and what was opened
 *   returned       credentials given back unused
 *   exports        commitments to exports (exports.ts): no reading
 *   payments       what is owed to whom
 *   documents      terms and weights as they were signed
 *
 * Whatever a method writes is one transaction, on disk when it returns.
 */
import { type DatabaseSync, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS customers (
    customer TEXT PRIMARY KEY, meterId BLOB NOT NULL, secretValue BLOB NOT NULL, sharedKey BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS candidates (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, place INTEGER NOT NULL, blinded BLOB NOT NULL, keep INTEGER NOT NULL,
    forfeited INTEGER NOT NULL, PRIMARY KEY (keyId, customer, place)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS l1 (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, place INTEGER NOT NULL, bid BLOB NOT NULL UNIQUE, blinded BLOB NOT NULL,
    signature BLOB NOT NULL, PRIMARY KEY (keyId, customer, place)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS accepted (epoch INTEGER NOT NULL, slot INTEGER NOT NULL, entry BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS acceptedByEpoch ON accepted (epoch);
  CREATE TABLE IF NOT EXISTS lists (epoch INTEGER PRIMARY KEY, digest BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS staged (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, root BLOB NOT NULL, identity BLOB NOT NULL,
    PRIMARY KEY (keyId, customer, root, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS deposited (
    keyId BLOB NOT NULL, identity BLOB NOT NULL, customer TEXT NOT NULL, PRIMARY KEY (keyId, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS statements (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, root BLOB NOT NULL, count INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (keyId, customer)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS usedLists (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, count INTEGER NOT NULL, lapsed INTEGER NOT NULL, digest BLOB NOT NULL,
    state TEXT NOT NULL, round INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (keyId, customer)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS usedEntries (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, place INTEGER NOT NULL, commitment BLOB NOT NULL,
    round INTEGER NOT NULL, revealed INTEGER NOT NULL, PRIMARY KEY (keyId, customer, place)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS credited (
    keyId BLOB NOT NULL, identity BLOB NOT NULL, customer TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (keyId, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS returned (
    keyId BLOB NOT NULL, identity BLOB NOT NULL, customer TEXT NOT NULL, PRIMARY KEY (keyId, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS payments (
    keyId BLOB NOT NULL, customer TEXT NOT NULL, month INTEGER NOT NULL, count INTEGER NOT NULL, credits INTEGER NOT NULL,
    milliCent INTEGER NOT NULL, sumMicrocredits INTEGER NOT NULL, carriedMicrocredits INTEGER NOT NULL,
    compared INTEGER NOT NULL, atMs INTEGER NOT NULL, PRIMARY KEY (keyId, customer)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (kind, number)
  ) STRICT, WITHOUT ROWID;
`;

export const openCentreStore = (file: string): DatabaseSync => openStore(file, SCHEMA);

/** The customer of an identifier certificate, as he stands in the books. */
export const customerOf = ({ provider, customerNumber }: { provider: string; customerNumber: string }): string =>
  `${provider}/${customerNumber}`;
