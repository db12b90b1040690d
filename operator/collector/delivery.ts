/**
 * Sends batches to one provider in the order of their counters, a window of them at a time, until each is acknowledged. What
 * counts stands in the store; this only remembers what was sent over the present connection.
 */
import { TOPICS } from '../../protocol/readings/topics.ts';
import type { Connection } from '../shared/mqtt.ts';
import type { CollectorStore } from './store.ts';

/** Batches on the way at once: after a long outage the broker does not have to hold all of it. */
const WINDOW = 32;
/** Real time. No path is known on which both connections stay and a message is lost; should there be one, this is the way out. */
const PATIENCE_MS = 5000;

export class Delivery {
  readonly #store: CollectorStore;
  readonly #provider: string;
  readonly #publish: Connection['publish'];
  /** Highest counter sent over this connection. */
  #sentThrough = 0;
  #waiting: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;

  /** @param provider its party, as in the topics */
  constructor(store: CollectorStore, provider: string, publish: Connection['publish']) {
    this.#store = store;
    this.#provider = provider;
    this.#publish = publish;
    this.#timer = setInterval(() => this.again(), PATIENCE_MS).unref();
  }

  /** Sends what was not sent yet, as far as the window goes, and wakes those who wait for the end. */
  pump(): void {
    if (this.#store.unacknowledged(this.#provider) === 0) {
      for (const wake of this.#waiting.splice(0)) wake();
      return;
    }
    const room = WINDOW - this.#store.unacknowledged(this.#provider, this.#sentThrough);
    const from = this.#sentThrough + 1;
    for (const { counter, bytes } of this.#store.batchesFrom(this.#provider, from, Math.max(0, room))) {
      this.#publish(TOPICS.batches(this.#provider), bytes);
      this.#sentThrough = counter;
    }
  }

  /** The connection is new, or the provider misses something: begins with the oldest batch that is not acknowledged. */
  again(): void {
    this.#sentThrough = 0;
    this.pump();
  }

  /** Resolves when the provider has acknowledged everything. */
  delivered(): Promise<void> {
    if (this.#store.unacknowledged(this.#provider) === 0) return Promise.resolve();
    return new Promise((done) => this.#waiting.push(done));
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
