/**
 * The door: how messages leave the house to parties that are not to know from whom they are (protocols.md, section 0).
 *
 *   once a slot, at the time that the plan says, whatever happened in the house:
 *     fetch every new list of every destination, whole · hand the answers out
 *     seal what waits, fill up with dummies · keep the bundle · give it to the relay
 *
 * So relay and network see the same from every house in every slot: one call for the heads, every list, one bundle of one size.
 *
 * A message is sent again until a list answers it, each time sealed anew (protocol/door/cell.ts says why), or until its sender
 * withdraws it. Whoever posts must therefore be able to hear an answer twice, and the party to hear a message twice. A bundle whose
 * arrival is not known is sent again byte for byte, within its slot. A slot in which the relay could not be reached is left out.
 */

import type * as v from 'valibot';
import {
  type AnswerList,
  checkFollows,
  entryOf,
  LIST_MOST_BYTES,
  ListError,
  NO_LIST_BEFORE,
  openList,
} from '../../protocol/door/answer-list.ts';
import { bundleBytes, encodeBundle } from '../../protocol/door/bundle.ts';
import { openEntry, sealCell } from '../../protocol/door/cell.ts';
import { type Destination, type DoorPlan, destinationOf } from '../../protocol/door/plan.ts';
import {
  BUNDLES_PATH,
  HEADS_PATH,
  headsAnswer,
  LISTS_PATH,
  partAnswer,
  stored,
  wholeList,
} from '../../protocol/door/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { DoorStore, type SealedMessage } from './store.ts';

/** A message that was given to the relay is given again when so many slots have brought no answer. */
const PATIENCE_SLOTS = 2;
/** Real time between attempts in a slot at a relay that does not answer: doubled up to the most. A new slot begins at once. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 60_000;

export interface Answer {
  /** As `post` returned it, 16 B. */
  id: Uint8Array;
  message: Uint8Array;
  answer: Uint8Array;
}
/** What a party told everybody, and those of its answers that are this household's. */
export interface HeardList extends Pick<AnswerList, 'destination' | 'number' | 'slot' | 'notice' | 'entries'> {
  answers: readonly Answer[];
}

/** @throws ServiceError */
export type RelayCall = <S extends v.GenericSchema>(path: string, body: object, answer: S) => Promise<v.InferOutput<S>>;

export interface DoorOptions {
  dataDir: string;
  plan: DoorPlan;
  /** To the relay. */
  call: RelayCall;
  clock: Clock;
  log(line: string): void;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #store: DoorStore;
  readonly #handlers = new Map<string, (list: HeardList) => void>();
  #working: Promise<void> | null = null;
  #doneSlot = -1;
  #failedSlot = -1;
  #notBefore = 0;
  #failures = 0;
  #trouble: string | null = null;
  #closed = false;

  /** @throws RangeError where the plan asks for bundles that cannot be sent */
  constructor(options: DoorOptions) {
    bundleBytes(options.plan);
    this.#options = options;
    this.#store = new DoorStore(options.dataDir);
  }

