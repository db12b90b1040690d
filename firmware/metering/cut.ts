/**
 * Stage C: which part of a window is summed, and with which weights. (Espruino dialect)
 *
 * Sums of products are right only over whole cycles. A cycle is no whole number of pairs, so four sub-windows of whole
 * cycles, staggered by 0, T/8, T/4 and 3T/8, are added: what each of them has too much or too little of the ripple at twice
 * the mains' frequency (and at four and six times) cancels. Added up they are a staircase of weights 1 2 3 4 3 2 1 over
 * seven segments, which costs a third of four overlapping sums.
 *
 *        ┌───────────────┐
 *      ┌─┘               └─┐
 *    ┌─┘                   └─┐
 *  ┌─┘                       └─┐
 *  0 T/8 …                 nT  … nT + 3T/8
 */
import type { Samples } from './samples.ts';

export const SEGMENTS = 7;
export const STAGGERS = 4;

/** The cut of a window for one length of the mains' cycle. */
export class Cut {
  /** Length of a cycle in pairs, for which this cut is made. */
  period: number;
  weight: number[] = [];
  /** First pair of each segment. */
  start: number[] = [];
  voltage: Int16Array[] = [];
  current: Int16Array[] = [];
  /** Pairs, counted with their weights. */
  total = 0;
  /** Pairs that would have the same noise if all had weight 1. */
  effectivePairs = 0;
  /** Taps by which the voltage is read at the instant of the current, and a quarter cycle later: offsets, coefficients. */
  tap = 0;
  tapNear = 0;
  tapFar = 0;
  quarterTap = 0;
  quarterNear = 0;
  quarterFar = 0;

  /**
   * @param period of the mains in pairs
   * @param skew from a voltage sample to its current's, in pairs
   * @param staggers 4, or 1 to show what staggering is good for
   */
  constructor(samples: Samples, period: number, skew: number, staggers: number) {
    const pairs = samples.voltage.length;
    this.period = period;
    const quarter = period / 4 + skew;
    const room = pairs - 1 - (Math.floor(quarter) + 1) - Math.round(((staggers - 1) * period) / 8);
    const length = Math.round(Math.max(1, Math.floor(room / period + 0.001)) * period);

    let squares = 0;
    for (let n = 0; n < 2 * staggers - 1; n++) {
      const rising = n < staggers;
      const from = rising ? Math.round((n * period) / 8) : length + Math.round(((n - staggers) * period) / 8);
      const to =
        n + 1 < staggers ? Math.round(((n + 1) * period) / 8) : length + Math.round(((n + 1 - staggers) * period) / 8);
      const weight = rising ? n + 1 : 2 * staggers - 1 - n;
      this.weight.push(weight);
      this.start.push(from);
      this.voltage.push(new Int16Array(samples.voltage.buffer, 2 * from, to - from));
      this.current.push(new Int16Array(samples.current.buffer, 2 * from, to - from));
      this.total += weight * (to - from);
      squares += weight * weight * (to - from);
    }
    this.effectivePairs = (this.total * this.total) / squares;

    // A straight line between two samples is a little short of a sine: made up for at the fundamental.
    const angle = (2 * Math.PI) / period;
    const short = (s: number) => Math.sqrt(1 - 2 * s * (1 - s) * (1 - Math.cos(angle)));
    this.tapNear = (1 - skew) / short(skew);
    this.tapFar = skew / short(skew);
    this.quarterTap = Math.floor(quarter);
    const part = quarter - this.quarterTap;
    this.quarterNear = (1 - part) / short(part);
    this.quarterFar = part / short(part);
  }
}
