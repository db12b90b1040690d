import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readTrace } from '../../../bench/trace.ts';
import { StepFinder } from '../../../gateway/appliances-found/edges.ts';
import { FoundAppliances } from '../../../gateway/appliances-found/found.ts';
import { MOST_KINDS } from '../../../gateway/appliances-found/kinds.ts';
import { type Run, RunFinder } from '../../../gateway/appliances-found/runs.ts';
import { type House, house, type Live, type Truth } from './houses.ts';

const SECOND_MS = 1000;
/** What switches once and stays for a while. Televisions and computers waver, drums turn to and fro, a cooker pulses. */
const SWITCHED = new Set(['refrigerator', 'kettle', 'oven', 'boiler', 'heatPump', 'vacuumCleaner']);

function open(t: ExecutionContext): FoundAppliances {
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-found-'));
  const found = new FoundAppliances(folder);
  t.teardown(() => {
    found.close();
    rmSync(folder, { recursive: true });
  });
  return found;
}

function runsOf(lives: readonly Live[]): Run[] {
  const steps = new StepFinder();
  const finder = new RunFinder();
  return lives.flatMap(({ unixMs, powerMw, reactiveMvar }) => {
    const step = steps.take({ unixMs, powerW: powerMw / 1000, reactiveVar: reactiveMvar / 1000 });
    if (step === 'lost') finder.forget();
    return step && step !== 'lost' ? finder.take(step) : [];
  });
}

/** Each run is of one stroke at most: begun within seconds of it, drawing as much. */
function judge({ lives, truths }: House): { precision: number; recall: number; runs: number; real: number } {
  const runs = runsOf(lives).filter(({ powerW }) => powerW >= 60);
  const free = new Set(runs);
  const real = truths.filter(({ kind, powerW, fromMs, toMs }) => {
    return SWITCHED.has(kind) && powerW >= 60 && toMs - fromMs >= 20 * SECOND_MS;
  });
  const isOf = (run: Run, truth: Truth): boolean =>
    Math.abs(run.fromMs - truth.fromMs) <= 6 * SECOND_MS &&
    Math.abs(run.powerW - truth.powerW) <= 10 + 0.1 * truth.powerW;
  let right = 0;
  for (const truth of real) {
    const run = runs.find((one) => free.has(one) && isOf(one, truth));
    if (!run) continue;
    free.delete(run);
    right++;
  }
  const others = truths.filter((truth) => truth.powerW >= 30);
  const wrong = [...free].filter((run) => !others.some((truth) => isOf(run, truth)));
  return {
    precision: 1 - wrong.length / runs.length,
    recall: right / real.length,
    runs: runs.length,
    real: real.length,
  };
}

/** Least precision, least recall. A shop’s computers waver by more than 30 W all day: each of their steps is a step, and nobody’s plan. */
const BOUNDS = { flat: [0.95, 0.95], family: [0.93, 0.9], electric: [0.93, 0.78], shop: [0.5, 0.95] } as const;
for (const preset of ['flat', 'family', 'electric', 'shop'] as const) {
  test(`${preset}: what switches is found, and what is found was switched`, (t) => {
    const { precision, recall, runs, real } = judge(house(preset, 3));
    t.log(`${preset}: precision ${precision.toFixed(2)} of ${runs} runs, recall ${recall.toFixed(2)} of ${real}`);
    const [leastPrecision, leastRecall] = BOUNDS[preset];
    t.true(precision >= leastPrecision && recall >= leastRecall);
  });
}

/** Wh that a kind really drew. */
const truthWh = ({ truths }: House, name: string): number =>
  truths
    .filter(({ kind }) => kind === name)
    .reduce((sum, { fromMs, toMs, powerW }) => sum + (powerW * (toMs - fromMs)) / 3_600_000, 0);

