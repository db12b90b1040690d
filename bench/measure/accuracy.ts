/**
 * `npm run -s measure -- accuracy [--waveforms DIR] [--seeds N] [--json]`: error of real power of the firmware's metering on simulated
 * boards, each commissioned like a real one, for every row of the accuracy table and every recording in DIR; the same
 * samples through a plain sample-by-sample calculation; what a meter counts without load and at its starting current; and
 * the negative controls: with one stage switched off, its row must fail.
 *
 * Truth is the power on the measured interval. An error is the worst over all boards and seeds, of means of ten seconds
 * (of forty where two means are compared).
 */
import { readWaveforms } from '../loads/waveform.ts';
import { type ControlResult, controls } from './accuracy/controls.ts';
import { type RegisterResult, registerRows } from './accuracy/register-rows.ts';
import { type Case, cases } from './accuracy/rows.ts';
import { truthOf } from './accuracy/signals.ts';
import { COMPARED_SECONDS, type Reading, SECONDS, Specimen, WINDOWS_PER_SECOND } from './accuracy/specimen.ts';

export interface RowResult {
  row: string;
  source: string;
  rangePercent: number;
  powerFactor: number;
  direction: 'import' | 'export';
  errorPercent: number;
  limitPercent: number;
  goalPercent: number;
  plainErrorPercent: number;
}

export interface Accuracy {
  worstErrorPercent: number;
  rows: RowResult[];
  controls: ControlResult[];
  registers: RegisterResult[];
  /** What a mean is made of. */
  windowsPerSecond: number;
  seconds: number;
  chips: number;
  seeds: number;
}

/** One of them is a bad one. */
export const INL_LSB = [6, 6, 6, 6, 12];
export const SEEDS = [1, 2, 3, 4, 5];

const rounded = (x: number, digits: number): number => Number(x.toFixed(digits));

/** Boards by number, each commissioned once for each crosstalk. */
export class Specimens {
  readonly #inlLsb: number[];
  readonly #made = new Map<string, Specimen>();

  constructor(inlLsb: number[]) {
    this.#inlLsb = inlLsb;
  }

  all(crosstalk?: number): Specimen[] {
    return this.#inlLsb.map((inlLsb, n) => {
      const key = `${n} ${crosstalk}`;
      const specimen = this.#made.get(key) ?? new Specimen(n + 1, { inlLsb, crosstalk });
      this.#made.set(key, specimen);
      return specimen;
    });
  }
}

/** Errors of one case on one board, percent: ours and the plain one. */
function errorsOf(specimen: Specimen, { kind, wave, weighted, reference }: Case, seed: number): [number, number] {
  const errors = (reading: Reading): [number, number] => [
    (reading.measuredW / reading.trueW - 1) * 100,
    (reading.plainW / reading.trueW - 1) * 100,
  ];
  if (kind === 'spread') {
    const phases = Array.from({ length: 16 }, (_, n) =>
      errors(specimen.measure(wave, 16 * seed + n, { lockedPhase: n / 16, seconds: COMPARED_SECONDS })),
    );
    const spread = (of: 0 | 1): number => Math.max(...phases.map((e) => e[of])) - Math.min(...phases.map((e) => e[of]));
    return [spread(0), spread(1)];
  }
  if (kind === 'error' || !reference) return errors(specimen.measure(wave, seed, { weighted }));
  const [own, plain] = errors(specimen.measure(wave, seed, { seconds: COMPARED_SECONDS }));
  const [ownBefore, plainBefore] = errors(specimen.measure(reference, seed, { seconds: COMPARED_SECONDS }));
  return [own - ownBefore, plain - plainBefore];
}

