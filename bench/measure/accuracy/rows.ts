/**
 * The rows of the accuracy table (limits in percent of the true power): what a meter for billing is held against, and
 * the goal beyond it.
 */
import { FULL_RANGE_A } from '../../../hardware/front-end.ts';
import type { MainsWave } from '../../board/adc-model.ts';
import { loopOf, type WaveformRecording } from '../../loads/waveform.ts';
import { fifthHarmonic, phaseFired, REFERENCE_V, sine } from './signals.ts';

export interface Case {
  row: string;
  source: string;
  rangePercent: number;
  wave: MainsWave;
  limitPercent: number;
  goalPercent: number;
  /** error: of the power. change: of the error, against the reference wave. spread: over 16 phases of the mains. */
  kind: 'error' | 'change' | 'spread';
  reference?: MainsWave;
  /** Truth at the instants and with the weights of the measurement: for what changes from cycle to cycle. */
  weighted: boolean;
  /** Crosstalk of the chip, where it is not the usual one. */
  crosstalk?: number;
}

export const ROW = {
  unity: 'PF 1, both directions, 10–100 %',
  unity5: 'PF 1, 5 %',
  unityLow: 'PF 1, 1–2 %',
  shifted: '0.5 inductive, 0.8 capacitive, both directions, 10–100 %',
  shifted5: '0.5 inductive, 0.8 capacitive, both directions, 5 %',
  fifth: '5th harmonic 10 % U + 40 % I',
  fired: 'phase-fired 90°',
  recordings: 'recordings, 5–40 %',
  influence: 'variation 49–51 Hz; U ±10 %',
  frequency: '45–55 Hz',
  crosstalk: 'crosstalk 0.2 %, 5 %, 0.5 exporting',
  locked: 'locked to the mains, 16 phases, spread',
} as const;

const amps = (percent: number): number => (FULL_RANGE_A * percent) / 100;
const INDUCTIVE_DEG = 60; // power factor 0.5
const CAPACITIVE_DEG = -36.87; // power factor 0.8
const EXPORT_DEG = 180;

type Limits = [limitPercent: number, goalPercent: number];

function make(
  row: string,
  source: string,
  rangePercent: number,
  wave: MainsWave,
  limits: Limits,
  more: Partial<Case> = {},
): Case {
  const [limitPercent, goalPercent] = limits;
  return { row, source, rangePercent, wave, limitPercent, goalPercent, kind: 'error', weighted: false, ...more };
}

export function cases(recordings: WaveformRecording[]): Case[] {
  const list: Case[] = [];
  const both = (row: string, percents: number[], lags: number[], limits: Limits): void => {
    for (const percent of percents) {
      for (const lag of lags) {
        for (const turn of [0, EXPORT_DEG]) {
          list.push(make(row, 'sine', percent, sine({ currentA: amps(percent), lagDeg: lag + turn }), limits));
        }
      }
    }
  };
  const usual = [10, 20, 40, 100];
  both(ROW.unity, usual, [0], [0.3, 0.2]);
  both(ROW.unity5, [5], [0], [0.5, 0.3]);
  both(ROW.unityLow, [1, 2], [0], [1.0, 0.5]);
  both(ROW.shifted, usual, [INDUCTIVE_DEG, CAPACITIVE_DEG], [0.5, 0.3]);
  both(ROW.shifted5, [5], [INDUCTIVE_DEG, CAPACITIVE_DEG], [0.6, 0.5]);
  for (const percent of [10, 40]) {
    for (const direction of [1, -1]) {
      list.push(make(ROW.fifth, 'fifth harmonic', percent, fifthHarmonic(direction * amps(percent)), [0.3, 0.2]));
      list.push(make(ROW.fired, 'phase-fired', percent, phaseFired(direction * amps(percent)), [0.5, 0.3]));
    }
  }
  for (const recording of recordings) {
    for (const percent of [5, 20, 40]) {
      const wave = loopOf(recording, REFERENCE_V, amps(percent));
      list.push(make(ROW.recordings, recording.name, percent, wave, [0.5, 0.2], { weighted: true }));
    }
  }
  for (const lagDeg of [0, INDUCTIVE_DEG]) {
    const at = (more: object): MainsWave => sine({ currentA: amps(40), lagDeg, ...more });
    const change: Partial<Case> = { kind: 'change', reference: at({}) };
    for (const hz of [49, 51]) {
      list.push(make(ROW.influence, `sine ${hz} Hz`, 40, at({ frequencyHz: hz }), [0.1, 0.05], change));
    }
    for (const volts of [207, 253]) {
      list.push(make(ROW.influence, `sine ${volts} V`, 40, at({ voltageV: volts }), [0.1, 0.05], change));
    }
    for (const hz of [45, 46.5, 48, 52, 53.5, 55]) {
      list.push(make(ROW.frequency, `sine ${hz} Hz`, 40, at({ frequencyHz: hz }), [0.5, 0.2]));
    }
  }
  const exporting = sine({ currentA: amps(5), lagDeg: INDUCTIVE_DEG + EXPORT_DEG });
  list.push(make(ROW.crosstalk, 'sine', 5, exporting, [0.5, 0.3], { crosstalk: 0.002 }));
  for (const lagDeg of [0, INDUCTIVE_DEG]) {
    const wave = sine({ currentA: amps(100), lagDeg });
    list.push(make(ROW.locked, 'sine', 100, wave, [0.1, 0.05], { kind: 'spread' }));
  }
  return list;
}
