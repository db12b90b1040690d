/** Protocol time (slots, expiry, batches). Transport time (TLS, reconnects) is never taken from here. */
export interface Clock {
  /** Unix time in ms, UTC. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

/** The clock of a party in the bench: it stands still until the conductor moves it, and never goes back. */
export class DrivenClock implements Clock {
  #nowMs: number;
  constructor(startMs: number) {
    this.#nowMs = startMs;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  advanceTo(unixMs: number): void {
    if (unixMs > this.#nowMs) this.#nowMs = unixMs;
  }
}
