/**
 * The anonymous phase (paper, section 4.C; messages.md, "Selling with receipts"): a SALE comes through the door, from nobody. In this
 * order: readable · form · known already · slot · key · weights · range · signatures · signed receipts · **one transaction** that marks
 * the credentials (L2), stores the answer and enters what will be published. Only then the answer leaves. Killed before it, nothing has
 * happened; killed after it, the same SALE gets the stored answer, byte for byte.
 *
 * Null is no answer: the SALE is sent again. So is it where the reason may pass (a slot that has not begun, registration that has not
 * closed) and where no answer would have the right size.
 */
import { acceptedEntry } from '../../protocol/selling/acceptance-list.ts';
import {
  decodeSale,
  encodeAnswer,
  MODE_RECEIPTS,
  SALE_ACCEPTED,
  SALE_FORGED,
  SALE_KEY,
  SALE_MALFORMED,
  SALE_SLOT,
  SALE_USED,
  SALE_WEIGHTS,
  type Sale,
  saleHeader,
  saleIdOf,
} from '../../protocol/selling/messages.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { type SellingTerms, weightOf } from '../../protocol/selling/terms.ts';
import { isFactor, valueIdentity, valuePayload } from '../../protocol/selling/values.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { slotStartMs } from '../../protocol/time/slots.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import type { Books } from './books.ts';
import { CREDENTIAL_PURPOSE, RECEIPT_PURPOSE } from './calendar.ts';

/** What a sale is answered with, or nothing. */
type Verdict = { code: number } | { blindSignatures: Uint8Array[] } | null;

export class Selling {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** The door's handler: the same message gets the same answer. @param message a SALE as a meter sealed it */
  async handle(message: Uint8Array): Promise<Uint8Array | null> {
    const plaintext = this.#books.unseal(saleHeader, message);
    const sale = plaintext && this.#decode(plaintext);
    if (!plaintext || !sale) {
      this.#books.counters.add('salesUnreadable');
      return null;
    }
    return this.#sell(plaintext, sale);
  }

  async #sell(plaintext: Uint8Array, sale: Sale): Promise<Uint8Array | null> {
    const { spent, counters, keys } = this.#books;
    const request = saleIdOf(nodeNatives, plaintext);
    const key = keys.byId(sale.keyId);
    const keyBytes = sale.credentials[0].signature.length;
    const answerOf = (code: number, blindSignatures: Uint8Array[] = []): Uint8Array =>
      encodeAnswer(nodeNatives, plaintext, code, blindSignatures, keyBytes);
    if (!key || key.purpose !== CREDENTIAL_PURPOSE) {
      counters.add('salesRefused');
      return answerOf(SALE_KEY);
    }
    const payloads = sale.credentials.map(({ id }) => valuePayload(id, key.month, key.value));
    const ids = payloads.map((payload) => valueIdentity(nodeNatives, key.keyId, payload));
    const before = spent.lookUp(key.month, ids, request);
    if (before) {
      counters.add(before.outcome === 'again' ? 'salesRepeated' : 'salesRefused');
      return before.outcome === 'again' ? before.answer : answerOf(SALE_USED);
    }
    const verdict = await this.#judge(sale, key, payloads, ids);
    if (verdict === null) return null;
    if ('code' in verdict) {
      counters.add('salesRefused');
      return answerOf(verdict.code);
    }
    const answer = answerOf(SALE_ACCEPTED, verdict.blindSignatures);
    const epoch = this.#books.slot;
    const enter = this.#books.database.prepare('INSERT INTO accepted VALUES (?, ?, ?)');
    const result = await spent.spend({
      period: key.month,
      ids,
      request,
      answer,
      also: () => {
        for (const id of ids) enter.run(epoch, sale.slot, acceptedEntry(id));
      },
    });
    if (result.outcome === 'conflict') {
      counters.add('salesRefused');
      return answerOf(SALE_USED);
    }
    counters.add(result.outcome === 'spent' ? 'salesAccepted' : 'salesRepeated');
    return result.answer;
  }

  async #judge(sale: Sale, key: OwnKey, payloads: Uint8Array[], ids: Uint8Array[]): Promise<Verdict> {
    const { now, slot, engine, weights } = this.#books;
    const terms = this.#books.terms.get(key.month);
    if (!terms || key.revokedMs !== 0) return { code: SALE_KEY };
    if (sale.slot > slot || now < key.closesMs) return null;
    if (sale.slot + terms.windowSlots < slot) return { code: SALE_SLOT };
    if (monthOf(slotStartMs(sale.slot)) !== key.month) return { code: SALE_KEY };
    if (weightOf(weights, sale.slot)?.version !== sale.weightVersion) return { code: SALE_WEIGHTS };
    if (!fits(sale, terms) || new Set(ids.map(hex)).size !== ids.length) return { code: SALE_MALFORMED };
    const verifications = sale.credentials.map(({ signature }, i) => ({
      keyId: key.keyId,
      message: payloads[i],
      signature,
    }));
    if (sale.mode !== MODE_RECEIPTS) {
      const verified = await engine.redeem(verifications, []);
      return verified === 'forged' || verified === 'malformed' ? { code: SALE_FORGED } : { blindSignatures: [] };
    }
    const receiptKey = this.#books.keys.byId(sale.receiptKeyId);
    if (
      receiptKey?.purpose !== RECEIPT_PURPOSE ||
      receiptKey.month !== key.month ||
      receiptKey.value !== key.value ||
      receiptKey.revokedMs !== 0 ||
      !receiptKey.privateKey
    )
      return { code: SALE_KEY };
    if (!sale.blindedReceipts.every((blinded) => isFactor(blinded, receiptKey.publicKey)))
      return { code: SALE_MALFORMED };
    const requests = sale.blindedReceipts.map((blinded) => ({ keyId: receiptKey.keyId, blinded }));
    const signed = await engine.redeem(verifications, requests);
    if (signed === 'forged') return { code: SALE_FORGED };
    return signed === 'malformed' ? { code: SALE_MALFORMED } : { blindSignatures: signed };
  }

  /** Null where it is of no month's form: then no answer of its could be of the right size. */
  #decode(plaintext: Uint8Array): Sale | null {
    for (const terms of this.#books.terms.values()) {
      try {
        const sale = decodeSale(plaintext, terms.keyBytes);
        if (sale.credentials.length === terms.perSale) return sale;
      } catch (error) {
        if ((error as Error).name !== 'SellingError') throw error;
      }
    }
    return null;
  }
}

const fits = (sale: Sale, { mode, perSale }: SellingTerms): boolean =>
  sale.mode === mode && sale.credentials.length === perSale;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
