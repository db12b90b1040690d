/**
 * `npm run -s measure -- bench [--json] [--households 1,3,10,30] [--hours 48]`: how fast the whole bench runs, boards, gateways with
 * their TPMs, broker, collector, provider and all stores included, pinned to one processor core. The time shared out among
 * households is what counts: households × rate must stay level. The goal: 5,000 × real time for one household.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Neighbourhood } from '../neighbourhood.ts';
import { parseRunOptions } from '../options.ts';
import { Progress } from '../progress.ts';
import { planRun } from '../run.ts';

const GOAL_HOUSEHOLD_SECONDS_PER_SECOND = 5000;
const HOUSEHOLDS = [1, 3, 10, 30];
/** Household hours to simulate per row: enough to outlast the warm-up, short enough to wait for. */
const HOUSEHOLD_HOURS = 48;
const HOUR_MS = 3_600_000;
const PINNED = 'QUIETMETER_PINNED';

interface Row {
  households: number;
  simulatedSecondsPerSecond: number;
  rssMiB: number;
}

export async function run({ json, args }: { json: boolean; args: string[] }): Promise<number> {
  if (!process.env[PINNED]) return runPinned();
  const counts = numbers('--households', args, HOUSEHOLDS);
  const [householdHours] = numbers('--hours', args, [HOUSEHOLD_HOURS]);
  const stateDir = mkdtempSync(join(tmpdir(), 'quietmeter-bench-'));
  const rows: Row[] = [];
  try {
    for (const households of counts) rows.push(await measure(households, householdHours, stateDir));
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
  if (json) console.log(JSON.stringify({ rows }));
  else print(rows);
  return 0;
}

/** @throws Error that names the option */
function numbers(option: string, args: string[], otherwise: number[]): number[] {
  const at = args.indexOf(option);
  const values = at < 0 ? otherwise : (args[at + 1] ?? '').split(',').map(Number);
  if (values.some((value) => !Number.isInteger(value) || value < 1))
    throw new Error(`${option}: expected whole numbers such as 1,3,10`);
  return values;
}

/** The same command again, on one core only. */
function runPinned(): number {
  const [node, ...rest] = process.argv;
  const { status, error } = spawnSync('taskset', ['-c', '0', node, ...rest], {
    stdio: 'inherit',
    env: { ...process.env, [PINNED]: '1' },
  });
  if (error) throw new Error(`taskset (Debian package util-linux) cannot be started: ${error.message}`);
  return status ?? 1;
}

async function measure(households: number, householdHours: number, stateDir: string): Promise<Row> {
  const progress = new Progress();
  const plan = await planRun(parseRunOptions(['--households', String(households), '--state', stateDir])!);
  // From the morning on: the sun is up, everything has something to do.
  const startMs = plan.startMs + 6 * HOUR_MS;
  const durationMs = Math.max(HOUR_MS, Math.round(householdHours / households) * HOUR_MS);
  // ordinary hours: a roll-out is measured by what it is
  const scenario = { ...plan.scenario, updates: [], control: [] };
  const options = { scenario, startMs, endMs: startMs + durationMs, stateDir, port: null, progress };
  const neighbourhood = await Neighbourhood.start(options);
  try {
    progress.task(`${households} households, ${durationMs / HOUR_MS} hours`);
    // the first quarter hours warm the machine up
    const warmMs = startMs + durationMs / 8;
    await neighbourhood.conductor.runTo(warmMs, Number.POSITIVE_INFINITY, () => {});
    const fromMs = neighbourhood.conductor.nowMs;
    const started = performance.now();
    await neighbourhood.conductor.runTo(options.endMs, Number.POSITIVE_INFINITY, (nowMs) =>
      progress.at((nowMs - startMs) / durationMs),
    );
    const rate = (neighbourhood.conductor.nowMs - fromMs) / (performance.now() - started);
    const rssMiB = Math.round(neighbourhood.pids().reduce((sum, pid) => sum + rssKiB(pid), 0) / 1024);
    progress.done();
    return { households, simulatedSecondsPerSecond: Math.round(rate), rssMiB };
  } finally {
    await neighbourhood.stop();
  }
}

function rssKiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) || 0;
  }
}

function print(rows: Row[]): void {
  const base = rows[0].households * rows[0].simulatedSecondsPerSecond;
  console.log('households   × real time   households × rate   against the first   memory MiB');
  for (const { households, simulatedSecondsPerSecond, rssMiB } of rows) {
    const product = households * simulatedSecondsPerSecond;
    console.log(
      `${String(households).padStart(10)}${String(simulatedSecondsPerSecond).padStart(14)}` +
        `${String(product).padStart(20)}${`${((100 * product) / base).toFixed(0)} %`.padStart(20)}${String(rssMiB).padStart(13)}`,
    );
  }
  const ratio = (base / GOAL_HOUSEHOLD_SECONDS_PER_SECOND).toFixed(2);
  console.log(
    `\ngoal ${GOAL_HOUSEHOLD_SECONDS_PER_SECOND} × real time for one household: ${ratio} of it, one core, everything included`,
  );
}
