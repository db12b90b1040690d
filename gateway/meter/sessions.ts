/**
 * The gateway's halves of the sessions (protocol/wire/sessions.ts), and their way over the serial line.
 *
 * The meter can take a few frames between two windows and no more: each sign of life from it opens the line for PARTS_A_SIGN parts.
 * What was not sent when the meter starts anew is thrown away: its sessions ask again.
 */
import {
  LINK_HELLO,
  LINK_LIVE,
  LINK_SAY,
  LINK_TELL,
  type MeterMessage,
  type Tell,
} from '../../protocol/wire/link-messages.ts';
import { partOf, partsOf, SESSION_MOST_BYTES, SessionReader } from '../../protocol/wire/sessions.ts';

/** 1.4 kB on the line: an eighth of a second. */
const PARTS_A_SIGN = 4;
/** What may wait for the line. */
const QUEUE_MOST_BYTES = 1 << 20;
const MESSAGE_NUMBERS = 256;

/** What it says is of a meter that nobody has authenticated: to be checked. A promise is waited for by a conductor. */
export type SessionHandler = (body: Uint8Array) => void | Promise<void>;

interface Waiting {
  readonly session: number;
  readonly message: number;
  readonly body: Uint8Array;
  part: number;
}
export interface MeterSessionsOptions {
  send(part: Tell): void;
  log(line: string): void;
}

export class MeterSessions {
  readonly #options: MeterSessionsOptions;
  readonly #handlers = new Map<number, SessionHandler>();
  readonly #reader = new SessionReader();
  readonly #running = new Set<Promise<void>>();
  readonly #alarms = new Map<number, string>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #message = 0;
  #boot = 0;
  /** Parts that may be sent before the meter gives its next sign of life. */
  #credit = 0;
  /** Whole messages that nobody here wants. */
  strangers = 0;

  constructor(options: MeterSessionsOptions) {
    this.#options = options;
  }

  /** @throws Error where the session has its handler */
  on(session: number, handler: SessionHandler): void {
    if (this.#handlers.has(session)) throw new Error(`session ${session} has its handler`);
    this.#handlers.set(session, handler);
  }

  /** What a person should look at, in words; null where all is well (again). */
  setAlarm(session: number, text: string | null): void {
    if (text === null) this.#alarms.delete(session);
    else this.#alarms.set(session, text);
  }
  get alarms(): string[] {
    return [...this.#alarms.values()];
  }

  /** Queues a message of 1 … 16,384 bytes for the meter. @returns whether there was room for it */
  tell(session: number, body: Uint8Array): boolean {
    if (body.length < 1 || body.length > SESSION_MOST_BYTES)
      throw new RangeError(`session ${session}: a message of ${body.length} bytes`);
    if (this.#waitingBytes + body.length > QUEUE_MOST_BYTES) return false;
    this.#waiting.push({ session, message: this.#message, body: Uint8Array.from(body), part: 0 });
    this.#waitingBytes += body.length;
    this.#message = (this.#message + 1) % MESSAGE_NUMBERS;
    this.#send();
    return true;
  }

  /** Messages of the household's own meter, in order; those that are no sessions' are signs of life. */
  receive(messages: readonly MeterMessage[]): void {
    const signs = messages.filter(({ type }) => type === LINK_LIVE || type === LINK_HELLO).length;
    if (signs > 0) this.#credit = PARTS_A_SIGN * signs;
    for (const message of messages) {
      if (message.type === LINK_HELLO && message.boot !== this.#boot) {
        if (this.#boot > 0) this.#waiting = [];
        this.#waitingBytes = this.#waiting.reduce((sum, { body }) => sum + body.length, 0);
        this.#boot = message.boot;
      } else if (message.type === LINK_SAY) {
        const whole = this.#reader.push(message);
        if (whole) this.#hand(whole.session, whole.body);
      }
    }
    this.#send();
  }

  /** Parts that came to nothing. */
  get dropped(): number {
    return this.#reader.dropped;
  }
  /** When every handler that was called has come to its end. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #hand(session: number, body: Uint8Array): void {
    const handler = this.#handlers.get(session);
    if (!handler) {
      this.strangers++;
      return;
    }
    const run = (async () => handler(body))()
      .catch((error: Error) => this.#options.log(`session ${session}: ${error.message}`))
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  #send(): void {
    while (this.#credit > 0 && this.#waiting.length > 0) {
      const [first] = this.#waiting;
      this.#credit--;
      this.#options.send({ type: LINK_TELL, ...partOf(first.session, first.message, first.body, first.part++) });
      if (first.part < partsOf(first.body.length)) continue;
      this.#waiting.shift();
      this.#waitingBytes -= first.body.length;
    }
  }
}
