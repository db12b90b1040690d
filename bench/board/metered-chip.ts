/**
 * A simulated board without its interpreter: the ADC model of a chip, read window by window as the firmware reads its pins,
 * into the firmware's own metering. What accuracy is measured on, and what commissions a chip.
 */

import type { Calibration } from '../../firmware/metering/calibration.ts';
import type { Dsp } from '../../firmware/metering/dsp.ts';
import { type Measurement, Metering, type MeteringConfig, meteringConfig } from '../../firmware/metering/meter.ts';
import { type AdcChip, type AdcModel, createAdcModel, type MainsWave } from './adc-model.ts';

/** Espruino's native helpers, written out. */
export const hostDsp: Dsp = {
  convolve(a, b, offset) {
    const length = b.length;
    let sum = 0;
    if (offset + a.length <= length) {
      for (let n = 0; n < a.length; n++) sum += a[n] * b[n + offset];
    } else {
      for (let n = 0; n < a.length; n++) sum += a[n] * b[(n + offset) % length];
    }
    return sum;
  },
  sum(a) {
    let sum = 0;
    for (let n = 0; n < a.length; n++) sum += a[n];
    return sum;
  },
  mapInPlace(from, to, table) {
    for (let n = 0; n < from.length; n++) to[n] = table[from[n]];
  },
};

export class MeteredChip {
  readonly model: AdcModel;
  readonly metering: Metering;
  /** The last window: codes by turns, the instant of each, and how long it took. */
  readonly raw: Uint16Array;
  readonly atS: Float64Array;
  windowS = 0;
  timeS = 0;

  constructor(chip: AdcChip, seed: number, calibration: Calibration, config: MeteringConfig = meteringConfig()) {
    this.model = createAdcModel(chip, seed);
    this.metering = new Metering(hostDsp, calibration, config);
    this.raw = new Uint16Array(2 * config.pairs);
    this.atS = new Float64Array(2 * config.pairs);
  }

  setMains({ frequencyHz, cycles, voltageV, currentA }: MainsWave): void {
    this.model.setMains(frequencyHz, cycles, voltageV, currentA);
  }

  /** Samples one window from `timeS` on. */
  sample(): void {
    const { model, raw, atS } = this;
    const begin = this.timeS;
    let time = begin;
    for (let n = 0; n < raw.length; n++) {
      atS[n] = time;
      raw[n] = model.sample(n & 1, time);
      time += model.lastStepS();
    }
    this.timeS = time;
    this.windowS = time - begin;
  }

  window(): Measurement {
    this.sample();
    return this.metering.window(this.raw, this.windowS);
  }
}
