/**
 * Under a name: wallets are loaded, what is left is deposited, the difference is the bill (paper, sections 5.4.1 and 5.4.4).
 *
 * A withdrawal is always of the standard amount. A deposit is the whole month's, once: verified first, then **one transaction** enters
 * each coin, unique over request, exchange and deposit, the account and the signed statement. The same again gets the same answer.
 */

import { monthStartMs } from '../../protocol/time/months.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { isToken } from '../../protocol/trading/coins.ts';
import type { DepositAnswer, DepositRequest, WithdrawRequest } from '../../protocol/trading/services.ts';
import { coinsRoot, encodeStatementBody, STATEMENT_LABEL } from '../../protocol/trading/statement.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import { inTransaction } from '../shared/store.ts';
import { type Books, hash } from './books.ts';
import { issue } from './store.ts';

/** A customer's month, in coins. */
export interface Bill {
  customer: string;
  month: number;
  value: number;
  withdrawn: number;
  deposited: number;
  /** withdrawn − deposited: positive is charged, negative is paid. */
  coins: number;
  isDeposited: boolean;
}

export class Accounts {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** @throws Refusal */
  async withdraw(
    customer: string,
    { keyId, number, blinded }: WithdrawRequest,
  ): Promise<{ blindSignatures: Uint8Array[] }> {
    const { database, engine, settings, counters } = this.#books;
    const request = hash(...blinded);
    const before = (): { request: Uint8Array; answer: Uint8Array } | undefined =>
      database
        .prepare('SELECT request, answer FROM withdrawals WHERE customer = ? AND keyId = ? AND number = ?')
        .get(customer, keyId, number) as never;
    const repeated = (): Uint8Array[] | undefined => {
      const known = before();
      if (!known) return undefined;
      if (Buffer.compare(known.request, request) === 0) return split(known.answer, blinded.length);
      throw new Refusal('other coins', 'another withdrawal has this number', 'correct', { path: 'number' });
    };
    const known = repeated();
    if (known) return { blindSignatures: known };
    const key = this.#books.signingKey(keyId);
    if (!key)
      throw new Refusal('unknown key', 'no coins are signed with this key now', 'start over', { path: 'keyId' });
    if (blinded.length !== settings.standardCoins)
      throw new Refusal('amount', `everybody withdraws ${settings.standardCoins} coins at a time`, 'correct', {
        path: 'blinded',
      });
    const wrong = blinded.findIndex((token) => !isToken(token, key.publicKey));
    if (wrong >= 0) throw new Refusal('malformed', 'is no blinded coin', 'correct', { path: `blinded.${wrong}` });
    if (this.#statement(customer, keyId))
      throw new Refusal('deposited', "the month's coins are deposited already", 'final', { path: 'keyId' });
    const signatures = await engine.signBlinded(keyId, blinded);
    if (typeof signatures === 'string') throw new Refusal('malformed', 'a blinded coin is out of range', 'correct');
    return inTransaction(database, () => {
      const meanwhile = repeated();
      if (meanwhile) return { blindSignatures: meanwhile };
      database
        .prepare('INSERT INTO withdrawals VALUES (?, ?, ?, ?, ?)')
        .run(customer, keyId, number, request, Buffer.concat(signatures));
      this.#account(customer, keyId, signatures.length, 0);
      issue(database, keyId, 'withdrawn', signatures.length);
      counters.add('withdrawals');
      return { blindSignatures: signatures };
    });
  }

  /** @throws Refusal */
  async deposit(customer: string, { keyId, root, count, coins }: DepositRequest): Promise<DepositAnswer> {
    const { database, engine, now, settings } = this.#books;
    const key = this.#books.coinKey(keyId);
    if (!key) throw new Refusal('unknown key', 'the keyset has no such key', 'start over', { path: 'keyId' });
    const done = this.#statement(customer, keyId);
    if (done) {
      if (Buffer.compare(done.root, root) === 0) return { statement: done.bytes };
      throw new Refusal('deposited', "the month's coins are deposited already, once", 'final', { path: 'root' });
    }
    if (key.revokedMs !== 0)
      throw new Refusal('revoked', 'coins of a revoked key are exchanged first', 'start over', { path: 'keyId' });
    const opensMs = monthStartMs(key.month + 1) + settings.exchangeDays * DAY_MS;
    if (now < opensMs)
      throw new Refusal('not yet', 'coins are deposited when all trades of the month are over', 'again', {
        status: 409,
      });
    const shown = coins.map((coin) => ({ ...coin, keyId }));
    const holds = await Promise.all(
      shown.map((coin) =>
        engine.verify({ keyId, message: this.#books.payloadOf(coin, key), signature: coin.signature }),
      ),
    );
    const forged = holds.indexOf(false);
    if (forged >= 0) {
      const path = `coins.${forged}.signature`;
      throw new Refusal('forged', `${path} does not hold`, 'correct', { path });
    }
    return inTransaction(database, () => {
      const stage = database.prepare('INSERT OR IGNORE INTO staged VALUES (?, ?, ?, ?)');
      for (const coin of shown) stage.run(customer, keyId, root, this.#books.identityOf(coin, key));
      const staged = database
        .prepare('SELECT identity FROM staged WHERE customer = ? AND keyId = ? AND root = ?')
        .all(customer, keyId, root)
        .map(({ identity }) => identity as Uint8Array);
      if (staged.length < count) return { missing: count - staged.length };
      return this.#finish(customer, key, root, count, staged);
    });
  }

  /** Inside the transaction: a Refusal takes back what was staged last. */
  #finish(customer: string, key: OwnKey, root: Uint8Array, count: number, staged: Uint8Array[]): DepositAnswer {
    const { database, counters } = this.#books;
    const { keyId, month, value } = key;
    if (staged.length !== count || Buffer.compare(coinsRoot(staged), root) !== 0)
      throw new Refusal('other coins', 'root is not that of these coins', 'correct', { path: 'root' });
    const enter = database.prepare("INSERT OR IGNORE INTO coins VALUES (?, ?, 'deposited', ?)");
    const holder = Buffer.from(customer);
    const used = staged.filter((identity) => enter.run(identity, keyId, holder).changes === 0).length;
    if (used > 0) throw new Refusal('used', `${used} of the coins were spent before`, 'correct', { path: 'coins' });
    this.#account(customer, keyId, 0, count);
    const { withdrawn } = this.#read(customer, keyId);
    const body = encodeStatementBody({ customer, keyId, month, value, withdrawn, deposited: count, root });
    const statement = this.#books.signed(STATEMENT_LABEL, body);
    database.prepare('INSERT INTO statements VALUES (?, ?, ?, ?, ?)').run(customer, keyId, root, count, statement);
    database.prepare('DELETE FROM staged WHERE customer = ? AND keyId = ?').run(customer, keyId);
    counters.add('deposits');
    return { statement };
  }

  /** By customer and month, in order. What is not deposited by the deadline has lapsed. */
  bills(): Bill[] {
    const rows = this.#books.database.prepare('SELECT * FROM accounts ORDER BY customer').all() as {
      customer: string;
      keyId: Uint8Array;
      withdrawn: number;
      deposited: number;
    }[];
    return rows.flatMap(({ customer, keyId, withdrawn, deposited }) => {
      const key = this.#books.coinKey(keyId);
      if (!key) return [];
      const { month, value } = key;
      const isDeposited = this.#statement(customer, keyId) !== undefined;
      return [{ customer, month, value, withdrawn, deposited, coins: withdrawn - deposited, isDeposited }];
    });
  }

  #account(customer: string, keyId: Uint8Array, withdrawn: number, deposited: number): void {
    this.#books.database
      .prepare(
        `INSERT INTO accounts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
         SET withdrawn = withdrawn + excluded.withdrawn, deposited = deposited + excluded.deposited`,
      )
      .run(customer, keyId, withdrawn, deposited);
  }
  #read(customer: string, keyId: Uint8Array): { withdrawn: number } {
    return this.#books.database
      .prepare('SELECT withdrawn FROM accounts WHERE customer = ? AND keyId = ?')
      .get(customer, keyId) as never;
  }
  #statement(customer: string, keyId: Uint8Array): { root: Uint8Array; bytes: Uint8Array } | undefined {
    return this.#books.database
      .prepare('SELECT root, bytes FROM statements WHERE customer = ? AND keyId = ?')
      .get(customer, keyId) as never;
  }
}

function split(bytes: Uint8Array, count: number): Uint8Array[] {
  const length = bytes.length / count;
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * length, (i + 1) * length));
}
