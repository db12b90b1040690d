/**
 * Provider → gateway: how tariff and prices reach the price book. What is published comes by broadcast; what was missed is asked
 * for: after each (re)connection, after a gap, and when prices run out. The provider learns nothing of who asks but that some
 * gateway of a tariff does.
 */
import type * as v from 'valibot';
import { PriceError } from '../../protocol/billing/prices.ts';
import { policiesCall, pricesCall, tariffCall } from '../../protocol/billing/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { SLOTS_PER_DAY, slotOf } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { callService, type ServiceAddress } from '../services/client.ts';
import type { PolicyBook } from './policy-book.ts';
import type { PriceBook } from './price-book.ts';

/** Prices are asked for when fewer slots than this are known ahead: eight hours. */
const AHEAD_SLOTS = 32;
/** Real time between two questions after which nothing new was known, or that failed: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 60_000;

export interface PriceFeedOptions {
  book: PriceBook;
  policies: PolicyBook;
  tariff: string;
  provider: ServiceAddress;
  clock: Clock;
  /** The first slot that needs a price. */
  fromSlot(): number;
  log(line: string): void;
}

export class PriceFeed {
  readonly #options: PriceFeedOptions;
  #asking: Promise<void> | null = null;
  #askAgain = false;
  #notBefore = 0;
  #failures = 0;
  #askedSlot = -1;
  /** The day on which policies were asked for last. */
  #policyDay = -1;
  #trouble: string | null = null;
  #closed = false;

  constructor(options: PriceFeedOptions) {
    this.#options = options;
  }

  /** Why prices do not come now, in words; null where they do. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Something was published. */
  heard(bytes: Uint8Array): void {
    try {
      this.#options.book.take(bytes, this.#options.fromSlot());
    } catch (error) {
      if (error instanceof PriceError && error.recovery === 'gap') this.ask();
      else this.#refused(error);
    }
  }

  /** Asks for what is not known yet. */
  ask(): void {
    this.#notBefore = 0;
    void this.#start();
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    const slot = slotOf(this.#options.clock.nowMs());
    const { held } = this.#options.book;
    if (performance.now() < this.#notBefore) return;
    if (this.#policyDay !== Math.floor(slot / SLOTS_PER_DAY)) {
      void this.#start();
      return;
    }
    if (this.#hasEnough()) return;
    if (slot === this.#askedSlot && this.#trouble === null && held !== null) return;
    this.#askedSlot = slot;
    void this.#start();
  }

  #hasEnough(): boolean {
    const { held } = this.#options.book;
    return held !== null && held.endSlot >= slotOf(this.#options.clock.nowMs()) + AHEAD_SLOTS;
  }

  async idle(): Promise<void> {
    await this.#asking;
  }
  async close(): Promise<void> {
    this.#closed = true;
    await this.#asking;
  }

  #start(): Promise<void> {
    if (this.#asking) this.#askAgain = true;
    this.#asking ??= this.#askAll().finally(() => {
      this.#asking = null;
      if (this.#askAgain && !this.#closed) {
        this.#askAgain = false;
        void this.#start();
      }
    });
    return this.#asking;
  }

  async #askAll(): Promise<void> {
    try {
      if (this.#options.book.tariff === null) await this.#askTariff();
      await this.#askPolicies();
      const news = await this.#askPrices();
      if (this.#trouble !== null) this.#options.log('prices come again');
      this.#trouble = null;
      if (news > 0 || this.#hasEnough()) this.#failures = 0;
      else this.#wait();
    } catch (error) {
      if (!(error instanceof ServiceError)) {
        this.#refused(error);
      } else {
        if (error.message !== this.#trouble) this.#options.log(`prices: ${error.message}`);
        this.#trouble = error.message;
      }
      this.#wait();
    }
  }

  async #askTariff(): Promise<void> {
    const { book, tariff: name } = this.#options;
    const { tariff } = await this.#call(tariffCall, { tariff: name });
    if (tariff !== null) book.takeTariff(tariff);
  }

  async #askPolicies(): Promise<void> {
    const { clock, policies: book, tariff } = this.#options;
    const day = Math.floor(slotOf(clock.nowMs()) / SLOTS_PER_DAY);
    if (day === this.#policyDay) return;
    const { policies } = await this.#call(policiesCall, { tariff });
    this.#policyDay = day;
    book.take(policies);
  }

  async #askPrices(): Promise<number> {
    const { book, tariff, fromSlot } = this.#options;
    if (book.tariff === null || this.#options.clock.nowMs() === 0) return 0; // 0: nobody has told the time yet
    for (let news = 0; ; ) {
      const { lists } = await this.#call(pricesCall, { tariff, after: book.held?.number ?? 0, fromSlot: fromSlot() });
      if (lists.length === 0 || this.#closed) return news;
      for (const bytes of lists) {
        try {
          book.take(bytes, fromSlot(), true);
          news++;
        } catch (error) {
          if (error instanceof PriceError && error.recovery === 'again') continue; // it was heard meanwhile
          if (!(error instanceof PriceError && error.path === 'prices.signature')) throw error;
          await this.#askTariff(); // a new price key comes with a new tariff
          book.take(bytes, fromSlot(), true);
          news++;
        }
      }
    }
  }

  #call<S extends v.GenericSchema>(call: { path: string; answer: S }, body: object): Promise<v.InferOutput<S>> {
    return callService({ ...this.#options.provider, path: call.path, body, answer: call.answer });
  }

  #refused(error: unknown): void {
    if (!(error instanceof PriceError || error instanceof MalformedError)) throw error;
    if (error instanceof PriceError && error.recovery === 'again') return;
    const trouble = `prices were refused: ${error.message}`;
    if (trouble !== this.#trouble) this.#options.log(trouble);
    this.#trouble = trouble;
  }

  #wait(): void {
    this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
  }
}
