/**
 * What the control centre tells everybody, signed: a month's terms, the weights, and for each epoch (slot) what was accepted in it (L2,
 * protocol/selling/acceptance-list.ts). A list is made when its epoch is over and never again; epochs without a sale have none.
 */
import { acceptanceListDigest, NO_LIST_BEFORE, signAcceptanceList } from '../../protocol/selling/acceptance-list.ts';
import {
  openTerms,
  openWeights,
  type SellingTerms,
  signTerms,
  signWeights,
  type Weights,
} from '../../protocol/selling/terms.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { slotStartMs } from '../../protocol/time/slots.ts';
import { Refusal } from '../shared/service.ts';
import { inTransaction } from '../shared/store.ts';
import type { Books } from './books.ts';
import { ANNOUNCEMENT_PURPOSE } from './calendar.ts';

export class Announcements {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** Terms of months that have keys and no terms yet; those of months that are over are forgotten. */
  keepTerms(termsOf: (month: number) => SellingTerms): void {
    const months = this.#books.keys.keys
      .filter(({ purpose }) => purpose === ANNOUNCEMENT_PURPOSE)
      .map((key) => key.month);
    for (const month of months) {
      if (this.#books.terms.has(month)) continue;
      const known = this.#document('terms', month);
      const bytes = known ?? signTerms(termsOf(month), this.#books.announce(month));
      if (!known) this.#keep('terms', month, bytes);
      this.#books.terms.set(month, openTerms(bytes, this.#publicKey(month)));
    }
    for (const month of this.#books.terms.keys()) {
      if (months.includes(month)) continue;
      this.#books.terms.delete(month);
      this.#books.database.prepare("DELETE FROM documents WHERE kind = 'terms' AND number = ?").run(month);
    }
  }

  /** The weights that the centre begins with, and those that were announced since. */
  keepWeights(first: Weights): void {
    const rows = this.#books.database
      .prepare("SELECT bytes FROM documents WHERE kind = 'weights' ORDER BY number")
      .all();
    if (rows.length === 0) {
      this.#announceWeights(first);
      return;
    }
    if (this.#books.weights.length > 0) return;
    this.#books.weights = rows.map(({ bytes }) => this.#openWeights(bytes as Uint8Array));
  }

  /** The operator's step: weights from a day to come on. @throws Refusal */
  announce({ firstSlot, weights }: Pick<Weights, 'firstSlot' | 'weights'>): { number: number } {
    const number = this.#books.weights.length + 1;
    if (firstSlot <= this.#books.slot)
      throw new Refusal('too late', 'weights are announced before they count', 'correct', { path: 'firstSlot' });
    try {
      this.#announceWeights({ number, firstSlot, weights });
    } catch (error) {
      if (!['TermsError', 'MalformedError'].includes((error as Error).name)) throw error;
      throw new Refusal('malformed', (error as Error).message, 'correct', { path: 'weights' });
    }
    return { number };
  }

  /** As everybody fetches them. */
  documents(): { terms: Uint8Array[]; weights: Uint8Array[] } {
    const of = (kind: string): Uint8Array[] =>
      this.#books.database
        .prepare('SELECT bytes FROM documents WHERE kind = ? ORDER BY number')
        .all(kind)
        .map(({ bytes }) => bytes as Uint8Array);
    return { terms: of('terms'), weights: of('weights') };
  }

  /** Lists of epochs that are over. */
  publishLists(): void {
    const { database, slot, keys } = this.#books;
    const epochs = database
      .prepare(
        'SELECT DISTINCT epoch FROM accepted WHERE epoch < ? AND epoch NOT IN (SELECT epoch FROM lists) ORDER BY epoch',
      )
      .all(slot) as { epoch: number }[];
    for (const { epoch } of epochs) {
      const month = monthOf(slotStartMs(epoch));
      inTransaction(database, () => {
        const last = database.prepare('SELECT digest FROM lists ORDER BY epoch DESC LIMIT 1').get();
        const entries = database.prepare('SELECT entry FROM accepted WHERE epoch = ?').all(epoch);
        const bytes = signAcceptanceList(
          {
            epoch,
            previous: (last?.digest as Uint8Array | undefined) ?? NO_LIST_BEFORE,
            keysetDigest: keys.digest,
            entries: entries.map(({ entry }) => entry as Uint8Array),
          },
          this.#books.announce(month),
        );
        database.prepare('INSERT INTO lists VALUES (?, ?, ?)').run(epoch, acceptanceListDigest(bytes), bytes);
      });
    }
  }

  /** The list of an epoch, of the newest where it is null. */
  list(epoch: number | null): { epoch: number; bytes: Uint8Array } | undefined {
    const { database } = this.#books;
    const row =
      epoch === null
        ? database.prepare('SELECT epoch, bytes FROM lists ORDER BY epoch DESC LIMIT 1').get()
        : database.prepare('SELECT epoch, bytes FROM lists WHERE epoch = ?').get(epoch);
    return row as { epoch: number; bytes: Uint8Array } | undefined;
  }

  #announceWeights(weights: Weights): void {
    const bytes = signWeights(weights, this.#books.announce(monthOf(slotStartMs(weights.firstSlot))));
    this.#keep('weights', weights.number, bytes);
    this.#books.weights = [...this.#books.weights, weights];
  }
  /** Our own; the key that signed them may be gone. */
  #openWeights(bytes: Uint8Array): Weights {
    const month = this.#books.keys.keys.filter(({ purpose }) => purpose === ANNOUNCEMENT_PURPOSE);
    for (const { publicKey } of month) {
      try {
        return openWeights(bytes, publicKey);
      } catch (error) {
        if ((error as Error).name !== 'TermsError') throw error;
      }
    }
    throw new Error('weights that no announcement key of the keyset has signed');
  }
  #publicKey(month: number): Uint8Array {
    return this.#books.keys.find(ANNOUNCEMENT_PURPOSE, month)!.publicKey;
  }
  #document(kind: string, number: number): Uint8Array | undefined {
    const row = this.#books.database
      .prepare('SELECT bytes FROM documents WHERE kind = ? AND number = ?')
      .get(kind, number);
    return row?.bytes as Uint8Array | undefined;
  }
  #keep(kind: string, number: number, bytes: Uint8Array): void {
    inTransaction(this.#books.database, () =>
      this.#books.database.prepare('INSERT INTO documents VALUES (?, ?, ?)').run(kind, number, bytes),
    );
  }
}
