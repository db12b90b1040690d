/**
 * The commitments that customers' meters have signed (protocol/billing/commitments.ts), as the provider keeps them: by them it verifies
 * what it is paid and told. They hide the readings perfectly: nothing in this store says what was used.
 *
 *   commitments   (meter, month, register, firstSlot) → batch as it came, checked against the customer's certified key
 */
import { type Batch, openCommitments, REST, type Register } from '../../protocol/billing/commitments.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { Refusal } from '../shared/service.ts';
import { type DatabaseSync, inTransaction } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commitments (
    meter BLOB NOT NULL, month INTEGER NOT NULL, register TEXT NOT NULL, firstSlot INTEGER NOT NULL, endSlot INTEGER NOT NULL,
    since INTEGER NOT NULL, customer TEXT NOT NULL, publicKey BLOB NOT NULL, root BLOB NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (meter, register, firstSlot)
  ) STRICT;
`;
const FLAWS = ['CommitmentError', 'MalformedError', 'GroupError', 'P256Error'];

export class CommitmentStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(SCHEMA);
  }

  /** Keeps batches; what was committed to once stays. @returns how many slots they have @throws Refusal */
  take(customer: string, publicKey: Uint8Array, batches: readonly Uint8Array[]): number {
    let slots = 0;
    inTransaction(this.#database, () => {
      for (const [i, bytes] of batches.entries()) {
        const path = `batches.${i}`;
        const batch = opened(bytes, publicKey, path);
        slots += batch.count;
        this.#keep(customer, publicKey, bytes, batch, path);
      }
    });
    return slots;
  }

  #keep(customer: string, publicKey: Uint8Array, bytes: Uint8Array, batch: Batch, path: string): void {
    const { meter, month, purpose, register, firstSlot, count, sinceSlot, root } = batch;
    const endSlot = firstSlot + count;
    if (purpose !== REST)
      throw new Refusal('other readings', 'commitments are for another purpose than the bill', 'correct', { path });
    const known = this.#database
      .prepare(
        'SELECT root, since, firstSlot FROM commitments WHERE meter = ? AND register = ? AND firstSlot < ? AND endSlot > ?',
      )
      .get(meter, register, endSlot, firstSlot);
    // signatures differ each time that they are made; what is committed to must not
    if (known && (known.firstSlot !== firstSlot || Buffer.compare(known.root as Uint8Array, root) !== 0))
      throw new Refusal('committed', 'there are other commitments to these slots', 'final', { path, status: 409 });
    const other = this.#database
      .prepare('SELECT since FROM commitments WHERE meter = ? AND since <> ?')
      .get(meter, sinceSlot);
    if (other) throw new Refusal('committed', 'the meter has begun with another slot', 'final', { path, status: 409 });
    if (!known)
      this.#database
        .prepare('INSERT INTO commitments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
        .run(meter, month, register, firstSlot, endSlot, sinceSlot, customer, publicKey, root, bytes);
  }

  /** Batches that have a slot of the period, in its order. */
  batches(meter: Uint8Array, register: Register, firstSlot: number, endSlot: number): Uint8Array[] {
    return this.#database
      .prepare(
        'SELECT bytes FROM commitments WHERE meter = ? AND register = ? AND firstSlot < ? AND endSlot > ? ORDER BY firstSlot',
      )
      .all(meter, register, endSlot, firstSlot)
      .map(({ bytes }) => bytes as Uint8Array);
  }

  /** Between which slots of a month a meter was there: nothing of it may be left out of the bills. Null: it has committed to nothing. */
  span(meter: Uint8Array, month: number): { firstSlot: number; endSlot: number } | null {
    const row = this.#database
      .prepare('SELECT min(since) AS since, max(endSlot) AS last FROM commitments WHERE meter = ? AND month = ?')
      .get(meter, month)!;
    if (row.since === null) return null;
    return { firstSlot: Math.max(row.since as number, monthFirstSlot(month)), endSlot: row.last as number };
  }

  /** The certified key of a meter; null: it has committed to nothing. */
  keyOfMeter(meter: Uint8Array): Uint8Array | null {
    const row = this.#database.prepare('SELECT publicKey FROM commitments WHERE meter = ? LIMIT 1').get(meter);
    return (row?.publicKey as Uint8Array | undefined) ?? null;
  }
  /** The newest key of a customer: whose commitments a question is about. */
  keyOf(customer: string): Uint8Array | null {
    const row = this.#database
      .prepare('SELECT publicKey FROM commitments WHERE customer = ? ORDER BY endSlot DESC LIMIT 1')
      .get(customer);
    return (row?.publicKey as Uint8Array | undefined) ?? null;
  }
}

function opened(bytes: Uint8Array, publicKey: Uint8Array, path: string): Batch {
  try {
    return openCommitments(bytes, publicKey);
  } catch (error) {
    if (!FLAWS.includes((error as Error).name)) throw error;
    throw new Refusal('malformed', (error as Error).message, 'correct', { status: 400, path });
  }
}
