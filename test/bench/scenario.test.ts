import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';
import {
  defaultScenarioFile,
  extendScenario,
  faultEvents,
  loadOf,
  parseScenario,
  plannedIn,
  readScenario,
  type Scenario,
  ScenarioError,
} from '../../bench/scenario.ts';
import { providerOf } from '../../bench/supply.ts';
import { TraceError } from '../../bench/trace.ts';
import { Truth } from '../../bench/truth.ts';

const DAY_MS = 86_400_000;
const faultsFile = resolve(import.meta.dirname, '../../bench/scenarios/faults.json');

const good = () => ({
  seed: 1,
  start: '2024-06-18T00:00:00Z',
  days: 1,
  area: 'oak-street',
  households: [{ id: 'flat', preset: 'flat' }] as unknown[],
  faults: [] as unknown[],
});
const parse = (json: unknown) => parseScenario(JSON.stringify(json), 'my/town.json');

test('the smallest scenario: what is left out has its default', (t) => {
  const scenario = parse({ ...good(), faults: undefined });
  t.like(scenario, { startMs: Date.UTC(2024, 5, 18), days: 1, resolutionWh: 50, k: 3, faults: [] });
  t.like(scenario.households[0], { id: 'flat', name: 'flat', chip: {}, trace: undefined, pv: undefined });
  t.deepEqual(scenario.households[0].place, { latitudeDeg: 49.4, longitudeDeg: 8.7 });
  t.deepEqual(scenario.households[0].mains, { voltageV: 230, variationPercent: 5, frequencyHz: 50 });
});

test('a recording lies beside the scenario', (t) => {
  const { households } = parse({ ...good(), households: [{ id: 'old', trace: 'data/house.txt' }] });
  t.is(households[0].trace, resolve('my/data/house.txt'));
});

