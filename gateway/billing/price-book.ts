/**
 * Tariff and prices as the household holds them: the signed bytes on its disk, what they say in memory. Every signature is
 * checked when the bytes come and again at each start, so that nobody lowers a price with an editor; what does not hold then is
 * thrown away and asked for again.
 */
import type { DatabaseSync } from 'node:sqlite';
import {
  checkOrder,
  endOf,
  type HeldPrices,
  openPrices,
  openTariff,
  PriceError,
  type PriceList,
  type SlotPrice,
  type Tariff,
} from '../../protocol/billing/prices.ts';
import { SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { StoreCompanion } from '../store.ts';

export interface PriceBookOptions {
  /** Of which contract: several share the tables. */
  contract: number;
  /** Name of the household's tariff. */
  tariff: string;
  /** The provider's offline key, P-256 compressed, 33 B: pinned. */
  offlineKey: Uint8Array;
  log(line: string): void;
}
/** A price and the list that it stands in. */
export interface ListedPrice extends SlotPrice {
  number: number;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS tariffs (contract INTEGER, number INTEGER, bytes BLOB NOT NULL,
    PRIMARY KEY (contract, number)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS price_lists (contract INTEGER, number INTEGER, tariff INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (contract, number)) STRICT;`;

export class PriceBook implements StoreCompanion {
  readonly #options: PriceBookOptions;
  #database!: DatabaseSync;
  #tariff: Tariff | null = null;
  #held: HeldPrices | null = null;
  #version = 0;
  /** By day of UTC. */
  readonly #days = new Map<number, { number: number; prices: readonly SlotPrice[] }>();

  constructor(options: PriceBookOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(TABLES);
    const tariffs = new Map<number, Tariff>();
    const { contract } = this.#options;
    for (const row of household
      .prepare('SELECT number, bytes FROM tariffs WHERE contract = ? ORDER BY number')
      .all(contract)) {
      const tariff = this.#stillGood(`tariff ${row.number}`, () => this.#openTariff(row.bytes as Uint8Array));
      if (tariff === null) {
        household.prepare('DELETE FROM tariffs WHERE contract = ? AND number = ?').run(contract, row.number as number);
      } else {
        tariffs.set(tariff.number, tariff);
        this.#tariff = tariff;
      }
    }
    for (const row of household
      .prepare('SELECT number, tariff, bytes FROM price_lists WHERE contract = ? ORDER BY number')
      .all(contract)) {
      const list = this.#stillGood(`price list ${row.number}`, () => {
        const tariff = tariffs.get(row.tariff as number);
        if (!tariff) throw new PriceError('prices.tariff', 'is not held');
        const opened = openPrices(row.bytes as Uint8Array, tariff);
        if (this.#held !== null) checkOrder(opened, this.#held, 0);
        return opened;
      });
      if (list === null) {
        household
          .prepare('DELETE FROM price_lists WHERE contract = ? AND number >= ?')
          .run(contract, row.number as number);
        break;
      }
      this.#hold(list);
    }
  }

  get tariff(): Tariff | null {
    return this.#tariff;
  }
  /** The newest list; null where there is none. */
  get held(): HeldPrices | null {
    return this.#held;
  }
  /** Another number when prices have come. */
  get version(): number {
    return this.#version;
  }
  /** The first slot that has a price; null where none has. */
  get firstSlot(): number | null {
    const [first] = this.#days.keys();
    return first === undefined ? null : first * SLOTS_PER_DAY;
  }

  at(slot: number): ListedPrice | undefined {
    const day = this.#days.get(Math.floor(slot / SLOTS_PER_DAY));
    return day && { ...day.prices[slot % SLOTS_PER_DAY], number: day.number };
  }

  /** As they were signed: the newest tariff, and the lists that have a slot of [firstSlot, endSlot). */
  signed(firstSlot: number, endSlot: number): { tariff: Uint8Array | null; prices: Uint8Array[] } {
    const { contract } = this.#options;
    const tariff = this.#database
      .prepare('SELECT bytes FROM tariffs WHERE contract = ? ORDER BY number DESC LIMIT 1')
      .get(contract)?.bytes as Uint8Array | undefined;
    if (tariff === undefined || this.#tariff === null) return { tariff: null, prices: [] };
    const all = this.#database
      .prepare('SELECT bytes FROM price_lists WHERE contract = ? ORDER BY number')
      .all(contract)
      .map(({ bytes }) => bytes as Uint8Array);
    const known = this.#tariff;
    return {
      tariff,
      prices: all.filter((bytes) => {
        const list = openPrices(bytes, known);
        return list.firstSlot < endSlot && endOf(list) > firstSlot;
      }),
    };
  }

  /** Takes a tariff of this household's name that is newer than the one it has. @throws MalformedError, PriceError */
  takeTariff(bytes: Uint8Array): void {
    const tariff = this.#openTariff(bytes);
    const known = this.#tariff?.number ?? -1;
    if (tariff.number === known) throw new PriceError('tariff.number', `is ${known}, which is known`, 'again');
    if (tariff.number < known)
      throw new PriceError('tariff.number', `is ${tariff.number}, older than ${known}, which was taken before`);
    this.#database.prepare('INSERT INTO tariffs VALUES (?,?,?)').run(this.#options.contract, tariff.number, bytes);
    this.#tariff = tariff;
  }

  /**
   * Takes the next list; it is on the disk when this returns.
   * @param fromSlot the first slot that needs a price, for the first list
   * @param mayBeginLater whether the provider was asked and has none for that slot: billing then begins with this list
   * @throws MalformedError, PriceError
   */
  take(bytes: Uint8Array, fromSlot: number, mayBeginLater = false): PriceList {
    if (this.#tariff === null) throw new PriceError('prices.tariff', 'is not known yet', 'gap');
    const list = openPrices(bytes, this.#tariff);
    checkOrder(list, this.#held, fromSlot, mayBeginLater);
    this.#database
      .prepare('INSERT INTO price_lists VALUES (?,?,?,?)')
      .run(this.#options.contract, list.number, this.#tariff.number, bytes);
    this.#hold(list);
    return list;
  }

  #openTariff(bytes: Uint8Array): Tariff {
    const tariff = openTariff(bytes, this.#options.offlineKey);
    if (tariff.name !== this.#options.tariff)
      throw new PriceError('tariff.name', `is ${tariff.name}, not this household's ${this.#options.tariff}`);
    return tariff;
  }

  #hold(list: PriceList): void {
    this.#version++;
    this.#held = { number: list.number, endSlot: endOf(list) };
    for (let at = 0; at < list.prices.length; at += SLOTS_PER_DAY) {
      const prices = list.prices.slice(at, at + SLOTS_PER_DAY);
      this.#days.set((list.firstSlot + at) / SLOTS_PER_DAY, { number: list.number, prices });
    }
  }

  /** What was taken once, if it still holds. */
  #stillGood<T>(what: string, open: () => T): T | null {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof PriceError || error instanceof MalformedError)) throw error;
      this.#options.log(`${what} on the disk is thrown away: ${error.message}`);
      return null;
    }
  }
}