export function measureCase(specimens: Specimen[], c: Case, seeds: number[]): RowResult {
  let [worst, worstPlain] = [0, 0];
  for (const specimen of specimens) {
    for (const seed of seeds) {
      const [own, plain] = errorsOf(specimen, c, seed);
      worst = Math.max(worst, Math.abs(own));
      worstPlain = Math.max(worstPlain, Math.abs(plain));
    }
  }
  const truth = truthOf(c.wave);
  return {
    row: c.row,
    source: c.source,
    rangePercent: c.rangePercent,
    powerFactor: rounded(Math.abs(truth.powerW / (truth.voltageV * truth.currentA)), 2),
    direction: truth.powerW < 0 ? 'export' : 'import',
    errorPercent: rounded(worst, 4),
    limitPercent: c.limitPercent,
    goalPercent: c.goalPercent,
    plainErrorPercent: rounded(worstPlain, 4),
  };
}

function progress(total: number): (done: number) => void {
  const begin = Date.now();
  let last = begin;
  return (done) => {
    const now = Date.now();
    if (now - last < 2000) return;
    last = now;
    console.error(`accuracy: ${done} of ${total} rows, ${Math.round((now - begin) / 1000)} s`);
  };
}

export async function run({ json, args }: { json: boolean; args: string[] }): Promise<number> {
  let folder: string | null = null;
  let seeds = SEEDS;
  for (let n = 0; n < args.length; n++) {
    if (args[n] === '--waveforms' && n + 1 < args.length) folder = args[++n];
    else if (args[n] === '--seeds' && /^[1-5]$/.test(args[n + 1] ?? '')) seeds = SEEDS.slice(0, Number(args[++n]));
    else {
      console.error('usage: npm run -s measure -- accuracy [--waveforms DIR] [--seeds 1…5] [--json]');
      return 2;
    }
  }
  let list: Case[];
  try {
    list = cases(folder === null ? [] : readWaveforms(folder));
  } catch (error) {
    console.error(`accuracy: ${(error as Error).message}`);
    return 2;
  }
  const specimens = new Specimens(INL_LSB);
  const report = progress(list.length);
  const rows = list.map((c, n) => {
    report(n);
    return measureCase(specimens.all(c.crosstalk), c, seeds);
  });
  const result: Accuracy = {
    worstErrorPercent: Math.max(...rows.map((row) => row.errorPercent)),
    rows,
    controls: controls(specimens, list),
    registers: registerRows(specimens.all()),
    windowsPerSecond: WINDOWS_PER_SECOND,
    seconds: SECONDS,
    chips: INL_LSB.length,
    seeds: seeds.length,
  };
  if (json) console.log(JSON.stringify(result));
  else print(result);
  const good =
    rows.every((row) => row.errorPercent <= row.limitPercent) &&
    result.controls.every((control) => control.fails) &&
    result.registers.every((register) => register.ok);
  return good ? 0 : 1;
}

function print(result: Accuracy): void {
  const line = (...cells: (string | number)[]): void =>
    console.log(
      cells.map((cell, n) => (n < 2 ? String(cell).padEnd([58, 22][n]) : String(cell).padStart(8))).join(' '),
    );
  line('row', 'source', '% range', 'PF', 'dir', 'error %', 'limit', 'goal', 'plain %');
  for (const r of result.rows) {
    const mark = r.errorPercent > r.limitPercent ? ' FAILS' : r.errorPercent > r.goalPercent ? ' *' : '';
    line(
      r.row,
      r.source,
      r.rangePercent,
      r.powerFactor.toFixed(2),
      r.direction,
      r.errorPercent.toFixed(3),
      r.limitPercent,
      r.goalPercent,
      r.plainErrorPercent.toFixed(2) + mark,
    );
  }
  console.log('\nregisters');
  for (const r of result.registers) {
    console.log(
      `  ${r.row}: import ${r.importMwh}, export ${r.exportMwh} mWh, true ${r.trueMwh}${r.ok ? '' : ' FAILS'}`,
    );
  }
  console.log('\nnegative controls');
  for (const c of result.controls)
    console.log(`  without ${c.stage}: ${c.row}: ${c.errorPercent} %${c.fails ? ' fails, as it must' : ' PASSES'}`);
  console.log(
    `\nworst ${result.worstErrorPercent} %, means of ${result.seconds} s at ${result.windowsPerSecond} windows a second, ` +
      `${result.chips} boards × ${result.seeds} seeds; * within the limit, not yet at the goal`,
  );
}
