/**
 * ControlCentre (selling-power-back.txt; protocol/selling/messages.ts tells the whole flow): who registered how many credentials, what
 * is sold by nobody knows whom, and at the month's end how much each customer has sold, but not when.
 *
 *   Registration     set-up, candidates, L1         under a name
 *   Selling          SALE → ANSWER, L2              from nobody, by the door
 *   Announcements    terms, weights, lists          for everybody
 *   Deposits         receipts → statement           under a name
 *   Reconciliation   L4, L5, openings, returns      under a name, m-of-n mode
 *   Exports          commitments                    under a name
 *   Settlement       opened sum → payment           under a name
 */
import type { SellingTerms, Weights } from '../../protocol/selling/terms.ts';
import { monthStartMs } from '../../protocol/time/months.ts';
import { DAY_MS, SLOT_MS, SLOTS_PER_DAY, slotOf } from '../../protocol/time/slots.ts';
import { type KeyPlan, KeysetStore, type NewKey } from '../shared/keyset-store.ts';
import { SigningEngine } from '../shared/signing-engine.ts';
import { SpentSet } from '../shared/spent-set.ts';
import { type DatabaseSync, forgetLog, inTransaction } from '../shared/store.ts';
import { Announcements } from './announcements.ts';
import { Books } from './books.ts';
import { type CalendarSettings, CREDENTIAL_PURPOSE, keysNow, PARTY } from './calendar.ts';
import { Deposits } from './deposits.ts';
import { Exports } from './exports.ts';
import { Reconciliation } from './reconciliation.ts';
import { Registration } from './registration.ts';
import { Selling } from './selling.ts';
import { type OpenedSum, Settlement, type VerifyOpenedSum } from './settlement.ts';
import { openCentreStore } from './store.ts';

export interface CentreSettings extends CalendarSettings {
  /** Of each month: the rest follows from the calendar. */
  terms: Omit<SellingTerms, 'month' | 'value' | 'windowSlots' | 'keyBytes'>;
  /** R of each slot of a day until others are announced, credits per kWh. */
  weights: readonly number[];
  /** m/n of the first round, m-of-n mode. */
  challengeShare: number;
  /** So long after the last sale lists of used credentials are taken. */
  listDays: number;
}

export interface ControlCentreOptions {
  /** SQLite; made if it is not there. */
  file: string;
  settings: CentreSettings;
  /** Ed25519 by the offline master key. */
  sign(message: Uint8Array): Uint8Array;
  /** Signing threads; one for each core unless told. */
  workers?: number;
  /** Makes a key pair. */
  generate?(plan: KeyPlan): Promise<NewKey>;
  /** By the commitments that came unless told; null: claims are paid without being held against the measurement. */
  verifyOpenedSum?: VerifyOpenedSum | null;
}

/** Tables whose rows end with their key. */
const TABLES_BY_KEY = [
  'candidates',
  'l1',
  'staged',
  'deposited',
  'statements',
  'usedLists',
  'usedEntries',
  'credited',
  'returned',
];

export class ControlCentre {
  readonly books: Books;
  readonly registration: Registration;
  readonly selling: Selling;
  readonly announcements: Announcements;
  readonly deposits: Deposits;
  readonly reconciliation: Reconciliation;
  readonly exports: Exports;
  readonly settlement: Settlement;
  readonly #database: DatabaseSync;
  readonly #settings: CentreSettings;
  #day = -1;
  #work: Promise<void> = Promise.resolve();

