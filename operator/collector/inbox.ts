/**
 * Gathers the submissions that arrive in one turn of the event loop, so that they share one flush to disk, and answers them when
 * they are on it. A source that sends what no gateway would send is not listened to any longer.
 */
import type { Acknowledgement, Verdict } from '../../protocol/readings/acknowledgement.ts';
import type { Arrival, Collector } from './steps.ts';

/** Submissions in one transaction. */
const GROUP_MOST = 256;
/** So many may wait; then the broker is not read from until they are done. */
const QUEUE_MOST = 1024;
/** Only a broken or hostile sender gets these, and they cost the collector most. */
const POISON: ReadonlySet<Verdict> = new Set([
  'malformed',
  'badPseudonym',
  'badCertificate',
  'badSignature',
  'badPass',
]);
const POISON_MOST = 100;
/** Addresses that are remembered; they are made new with every connection. */
const SOURCES_MOST = 10_000;

export interface Letter extends Arrival {
  /** Whom to answer. */
  address: string;
}

export class Inbox {
  readonly #collector: Pick<Collector, 'accept' | 'counters'>;
  readonly #answer: (address: string, answer: Acknowledgement) => void;
  readonly #poison = new Map<string, number>();
  #letters: Letter[] = [];
  #whenRead: (() => void)[] = [];
  #tooEarly = false;

  constructor(
    collector: Pick<Collector, 'accept' | 'counters'>,
    answer: (address: string, answer: Acknowledgement) => void,
  ) {
    this.#collector = collector;
    this.#answer = answer;
  }

  /** A promise asks the sender of letters to wait until it is resolved. */
  push(letter: Letter): void | Promise<void> {
    if ((this.#poison.get(letter.address) ?? 0) >= POISON_MOST) {
      this.#collector.counters.add('muted');
      return;
    }
    this.#letters.push(letter);
    if (this.#letters.length === 1) setImmediate(() => this.#read());
    if (this.#letters.length >= QUEUE_MOST) return new Promise((done) => this.#whenRead.push(done));
  }

  /** Whether anybody was told since the last call that it is too early. */
  toldTooEarly(): boolean {
    const told = this.#tooEarly;
    this.#tooEarly = false;
    return told;
  }

  #read(): void {
    const letters = this.#letters.splice(0, GROUP_MOST);
    if (this.#letters.length > 0) setImmediate(() => this.#read());
    else for (const goOn of this.#whenRead.splice(0)) goOn();
    let answers: Acknowledgement[];
    try {
      answers = this.#collector.accept(letters);
    } catch (error) {
      // a disk that is full, say: nobody is answered, so everybody sends again
      this.#collector.counters.add('storeFailed');
      console.error(`collector: ${letters.length} submissions could not be stored: ${(error as Error).message}`);
      return;
    }
    answers.forEach((answer, i) => {
      const { address } = letters[i];
      if (POISON.has(answer.verdict)) this.#suspect(address);
      if (answer.verdict === 'tooEarly') this.#tooEarly = true;
      this.#answer(address, answer);
    });
  }

  #suspect(address: string): void {
    if (this.#poison.size >= SOURCES_MOST) this.#poison.delete(this.#poison.keys().next().value!);
    this.#poison.set(address, (this.#poison.get(address) ?? 0) + 1);
  }
}