const wrong: [title: string, change: object, message: string | RegExp][] = [
  ['a missing field', { seed: undefined }, /^my\/town\.json: seed: .*undefined/],
  ['an unknown field', { sed: 1 }, /^my\/town\.json: sed: /],
  [
    'a start in local time',
    { start: '2024-06-18T00:00:00' },
    'my/town.json: start: expected an instant of UTC such as 2024-06-18T00:00:00Z',
  ],
  [
    'a start that does not exist',
    { start: '2024-02-30T00:00:00Z' },
    'my/town.json: start: expected an instant of UTC such as 2024-06-18T00:00:00Z',
  ],
  ['no days', { days: 0 }, /^my\/town\.json: days: .*0/],
  [
    'an area with a wildcard',
    { area: 'oak/#' },
    'my/town.json: area: expected 1 to 32 of a–z, 0–9 and -, beginning with a letter or digit',
  ],
  ['no household', { households: [] }, /^my\/town\.json: households: /],
  ['a household without an id', { households: [{ preset: 'flat' }] }, /^my\/town\.json: households\[0\]\.id: /],
  [
    'an id that would leave its folder',
    { households: [{ id: '../etc', preset: 'flat' }] },
    'my/town.json: households[0].id: expected 1 to 32 of a–z, 0–9 and -, beginning with a letter or digit',
  ],
  [
    'two households of one id',
    {
      households: [
        { id: 'a', preset: 'flat' },
        { id: 'a', preset: 'shop' },
      ],
    },
    'my/town.json: households[1].id: "a" is there twice',
  ],
  [
    'a household that draws nothing',
    { households: [{ id: 'a' }] },
    'my/town.json: households[0]: expected a preset, appliances, pv or trace',
  ],
  [
    'a recording and appliances',
    { households: [{ id: 'a', preset: 'flat', trace: 'x.txt' }] },
    'my/town.json: households[0]: a recording and appliances exclude each other',
  ],
  [
    'an unknown preset',
    { households: [{ id: 'a', preset: 'castle' }] },
    /^my\/town\.json: households\[0\]\.preset: .*"castle"/,
  ],
  [
    'letters in place of a number',
    {
      households: [
        { id: 'a', preset: 'flat' },
        { id: 'b', pv: { peakW: 'a lot' } },
      ],
    },
    /^my\/town\.json: households\[1\]\.pv\.peakW: .*"a lot"/,
  ],
  [
    'an unknown appliance',
    { households: [{ id: 'a', appliances: [{ kind: 'kettle' }, { kind: 'sauna' }] }] },
    /^my\/town\.json: households\[0\]\.appliances\[1\]\.kind: .*"sauna"/,
  ],
  [
    'another appliance’s parameter',
    { households: [{ id: 'a', appliances: [{ kind: 'kettle', litresPerDay: 3 }] }] },
    /^my\/town\.json: households\[0\]\.appliances\[0\]\.litresPerDay: /,
  ],
  [
    'a negative power',
    { households: [{ id: 'a', appliances: [{ kind: 'kettle', powerW: -2000 }] }] },
    /^my\/town\.json: households\[0\]\.appliances\[0\]\.powerW: .*-2000/,
  ],
  [
    'an appliance for a factory',
    { households: [{ id: 'a', appliances: [{ kind: 'oven', powerW: 1e6 }] }] },
    /^my\/town\.json: households\[0\]\.appliances\[0\]\.powerW: .*1000000/,
  ],
  [
    'two providers of one name',
    { providers: [{ name: 'sun' }, { name: 'sun' }] },
    'my/town.json: providers[1].name: "sun" is there twice',
  ],
  [
    'a household of an unknown provider',
    { households: [{ id: 'a', preset: 'flat', provider: 'moon' }] },
    'my/town.json: households[0].provider: there is no provider "moon"',
  ],
  [
    'a change in the middle of a day',
    { changes: [{ household: 'flat', at: '2024-06-18T12:00:00Z', to: 'provider' }] },
    'my/town.json: changes[0].at: is not the beginning of a day of UTC',
  ],
  [
    'a change to the provider that is there',
    {
      households: [{ id: 'a', preset: 'flat' }],
      changes: [{ household: 'a', at: '2024-06-19T00:00:00Z', to: 'provider' }],
    },
    'my/town.json: changes[0].to: "a" has "provider" already',
  ],
  [
    'a change of nobody, to nobody',
    { changes: [{ household: 'nobody', at: '2024-06-19T00:00:00Z', to: 'moon' }] },
    /changes\[0\]\.household: there is no household "nobody"\n.*changes\[0\]\.to: there is no provider "moon"/,
  ],
  [
    'a fault of an unknown party',
    { faults: [{ at: '12:00', kill: 'bank', forMinutes: 1 }] },
    'my/town.json: faults[0].kill: expected broker, collector, provider or gateway:ID',
  ],
  [
    'a fault of an unknown household',
    { faults: [{ at: '12:00', kill: 'gateway:villa', forMinutes: 1 }] },
    'my/town.json: faults[0].kill: there is no household "villa"',
  ],
  [
    'a power cut of an unknown household',
    { faults: [{ at: '12:00', powerCut: 'villa', forMinutes: 1 }] },
    'my/town.json: faults[0].powerCut: there is no household "villa"',
  ],
  [
    'a fault at no time',
    { faults: [{ at: '24:00', powerCut: 'flat', forMinutes: 1 }] },
    'my/town.json: faults[0].at: expected HH:MM or an instant of UTC such as 2024-06-18T12:00:00Z',
  ],
  [
    'a fault that is neither',
    { faults: [{ at: '12:00', forMinutes: 1 }] },
    'my/town.json: faults[0]: expected kill or powerCut',
  ],
  [
    'a fault that is both',
    { faults: [{ at: '12:00', kill: 'broker', powerCut: 'flat', forMinutes: 1 }] },
    'my/town.json: faults[0]: expected kill or powerCut, not both',
  ],
  ['a fault of no length', { faults: [{ at: '12:00', kill: 'broker' }] }, /^my\/town\.json: faults\[0\]\.forMinutes: /],
];
for (const [title, change, message] of wrong) {
  test(`refused with its path: ${title}`, (t) => {
    const error = t.throws(() => parse({ ...good(), ...change }), { instanceOf: ScenarioError });
    if (typeof message === 'string') t.is(error.message, message);
    else t.regex(error.message, message);
  });
}

test('every problem is named at once', (t) => {
  const error = t.throws(() => parse({ ...good(), seed: -1, days: 'two', k: 0 }), { instanceOf: ScenarioError });
  t.deepEqual(error.problems.map(({ path }) => path).sort(), ['days', 'k', 'seed']);
});

