/**
 * The provider's steps (tpm-privacy-concept.txt, "Data Provisioning for the PROVIDER"; protocols.md, section 3).
 *
 *   Collector ── batch ──► Provider: check MAC · check order · decrypt · sum · store ── stored ──► Collector
 *
 * It learns the readings of a slot and area in random order and without origin, keeps their sum, and shows sums of at least k.
 */
import { createHash } from 'node:crypto';
import { HpkeError } from '../../protocol/crypto/hpke.ts';
import {
  type Batch,
  type BatchAnswer,
  batchDigest,
  decodeBatch,
  encodeBatchAnswer,
  expecting,
  ForgedError,
} from '../../protocol/readings/batch.ts';
import { openReading, type Reading } from '../../protocol/readings/reading.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { Counters } from '../shared/counters.ts';
import type { ProviderStore, Sum } from './store.ts';

/** A month is settled 35 days after its end at the latest (collector's settlementDelayDays, up to two months). */
const SETTLED_AFTER_MONTHS = 3;

export interface ProviderOptions {
  store: ProviderStore;
  /** Shared with the collector, 32 B. */
  macKey: Uint8Array;
  /** HPKE, 32 B. */
  privateKey: Uint8Array;
  k: number;
  mostWhPerSlot: number;
}

export type ProviderCount =
  /** Messages that change nothing and get no answer. */
  | 'batchMalformed'
  | 'batchForged'
  /** A batch before this one is missing. */
  | 'gap'
  | 'again'
  /** Another batch has that counter, or an older epoch. */
  | 'batchRefused'
  /** Items. */
  | 'itemUnreadable'
  | 'itemTwice'
  | 'itemImplausible'
  | 'itemAfterPublication'
  | 'storeFailed';

export class Provider {
  readonly counters = new Counters<ProviderCount>();
  readonly #options: ProviderOptions;
  readonly #store: ProviderStore;
  /** What the collector was told to send; told once for each gap, not once for each batch behind it. */
  #expected = 0;

  constructor(options: ProviderOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** What to say on a new connection: which batch is the next. */
  greeting(): Uint8Array {
    const { counter, epoch } = this.#store.last() ?? { counter: 0, epoch: 0 };
    this.#expected = counter + 1;
    return this.#encode(expecting(epoch, counter + 1));
  }

  /** One batch at a time. @returns the answer, if there is one; what it says is on disk */
  async receive(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    let batch: Batch;
    try {
      batch = decodeBatch(bytes, this.#options.macKey);
    } catch (error) {
      if (error instanceof ForgedError) this.counters.add('batchForged');
      else if (error instanceof MalformedError) this.counters.add('batchMalformed');
      else throw error;
      return undefined;
    }
    const { epoch, counter } = batch;
    const digest = batchDigest(bytes);
    const last = this.#store.last() ?? { counter: 0, epoch: 0 };
    if (counter <= last.counter) {
      const same = Buffer.compare(this.#store.digestOf(counter)!, digest) === 0;
      this.counters.add(same ? 'again' : 'batchRefused');
      return this.#encode({ status: same ? 'stored' : 'refused', epoch, counter, digest });
    }
    if (counter > last.counter + 1) {
      this.counters.add('gap');
      if (this.#expected === last.counter + 1) return undefined;
      this.#expected = last.counter + 1;
      return this.#encode(expecting(last.epoch, last.counter + 1));
    }
    if (epoch < last.epoch) {
      this.counters.add('batchRefused');
      return this.#encode({ status: 'refused', epoch, counter, digest });
    }
    await this.#add(batch, digest);
    if (epoch > last.epoch) this.#store.forgetItemsBefore(monthFirstSlot(epoch - SETTLED_AFTER_MONTHS));
    return this.#encode({ status: 'stored', epoch, counter, digest });
  }

  /** Opens the items, refuses those that are no reading of the batch's slot, and stores the sum of the others. */
  async #add(batch: Batch, digest: Uint8Array): Promise<void> {
    const { kind, slot, area, items } = batch;
    const published = this.#store.has(slot, area, kind);
    const readings = await Promise.all(items.map((item) => this.#open(item, slot, area)));
    const sum: Sum = { readings: 0, importWh: 0, exportWh: 0 };
    const counted = new Map<string, Uint8Array>();
    for (const [i, reading] of readings.entries()) {
      const item = createHash('sha256').update(items[i]).digest();
      const name = item.toString('hex');
      if (published) this.counters.add('itemAfterPublication');
      else if (typeof reading === 'string') this.counters.add(reading);
      else if (counted.has(name) || this.#store.hasItem(slot, item)) this.counters.add('itemTwice');
      else {
        sum.readings++;
        sum.importWh += reading.importWh;
        sum.exportWh += reading.exportWh;
        counted.set(name, item);
      }
    }
    const rejected = items.length - sum.readings;
    this.#store.add({ ...batch, digest }, sum, sum.readings >= this.#options.k, [...counted.values()], rejected);
  }

  /** The reading, or what it is counted as. */
  async #open(item: Uint8Array, slot: number, area: string): Promise<Reading | 'itemUnreadable' | 'itemImplausible'> {
    try {
      const reading = await openReading(item, slot, area, this.#options.privateKey);
      const most = this.#options.mostWhPerSlot;
      return reading.importWh > most || reading.exportWh > most ? 'itemImplausible' : reading;
    } catch (error) {
      if (error instanceof HpkeError || error instanceof MalformedError) return 'itemUnreadable';
      throw error;
    }
  }

  #encode(answer: BatchAnswer): Uint8Array {
    return encodeBatchAnswer(answer, this.#options.macKey);
  }
}
