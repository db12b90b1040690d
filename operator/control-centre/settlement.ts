/**
 * What is owed to a customer for a month (paper, section 4.D; protocols.md, section 1, "Payment against the measurement"). The centre
 * knows how many receipts or credited credentials he has, and not when he sold; with weights that change over the day it cannot hold
 * count·V against his export register. So the household opens one weighted sum of its committed exports for the centre, Σ R_t·c_t
 * (exports.ts), which proves what it may have claimed and shows no time:
 *
 *   count·V ≤ Σ R_t·c_t + what the month before left over            in microcredits, exactly
 *
 * More claimed than exported is not paid: receipts that were bought or given stop here. What is left over and is less than a
 * credential goes on to the next month; what is more was not sold.
 */
import { MICROCREDITS } from '../../protocol/selling/amount.ts';
import type { SettlementAnswer, SettlementRequest } from '../../protocol/selling/services.ts';
import type { Weights } from '../../protocol/selling/terms.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import { inTransaction } from '../shared/store.ts';
import type { Books } from './books.ts';
import { CREDENTIAL_PURPOSE, RECEIPT_PURPOSE } from './calendar.ts';
import type { Reconciliation } from './reconciliation.ts';

/** What a household says of its exports. */
export interface OpenedSum {
  customer: string;
  month: number;
  /** Σ R_t·c_t, mWh × credits/kWh. */
  sumMicrocredits: number;
  /** By which versions of the weights. */
  weights: readonly Weights[];
  /** What proves it. */
  opening: Uint8Array;
}
/** Whether the commitments that the meter made prove this sum. */
export type VerifyOpenedSum = (opening: OpenedSum) => boolean;

export interface Payment {
  customer: string;
  month: number;
  count: number;
  credits: number;
  milliCent: number;
  carriedMicrocredits: number;
  /** Whether the sum was proved. */
  compared: boolean;
  atMs: number;
}

export class Settlement {
  readonly #books: Books;
  readonly #reconciliation: Reconciliation;
  readonly #verify: VerifyOpenedSum | null;

  /** @param verify null: claims are paid as they are, and every payment says so */
  constructor(books: Books, reconciliation: Reconciliation, verify: VerifyOpenedSum | null) {
    this.#books = books;
    this.#reconciliation = reconciliation;
    this.#verify = verify;
  }

  /** @throws Refusal */
  settle(customer: string, request: SettlementRequest): SettlementAnswer {
    const { database, counters, now } = this.#books;
    const key = this.#key(request.keyId);
    const sumMicrocredits = Number(request.sumMicrocredits);
    const find = database.prepare('SELECT * FROM payments WHERE keyId = ? AND customer = ?');
    const paid = find.get(key.keyId, customer) as unknown as (Payment & { sumMicrocredits: number }) | undefined;
    if (paid) {
      if (paid.sumMicrocredits === sumMicrocredits) return answerOf(paid);
      throw new Refusal('settled', 'the month is settled already, with another sum', 'final', {
        path: 'sumMicrocredits',
      });
    }
    const count = this.#countOf(customer, key);
    const { creditMilliCent } = this.#books.termsOf(key.month);
    const { opening } = request;
    const { weights } = this.#books;
    if (this.#verify && !this.#verify({ customer, month: key.month, sumMicrocredits, weights, opening }))
      throw new Refusal('not proved', 'opening does not prove the sum from the commitments', 'correct', {
        path: 'opening',
      });
    const credits = count * key.value;
    const left = sumMicrocredits + this.#carried(customer, key.month) - credits * MICROCREDITS;
    if (left < 0)
      throw new Refusal('more than exported', `${credits} credits are claimed, the exports are worth less`, 'final', {
        path: 'sumMicrocredits',
      });
    const payment = {
      customer,
      month: key.month,
      count,
      credits,
      milliCent: credits * creditMilliCent,
      carriedMicrocredits: left < key.value * MICROCREDITS ? left : 0,
    };
    inTransaction(database, () =>
      database
        .prepare('INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
        .run(
          ...[key.keyId, customer, payment.month, count, credits, payment.milliCent, sumMicrocredits],
          ...[payment.carriedMicrocredits, Number(this.#verify !== null), now],
        ),
    );
    counters.add('payments');
    return answerOf(payment);
  }

  /** In the order of months and customers. */
  payments(): Payment[] {
    const columns = 'customer, month, count, credits, milliCent, carriedMicrocredits, compared, atMs';
    return this.#books.database
      .prepare(`SELECT ${columns} FROM payments ORDER BY month, customer`)
      .all()
      .map((row) => ({ ...(row as unknown as Payment), compared: row.compared === 1 }));
  }

  #key(keyId: Uint8Array): OwnKey {
    const key = this.#books.keys.byId(keyId);
    return this.#books.keyFor(keyId, key?.purpose === CREDENTIAL_PURPOSE ? CREDENTIAL_PURPOSE : RECEIPT_PURPOSE);
  }

  /** What is his: receipts that he deposited, or credentials that were credited. */
  #countOf(customer: string, key: OwnKey): number {
    const credited =
      key.purpose === CREDENTIAL_PURPOSE
        ? this.#reconciliation.credited(customer, key.keyId)
        : (this.#books.database
            .prepare('SELECT count FROM statements WHERE keyId = ? AND customer = ?')
            .get(key.keyId, customer)?.count as number | undefined);
    if (credited === null || credited === undefined)
      throw new Refusal('nothing credited', 'neither deposit nor reconciliation is done', 'start over', {
        status: 409,
      });
    return credited;
  }

  #carried(customer: string, month: number): number {
    const row = this.#books.database
      .prepare('SELECT carriedMicrocredits FROM payments WHERE customer = ? AND month = ?')
      .get(customer, month - 1);
    return (row?.carriedMicrocredits ?? 0) as number;
  }
}

const answerOf = ({ count, credits, milliCent, carriedMicrocredits }: SettlementAnswer): SettlementAnswer => ({
  count,
  credits,
  milliCent,
  carriedMicrocredits,
});
