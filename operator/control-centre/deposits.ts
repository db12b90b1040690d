/**
 * Receipt mode, after the month (messages.md, "Selling with receipts"): a customer deposits all his receipts at once, under his name.
 * Receipts were signed blindly, so nothing here leads to a sale: the centre learns how many.
 *
 * A deposit comes in parts, which are kept apart until all are there; then one transaction enters every receipt, each once for
 * all customers, and signs the statement. A receipt that somebody has deposited before refuses the whole deposit and changes nothing.
 */

import { MODE_RECEIPTS } from '../../protocol/selling/messages.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import type { DepositAnswer, DepositRequest } from '../../protocol/selling/services.ts';
import { depositRoot, signStatement } from '../../protocol/selling/statement.ts';
import { valueIdentity, valuePayload } from '../../protocol/selling/values.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import { inTransaction } from '../shared/store.ts';
import type { Books } from './books.ts';
import { RECEIPT_PURPOSE } from './calendar.ts';

export class Deposits {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** @throws Refusal */
  async deposit(customer: string, request: DepositRequest): Promise<DepositAnswer> {
    const { keyId, root, count, receipts } = request;
    const { database, engine, now } = this.#books;
    const key = this.#books.keyFor(keyId, RECEIPT_PURPOSE);
    if (this.#books.termsOf(key.month).mode !== MODE_RECEIPTS)
      throw new Refusal('no receipts', 'this month was sold in m-of-n mode', 'final', { path: 'keyId' });
    const done = database
      .prepare('SELECT root, bytes FROM statements WHERE keyId = ? AND customer = ?')
      .get(keyId, customer) as { root: Uint8Array; bytes: Uint8Array } | undefined;
    if (done) {
      if (Buffer.compare(done.root, root) === 0) return { statement: done.bytes };
      throw new Refusal('deposited', "the month's receipts are deposited already, once", 'final', { path: 'root' });
    }
    // a receipt that the last slots bring is not left out
    if (now < key.closesMs)
      throw new Refusal('not yet', 'receipts are deposited when the last slot of the month is sold', 'again', {
        status: 409,
      });
    const identities = receipts.map(({ id }) =>
      valueIdentity(nodeNatives, keyId, valuePayload(id, key.month, key.value)),
    );
    const hold = await Promise.all(
      receipts.map(({ id, signature }) =>
        engine.verify({ keyId, message: valuePayload(id, key.month, key.value), signature }),
      ),
    );
    const forged = hold.indexOf(false);
    if (forged >= 0)
      throw new Refusal('forged', `receipts.${forged}.signature does not hold`, 'correct', {
        path: `receipts.${forged}.signature`,
      });
    return inTransaction(database, () => {
      const stage = database.prepare('INSERT OR IGNORE INTO staged VALUES (?, ?, ?, ?)');
      for (const identity of identities) stage.run(keyId, customer, root, identity);
      const staged = database
        .prepare('SELECT identity FROM staged WHERE keyId = ? AND customer = ? AND root = ?')
        .all(keyId, customer, root)
        .map(({ identity }) => identity as Uint8Array);
      if (staged.length < count) return { missing: count - staged.length };
      return this.#finish(customer, key, root, count, staged);
    });
  }

  /** Inside the transaction: a Refusal takes back what was staged last. */
  #finish(customer: string, key: OwnKey, root: Uint8Array, count: number, staged: Uint8Array[]): DepositAnswer {
    const { database, counters } = this.#books;
    if (staged.length !== count || Buffer.compare(depositRoot(staged), root) !== 0)
      throw new Refusal('other receipts', 'root is not that of these receipts', 'correct', { path: 'root' });
    const enter = database.prepare('INSERT OR IGNORE INTO deposited VALUES (?, ?, ?)');
    const taken = staged.filter((identity) => enter.run(key.keyId, identity, customer).changes === 0);
    if (taken.length > 0)
      throw new Refusal('deposited', `${taken.length} of the receipts were deposited before`, 'correct', {
        path: 'receipts',
      });
    const { keyId, month, value } = key;
    const bytes = signStatement({ customer, keyId, month, value, count, root }, this.#books.announce(month));
    database.prepare('INSERT INTO statements VALUES (?, ?, ?, ?, ?)').run(keyId, customer, root, count, bytes);
    database.prepare('DELETE FROM staged WHERE keyId = ? AND customer = ?').run(keyId, customer);
    counters.add('deposits');
    return { statement: bytes };
  }
}
