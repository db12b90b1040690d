/**
 * Stage G: is the clamp the wrong way round? (Espruino dialect)
 *
 * A meter never turns a sign by itself. It says that a clamp looks reversed if the house has delivered for 95 % of a day
 * though it has no generator, or at once if a person switches on a known load and power runs backwards.
 */
import { CLAMP_LOAD_TOO_SMALL, CLAMP_REVERSED, CLAMP_RIGHT } from '../../protocol/wire/link-messages.ts';
import type { Measurement } from './meter.ts';

const HOUR_MS = 3600000;
const HOURS = 24;
const SUSPECTED_PART = 0.95;
/** Least power of a block that says something about its direction: 5 W, and far above what noise does. */
const LEAST_MW = 5000;
const LEAST_SIGMAS = 20;
/** Below this the current is clearly against the voltage. */
const BACKWARDS_FACTOR = -0.5;

const GUIDED_LEAST_MW = 500000;
const GUIDED_FACTOR_E4 = 9000;

export class ReversedClamp {
  /** For FLAG_REVERSED. */
  suspected = false;
  private noiseMw: number;
  private hasGenerator: boolean;
  private blockMwMs = 0;
  private blockMvaMs = 0;
  private blockMs = 0;
  private blockWindows = 0;
  private hourMs = 0;
  private hourBackwardsMs = 0;
  /** Of each of the last 24 hours, for which part power ran backwards; a ring. */
  private backwardsPart: number[] = [];
  private next = 0;

  constructor(noiseMw: number, hasGenerator: boolean) {
    this.noiseMw = noiseMw;
    this.hasGenerator = hasGenerator;
  }

  /** A window's measurement held for so long. */
  observe(m: Measurement, elapsedMs: number): void {
    this.blockMwMs += m.powerMw * elapsedMs;
    this.blockMvaMs += m.apparentMva * elapsedMs;
    this.blockMs += elapsedMs;
    this.blockWindows++;
  }

  closeBlock(): void {
    if (this.blockWindows > 0) {
      const least = Math.max(LEAST_MW, (LEAST_SIGMAS * this.noiseMw) / Math.sqrt(this.blockWindows));
      const backwards = this.blockMwMs < -least * this.blockMs && this.blockMwMs < BACKWARDS_FACTOR * this.blockMvaMs;
      this.hourMs += this.blockMs;
      if (backwards) this.hourBackwardsMs += this.blockMs;
    }
    this.blockMwMs = 0;
    this.blockMvaMs = 0;
    this.blockMs = 0;
    this.blockWindows = 0;
    if (this.hourMs >= HOUR_MS) this.closeHour();
  }

  private closeHour(): void {
    this.backwardsPart[this.next] = this.hourBackwardsMs / this.hourMs;
    this.next = (this.next + 1) % HOURS;
    this.hourMs = 0;
    this.hourBackwardsMs = 0;
    if (this.backwardsPart.length < HOURS) return;
    let sum = 0;
    for (let n = 0; n < HOURS; n++) sum += this.backwardsPart[n];
    this.suspected = !this.hasGenerator && sum >= SUSPECTED_PART * HOURS;
  }
}

/** The guided check: a person has just switched on a resistive load above 500 W. One of CLAMP_… of link-messages.ts. */
export function checkClamp(m: Measurement): number {
  if (Math.abs(m.powerMw) <= GUIDED_LEAST_MW || Math.abs(m.powerFactorE4) <= GUIDED_FACTOR_E4) {
    return CLAMP_LOAD_TOO_SMALL;
  }
  return m.powerMw < 0 ? CLAMP_REVERSED : CLAMP_RIGHT;
}
