/**
 * The provider's prices: each day of each tariff is signed once, a day ahead, kept, published by MQTT, and given to whoever asks
 * (protocol/billing/prices.ts). What was signed stands: the list is on disk before anybody sees it.
 */
import type { KeyObject } from 'node:crypto';
import { PriceError, type PriceList, signPrices, type Tariff } from '../../protocol/billing/prices.ts';
import { checkIsolation, checkSuccession, openPolicy, type SignedPolicy } from '../../protocol/billing/tariff.ts';
import { DAY_MS, SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { type DatabaseSync, openStore } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS lists (
    tariff TEXT NOT NULL, number INTEGER NOT NULL, firstSlot INTEGER NOT NULL, endSlot INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (tariff, number)
  ) WITHOUT ROWID;
`;
/** The prices of the next day are signed from noon of UTC on, when the day-ahead auction is over. */
const NEXT_DAY_FROM_MS = DAY_MS / 2;

/** What the provider has signed. A commit is on disk. */
export class PriceStore {
  readonly #database: DatabaseSync;
  constructor(file: string) {
    this.#database = openStore(file, SCHEMA);
  }

  newest(tariff: string): { number: number; endSlot: number; bytes: Uint8Array } | undefined {
    return this.#database
      .prepare('SELECT number, endSlot, bytes FROM lists WHERE tariff = ? ORDER BY number DESC LIMIT 1')
      .get(tariff) as { number: number; endSlot: number; bytes: Uint8Array } | undefined;
  }
  add({ tariff, number, firstSlot, prices }: PriceList, bytes: Uint8Array): void {
    this.#database
      .prepare('INSERT INTO lists VALUES (?, ?, ?, ?, ?)')
      .run(tariff, number, firstSlot, firstSlot + prices.length, bytes);
  }
  /** Lists behind number `after` that reach beyond `fromSlot`, oldest first, as many as fit into `mostBytes`; one at least. */
  lists(tariff: string, after: number, fromSlot: number, mostBytes: number): Uint8Array[] {
    const rows = this.#database
      .prepare('SELECT bytes FROM lists WHERE tariff = ? AND number > ? AND endSlot > ? ORDER BY number LIMIT 64')
      .all(tariff, after, fromSlot) as { bytes: Uint8Array }[];
    const lists: Uint8Array[] = [];
    let length = 0;
    for (const { bytes } of rows) {
      length += bytes.length;
      if (lists.length > 0 && length > mostBytes) break;
      lists.push(bytes);
    }
    return lists;
  }
  /** Lists that price a slot of [firstSlot, endSlot), oldest first. */
  listsOf(tariff: string, firstSlot: number, endSlot: number): Uint8Array[] {
    return this.#database
      .prepare('SELECT bytes FROM lists WHERE tariff = ? AND firstSlot < ? AND endSlot > ? ORDER BY number')
      .all(tariff, endSlot, firstSlot)
      .map(({ bytes }) => bytes as Uint8Array);
  }
  close(): void {
    this.#database.close();
  }
}

export interface OfferedPolicy extends SignedPolicy {
  /** As it was signed by the offline key. */
  bytes: Uint8Array;
}
export interface OfferedTariff {
  tariff: Tariff;
  /** As it was signed by the offline key. */
  bytes: Uint8Array;
  /** All versions of its charging policy, oldest first. */
  policies: OfferedPolicy[];
  /** The 96 prices of a day, where they are known. @throws Error that says what is wrong with them */
  plan(day: number): PriceList['prices'] | undefined;
}
/** Versions of a policy, as gateways will take them or not. @throws MalformedError, PriceError that name the field */
export function openPolicies(name: string, all: readonly Uint8Array[], offlineKey: Uint8Array): OfferedPolicy[] {
  const policies: OfferedPolicy[] = [];
  for (const bytes of all) {
    const opened = openPolicy(bytes, offlineKey);
    if (opened.policy.name !== name) throw new PriceError('policy.name', `is ${opened.policy.name}, not ${name}`);
    checkSuccession(opened.policy, policies.at(-1)?.policy ?? null);
    checkIsolation(opened.policy);
    policies.push({ ...opened, bytes });
  }
  return policies;
}

export interface PricePublisherOptions {
  store: PriceStore;
  priceKey: KeyObject;
  tariffs: readonly OfferedTariff[];
  /** To everybody who listens. */
  publish(tariff: string, bytes: Uint8Array): void;
  complain(problem: string): void;
}

export class PricePublisher {
  readonly #options: PricePublisherOptions;
  #complaint = '';

  constructor(options: PricePublisherOptions) {
    this.#options = options;
  }

  tariff(name: string): OfferedTariff | undefined {
    return this.#options.tariffs.find(({ tariff }) => tariff.name === name);
  }

  /** Signs and publishes every day that is due; a day without a plan is complained of, once, and tried again. */
  advance(nowMs: number): void {
    const today = Math.floor(nowMs / DAY_MS);
    const lastDay = nowMs % DAY_MS >= NEXT_DAY_FROM_MS ? today + 1 : today;
    for (const offered of this.#options.tariffs) {
      try {
        this.#signUpTo(offered, today, lastDay);
      } catch (error) {
        const problem = `tariff ${offered.tariff.name}: ${(error as Error).message}`;
        if (problem !== this.#complaint) this.#options.complain(problem);
        this.#complaint = problem;
      }
    }
  }

  /** The newest list of every tariff, for whoever has just come. */
  publishNewest(): void {
    const { store, tariffs, publish } = this.#options;
    for (const { tariff } of tariffs) {
      const newest = store.newest(tariff.name);
      if (newest) publish(tariff.name, newest.bytes);
    }
  }

  #signUpTo({ tariff, plan }: OfferedTariff, today: number, lastDay: number): void {
    const { store, priceKey, publish } = this.#options;
    const newest = store.newest(tariff.name);
    let number = newest?.number ?? 0;
    for (let day = newest ? newest.endSlot / SLOTS_PER_DAY : today; day <= lastDay; day++) {
      const prices = plan(day);
      if (!prices) throw new Error(`no prices for ${new Date(day * DAY_MS).toISOString().slice(0, 10)}`);
      const low = prices.find((price) => price.importMilliCentPerKwh < tariff.leastImportMilliCentPerKwh);
      if (low) throw new Error(`${low.importMilliCentPerKwh} milli-cent is below the tariff's least import price`);
      const list = {
        tariff: tariff.name,
        currency: tariff.currency,
        number: ++number,
        firstSlot: day * SLOTS_PER_DAY,
        prices,
      };
      const bytes = signPrices(list, priceKey);
      store.add(list, bytes);
      publish(tariff.name, bytes);
    }
  }
}
