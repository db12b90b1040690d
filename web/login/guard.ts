/**
 * Slows guessing down. After a few wrong passwords from one address each further try waits twice as long, up to a
 * quarter hour; and all addresses together have a slow allowance, so that many addresses help little. An attempt counts
 * from its beginning, so that tries side by side gain nothing; only a right password clears its address.
 */
import { isIPv6 } from 'node:net';

/** Wrong passwords that cost nothing: people mistype. */
const FREE_TRIES = 3;
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 900_000;
/** An address that was quiet for so long starts afresh. */
const FORGET_MS = 3_600_000;
/** All addresses together: this many at once, then one every GLOBAL_EVERY_MS. At most 17,000 guesses a day against 79 bits. */
const GLOBAL_BURST = 40;
const GLOBAL_EVERY_MS = 5_000;
/** Bounds the memory that an attacker with many addresses can take. */
const MAX_ADDRESSES = 1_000;

interface Record {
  tries: number;
  nextMs: number;
  lastMs: number;
}

export class LoginGuard {
  readonly #nowMs: () => number;
  readonly #byAddress = new Map<string, Record>();
  /** The instant at which the common allowance is full again. */
  #fullAtMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Begins an attempt: 0 if it may go on (it then counts as wrong until `succeeded`), or how long to wait, ms. */
  begin(address: string): number {
    const nowMs = this.#nowMs();
    const key = networkOf(address);
    let record = this.#byAddress.get(key);
    if (record && nowMs - record.lastMs > FORGET_MS) record = undefined;
    if (record && record.nextMs > nowMs) return record.nextMs - nowMs;
    const spentMs = Math.max(0, this.#fullAtMs - nowMs);
    if (spentMs > (GLOBAL_BURST - 1) * GLOBAL_EVERY_MS) return spentMs - (GLOBAL_BURST - 1) * GLOBAL_EVERY_MS;

    this.#fullAtMs = nowMs + spentMs + GLOBAL_EVERY_MS;
    const tries = (record?.tries ?? 0) + 1;
    const waitMs = tries <= FREE_TRIES ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (tries - FREE_TRIES - 1));
    this.#byAddress.delete(key); // Set again at the end: the map's first is the longest quiet one.
    this.#byAddress.set(key, { tries, nextMs: nowMs + waitMs, lastMs: nowMs });
    if (this.#byAddress.size > MAX_ADDRESSES) this.#byAddress.delete(this.#byAddress.keys().next().value!);
    return 0;
  }

  succeeded(address: string): void {
    this.#byAddress.delete(networkOf(address));
    this.#fullAtMs -= GLOBAL_EVERY_MS;
  }
}

/** One machine owns a whole /64 of IPv6: its addresses count as one. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!isIPv6(plain)) return plain;
  const [head, tail] = plain.split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array(zeros).fill('0'), ...right].slice(0, 4).join(':');
}
