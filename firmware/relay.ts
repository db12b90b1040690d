/**
 * The relay of a switched load, as the gateway wants it for a while. (Espruino dialect; the pin is passed in)
 *
 * The load has power unless somebody says otherwise, again and again: at the start, when the time that was said has passed, and
 * RELAY_LEASE_MS after the gateway's last word, it is on. So neither a gateway that died nor a clock that was set can leave a
 * house without hot water.
 */
import { RELAY_LEASE_MS } from '../protocol/wire/link-messages.ts';

export class Relay {
  set: (on: boolean) => void;
  on = true;
  /** Wall time until which it stays off, as it was said; 0 while it is on. */
  untilMs = 0;
  /** The same in uptime: what the clock does later changes nothing. */
  endsAtMs = 0;

  /** @param set drives the pin */
  constructor(set: (on: boolean) => void) {
    this.set = set;
  }

  start(): void {
    this.set(true);
  }

  /** RELAY from the gateway. */
  command(on: boolean, untilMs: number, unixMs: number, uptimeMs: number): void {
    const remainingMs = Math.min(untilMs - unixMs, RELAY_LEASE_MS);
    if (on || remainingMs <= 0) {
      this.release();
      return;
    }
    this.on = false;
    this.untilMs = untilMs;
    this.endsAtMs = uptimeMs + remainingMs;
    this.set(false);
  }

  /** Once a second. True where it has just fallen back. */
  tick(uptimeMs: number): boolean {
    if (this.on || uptimeMs < this.endsAtMs) return false;
    this.release();
    return true;
  }

  release(): void {
    this.on = true;
    this.untilMs = 0;
    this.set(true);
  }
}
