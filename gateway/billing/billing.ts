/**
 * Billing in the house, put together: log, price book, bills, and what brings prices in. It takes part in the store's
 * transactions (`companions`), so it is made before the store and is told of it with `attach`.
 */

import { pricesTopic } from '../../protocol/billing/topics.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { monthFirstSlot, monthOf } from '../../protocol/time/months.ts';
import { SLOTS_PER_DAY, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { Broadcasts } from '../services/broadcasts.ts';
import type { ServiceAddress } from '../services/client.ts';
import type { GatewayStore, StoreCompanion } from '../store.ts';
import type { BillView, LogState, PriceRow } from '../web/household-view.ts';
import { Bills, type IdentifierSource } from './bills.ts';
import { type AnchorPlace, HouseholdLog, type LogKeySource } from './household-log.ts';
import { PriceBook } from './price-book.ts';
import { PriceFeed } from './price-feed.ts';

export interface BillingOptions {
  /** Name of the household's tariff. */
  tariff: string;
  /** The provider's offline key, P-256 compressed, 33 B. */
  offlineKey: Uint8Array;
  provider: ServiceAddress;
  /** Where prices are published; null: they are asked for only. */
  broker: { url: string; ca: string } | null;
  keys: LogKeySource;
  anchors: AnchorPlace;
  identifier: IdentifierSource;
  clock: Clock;
  log(line: string): void;
}

export class Billing {
  readonly log: HouseholdLog;
  readonly book: PriceBook;
  readonly bills: Bills;
  readonly feed: PriceFeed;
  readonly #broadcasts: Broadcasts | null;
  readonly #clock: Clock;
  #store!: GatewayStore;

  constructor(options: BillingOptions) {
    const { tariff, offlineKey, provider, broker, keys, anchors, identifier, clock, log } = options;
    this.#clock = clock;
    this.log = new HouseholdLog({ keys, anchors, clock, log });
    this.book = new PriceBook({ tariff, offlineKey, log });
    this.bills = new Bills({ log: this.log, book: this.book, clock, identifier, provider, say: log });
    this.feed = new PriceFeed({ book: this.book, tariff, provider, clock, fromSlot: () => this.#fromSlot(), log });
    this.#broadcasts =
      broker &&
      new Broadcasts({
        ...broker,
        broadcasts: [{ topic: pricesTopic(tariff), heard: (payload) => this.feed.heard(payload) }],
        listening: () => this.feed.ask(),
        log,
      });
  }

  /** What takes part in the store's transactions. */
  get companions(): StoreCompanion[] {
    return [this.log, this.book, this.bills];
  }
  attach(store: GatewayStore): void {
    this.#store = store;
  }

  /** Gets the log's key and verifies the log; where the TPM is away that comes later, by itself. */
  async start(): Promise<void> {
    await this.log.start();
    this.#broadcasts?.start();
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    this.log.tick();
    this.feed.tick();
    this.bills.tick(this.#store);
  }

  /** Resolves when what could be done now is done; what the TPM or the provider owe is not waited for. */
  async idle(): Promise<void> {
    await this.log.idle();
    await this.feed.idle();
    this.bills.tick(this.#store);
    await this.bills.idle();
  }

  async close(): Promise<void> {
    this.#broadcasts?.close();
    await Promise.all([this.feed.close(), this.bills.close(), this.log.close()]);
  }

  // ── what the page shows ──

  get logState(): LogState {
    return this.log.state;
  }

  bill(month: number): BillView {
    const computed = this.bills.compute(this.#store, month);
    const kept = this.bills.kept(month);
    return {
      month,
      lines: computed.lines.map((line) => ({ ...line, startMs: slotStartMs(line.day * SLOTS_PER_DAY) })),
      totalMilliCent: kept?.feeMilliCent ?? computed.feeMilliCent,
      currency: this.book.tariff?.currency ?? '',
      priceVersion: this.#priceVersion(month),
      state: kept === null || kept.sentMs === null ? 'growing' : kept.acknowledgedMs === null ? 'sent' : 'acknowledged',
      waitsFor:
        kept?.refusal ??
        this.bills.waitsFor(month) ??
        (computed.unpriced > 0 ? this.#pricesMissing(computed.unpriced) : null),
      logState: this.log.state,
    };
  }

  /** Slots in [fromSlot, toSlot). */
  prices(fromSlot: number, toSlot: number): PriceRow[] {
    const from = Math.max(fromSlot, this.book.firstSlot ?? toSlot);
    const to = Math.min(toSlot, this.book.held?.endSlot ?? fromSlot);
    const rows: PriceRow[] = [];
    for (let slot = from; slot < to; slot++) {
      const { importMilliCentPerKwh, exportMilliCentPerKwh } = this.book.at(slot)!;
      rows.push({ slot, startMs: slotStartMs(slot), importMilliCentPerKwh, exportMilliCentPerKwh });
    }
    return rows;
  }

  /** What a conductor or the console may ask: nothing of a reading, nothing of a price. */
  report(): object {
    return {
      log: this.log.report(),
      prices: { ...this.book.held, trouble: this.feed.trouble },
      bills: this.bills.all().map(({ month, feeMilliCent, sentMs, acknowledgedMs, refusal }) => ({
        month,
        feeMilliCent,
        sentMs,
        acknowledgedMs,
        refusal,
        waitsFor: this.bills.waitsFor(month),
      })),
    };
  }

  #pricesMissing(unpriced: number): string {
    const { trouble } = this.feed;
    return `the prices of ${unpriced} quarter hours${trouble === null ? '' : `: ${trouble}`}`;
  }

  /** Number of the newest list that prices a slot of the month. */
  #priceVersion(month: number): number {
    const last = Math.min(monthFirstSlot(month + 1), this.book.held?.endSlot ?? 0) - 1;
    return last < monthFirstSlot(month) ? 0 : (this.book.at(last)?.number ?? 0);
  }

  /** Where the first price list begins: with what was measured first, though not before the last month. */
  #fromSlot(): number {
    const now = slotOf(this.#clock.nowMs());
    const lastMonth = monthFirstSlot(monthOf(this.#clock.nowMs()) - 1);
    return Math.max(Math.min(this.#store.measuredRange()?.first ?? now, now), lastMonth);
  }
}
