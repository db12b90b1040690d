/** The options of `scripts/run`. */
import { parseArgs } from 'node:util';

export interface RunOptions {
  scenario: string | null;
  households: number | null;
  days: number | null;
  /** Simulated seconds per second while the days run; Infinity is as fast as it goes. */
  speed: number;
  trace: string | null;
  seed: number | null;
  report: string | null;
  port: number;
  state: string;
}

export const usage = `usage: scripts/run [options]

Runs a small neighbourhood: simulated days first, then the clock goes on at real speed and the page stays up.

  --scenario FILE    the neighbourhood as JSON (default: bench/scenarios/default.json)
  --households N     how many households (default: those of the scenario)
  --days D           simulated days before the page stays up (default: those of the scenario, 1)
  --speed SPEED      max, or simulated seconds per second while the days run (default: max)
  --trace FILE       a recording in the UCI format drives the first house; the clock starts at its first row
  --seed S           same seed, equal report (default: the scenario's)
  --report FILE      write the result as JSON and exit when the days are over; exit code 1 if anything was lost,
                     duplicated, or differs from the truth by more than class 0.5
  --port P           the first household's page (default: 8443; the next ones follow)
  --state DIR        keys, stores and logs (default: var)
  --help`;

/** The command line is wrong; the message says which option and what it takes. */
export class UsageError extends Error {}

function whole(name: string, text: string | undefined, min: number, max: number): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`--${name}: expected a whole number from ${min} to ${max}, got "${text}"`);
  }
  return value;
}

/** Returns null when help was asked for. Throws UsageError. */
export function parseRunOptions(args: string[]): RunOptions | null {
  let values: Record<string, string | boolean | undefined>;
  try {
    const string = { type: 'string' } as const;
    values = parseArgs({
      args,
      options: {
        scenario: string,
        households: string,
        days: string,
        speed: string,
        trace: string,
        seed: string,
        report: string,
        port: string,
        state: string,
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return null;
  const text = (name: string): string | undefined => values[name] as string | undefined;
  let speed = Number.POSITIVE_INFINITY;
  if (text('speed') !== undefined && text('speed') !== 'max') {
    speed = Number(text('speed'));
    if (!(speed > 0 && Number.isFinite(speed))) {
      throw new UsageError(`--speed: expected max or a number above 0, got "${text('speed')}"`);
    }
  }
  return {
    scenario: text('scenario') ?? null,
    households: whole('households', text('households'), 1, 1000),
    days: whole('days', text('days'), 1, 366),
    speed,
    trace: text('trace') ?? null,
    seed: whole('seed', text('seed'), 0, 0xffffffff),
    report: text('report') ?? null,
    port: whole('port', text('port'), 0, 65535) ?? 8443,
    state: text('state') ?? 'var',
  };
}