  /**
   * Queues a message; on disk when it returns. The same message is queued once.
   * @returns its id, which the answer carries, too
   * @throws RangeError where the plan has no such destination, or the message does not fit
   */
  post(destination: string, message: Uint8Array): Uint8Array {
    const { messageBytes } = destinationOf(this.#options.plan, destination);
    if (message.length > messageBytes)
      throw new RangeError(`a message to ${destination} has at most ${messageBytes} bytes, not ${message.length}`);
    return this.#store.add(destination, message);
  }

  /** Nothing more is sent of it; what is on the way stays on the way. */
  withdraw(id: Uint8Array): void {
    this.#store.remove(id);
  }

  /**
   * Who hears a destination's lists, each in its order, also those without an answer of the household's. What the handler must keep
   * is on disk when it returns; it may hear the newest list a second time after a kill. What it throws leaves the list unread.
   * Without a handler, lists are fetched and answers to what is queued stay unread.
   */
  onAnswers(destination: string, handler: (list: HeardList) => void): void {
    destinationOf(this.#options.plan, destination);
    this.#handlers.set(destination, handler);
  }

  /** The household's messages that wait for an answer. */
  waiting(destination?: string): number {
    return this.#store.waiting(destination);
  }
  /** Why the relay takes nothing now, in words; null where it does. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs === 0 || this.#closed) return;
    const slot = slotOf(nowMs - this.#options.plan.sendAfterMs);
    if (slot <= this.#doneSlot) return;
    if (slot === this.#failedSlot && performance.now() < this.#notBefore) return;
    this.#working ??= this.#work(slot).finally(() => {
      this.#working = null;
    });
  }

  /** Resolves when what is under way has ended, well or not. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
    this.#store.close();
  }

  /** What is wrong with a party's lists keeps nothing from leaving: a house that fell silent would be known by it. */
  async #work(slot: number): Promise<void> {
    const troubles: string[] = [];
    const note = (error: unknown): void => {
      const known = [ServiceError, MalformedError, ListError, RangeError].some((kind) => error instanceof kind);
      const { message, stack } = error as Error;
      troubles.push((known ? message : stack) ?? message);
    };
    await this.#fetchLists(note).catch(note);
    if (this.#closed) return;
    try {
      await this.#send(slot);
      this.#doneSlot = slot;
      this.#failures = 0;
    } catch (error) {
      note(error);
      this.#failedSlot = slot;
      this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
    }
    const trouble = troubles[0] ?? null;
    if (trouble !== this.#trouble) this.#options.log(`door: ${trouble ?? 'all is well again'}`);
    this.#trouble = trouble;
  }

  // Bundles

  async #send(slot: number): Promise<void> {
    let bundle = this.#store.bundle();
    if (!bundle || bundle.slot < slot) {
      this.#makeBundle(slot);
      bundle = this.#store.bundle()!;
    }
    if (bundle.stored) return;
    try {
      await this.#options.call(BUNDLES_PATH, { bundle: bundle.bytes }, stored);
    } catch (error) {
      if (!(error instanceof ServiceError) || error.recovery === 'again') throw error;
      // this slot is lost; its messages leave with the next
      this.#store.bundleDone(slot, false);
      throw error;
    }
    this.#store.bundleDone(slot, true);
  }

  #makeBundle(slot: number): void {
    const { plan } = this.#options;
    const messages: SealedMessage[] = [];
    const cells = plan.destinations.map((destination) => {
      const due = this.#store.due(destination.name, slot - PATIENCE_SLOTS, destination.cells);
      return Array.from({ length: destination.cells }, (_, i) => {
        const { cell, answer } = sealCell(destination, due[i]?.message ?? null);
        if (due[i]) messages.push({ id: due[i].id, answer });
        return cell;
      });
    });
    this.#store.keepBundle(slot, encodeBundle(plan, { slot, cells }), messages);
  }

  // Lists

  async #fetchLists(note: (error: unknown) => void): Promise<void> {
    const { destinations } = await this.#options.call(HEADS_PATH, {}, headsAnswer);
    for (const destination of this.#options.plan.destinations) {
      const there = destinations.find(({ name }) => name === destination.name);
      if (there) await this.#fetchListsOf(destination, there).catch(note);
      else note(new ListError('heads', `have no ${destination.name}`));
    }
  }

  async #fetchListsOf(destination: Destination, there: { first: number; last: number }): Promise<void> {
    const { name } = destination;
    let head = this.#store.head(name);
    if (head && head.number > there.last)
      throw new ListError('heads', `end at list ${there.last} of ${name}, which had list ${head.number}`);
    if (head === null && there.last === 0) {
      this.#store.moveHead(name, 0, NO_LIST_BEFORE, []); // from its first list on
      return;
    }
    // a gateway that is new has asked nothing yet; one that was away longer than lists are kept begins with what is left
    const begin = head === null ? there.last : head.number + 1;
    const from = Math.max(begin, there.first);
    if (from > begin) {
      this.#options.log(`door: lists ${begin} to ${from - 1} of ${name} are not kept any more`);
      head = null;
    }
    for (let number = from; number <= there.last; number++) {
      if (this.#closed) return;
      const list = openList(destination, await this.#list(name, number));
      if (list.number !== number) throw new ListError('list.number', `is ${list.number}, not ${number}`);
      if (head) checkFollows(head, list);
      const answered = this.#hear(destination, list);
      this.#store.moveHead(name, number, list.digest, answered);
      head = { number, digest: list.digest };
    }
  }

  #list(destination: string, number: number): Promise<Uint8Array> {
    const ask = (part: number) => this.#options.call(LISTS_PATH, { destination, number, part }, partAnswer);
    return wholeList(ask, LIST_MOST_BYTES);
  }

  /** @returns ids of messages that are answered, and whose sender has heard it */
  #hear(destination: Destination, list: AnswerList): Uint8Array[] {
    const handler = this.#handlers.get(destination.name);
    if (!handler) return [];
    const answers = new Map<string, Answer>();
    for (const { id, message, answer: secret } of this.#store.secrets(destination.name)) {
      const entry = entryOf(list, secret.id);
      const answer = entry && this.#opened(destination, list.number, secret, entry);
      if (answer) answers.set(Buffer.from(id).toString('hex'), { id, message, answer });
    }
    const { number, slot, notice, entries } = list;
    handler({ destination: destination.name, number, slot, notice, entries, answers: [...answers.values()] });
    return [...answers.values()].map(({ id }) => id);
  }

  /** An entry that was badly made is as good as none: the message is sent again. */
  #opened(...[destination, number, secret, entry]: Parameters<typeof openEntry>): Uint8Array | null {
    try {
      return openEntry(destination, number, secret, entry);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#options.log(`door: list ${number} of ${destination.name}: ${error.message}`);
      return null;
    }
  }
}