test('what is not JSON is refused with its place', (t) => {
  const error = t.throws(() => parseScenario('{\n  "seed": 1,,\n}', 'town.json'), { instanceOf: ScenarioError });
  t.regex(error.message, /^town\.json: not JSON: .*line 2 column 13/);
  t.throws(() => parseScenario('', 'town.json'), { instanceOf: ScenarioError });
  t.throws(() => parseScenario('[]', 'town.json'), { instanceOf: ScenarioError });
});

test('faults: HH:MM comes every day, an instant once, outside of the run never', (t) => {
  const scenario = parse({
    ...good(),
    days: 2,
    faults: [
      { at: '2024-06-19T12:00:00Z', powerCut: 'flat', forMinutes: 5 },
      { at: '06:30', kill: 'broker', forMinutes: 0.5 },
      { at: '2024-07-01T00:00:00Z', kill: 'provider', forMinutes: 1 },
    ],
  });
  const after = (hours: number) => scenario.startMs + hours * 3_600_000;
  t.deepEqual(faultEvents(scenario), [
    { atMs: after(6.5), untilMs: after(6.5) + 30_000, kind: 'kill', target: 'broker' },
    { atMs: after(30.5), untilMs: after(30.5) + 30_000, kind: 'kill', target: 'broker' },
    { atMs: after(36), untilMs: after(36) + 300_000, kind: 'powerCut', target: 'flat' },
  ]);
  // A recording begins elsewhere and in the middle of a day: the first 06:30 is over by then.
  const elsewhere = Date.UTC(2006, 11, 16, 17, 24);
  t.deepEqual(faultEvents(scenario, elsewhere, 1), [
    { atMs: Date.UTC(2006, 11, 17, 6, 30), untilMs: Date.UTC(2006, 11, 17, 6, 30, 30), kind: 'kill', target: 'broker' },
  ]);
});

async function dayOf(scenario: Scenario, index: number) {
  const truth = new Truth();
  const load = await loadOf(scenario.households[index], scenario.seed);
  for (let atMs = scenario.startMs; atMs < scenario.startMs + DAY_MS; atMs += 1000)
    truth.add(atMs, load.at(atMs).powerW);
  return truth;
}

test('the default scenario: three households, one of which really exports at noon', async (t) => {
  const scenario = await readScenario(defaultScenarioFile);
  t.is(scenario.households.length, 3);
  t.is(scenario.days, 1);
  const family = await dayOf(scenario, 0);
  t.log(`family: ${JSON.stringify(family.total())}`);
  t.true(family.total().exportMwh > 10e6 && family.total().importMwh > 2e6);
  const noon = scenario.startMs / 900_000 + 45; // 11:15 to 13:15 UTC
  const midday = family.total(noon, noon + 7);
  t.true(midday.exportMwh > 2e6, JSON.stringify(midday));
  const night = family.total(noon - 45, noon - 33);
  t.true(night.exportMwh === 0 && night.importMwh > 0);
  const flat = (await dayOf(scenario, 1)).total();
  t.log(`flat: ${JSON.stringify(flat)}`);
  t.true(flat.importMwh > 1.5e6 && flat.importMwh < 10e6 && flat.exportMwh === 0);
  const electric = (await dayOf(scenario, 2)).total();
  t.log(`electric: ${JSON.stringify(electric)}`);
  t.true(electric.importMwh > 5e6 && electric.exportMwh > 1e6);
});

test('the scenario of faults kills every kind of party and cuts the mains', async (t) => {
  const scenario = await readScenario(faultsFile);
  const targets = faultEvents(scenario).map(({ kind, target }) => (kind === 'kill' ? target.split(':')[0] : kind));
  t.deepEqual([...new Set(targets)].sort(), ['broker', 'collector', 'gateway', 'powerCut', 'provider']);
});

