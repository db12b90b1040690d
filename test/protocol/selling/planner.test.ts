// The planner against what the design says, against simulation, and as a command.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';
import { leastChallenge, planChallenge } from '../../../protocol/selling/planner.ts';

const COMMAND = resolve(import.meta.dirname, '../../../scripts/plan-challenge');

/** A small generator with a seed (mulberry32), so that the same draws come each time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
function sample(n: number, m: number, random: () => number): Set<number> {
  const chosen = new Set<number>();
  while (chosen.size < m) chosen.add(Math.floor(random() * n));
  return chosen;
}

test('3,000 claims, 300 opened, 30 false: found in 96 % alone, in 26 % as a pair', (t) => {
  const plan = planChallenge(3000, 300, 30);
  t.is(Math.round(100 * plan.foundAlone), 96);
  t.is(Math.round(100 * plan.foundPair), 26);
  t.is(plan.revealed, 0.1);
});

test('as simulation finds it, alone and as a pair', (t) => {
  const random = generator(2026);
  const trials = 4000;
  for (const [n, m, k] of [
    [60, 10, 4],
    [60, 25, 6],
    [200, 40, 10],
    [12, 11, 2],
  ]) {
    let [alone, pair] = [0, 0];
    for (let trial = 0; trial < trials; trial++) {
      const [first, second] = [sample(n, m, random), sample(n, m, random)];
      // by symmetry the first k entries are the false ones
      if (Array.from({ length: k }, (_, i) => i).some((i) => first.has(i))) alone++;
      if (Array.from({ length: k }, (_, i) => i).some((i) => first.has(i) && second.has(i))) pair++;
    }
    const plan = planChallenge(n, m, k);
    // four standard deviations of a share of 4,000 are 3.2 %
    t.true(Math.abs(alone / trials - plan.foundAlone) < 0.032, `${n} ${m} ${k} alone`);
    t.true(Math.abs(pair / trials - plan.foundPair) < 0.032, `${n} ${m} ${k} pair`);
  }
});

test('at the ends: nothing opened finds nothing, everything opened finds all; more never finds less', (t) => {
  for (const k of [1, 7, 50]) {
    t.like(planChallenge(50, 0, k), { foundAlone: 0, foundPair: 0, revealed: 0 });
    t.true(planChallenge(50, 50, k).foundAlone > 1 - 1e-9 && planChallenge(50, 50, k).foundPair > 1 - 1e-9);
    for (let m = 1; m <= 50; m++) {
      const [less, more] = [planChallenge(50, m - 1, k), planChallenge(50, m, k)];
      t.true(more.foundAlone >= less.foundAlone - 1e-12 && more.foundPair >= less.foundPair - 1e-9);
      t.true(more.foundPair <= more.foundAlone + 1e-9);
    }
  }
  const least = leastChallenge(3000, 30, 0.95, 'pair');
  t.true(planChallenge(3000, least, 30).foundPair >= 0.95 && planChallenge(3000, least - 1, 30).foundPair < 0.95);
  t.throws(() => planChallenge(10, 11, 1), { message: /^m is no whole number from 0 to 10/ });
  t.throws(() => planChallenge(10, 5, 1.5), { message: /^k / });
});

test('the command prints a table, JSON, and draws a chart', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-plan-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const svg = join(directory, 'chart.svg');
  const text = execFileSync(COMMAND, ['--claims', '3000', '--false', '30', '--svg', svg], { encoding: 'utf8' });
  t.regex(text, /^ +300 +10\.0 % +95\.8 % +26\.0 %$/m);
  t.regex(readFileSync(svg, 'utf8'), /^<svg .*<polyline .*<polyline .*<\/svg>\n$/s);
  const { rows, least } = JSON.parse(
    execFileSync(COMMAND, ['--json', '--claims', '500', '--false', '5'], { encoding: 'utf8' }),
  );
  t.deepEqual(Object.keys(rows[0]), ['n', 'm', 'k', 'foundAlone', 'foundPair', 'revealed']);
  t.true(least.alone95 < least.pair95);
  const wrong = spawnSync(COMMAND, ['--claims', '-3'], { encoding: 'utf8' });
  t.is(wrong.status, 2);
});