test('three days of a flat: kettle and refrigerator with their energy, and the rest sums to what was drawn', (t) => {
  const flat = house('flat', 3);
  const found = open(t);
  for (let n = 0; n < flat.lives.length; n += 900) found.take(flat.lives.slice(n, n + 900));
  const day = found.day(flat.fromMs, flat.toMs, flat.drawnMwh, flat.fedMwh);
  for (const { powerW, times, energyMwh } of day.appliances)
    t.log(`${powerW} W, ${times} runs, ${Math.round(energyMwh / 1000)} Wh`);
  for (const [name, powerW] of [
    ['kettle', 2000],
    ['refrigerator', 80],
  ] as const) {
    const one = day.appliances.find((a) => Math.abs(a.powerW - powerW) < 0.06 * powerW + 4)!;
    const error = one.energyMwh / 1000 / truthWh(flat, name) - 1;
    t.log(`${name}: ${(100 * error).toFixed(1)} % off`);
    t.true(Math.abs(error) < 0.15, `${name}: ${error}`);
  }
  t.is(
    day.appliances.reduce((sum, { energyMwh }) => sum + energyMwh, day.restMwh!),
    flat.drawnMwh,
  );
  // a day is the share of the runs that lies in it
  const third = (flat.toMs - flat.fromMs) / 3;
  const days = [0, 1, 2].map((n) => found.day(flat.fromMs + n * third, flat.fromMs + (n + 1) * third, 1, 0).appliances);
  for (const { id, energyMwh } of day.appliances) {
    const sum = days.reduce((total, list) => total + list.find((a) => a.id === id)!.energyMwh, 0);
    t.true(Math.abs(sum - energyMwh) <= 3);
  }
});

test('the name that the customer gives stays, over a restart, too; the file is the gateway’s own', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-found-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  let found = new FoundAppliances(folder);
  found.take(square(2000, 4));
  const [{ id, label }] = found.day(0, 1e13, 0, 0).appliances;
  t.is(label, null);
  found.label(id, '  The  kettle ');
  found.close();
  t.is(statSync(join(folder, 'appliances.db')).mode & 0o777, 0o600);
  found = new FoundAppliances(folder);
  t.is(found.day(0, 1e13, 0, 0).appliances[0].label, 'The kettle');
  found.take(square(2010, 4, 40_000_000));
  t.is(found.day(0, 1e13, 0, 0).appliances.length, 1, 'and it goes on learning');
  t.is(found.day(0, 1e13, 0, 0).appliances[0].times, 8);
  const path = (id: unknown, label: unknown) =>
    (t.throws(() => found.label(id, label)) as Error & { path?: string }).path;
  t.is(path(99, 'x'), 'found.id');
  t.is(path('1', 'x'), 'found.id');
  t.is(path(id, 5), 'found.label');
  t.is(path(id, 'a'.repeat(41)), 'found.label');
  t.is(path(id, 'a\u0007b'), 'found.label');
  found.label(id, ' ');
  t.is(found.day(0, 1e13, 0, 0).appliances[0].label, null);
  found.close();
});

/** So many runs of two minutes of so much, two minutes apart, on 100 W. */
function square(powerW: number, runs: number, fromMs = 0): Live[] {
  return Array.from({ length: runs * 240 + 60 }, (_, s) => ({
    unixMs: fromMs + s * SECOND_MS,
    powerMw: 1000 * (100 + (s % 240 >= 120 ? powerW : 0)),
    reactiveMvar: 0,
  }));
}

test('a known answer: three runs of two minutes at 1.5 kW are 150 Wh', (t) => {
  const found = open(t);
  found.take(square(1500, 3));
  const { appliances, restMwh } = found.day(0, 720_000, 170_000, 0);
  t.deepEqual(
    appliances.map(({ lastMs: _, ...one }) => one),
    [{ id: 1, label: null, powerW: 1500, times: 3, energyMwh: 150_000, on: false }],
  );
  t.is(restMwh, 20_000);
  t.is(found.day(0, 720_000, 170_000, 1).restMwh, null, 'who feeds in does not see all that was used');
  t.is(found.day(0, 720_000, 140_000, 0).restMwh, null, 'nothing is less than nothing');
  t.deepEqual(found.day(0, 180_000, 90_000, 0).appliances[0].energyMwh, 25_000, 'half of the first run');
});

