import type { MainsWave } from '../../bench/board/adc-model.ts';

const POINTS = 256;

/** 50 Hz, 230 V and so many amps in phase; negative: fed in. */
export function mains(ampere: number): MainsWave {
  const sine = (rms: number) =>
    Float64Array.from({ length: POINTS }, (_, n) => rms * Math.SQRT2 * Math.sin((2 * Math.PI * n) / POINTS));
  return { frequencyHz: 50, cycles: 1, voltageV: sine(230), currentA: sine(ampere) };
}
