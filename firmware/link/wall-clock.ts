/**
 * The wall clock of a meter that has none: uptime, and what the gateway's TIME says about it. (Espruino dialect)
 *
 * - Before the first TIME wall time is uptime, so that blocks and quarter hours have their length, if not their place.
 * - The first TIME, and one that differs by more than STEP_MS, sets the clock at once (a *step*).
 * - What differs less (the crystal's drift, the line's delay) is made up at 1 ms per tick: no block is longer or shorter than
 *   another by more than a thousandth, and no boundary is passed twice.
 * Energy is integrated over uptime, never over wall time: whatever the clock does, none is lost or counted twice.
 */

/** A difference above this is no drift. */
export const STEP_MS = 2000;

export class WallClock {
  /** Whether TIME has come since the start. */
  known = false;
  /** Wall time − uptime, ms: now, and where it is going. */
  offsetMs = 0;
  targetMs = 0;

  /** Unix ms (uptime before the first TIME). */
  unixMs(uptimeMs: number): number {
    return uptimeMs + this.offsetMs;
  }

  /** The gateway's clock at this uptime. True where that was a step. */
  set(unixMs: number, uptimeMs: number): boolean {
    const offsetMs = unixMs - uptimeMs;
    const step = !this.known || Math.abs(offsetMs - this.offsetMs) > STEP_MS;
    this.known = true;
    this.targetMs = offsetMs;
    if (step) this.offsetMs = offsetMs;
    return step;
  }

  /** Once a second: makes up for a little of the drift. */
  tick(): void {
    if (this.offsetMs < this.targetMs) this.offsetMs++;
    else if (this.offsetMs > this.targetMs) this.offsetMs--;
  }
}