test('the scenario of a change of provider: who has which slot', async (t) => {
  const scenario = await readScenario(resolve(import.meta.dirname, '../../bench/scenarios/provider-change.json'));
  const midnight = Date.UTC(2024, 5, 19) / 900_000;
  t.is(providerOf(scenario, 'mover', midnight - 1), 'quiet');
  t.is(providerOf(scenario, 'mover', midnight), 'sun');
  t.is(providerOf(scenario, 'shop', midnight - 1), 'sun');
  t.is(providerOf(scenario, 'flat', midnight), 'quiet');
});

test('extended: as many as asked for, varied, the same for the same seed, the first ones as they were', async (t) => {
  const scenario = await readScenario(defaultScenarioFile);
  const many = extendScenario(scenario, 30);
  t.is(many.households.length, 30);
  t.is(new Set(many.households.map(({ id }) => id)).size, 30);
  t.deepEqual(many.households.slice(0, 3), scenario.households);
  t.deepEqual(extendScenario(scenario, 30), many);
  t.deepEqual(extendScenario(scenario, 10).households, many.households.slice(0, 10));
  t.notDeepEqual(extendScenario(scenario, 30, 99).households, many.households);
  t.true(many.households.filter(({ pv }) => pv).length >= 5);
  t.true(new Set(many.households.map(({ appliances }) => JSON.stringify(appliances))).size > 20);
  for (const household of many.households) (await loadOf(household, 1)).at(many.startMs);
});

test('shortened: the first households stay, and only the faults that concern them', async (t) => {
  const scenario = await readScenario(faultsFile);
  const one = extendScenario(scenario, 1);
  t.deepEqual(one.households, [scenario.households[0]]);
  const households = one.faults.map((fault) => fault.powerCut ?? fault.kill?.split(':')[1]);
  t.deepEqual([...new Set(households)].sort(), ['family', undefined]);
});

test('an id that is taken is passed over', (t) => {
  const scenario = parse({ ...good(), households: [{ id: 'house-2', preset: 'flat' }] });
  t.deepEqual(
    extendScenario(scenario, 3).households.map(({ id }) => id),
    ['house-2', 'house-3', 'house-4'],
  );
});

test('a household of a recording replays it; what is wrong with the recording is its own error', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'scenario-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const header = 'Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity';
  await writeFile(join(folder, 'good.txt'), `${header}\n18/6/2024;00:00:00;1.5;0.1;230;6.5\n`);
  await writeFile(join(folder, 'bad.txt'), `${header}\n18/6/2024;00:00:00;1.5;0.1;230\n`);
  const file = join(folder, 'town.json');
  const households = ['good', 'bad'].map((id) => ({ id, trace: `${id}.txt` }));
  await writeFile(file, JSON.stringify({ ...good(), households }));
  const scenario = await readScenario(file);
  const load = await loadOf(scenario.households[0], scenario.seed);
  t.is(Math.round(load.at(scenario.startMs).powerW * 1000), 1_500_000);
  const error = await t.throwsAsync(loadOf(scenario.households[1], 1), { instanceOf: TraceError });
  t.is(error.message, `${join(folder, 'bad.txt')}:2:31: the row has 5 columns, expected 6`);
  await t.throwsAsync(readScenario(join(folder, 'none.json')), { code: 'ENOENT' });
});

test('what people do in a run: releases and control messages, on each of its days, where they fall into it', async (t) => {
  const planned = { updates: [{ at: '13:00' }], control: [{ at: '17:00', command: 'off', forMinutes: 120 }] };
  const { updates, control, startMs } = parse({ ...good(), ...planned });
  t.like(control[0], { deviceClass: 'all', command: 'off', forMinutes: 120 });
  const hours = (days: number) => plannedIn(updates, startMs, days).map(({ atMs }) => (atMs - startMs) / 3_600_000);
  t.deepEqual([hours(0.5), hours(1), hours(2)], [[], [13], [13, 37]]);
  t.throws(() => parse({ ...good(), control: [{ at: '17:00', command: 'limit', forMinutes: 60 }] }), {
    message: 'my/town.json: control[0].limitW: belongs to limit, and only to it',
  });
  t.throws(() => parse({ ...good(), updates: [{ at: '25:00' }] }), { message: /updates\[0\]\.at: expected HH:MM/ });
  const scenario = await readScenario(defaultScenarioFile);
  t.deepEqual([scenario.updates.length, scenario.control.length], [1, 1]);
});
