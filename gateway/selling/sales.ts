/**
 * Sales on their way: from the meter to the door, and the answer from the door to the meter (messages.md, "Selling with receipts"). A
 * SALE is sealed to the control centre, its answer to who made it; the gateway carries both and helps with inverses. What it has said
 * to have is on the disk.
 */

import { CENTRE_PARTY } from '../../protocol/selling/keys.ts';
import {
  DONE_BEFORE,
  encodeAnswerMessage,
  encodeTaken,
  type SaleMessage,
} from '../../protocol/wire/selling-session.ts';
import type { Door, HeardList } from '../door/door.ts';
import { invertAll } from '../helper/inverse.ts';
import type { SellingMonth } from './documents.ts';
import type { KeptSale, SellingStore } from './store.ts';

/** Answers that the meter is given at a time: it takes some seconds for each. */
const ANSWERS_A_SLOT = 16;

export interface SalesOptions {
  store: SellingStore;
  door: Pick<Door, 'post' | 'withdraw'>;
  month(month: number): SellingMonth | null;
  tell(body: Uint8Array): void;
  /** The present slot. */
  slot(): number;
}

export class SellingSales {
  readonly #options: SalesOptions;

  constructor(options: SalesOptions) {
    this.#options = options;
  }

  /** What a kill left unposted. */
  open(): void {
    for (const sale of this.#options.store.open().unanswered) this.#post(sale);
  }

  take(sale: SaleMessage): void {
    const { store, tell, slot } = this.#options;
    const month = this.#options.month(sale.month);
    if (!month) return; // said again when the keys are there
    const known = store.sale(sale.number);
    if (!known || Buffer.compare(known.saleId, sale.saleId) !== 0) {
      const inverses = invertAll(month.receiptKey.publicKey, sale.questions);
      // a value without an inverse is none that a meter asks for
      if (inverses.some(({ length }) => length === 0)) throw new Error('SALE.questions have no inverse');
      if (known?.doorId) this.#options.door.withdraw(known.doorId);
      store.keepSale(sale, Buffer.concat(inverses), slot());
      this.#post(store.sale(sale.number)!);
    }
    tell(encodeTaken(sale.number));
    const now = store.sale(sale.number)!;
    if (now.answer) this.#tellAnswer(now);
  }

  /** A list of the control centre. On disk when it returns. */
  heard({ answers, slot }: Pick<HeardList, 'answers' | 'slot'>): void {
    const { store } = this.#options;
    for (const { id, answer } of answers) {
      const sale = store.saleByDoor(id);
      if (!sale || sale.code !== null) continue;
      store.answered(sale.number, answer, slot);
      this.#tellAnswer(store.sale(sale.number)!);
    }
  }

  /** The meter has what it needs of it. */
  done({ number, code }: { number: number; code: number }): void {
    const sale = this.#options.store.sale(number);
    if (!sale?.answer || sale.code !== null) return;
    this.#options.store.done(number, code === DONE_BEFORE ? 0 : code);
  }

  /** Once a slot: answers that the meter has not said to have. */
  repeat(): void {
    for (const sale of this.#options.store.open().answered.slice(0, ANSWERS_A_SLOT)) this.#tellAnswer(sale);
  }

  #post({ number, sealed }: KeptSale): void {
    this.#options.store.posted(number, this.#options.door.post(CENTRE_PARTY, sealed));
  }
  #tellAnswer({ number, month: of, saleId, inverses, answer }: KeptSale): void {
    const month = this.#options.month(of);
    if (!month) return;
    const { length } = month.receiptKey.publicKey;
    const each = Array.from({ length: inverses.length / length }, (_, i) =>
      inverses.subarray(i * length, (i + 1) * length),
    );
    this.#options.tell(encodeAnswerMessage({ number, saleId, inverses: each, answer: answer! }, length));
  }
}
