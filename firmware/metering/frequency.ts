/**
 * The mains' frequency from the voltage alone. (Espruino dialect)
 *
 * The autocorrelation of a sine is a cosine of the lag, which is steep where it is zero: at 1¾ cycles. What it says there,
 * against the mean square, is by how much 1¾ of the expected cycles miss 1¾ of the true ones. Odd harmonics are zero
 * there too. Two sums, a quarter cycle apart, cancel the ripple of a sum that is not quite whole cycles.
 */
import type { Dsp } from './dsp.ts';
import type { Samples } from './samples.ts';

const LAG_CYCLES = 1.75;

export class FrequencyMeter {
  private dsp: Dsp;
  private samples: Samples;
  private lag = 0;
  private quarter = 0;
  private first: Int16Array = new Int16Array(0);
  private second: Int16Array = new Int16Array(0);

  constructor(dsp: Dsp, samples: Samples) {
    this.dsp = dsp;
    this.samples = samples;
  }

  /** Expects cycles of so many pairs from now on. */
  tune(period: number): void {
    this.lag = Math.round(LAG_CYCLES * period);
    this.quarter = Math.round(period / 4);
    const length = Math.round(period);
    this.first = new Int16Array(this.samples.voltage.buffer, 0, length);
    this.second = new Int16Array(this.samples.voltage.buffer, 2 * this.quarter, length);
  }

  /**
   * @param offset of the voltage's samples
   * @param meanSquare of the voltage's samples without the offset
   * @return length of a cycle in pairs; right if it is within a seventh of the expected one
   */
  measure(offset: number, meanSquare: number): number {
    const v = this.samples.voltage;
    const length = this.first.length;
    const products =
      this.dsp.convolve(this.first, v, this.lag) + this.dsp.convolve(this.second, v, this.quarter + this.lag);
    const sine = (products / (2 * length) - offset * offset) / meanSquare;
    // cos(2π · 1¾ + δ) = sin δ
    return (2 * Math.PI * this.lag) / (2 * Math.PI * LAG_CYCLES + Math.asin(Math.max(-1, Math.min(1, sine))));
  }
}
