/** Negative controls: a stage that can be switched off without anybody noticing is not tested, or not needed. */
import { type Calibration, CODE_TABLE_KNOTS } from '../../../firmware/metering/calibration.ts';
import { type MeteringConfig, meteringConfig } from '../../../firmware/metering/meter.ts';
import { type Case, ROW } from './rows.ts';
import type { Specimen } from './specimen.ts';

export interface ControlResult {
  stage: string;
  row: string;
  errorPercent: number;
  fails: boolean;
}

/** The straight line through two knots near the ends of the used range, instead of all of them. */
function lineTable(table: number[]): number[] {
  const [low, high] = [4, 42];
  const slope = (table[high] - table[low]) / (high - low);
  return Array.from({ length: CODE_TABLE_KNOTS }, (_, knot) => Math.round(table[low] + slope * (knot - low)));
}

const stages: {
  stage: string;
  row: string;
  without: (c: Calibration) => Partial<Calibration>;
  config?: Partial<MeteringConfig>;
}[] = [
  { stage: 'skew', row: ROW.shifted, without: () => ({ skewPpm: 0 }) },
  { stage: 'stagger', row: ROW.locked, without: () => ({}), config: { staggers: 1 } },
  {
    stage: 'crosstalk',
    row: ROW.crosstalk,
    without: () => ({ crosstalk: { voltageInCurrentPpm: [0, 0], currentInVoltagePpm: [0, 0] } }),
  },
  { stage: 'table', row: ROW.unity, without: (c) => ({ codeTableUv: lineTable(c.codeTableUv) }) },
];

export function controls(specimens: { all(crosstalk?: number): Specimen[] }, list: Case[]): ControlResult[] {
  return stages.map(({ stage, row, without, config }) => {
    const here = list.filter((c) => c.row === row);
    let errorPercent = 0;
    for (const c of here) {
      for (const specimen of specimens.all(c.crosstalk)) {
        const options = {
          calibration: { ...specimen.calibration, ...without(specimen.calibration) },
          config: { ...meteringConfig(), ...config },
        };
        const error = (seed: number, lockedPhase: number | null = null): number => {
          const { measuredW, trueW } = specimen.measure(c.wave, seed, { ...options, lockedPhase });
          return (measuredW / trueW - 1) * 100;
        };
        if (c.kind === 'spread') {
          const errors = Array.from({ length: 16 }, (_, n) => error(n + 1, n / 16));
          errorPercent = Math.max(errorPercent, Math.max(...errors) - Math.min(...errors));
        } else {
          errorPercent = Math.max(errorPercent, Math.abs(error(1)));
        }
      }
    }
    const limit = Math.max(...here.map((c) => c.limitPercent));
    return { stage, row, errorPercent: Number(errorPercent.toFixed(4)), fails: errorPercent > limit };
  });
}
