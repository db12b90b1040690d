/**
 * What a household has exported for the control centre, committed to slot by slot (protocol/billing/commitments.ts): the purpose CENTRE
 * of the allocation ledger, import left out. The centre sees no reading; at the month's end it is shown one sum, Σ R_t·c_t over **all**
 * slots of the month, those in which nothing was sold among them (their c_t is 0): so nothing is said of when.
 *
 *   exports   (customer, month, firstSlot) → batch as it came, checked against the key of the customer's certificate
 */

import { type Batch, openCommitments, verifyWeightedSum, wholePeriod } from '../../protocol/billing/commitments.ts';
import { decodeScalar } from '../../protocol/crypto/group.ts';
import { weightOf } from '../../protocol/selling/terms.ts';
import { PURPOSE_CENTRE } from '../../protocol/wire/ledger.ts';
import { Refusal } from '../shared/service.ts';
import { type DatabaseSync, inTransaction } from '../shared/store.ts';
import type { OpenedSum } from './settlement.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS exports (
    customer TEXT NOT NULL, month INTEGER NOT NULL, firstSlot INTEGER NOT NULL, publicKey BLOB NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (customer, month, firstSlot)
  ) STRICT;
`;
export class Exports {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#database.exec(SCHEMA);
  }

  /** Keeps a batch; what was committed to once stays. @param publicKey of the customer's certificate @throws Refusal */
  take(customer: string, publicKey: Uint8Array, bytes: Uint8Array): { firstSlot: number; count: number } {
    const batch = opened(bytes, publicKey);
    if (batch.purpose !== PURPOSE_CENTRE || batch.register !== 'export')
      throw new Refusal('other readings', 'commitments are not those of exports for the control centre', 'correct', {
        path: 'commitments',
      });
    const { month, firstSlot, count } = batch;
    inTransaction(this.#database, () => {
      const known = this.#database
        .prepare('SELECT bytes FROM exports WHERE customer = ? AND month = ? AND firstSlot = ?')
        .get(customer, month, firstSlot);
      // signatures differ each time that they are made; what is committed to must not
      if (known && Buffer.compare(opened(known.bytes as Uint8Array, publicKey).root, batch.root) !== 0)
        throw new Refusal('committed', 'there are other commitments to these slots', 'final', { path: 'commitments' });
      if (!known)
        this.#database
          .prepare('INSERT INTO exports VALUES (?, ?, ?, ?, ?)')
          .run(customer, month, firstSlot, publicKey, bytes);
    });
    return { firstSlot, count };
  }

  /** Whether the commitments prove the sum; `opening` is Σ w_t·r_t, 32 B. */
  verify({ customer, month, sumMicrocredits, weights, opening }: OpenedSum): boolean {
    const rows = this.#database
      .prepare('SELECT publicKey, bytes FROM exports WHERE customer = ? AND month = ?')
      .all(customer, month) as { publicKey: Uint8Array; bytes: Uint8Array }[];
    try {
      decodeScalar(opening);
      const batches = rows.map(({ publicKey, bytes }) => openCommitments(bytes, publicKey));
      const { elements, firstSlot, unitMwh, bits } = wholePeriod(batches);
      // nothing could be sold in slots before the first weights
      const all = elements.map((_, i) => BigInt((weightOf(weights, firstSlot + i)?.weight ?? 0) * unitMwh));
      return verifyWeightedSum(elements, all, { sum: BigInt(sumMicrocredits), randomness: opening }, bits);
    } catch (error) {
      if (!isFlaw(error)) throw error;
      return false;
    }
  }

  /** Of months before this one. */
  forget(month: number): void {
    this.#database.prepare('DELETE FROM exports WHERE month < ?').run(month);
  }
}

const isFlaw = (error: unknown): boolean =>
  ['CommitmentError', 'MalformedError', 'GroupError'].includes((error as Error).name);

function opened(bytes: Uint8Array, publicKey: Uint8Array): Batch {
  try {
    return openCommitments(bytes, publicKey);
  } catch (error) {
    if (!isFlaw(error)) throw error;
    throw new Refusal('malformed', (error as Error).message, 'correct', { status: 400, path: 'commitments' });
  }
}
