/**
 * What the control centre has published: keyset, terms of months, weights. Nothing is believed but what the master key, and the
 * announcement keys that it vouches for, have signed; and **everybody must hold the same**: the keyset's digest stands in each list of
 * accepted credentials, which comes to every house by the door. A keyset that is another than this one is an alarm: it would be a mark.
 */
import {
  joinKeysets,
  type Keyset,
  type KeysetKey,
  keyFor,
  keysetDigest,
  openKeyset,
} from '../../protocol/crypto/keyset.ts';
import { type AcceptanceList, openAcceptanceList } from '../../protocol/selling/acceptance-list.ts';
import { CENTRE_PARTY, CREDENTIAL_KEY, RECEIPT_KEY, SEALING_KEY } from '../../protocol/selling/keys.ts';
import { KEYSET_PATH, keysetAnswer, TERMS_PATH, termsAnswer } from '../../protocol/selling/services.ts';
import { openTerms, openWeights, type SellingTerms, type Weights } from '../../protocol/selling/terms.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { SLOT_MS, slotOf } from '../../protocol/time/slots.ts';
import type { TermsMessage } from '../../protocol/wire/selling-session.ts';
import type { CentreCall } from './centre.ts';
import type { SellingStore } from './store.ts';

export const ANNOUNCEMENT_KEY = 'selling-announcement';

/** A month with everything that it is sold by. */
export interface SellingMonth {
  terms: SellingTerms;
  credentialKey: KeysetKey;
  receiptKey: KeysetKey;
  sealingKey: KeysetKey;
  announcementKey: KeysetKey;
}

export class SellingDocuments {
  readonly #store: SellingStore;
  readonly #masterKey: Uint8Array;
  #keyset: Keyset | undefined;
  #terms: SellingTerms[] = [];
  #weights: Weights[] = [];
  /** Of all keysets that were ever held here, hexadecimal. */
  readonly #digests = new Set<string>();
  /** What does not fit, in words. */
  fault: string | null = null;

  constructor(store: SellingStore, masterKey: Uint8Array) {
    this.#store = store;
    this.#masterKey = masterKey;
    for (const bytes of store.documents('keyset')) this.#hold(openKeyset(bytes, CENTRE_PARTY, masterKey));
    if (!this.#keyset) return;
    this.#terms = store.documents('terms').flatMap((bytes) => this.#openTerms(bytes) ?? []);
    this.#weights = store.documents('weights').flatMap((bytes) => this.#openWeights(bytes) ?? []);
  }

  get isThere(): boolean {
    return this.#keyset !== undefined && this.#terms.length > 0 && this.#weights.length > 0;
  }
  get weights(): readonly Weights[] {
    return this.#weights;
  }
  get months(): number[] {
    return this.#terms.map(({ month }) => month);
  }

  /** Fetches what is new. @throws ServiceError; KeysetError, TermsError, MalformedError where it is not what it should be */
  async fetch(call: CentreCall): Promise<void> {
    const { keyset: bytes } = await call(KEYSET_PATH, null, keysetAnswer);
    const keyset = joinKeysets(this.#keyset, openKeyset(bytes, CENTRE_PARTY, this.#masterKey));
    this.#store.keepDocument('keyset', keyset.number, bytes);
    this.#hold(keyset);
    const answer = await call(TERMS_PATH, null, termsAnswer);
    for (const one of answer.terms) this.#takeTerms(one);
    for (const one of answer.weights) this.#takeWeights(one);
  }

  /** Null where something of it is not published. */
  month(month: number): SellingMonth | null {
    const terms = this.#terms.find((one) => one.month === month);
    if (!terms || !this.#keyset) return null;
    const keyset = this.#keyset;
    const credentialKey = keyFor(keyset, CREDENTIAL_KEY, month);
    const receiptKey = keyFor(keyset, RECEIPT_KEY, month);
    const sealingKey = keyFor(keyset, SEALING_KEY, month);
    const announcementKey = keyFor(keyset, ANNOUNCEMENT_KEY, month);
    if (!credentialKey || !receiptKey || !sealingKey || !announcementKey) return null;
    return { terms, credentialKey, receiptKey, sealingKey, announcementKey };
  }

  /** What the meter is told of a month. */
  message({ terms, credentialKey, receiptKey, sealingKey }: SellingMonth): TermsMessage {
    const { month, mode, value, amount, candidatesEach, perSale, windowSlots } = terms;
    return {
      ...{ month, mode, value, amount, candidatesEach, perSale, windowSlots },
      firstSlot: monthFirstSlot(month),
      endSlot: monthFirstSlot(month + 1),
      opensSlot: slotOf(credentialKey.opensMs),
      // the first whole slot after it has closed for all
      closesSlot: Math.ceil(credentialKey.closesMs / SLOT_MS),
      credentialKey: credentialKey.publicKey,
      receiptKey: receiptKey.publicKey,
      sealingKey: sealingKey.publicKey,
    };
  }

  /**
   * A list of accepted credentials, as everybody gets it.
   * @throws AcceptanceListError, MalformedError where no announcement key has signed it
   */
  openList(bytes: Uint8Array): AcceptanceList | null {
    if (!this.#keyset || bytes.length === 0) return null;
    let failure: unknown;
    for (const { publicKey, purpose } of this.#keyset.keys) {
      if (purpose !== ANNOUNCEMENT_KEY) continue;
      try {
        return openAcceptanceList(bytes, publicKey);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
  /** Whether a keyset with this digest was ever told us, too. */
  knows(digest: Uint8Array): boolean {
    return this.#digests.has(Buffer.from(digest).toString('hex'));
  }
  #hold(keyset: Keyset): void {
    this.#keyset = keyset;
    this.#digests.add(Buffer.from(keysetDigest(keyset)).toString('hex'));
  }

  #takeTerms(bytes: Uint8Array): void {
    const terms = this.#openTerms(bytes);
    if (!terms) return;
    const known = this.#terms.find(({ month }) => month === terms.month);
    if (known) {
      if (JSON.stringify(known) !== JSON.stringify(terms)) this.fault = `terms of month ${terms.month} were changed`;
      return;
    }
    this.#store.keepDocument('terms', terms.month, bytes);
    this.#terms.push(terms);
  }
  #takeWeights(bytes: Uint8Array): void {
    const weights = this.#openWeights(bytes);
    if (!weights) return;
    const known = this.#weights.find(({ number }) => number === weights.number);
    if (known) {
      if (JSON.stringify(known) !== JSON.stringify(weights)) this.fault = `weights ${weights.number} were changed`;
      return;
    }
    this.#store.keepDocument('weights', weights.number, bytes);
    this.#weights = [...this.#weights, weights].sort((a, b) => a.number - b.number);
  }

  /** By any announcement key of the keyset. */
  #byAny<T>(open: (key: Uint8Array) => T): T | null {
    for (const { publicKey, purpose } of this.#keyset?.keys ?? []) {
      if (purpose !== ANNOUNCEMENT_KEY) continue;
      try {
        return open(publicKey);
      } catch (error) {
        if (!['TermsError', 'MalformedError'].includes((error as Error).name)) throw error;
      }
    }
    return null;
  }
  #openTerms(bytes: Uint8Array): SellingTerms | null {
    return this.#byAny((key) => openTerms(bytes, key));
  }
  #openWeights(bytes: Uint8Array): Weights | null {
    return this.#byAny((key) => openWeights(bytes, key));
  }
}
