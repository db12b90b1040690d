/**
 * The mains at a house: voltage and frequency wander, and the voltage is a little bent. Frequency is one for the whole
 * grid; the voltage's fast part is each house's own.
 */
import { SmoothNoise } from '../random.ts';
import { NOMINAL_VOLTAGE_V, sine, WAVE_POINTS } from './shapes.ts';

export interface MainsSpec {
  /** RMS around which the voltage wanders. */
  voltageV: number;
  /** How far it goes, in percent of it. EN 50160 allows 10. */
  variationPercent: number;
  frequencyHz: number;
}

export const nominalMains: MainsSpec = { voltageV: NOMINAL_VOLTAGE_V, variationPercent: 5, frequencyHz: 50 };

/** The mains is looked at this often; between, it stands still. */
export const MAINS_STEP_MS = 10_000;
/** The interconnected grid of Europe stays within this nearly always. */
const FREQUENCY_SPREAD_HZ = 0.05;

const first = sine(1);
const third = sine(3, 170);
const fifth = sine(5, 10);

export class Mains {
  readonly #spec: MainsSpec;
  readonly #slow: SmoothNoise;
  readonly #own: SmoothNoise;
  readonly #frequency: SmoothNoise;
  readonly #frequencyFast: SmoothNoise;
  readonly #third: SmoothNoise;
  readonly #fifth: SmoothNoise;
  #step = Number.NaN;

  /** One cycle, V; written anew in place. */
  readonly voltageV = new Float64Array(WAVE_POINTS);
  frequencyHz = 50;
  /** RMS of the fundamental, V. */
  fundamentalV = NOMINAL_VOLTAGE_V;

  constructor(spec: MainsSpec, seed: number, household: string) {
    this.#spec = spec;
    this.#slow = new SmoothNoise(seed, 'voltage');
    this.#own = new SmoothNoise(seed, 'voltage', household);
    this.#frequency = new SmoothNoise(seed, 'frequency');
    this.#frequencyFast = new SmoothNoise(seed, 'frequency', 'fast');
    this.#third = new SmoothNoise(seed, 'harmonic', 3);
    this.#fifth = new SmoothNoise(seed, 'harmonic', 5);
  }

  /** Moves to the given instant. True if anything changed. */
  moveTo(unixMs: number): boolean {
    const step = Math.floor(unixMs / MAINS_STEP_MS);
    if (step === this.#step) return false;
    this.#step = step;
    const s = step * (MAINS_STEP_MS / 1000);
    const { voltageV, variationPercent, frequencyHz } = this.#spec;
    const wander = 0.6 * this.#slow.at(s / 1800) + 0.3 * this.#own.at(s / 240) + 0.1 * this.#own.at(s / 45 + 0.5);
    this.fundamentalV = voltageV * (1 + (variationPercent / 100) * wander);
    this.frequencyHz =
      frequencyHz + FREQUENCY_SPREAD_HZ * (0.7 * this.#frequency.at(s / 300) + 0.3 * this.#frequencyFast.at(s / 40));
    const peakV = this.fundamentalV * Math.SQRT2;
    const thirdV = peakV * (0.01 + 0.005 * this.#third.at(s / 3600));
    const fifthV = peakV * (0.02 + 0.01 * this.#fifth.at(s / 3600));
    const wave = this.voltageV;
    for (let n = 0; n < WAVE_POINTS; n++) wave[n] = peakV * first[n] + thirdV * third[n] + fifthV * fifth[n];
    return true;
  }
}
