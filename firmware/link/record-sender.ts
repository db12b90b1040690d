/**
 * Which records go to the gateway, and when again. (Espruino dialect; sends nothing itself)
 *
 * A few each second, so that a backlog of 35 days leaves room for the live values, and at most WINDOW ahead of what was
 * acknowledged. A gateway that is silent is asked with one record after 10 s, 20 s … 5 min; its first answer opens the window
 * again. Acknowledgements that are doubled, old or of records that never were change nothing.
 */
const PER_SECOND = 8;
/** A day of records. */
const WINDOW = 96;
/** Also between two HELLOs that go unanswered. */
export const FIRST_RETRY_MS = 10000;
export const LAST_RETRY_MS = 300000;

export class RecordSender {
  /** Every record up to this one is on the gateway's disk, or has not been asked for. */
  acknowledged: number;
  /** The next one to send. */
  next: number;
  window = WINDOW;
  retryMs = FIRST_RETRY_MS;
  retryAtMs = 0;

  /** @param newest number of the newest record at the start: what came before is sent only if it is asked for */
  constructor(newest: number) {
    this.acknowledged = newest;
    this.next = newest + 1;
  }

  acknowledge(number: number, newest: number): void {
    if (number <= this.acknowledged || number > newest) return;
    this.acknowledged = number;
    if (this.next <= number) this.next = number + 1;
    this.open();
  }

  /** Sends again, from this number on. */
  restart(from: number): void {
    this.acknowledged = from - 1;
    this.next = from;
    this.open();
  }

  /** Once a second: how many records from `next` on are to be sent now. The caller moves `next` on. */
  due(uptimeMs: number, newest: number): number {
    const waiting = this.acknowledged < newest;
    const last = Math.min(newest, this.acknowledged + this.window);
    if (waiting && this.next > last && uptimeMs >= this.retryAtMs) {
      this.window = 1;
      this.next = this.acknowledged + 1;
      this.retryMs = Math.min(2 * this.retryMs, LAST_RETRY_MS);
    }
    const count = Math.min(PER_SECOND, newest + 1 - this.next, this.acknowledged + this.window + 1 - this.next);
    if (count > 0) this.retryAtMs = uptimeMs + this.retryMs;
    return count;
  }

  open(): void {
    this.window = WINDOW;
    this.retryMs = FIRST_RETRY_MS;
  }
}
