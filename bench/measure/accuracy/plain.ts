/**
 * What typical energy libraries for Arduinos do with the same samples: a high-pass filter for each channel, the voltage
 * moved by interpolating between its last two samples, products summed between zero crossings, one gain and one phase
 * (`PHASECAL`) for everything. Written anew after EmonLib's description.
 */
const FILTER = 1 / 1024;

export class PlainMeter {
  /** Sum of products of the last window with the voltage before, and what moving it to the present one adds. */
  base = 0;
  step = 0;
  #offsetV = 2048;
  #offsetI = 2048;
  #lastV = 0;

  window(raw: Uint16Array): void {
    let [crossings, pairs] = [0, 0];
    let [base, step] = [0, 0];
    let last = this.#lastV;
    for (let n = 0; n < raw.length; n += 2) {
      this.#offsetV += (raw[n] - this.#offsetV) * FILTER;
      this.#offsetI += (raw[n + 1] - this.#offsetI) * FILTER;
      const v = raw[n] - this.#offsetV;
      const i = raw[n + 1] - this.#offsetI;
      if (v > 0 !== last > 0 && n > 0) {
        crossings++;
        if (crossings === 1) [pairs, base, step] = [0, 0, 0];
        else if (crossings % 2 === 1) [this.base, this.step] = [base / pairs, step / pairs];
      }
      base += last * i;
      step += (v - last) * i;
      last = v;
      pairs++;
    }
    this.#lastV = last;
  }
}

/** Gain and phase by two known loads: two equations in `gain` and `gain · PHASECAL`. */
export class PlainCalibration {
  readonly #gain: number;
  readonly #phase: number;

  constructor(loads: [{ base: number; step: number; powerW: number }, { base: number; step: number; powerW: number }]) {
    const [a, b] = loads;
    const determinant = a.base * b.step - b.base * a.step;
    this.#gain = (a.powerW * b.step - b.powerW * a.step) / determinant;
    this.#phase = (a.base * b.powerW - b.base * a.powerW) / determinant;
  }

  powerW({ base, step }: { base: number; step: number }): number {
    return this.#gain * base + this.#phase * step;
  }
}
