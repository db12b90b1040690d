/**
 * The household's contracts, one after the other: with whom, on which tariff, from which slot on, up to which. The first is the one
 * of the configuration; a change of provider ends one and begins the next with the same slot, moving out ends one, and who moves in
 * begins one as configured. A slot belongs to one contract at most, so nothing is billed twice.
 *
 *   contracts   number → first slot, end slot (null: it goes on), terms (null: as configured)
 *
 * Each has prices of its own, which come from its provider.
 */
import type { DatabaseSync } from 'node:sqlite';
import { pricesTopic } from '../../protocol/billing/topics.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { SLOTS_PER_DAY, slotOf } from '../../protocol/time/slots.ts';
import { Broadcasts } from '../services/broadcasts.ts';
import type { ServiceAddress } from '../services/client.ts';
import type { StoreCompanion } from '../store.ts';
import { PolicyBook } from './policy-book.ts';
import { PriceBook } from './price-book.ts';
import { PriceFeed } from './price-feed.ts';

/** What a provider and its customer agreed on. */
export interface ContractTerms {
  /** As identifier certificates name the provider. */
  provider: string;
  /** Its service. */
  url: string;
  tariff: string;
  /** Signs the tariff, P-256 compressed, hexadecimal. */
  offlineKey: string;
}

export interface ContractsOptions {
  configured: ContractTerms;
  /** The authority of the providers' services, PEM. */
  ca: string;
  /** Where prices are published; null: they are asked for only. */
  broker: { url: string; ca: string } | null;
  clock: Clock;
  /** The first slot that needs a price, whatever the contract. */
  fromSlot(): number;
  log(line: string): void;
}

const TABLE = `CREATE TABLE IF NOT EXISTS contracts (number INTEGER PRIMARY KEY, first_slot INTEGER NOT NULL,
  end_slot INTEGER, terms TEXT) STRICT`;

/** One contract: its period, and its prices. */
export class Contract {
  readonly number: number;
  readonly terms: ContractTerms;
  readonly service: ServiceAddress;
  readonly firstSlot: number;
  /** The first slot that it no longer covers; infinite while it goes on. */
  endSlot: number;
  readonly book: PriceBook;
  readonly policies: PolicyBook;
  readonly feed: PriceFeed;
  readonly #options: ContractsOptions;
  #broadcasts: Broadcasts | null = null;

  constructor(number: number, firstSlot: number, endSlot: number, terms: ContractTerms, options: ContractsOptions) {
    this.number = number;
    this.terms = terms;
    this.firstSlot = firstSlot;
    this.endSlot = endSlot;
    this.#options = options;
    this.service = { url: terms.url, ca: options.ca };
    const { tariff } = terms;
    const { clock, log } = options;
    const held = { contract: number, tariff, offlineKey: Buffer.from(terms.offlineKey, 'hex'), log };
    this.book = new PriceBook(held);
    this.policies = new PolicyBook(held);
    this.feed = new PriceFeed({
      book: this.book,
      policies: this.policies,
      tariff,
      provider: this.service,
      clock,
      fromSlot: () => Math.max(firstSlot, options.fromSlot()),
      log,
    });
  }

  covers(slot: number): boolean {
    return slot >= this.firstSlot && slot < this.endSlot;
  }

  /** To be called when protocol time has moved: listens to prices and asks for them, from the day before on, as long as any is missing. */
  tick(): void {
    const { broker, clock, log } = this.#options;
    const slot = slotOf(clock.nowMs());
    if (
      slot + SLOTS_PER_DAY < this.firstSlot ||
      ((this.book.held?.endSlot ?? 0) >= this.endSlot && this.policies.known)
    ) {
      this.#broadcasts?.close();
      this.#broadcasts = null;
      return;
    }
    if (broker !== null && this.#broadcasts === null) {
      const { tariff } = this.terms;
      this.#broadcasts = new Broadcasts({
        ...broker,
        broadcasts: [{ topic: pricesTopic(tariff), heard: (payload) => this.feed.heard(payload) }],
        listening: () => this.feed.ask(),
        log,
      });
      this.#broadcasts.start();
    }
    this.feed.tick();
  }

  async close(): Promise<void> {
    this.#broadcasts?.close();
    await this.feed.close();
  }
}

export class Contracts implements StoreCompanion {
  readonly #options: ContractsOptions;
  #database!: DatabaseSync;
  #all: Contract[] = [];

  constructor(options: ContractsOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(TABLE);
    household.exec('INSERT OR IGNORE INTO contracts VALUES (0, 0, NULL, NULL)');
    for (const row of household.prepare('SELECT * FROM contracts ORDER BY number').all())
      this.#add(
        row.number as number,
        row.first_slot as number,
        (row.end_slot as number | null) ?? Number.POSITIVE_INFINITY,
        row.terms === null ? this.#options.configured : JSON.parse(row.terms as string),
      );
  }

  /** In the order of their slots. */
  get all(): readonly Contract[] {
    return this.#all;
  }
  /** Who has a slot; undefined: nobody. */
  at(slot: number): Contract | undefined {
    return this.#all.find((contract) => contract.covers(slot));
  }
  get last(): Contract {
    return this.#all.at(-1)!;
  }

  /** The contract that goes on ends before this slot. One that has ended earlier stays as it is. */
  end(slot: number): void {
    const { last } = this;
    if (last.endSlot <= slot) return;
    if (slot <= last.firstSlot) throw new RangeError(`slot ${slot}: is not after the contract's first`);
    last.endSlot = slot;
    this.#database.prepare('UPDATE contracts SET end_slot = ? WHERE number = ?').run(slot, last.number);
  }

  /** Another one from this slot on, which ends the one before; the same again changes nothing. @param terms null: as configured */
  begin(slot: number, terms: ContractTerms | null): void {
    if (this.#all.some(({ firstSlot }) => firstSlot === slot)) return;
    const { last } = this;
    if (slot < last.firstSlot) throw new RangeError(`slot ${slot}: is not after the contract's first`);
    this.end(slot);
    const number = last.number + 1;
    const text = terms && JSON.stringify(terms);
    this.#database.prepare('INSERT INTO contracts VALUES (?, ?, NULL, ?)').run(number, slot, text);
    this.#add(number, slot, Number.POSITIVE_INFINITY, terms ?? this.#options.configured);
  }

  #add(number: number, firstSlot: number, endSlot: number, terms: ContractTerms): void {
    const contract = new Contract(number, firstSlot, endSlot, terms, this.#options);
    contract.book.open(this.#database);
    contract.policies.open(this.#database);
    this.#all = [...this.#all, contract];
  }
}