test('rushes, pulses, ramps, noise and missing values are no runs', (t) => {
  const at = (powers: number[]): Live[] =>
    powers.map((powerW, s) => ({ unixMs: s * SECOND_MS, powerMw: powerW * 1000, reactiveMvar: 0 }));
  const hold = (powerW: number, seconds: number): number[] => Array.from({ length: seconds }, () => powerW);
  const pulses = Array.from({ length: 40 }, () => [1200, 1200, 100, 100]).flat();
  t.deepEqual(runsOf(at([...hold(100, 20), ...pulses, ...hold(100, 20)])), []);
  t.deepEqual(runsOf(at([...hold(100, 20), 900, ...hold(100, 20)])), []);
  const clouds = Array.from({ length: 600 }, (_, s) => 500 - 1400 * Math.sin((s / 600) * Math.PI));
  t.deepEqual(runsOf(at([...hold(500, 20), ...clouds, ...hold(500, 20)])), []);
  const [rush, ...more] = runsOf(at([...hold(100, 20), 700, ...hold(190, 60), ...hold(100, 20)]));
  t.deepEqual(more, []);
  t.deepEqual([rush.fromMs, rush.toMs, Math.round(rush.powerW)], [20_000, 81_000, 90]);
  const silent = at([...hold(100, 20), ...hold(2100, 60), ...hold(100, 20)]);
  t.deepEqual(runsOf(silent.filter(({ unixMs }) => unixMs < 40_000 || unixMs > 60_000)), [], 'who knows what happened');
  t.deepEqual(runsOf([...silent, ...silent]).length, 1, 'what comes twice counts once');
});

test('two that end at once are two; the larger part of what began at once is a run', (t) => {
  const at = (powers: [number, number][]): Live[] =>
    powers
      .flatMap(([powerW, seconds]) => Array.from({ length: seconds }, () => powerW))
      .map((powerW, s) => ({ unixMs: s * SECOND_MS, powerMw: powerW * 1000, reactiveMvar: 0 }));
  const seen = (powers: [number, number][]) =>
    runsOf(at(powers)).map(({ fromMs, toMs, powerW }) => [fromMs / 1000, toMs / 1000, Math.round(powerW)]);
  t.deepEqual(
    seen([
      [0, 20],
      [800, 20],
      [2800, 20],
      [0, 20],
    ]),
    [
      [20, 60, 800],
      [40, 60, 2000],
    ],
  );
  t.deepEqual(
    seen([
      [0, 20],
      [1660, 60],
      [260, 20],
      [0, 20],
    ]),
    [
      [20, 80, 1400],
      [20, 100, 260],
    ],
  );
});

test('however many different loads there were, so many kinds are kept, and those with a name stay', (t) => {
  const found = open(t);
  found.take(square(3000, 3));
  found.label(1, 'Boiler');
  for (let n = 0; n < 2 * MOST_KINDS; n++) found.take(square(60 * 1.13 ** (n % 28) + n * 7, 1, (n + 1) * 3_600_000));
  const { appliances } = found.day(0, 1e13, 0, 0);
  t.true(appliances.length <= MOST_KINDS);
  t.is(appliances.find(({ label }) => label === 'Boiler')!.times, 3);
});

const recording = resolve(import.meta.dirname, '../../../../shared/data/uci-household-power-1min.txt');
const recorded = existsSync(recording) ? test : test.skip;
recorded(
  `a recorded house: by the minute too little is seen to tell appliances apart, and nothing is made up (${existsSync(recording) ? 'there' : 'skipped: there is no ../shared/data'})`,
  async (t) => {
    const { timesMs, activeW, reactiveVar } = await readTrace(recording);
    const found = open(t);
    let drawnMwh = 0;
    const from = timesMs[0];
    const minutes = Math.min(timesMs.length, 14 * 1440);
    for (let n = 0; n < minutes; n++) {
      drawnMwh += (activeW[n] * 1000) / 60;
      // the recording holds means of minutes: as a meter would show them, were each second like its minute
      const second = (s: number): Live => ({
        unixMs: timesMs[n] + s * SECOND_MS,
        powerMw: Math.round(activeW[n] * 1000),
        reactiveMvar: Math.round(reactiveVar[n] * 1000),
      });
      found.take(Array.from({ length: 60 }, (_, s) => second(s)));
    }
    const { appliances } = found.day(from, timesMs[minutes - 1] + 60_000, Math.round(drawnMwh), 0);
    const foundMwh = appliances.reduce((sum, { energyMwh }) => sum + energyMwh, 0);
    t.log(
      `${appliances.length} kinds in ${minutes} minutes: ${((100 * foundMwh) / drawnMwh).toFixed(0)} % of what was drawn`,
    );
    for (const { powerW, times, energyMwh } of appliances.slice(0, 5))
      t.log(`${powerW} W, ${times} runs, ${Math.round(energyMwh / 1e6)} kWh`);
    t.true(appliances.length > 0);
    t.true(foundMwh <= drawnMwh, 'never more than the house drew');
  },
);
