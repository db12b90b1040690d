/** The generated signals of the accuracy measurement, and what they really carry. */
import type { MainsWave } from '../../board/adc-model.ts';

/** Straight lines between so many points cost 2 · 10⁻⁶ of the power. */
const POINTS = 2048;
export const REFERENCE_V = 230;
export const REFERENCE_HZ = 50;

interface SineSpec {
  frequencyHz?: number;
  voltageV?: number;
  currentA: number;
  /** The current lags by this angle; 180° turns its direction. */
  lagDeg?: number;
}

const cycle = (at: (theta: number) => number): Float64Array =>
  Float64Array.from({ length: POINTS }, (_, n) => at((2 * Math.PI * n) / POINTS));

export function sine(spec: SineSpec): MainsWave {
  const { frequencyHz = REFERENCE_HZ, voltageV = REFERENCE_V, currentA, lagDeg = 0 } = spec;
  const lag = (lagDeg * Math.PI) / 180;
  return {
    frequencyHz,
    cycles: 1,
    voltageV: cycle((theta) => Math.SQRT2 * voltageV * Math.sin(theta)),
    currentA: cycle((theta) => Math.SQRT2 * currentA * Math.sin(theta - lag)),
  };
}

/** 10 % of the fifth in the voltage and 40 % in the current, in phase; `currentA` is the fundamental's. Negative exports. */
export function fifthHarmonic(currentA: number): MainsWave {
  return {
    frequencyHz: REFERENCE_HZ,
    cycles: 1,
    voltageV: cycle((theta) => Math.SQRT2 * REFERENCE_V * (Math.sin(theta) + 0.1 * Math.sin(5 * theta))),
    currentA: cycle((theta) => Math.SQRT2 * currentA * (Math.sin(theta) + 0.4 * Math.sin(5 * theta))),
  };
}

/** A dimmer fired at 90°: `currentA` is the RMS. Negative exports. */
export function phaseFired(currentA: number): MainsWave {
  const { voltageV } = sine({ currentA });
  return {
    frequencyHz: REFERENCE_HZ,
    cycles: 1,
    voltageV,
    currentA: cycle((theta) => (theta % Math.PI >= Math.PI / 2 ? 2 * currentA * Math.sin(theta) : 0)),
  };
}

/** Exact means of a wave that is drawn with straight lines: W, V, A. */
export function truthOf({ voltageV, currentA }: MainsWave): { powerW: number; voltageV: number; currentA: number } {
  const n = voltageV.length;
  let [p, v, i] = [0, 0, 0];
  for (let k = 0; k < n; k++) {
    const [v0, v1, i0, i1] = [voltageV[k], voltageV[(k + 1) % n], currentA[k], currentA[(k + 1) % n]];
    p += (2 * v0 * i0 + v0 * i1 + v1 * i0 + 2 * v1 * i1) / 6;
    v += (v0 * v0 + v0 * v1 + v1 * v1) / 3;
    i += (i0 * i0 + i0 * i1 + i1 * i1) / 3;
  }
  return { powerW: p / n, voltageV: Math.sqrt(v / n), currentA: Math.sqrt(i / n) };
}

/** The wave's value at an instant, as the ADC model sees it. */
export function valueAt(wave: Float64Array, samplesPerS: number, timeS: number): number {
  const x = timeS * samplesPerS;
  const at = x - Math.floor(x / wave.length) * wave.length;
  const k = Math.floor(at);
  const before = wave[k];
  return before + (wave[k + 1 < wave.length ? k + 1 : 0] - before) * (at - k);
}