  constructor({ file, settings, sign, workers, generate, verifyOpenedSum }: ControlCentreOptions) {
    this.#settings = settings;
    this.#database = openCentreStore(file);
    const keys = new KeysetStore({
      database: this.#database,
      party: PARTY,
      sign,
      generate,
      plan: (nowMs) => keysNow(nowMs, this.#began(nowMs), settings),
    });
    this.books = new Books({
      database: this.#database,
      keys,
      engine: new SigningEngine({ workers }),
      spent: new SpentSet(this.#database, 'credential'),
    });
    this.registration = new Registration(this.books);
    this.selling = new Selling(this.books);
    this.announcements = new Announcements(this.books);
    this.deposits = new Deposits(this.books);
    this.reconciliation = new Reconciliation(this.books, {
      challengeShare: settings.challengeShare,
      listMs: settings.listDays * DAY_MS,
      soldMs: (month) => monthStartMs(month + 1) + settings.windowSlots * SLOT_MS,
    });
    this.exports = new Exports(this.#database);
    const verify = verifyOpenedSum === undefined ? (opened: OpenedSum) => this.exports.verify(opened) : verifyOpenedSum;
    this.settlement = new Settlement(this.books, this.reconciliation, verify);
  }

  /** Moves protocol time. Resolves when keys, terms and lists are those of this time; until the first time is worked in, nothing is answered. */
  advance(nowMs: number): Promise<void> {
    this.#work = this.#work.catch(() => {}).then(() => this.#advance(nowMs));
    return this.#work;
  }

  /** For the door (operator/shared/door.ts): a SALE → its ANSWER, or null. */
  handle(message: Uint8Array): Promise<Uint8Array | null> {
    return this.selling.handle(message);
  }

  /** Takes a key out of use; another takes its place, and the keyset says so to everybody. */
  async revoke(keyId: Uint8Array): Promise<void> {
    await this.books.keys.revoke(keyId, this.books.now);
    this.#tellEngine();
  }

  async close(): Promise<void> {
    await this.#work.catch(() => {});
    await this.books.engine.close();
    this.#database.close();
  }

  async #advance(nowMs: number): Promise<void> {
    const { keys } = this.books;
    const day = Math.floor(nowMs / DAY_MS);
    if (day !== this.#day) {
      await keys.advance(nowMs);
      this.#tellEngine();
      this.#forget();
      this.#day = day;
    }
    this.books.nowMs = nowMs;
    const { terms, value, windowSlots, bits } = { ...this.#settings };
    this.announcements.keepTerms((month) => ({ ...terms, month, value, windowSlots, keyBytes: bits / 8 }));
    const slot = slotOf(nowMs);
    this.announcements.keepWeights(this.#firstWeights(slot - (slot % SLOTS_PER_DAY)));
    this.announcements.publishLists();
    this.reconciliation.compare();
  }

  #tellEngine(): void {
    const { keys, engine } = this.books;
    for (const key of keys.keys) if (key.kind === 'blind') engine.addKey(key.keyId, key.publicKey, key.privateKey);
  }

  #firstWeights(firstSlot: number): Weights {
    return { number: 1, firstSlot, weights: this.#settings.weights };
  }

  /** When the centre first knew the time: the registration of that month is made up for. */
  #began(nowMs: number): number {
    return inTransaction(this.#database, () => {
      this.#database.exec(
        'CREATE TABLE IF NOT EXISTS began (one INTEGER PRIMARY KEY CHECK (one = 1), atMs INTEGER NOT NULL) STRICT',
      );
      this.#database.prepare('INSERT OR IGNORE INTO began VALUES (1, ?)').run(nowMs);
      return this.#database.prepare('SELECT atMs FROM began').get()!.atMs as number;
    });
  }

  /** What belonged to keys that are past their deadline. Payments stay. */
  #forget(): void {
    const months = this.books.keys.keys.filter(({ purpose }) => purpose === CREDENTIAL_PURPOSE).map((key) => key.month);
    const oldest = Math.min(...months);
    inTransaction(this.#database, () => {
      for (const table of TABLES_BY_KEY)
        this.#database.exec(`DELETE FROM ${table} WHERE keyId NOT IN (SELECT keyId FROM keysetKeys)`);
      const firstSlot = slotOf(monthStartMs(oldest));
      this.#database.prepare('DELETE FROM accepted WHERE epoch < ?').run(firstSlot);
      this.#database.prepare('DELETE FROM lists WHERE epoch < ?').run(firstSlot);
    });
    this.exports.forget(oldest);
    this.books.spent.dropBefore(oldest);
    forgetLog(this.#database);
  }
}
