/** A commissioned chip under test, measured beside the plain calculation on the same samples. */
import type { Calibration } from '../../../firmware/metering/calibration.ts';
import { type MeteringConfig, meteringConfig } from '../../../firmware/metering/meter.ts';
import { FULL_RANGE_A } from '../../../hardware/front-end.ts';
import { type AdcChip, type ChipSpec, type MainsWave, makeChip } from '../../board/adc-model.ts';
import { calibrateChip } from '../../board/calibrate-chip.ts';
import { MeteredChip } from '../../board/metered-chip.ts';
import { Random } from '../../random.ts';
import { PlainCalibration, PlainMeter } from './plain.ts';
import { sine, truthOf, valueAt } from './signals.ts';

/**
 * Ten windows a second for ten seconds. That many keep the ADC's noise below the limits at small currents and low power
 * factors; with one a second, as the bench runs its boards, errors there are up to three times as large.
 */
export const WINDOWS_PER_SECOND = 10;
export const SECONDS = 10;
/** Where two means are compared: a change or a spread is to be seen under the noise of both. */
export const COMPARED_SECONDS = 40;
/** Before them, for the offsets to settle: the plain calculation's filter needs as many. */
const SETTLE_WINDOWS = 20;
const WINDOW_SPACING_S = 1 / WINDOWS_PER_SECOND;
/** A window is 82 ms; the interpreter takes a varying part of what is left. */
const IDLE_S = 0.016;

export interface Reading {
  measuredW: number;
  trueW: number;
  plainW: number;
}

interface Options {
  calibration: Calibration;
  config: MeteringConfig;
  /** Truth at the instants and with the weights of the measurement. */
  weighted: boolean;
  /** Every window begins at this part of a cycle. */
  lockedPhase: number | null;
  seconds: number;
}

export class Specimen {
  readonly chip: AdcChip;
  readonly calibration: Calibration;
  readonly #plain: PlainCalibration;

  constructor(chipSeed: number, spec: ChipSpec) {
    this.chip = makeChip(chipSeed, spec);
    this.calibration = calibrateChip(this.chip, chipSeed);
    const known = (lagDeg: number): { base: number; step: number; powerW: number } => {
      const wave = sine({ currentA: FULL_RANGE_A / 5, lagDeg });
      const { base, step } = this.#run(wave, 1, this.#usual());
      return { base, step, powerW: truthOf(wave).powerW };
    };
    this.#plain = new PlainCalibration([known(0), known(60)]);
  }

  /**
   * The mean of ten seconds.
   * @param seed of the noise and of the mains' phase
   */
  measure(wave: MainsWave, seed: number, options: Partial<Options> = {}): Reading {
    const how = { ...this.#usual(), ...options };
    const { measuredW, weightedW, base, step } = this.#run(wave, seed, how);
    return {
      measuredW,
      trueW: how.weighted ? weightedW : truthOf(wave).powerW,
      plainW: this.#plain.powerW({ base, step }),
    };
  }

  #usual(): Options {
    const { calibration } = this;
    return { calibration, config: meteringConfig(), weighted: false, lockedPhase: null, seconds: SECONDS };
  }

  #run(wave: MainsWave, seed: number, options: Options) {
    const { calibration, config, weighted, lockedPhase, seconds } = options;
    const random = new Random(seed, 'windows');
    const meter = new MeteredChip(this.chip, random.uint32(), calibration, config);
    const plain = new PlainMeter();
    meter.setMains(wave);
    const beginS = random.between(0, 3);
    const windows = WINDOWS_PER_SECOND * seconds;
    let [measuredW, weightedW, base, step] = [0, 0, 0, 0];
    for (let n = -SETTLE_WINDOWS; n < windows; n++) {
      const spacedS = (n + SETTLE_WINDOWS) * WINDOW_SPACING_S;
      meter.timeS =
        lockedPhase === null
          ? beginS + spacedS + random.between(0, IDLE_S)
          : (Math.round(spacedS * wave.frequencyHz) + lockedPhase) / wave.frequencyHz;
      const m = meter.window();
      plain.window(meter.raw);
      if (n < 0) continue;
      measuredW += m.powerMw / 1000 / windows;
      base += plain.base / windows;
      step += plain.step / windows;
      if (weighted) weightedW += weightedTruthW(meter, wave) / windows;
    }
    return { measuredW, weightedW, base, step };
  }
}

/** Mean of u · i at the instants of the last window's current samples, with the weights they were summed with. */
function weightedTruthW({ metering: { cut }, atS }: MeteredChip, wave: MainsWave): number {
  const samplesPerS = (wave.voltageV.length * wave.frequencyHz) / wave.cycles;
  let sum = 0;
  for (let segment = 0; segment < cut.weight.length; segment++) {
    const from = cut.start[segment];
    let part = 0;
    for (let n = from; n < from + cut.current[segment].length; n++) {
      const timeS = atS[2 * n + 1];
      part += valueAt(wave.voltageV, samplesPerS, timeS) * valueAt(wave.currentA, samplesPerS, timeS);
    }
    sum += cut.weight[segment] * part;
  }
  return sum / cut.total;
}
