/**
 * Brings batches to their parties and fetches the lists that answer them, oldest first. A batch is deleted when its list is here;
 * until then it is sent again, after kills on either side, too: the party knows it by its name.
 */
import type * as v from 'valibot';
import { checkFollows, LIST_MOST_BYTES, ListError, openList } from '../../protocol/door/answer-list.ts';
import { cellBytes } from '../../protocol/door/cell.ts';
import type { Destination, DoorPlan } from '../../protocol/door/plan.ts';
import { CELLS_PATH, cellsAnswer, LIST_PATH, partAnswer, wholeList } from '../../protocol/door/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { callAs, type ServiceOf } from '../shared/client.ts';
import type { RelayStore } from './store.ts';

/** Real time between two attempts at a party that does not answer: doubled up to the most. */
const AGAIN_FIRST_MS = 200;
const AGAIN_MOST_MS = 30_000;

export interface Forwarder {
  /** Something is to be sent. */
  pump(): void;
  /** Resolves when everything was, or could not be. */
  delivered(): Promise<void>;
  close(): Promise<void>;
}

export type Call = <S extends v.GenericSchema>(path: string, body: object, answer: S) => Promise<v.InferOutput<S>>;

export const callOf =
  ({ url, caFile, ...identity }: ServiceOf): Call =>
  (path, body, answer) =>
    callAs(identity, { url, caFile, path, body, answer });

export class DestinationForwarder implements Forwarder {
  readonly #store: RelayStore;
  readonly #destination: Destination;
  readonly #call: Call;
  #working: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #logged = '';
  #closed = false;

  constructor(store: RelayStore, destination: Destination, call: Call) {
    this.#store = store;
    this.#destination = destination;
    this.#call = call;
  }

  pump(): void {
    clearTimeout(this.#timer);
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
    });
  }

  async delivered(): Promise<void> {
    this.pump();
    await this.#working;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
  }

  async #work(): Promise<void> {
    const { name } = this.#destination;
    try {
      for (let parts = this.#store.oldestBatch(name); parts.length > 0; parts = this.#store.oldestBatch(name)) {
        if (this.#closed) return;
        let list: number | null = null;
        for (const { batch, part, parts: of, cells } of parts) {
          const body = { batch, part, parts: of, cells: this.#split(cells) };
          ({ list } = await this.#call(CELLS_PATH, body, cellsAnswer));
        }
        if (list === null) throw new ListError('list', 'was not made, though the batch is there whole');
        await this.#fetchLists(list);
        this.#store.batchAnswered(name, parts[0].number);
      }
      this.#failures = 0;
      this.#logged = '';
    } catch (error) {
      const known = error instanceof ServiceError || error instanceof ListError || error instanceof MalformedError;
      if (!known && !(error instanceof RangeError)) throw error;
      this.#failed(error as Error);
    }
  }

  #failed({ message }: Error): void {
    if (message !== this.#logged) console.error(`relay: ${this.#destination.name}: ${message}`);
    this.#logged = message;
    if (this.#closed) return;
    const delay = Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
    this.#timer = setTimeout(() => this.pump(), delay).unref();
  }

  /** Up to and with `number`; a new relay begins with it. @throws ListError where the lists do not go on as they began */
  async #fetchLists(number: number): Promise<void> {
    const { name } = this.#destination;
    const { last } = this.#store.lists(name);
    for (let next = last === 0 ? number : last + 1; next <= number; next++) {
      const asked = next;
      const bytes = await wholeList(
        (part) => this.#call(LIST_PATH, { number: asked, part }, partAnswer),
        LIST_MOST_BYTES,
      );
      const list = openList(this.#destination, bytes);
      if (last === 0 && list.number !== number) throw new ListError('list.number', `is not ${number}`);
      if (last > 0) checkFollows({ number: next - 1, digest: this.#store.digestOf(name, next - 1)! }, list);
      this.#store.keepList(name, next, list.digest, bytes);
    }
  }

  #split(cells: Uint8Array): Uint8Array[] {
    const size = cellBytes(this.#destination);
    return Array.from({ length: cells.length / size }, (_, i) => cells.subarray(i * size, (i + 1) * size));
  }
}

/** One for each destination: a party that is away does not hold up the others. */
export class Forwarding implements Forwarder {
  readonly #all: Forwarder[];

  constructor(store: RelayStore, plan: DoorPlan, calls: (name: string) => Call) {
    this.#all = plan.destinations.map((to) => new DestinationForwarder(store, to, calls(to.name)));
  }

  pump(): void {
    for (const one of this.#all) one.pump();
  }
  async delivered(): Promise<void> {
    await Promise.all(this.#all.map((one) => one.delivered()));
  }
  async close(): Promise<void> {
    await Promise.all(this.#all.map((one) => one.close()));
  }
}
