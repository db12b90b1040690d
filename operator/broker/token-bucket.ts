/** So many at once, then so many per second of real time. */
export class TokenBucket {
  readonly #most: number;
  readonly #perMs: number;
  readonly #nowMs: () => number;
  #tokens: number;
  #filledMs: number;

  constructor(most: number, perSecond: number, nowMs: () => number) {
    this.#most = most;
    this.#perMs = perSecond / 1000;
    this.#nowMs = nowMs;
    this.#tokens = most;
    this.#filledMs = nowMs();
  }

  take(): boolean {
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Nothing was taken for so long that it could as well be a new one. */
  get full(): boolean {
    this.#fill();
    return this.#tokens >= this.#most;
  }

  #fill(): void {
    const nowMs = this.#nowMs();
    this.#tokens = Math.min(this.#most, this.#tokens + (nowMs - this.#filledMs) * this.#perMs);
    this.#filledMs = nowMs;
  }
}
