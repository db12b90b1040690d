/**
 * A neighbourhood is data: which households there are, what they draw, when it begins, and what goes wrong. Read from
 * JSON (bench/scenarios/*.json); whatever is wrong in it is refused with the path of the field.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { CONTROL_COMMANDS, DEVICE_CLASS_PATTERN, EVERY_CLASS, LIMIT_MOST_W } from '../protocol/control/message.ts';
import { AREA_PATTERN } from '../protocol/readings/area.ts';
import { DAY_MS } from '../protocol/time/slots.ts';
import { BENCH_TARIFFS, type BenchTariff } from './billing.ts';
import type { ChipSpec } from './board/adc-model.ts';
import { type ApplianceSpec, applianceSchema, type Preset, presetNames, presets } from './loads/catalogue.ts';
import { nominalMains } from './loads/grid.ts';
import { createHouseholdLoad, defaultPlace, type HouseholdLoad, type HouseholdSpec } from './loads/household-load.ts';
import { Random } from './random.ts';
import { readTrace, traceLoad } from './trace.ts';

const between = (low: number, high: number) => v.pipe(v.number(), v.minValue(low), v.maxValue(high));
const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));

const plainName = 'expected 1 to 32 of a–z, 0–9 and -, beginning with a letter or digit';

/** Names folders and configuration files, so it is kept plain. */
const identifier = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,31}$/, plainName));

const CLOCK_TIME = /^([01]\d|2[0-3]):[0-5]\d$/;
const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$/;

/** Whole seconds of UTC as `2024-06-18T00:00:00Z`; Unix ms inside. */
const instant = v.pipe(
  v.string(),
  v.check(
    (text) => ISO_UTC.test(text) && new Date(text).toJSON()?.slice(0, 16) === text.slice(0, 16),
    'expected an instant of UTC such as 2024-06-18T00:00:00Z',
  ),
  v.transform((text) => Date.parse(text)),
);

const placeSchema = v.strictObject({ latitudeDeg: between(-66, 66), longitudeDeg: between(-180, 180) });

const pvSchema = v.strictObject({
  peakW: between(0, 20_000),
  tiltDeg: v.optional(between(0, 90), 35),
  azimuthDeg: v.optional(between(0, 360), 180),
  sky: v.optional(v.picklist(['changing', 'clear', 'overcast']), 'changing'),
});

const mainsSchema = v.strictObject({
  voltageV: v.optional(between(100, 250), nominalMains.voltageV),
  variationPercent: v.optional(between(0, 15), nominalMains.variationPercent),
  frequencyHz: v.optional(between(45, 65), nominalMains.frequencyHz),
});

/** What is worse or better than usual about the board's ADC. */
const chipSchema = v.strictObject({
  inlLsb: v.optional(between(0, 30)),
  crosstalk: v.optional(between(0, 0.01)),
  noiseLsb: v.optional(between(0, 30)),
});

const householdSchema = v.strictObject({
  id: identifier,
  /** What the customer's page calls it; the id where it is left out. */
  name: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(80))),
  preset: v.optional(v.picklist(presetNames)),
  appliances: v.optional(v.array(applianceSchema), []),
  pv: v.optional(pvSchema),
  mains: v.optional(mainsSchema, {}),
  /** A recording in the UCI format instead of appliances; beside the scenario's file. */
  trace: v.optional(v.pipe(v.string(), v.minLength(1))),
  chip: v.optional(chipSchema, {}),
  /** Three: its appliances by turns on three phases, its panels on the second. */
  phases: v.optional(v.picklist([1, 3]), 1),
  /** At the beginning; the scenario's first one where it is left out. */
  provider: v.optional(v.string()),
  /** One of its provider's (billing.ts). */
  tariff: v.optional(v.picklist(BENCH_TARIFFS), 'flex'),
});

/** `HH:MM` of UTC, on every day of the run; or one instant. Unix ms for the latter. */
const moment = v.pipe(
  v.string(),
  v.check(
    (text) => CLOCK_TIME.test(text) || v.is(instant, text),
    'expected HH:MM or an instant of UTC such as 2024-06-18T12:00:00Z',
  ),
  v.transform((text): string | number => (CLOCK_TIME.test(text) ? text : Date.parse(text))),
);

const faultSchema = v.strictObject({
  at: moment,
  forMinutes: between(0, 7 * 24 * 60),
  /** A process that is killed without warning and started again after `forMinutes`. */
  kill: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^(broker|collector|provider|gateway:.+)$/, 'expected broker, collector, provider or gateway:ID'),
    ),
  ),
  /** A household that is without mains for `forMinutes`: its meter stops, it draws nothing. */
  powerCut: v.optional(v.string()),
});

/** A new release of meter and gateway: the trusted third party offers it from then on. */
const updateSchema = v.strictObject({ at: moment });

/** The provider tells the appliances of the area something. */
const controlSchema = v.strictObject({
  at: moment,
  deviceClass: v.optional(v.pipe(v.string(), v.regex(DEVICE_CLASS_PATTERN, plainName)), EVERY_CLASS),
  command: v.picklist(CONTROL_COMMANDS),
  /** For `limit`. */
  limitW: v.optional(whole(1, LIMIT_MOST_W)),
  forMinutes: whole(1, 24 * 60),
});

/** A provider that supplies the area. */
const providerSchema = v.strictObject({
  name: identifier,
  /** Of the ordinary prices. */
  pricePercent: v.optional(between(20, 300), 100),
});

/** A customer chooses another provider, some hours before its first day. */
const changeSchema = v.strictObject({
  household: v.string(),
  /** When that day begins. */
  at: v.pipe(
    instant,
    v.check((ms) => ms % DAY_MS === 0, 'is not the beginning of a day of UTC'),
  ),
  to: v.string(),
});

/** Selling with anonymous credentials: the control centre's settings, as operator/control-centre/config.ts has them. */
const sellingSchema = v.strictObject({
  mode: v.optional(v.picklist(['receipts', 'm of n']), 'receipts'),
  /** Credits of a credential; 100 credits are a kWh. */
  value: v.optional(whole(1, 100_000), 10),
  /** Credentials that every household registers for a month. */
  amount: v.optional(whole(1, 100_000), 200),
  /** c. */
  candidatesEach: v.optional(whole(1, 100)),
  /** Credentials of one sale. */
  perSale: v.optional(whole(1, 16)),
  /** A slot is sold for so many slots after it. */
  windowSlots: v.optional(whole(1, 10_000)),
  /** How long registration lasts for the month in which the run begins. */
  lateRegistrationMs: v.optional(whole(1, 31 * DAY_MS)),
  registrationDays: v.optional(whole(1, 28)),
  settlementDays: v.optional(whole(1, 60)),
  compareExports: v.optional(v.boolean()),
  /** Sales that a gateway may send in a quarter hour: so many cells every bundle has. */
  cells: v.optional(whole(1, 16), 2),
});
export type ScenarioSelling = v.InferOutput<typeof sellingSchema>;

const scenarioSchema = v.strictObject({
  name: v.optional(v.string(), ''),
  seed: whole(0, 2 ** 32 - 1),
  start: instant,
  days: v.pipe(v.number(), v.gtValue(0), v.maxValue(3660)),
  /** Names the area whose sums the provider sees. */
  area: v.pipe(v.string(), v.regex(AREA_PATTERN, plainName)),
  /** Readings are rounded to this, Wh. */
  resolutionWh: v.optional(whole(1, 10_000), 50),
  /** No area sum of fewer households is shown. */
  k: v.optional(whole(1, 1000), 3),
  place: v.optional(placeSchema, defaultPlace),
  households: v.pipe(v.array(householdSchema), v.minLength(1), v.maxLength(1000)),
  faults: v.optional(v.array(faultSchema), []),
  updates: v.optional(v.array(updateSchema), []),
  control: v.optional(v.array(controlSchema), []),
  /** The first one has every household that names none. */
  providers: v.optional(v.pipe(v.array(providerSchema), v.minLength(1), v.maxLength(20)), [{ name: 'provider' }]),
  /** Changes of provider. */
  changes: v.optional(v.array(changeSchema), []),
  /** Households sell what they feed in, without a name; absent: nobody does. */
  selling: v.optional(sellingSchema),
});

export interface ScenarioHousehold extends HouseholdSpec {
  name: string;
  /** Path of a recording, absolute. */
  trace?: string;
  chip: ChipSpec;
  phases: 1 | 3;
  provider?: string;
  tariff: BenchTariff;
}

/** As in the file: see `faultEvents` for what it means on the days of a run. */
export type Fault = v.InferOutput<typeof faultSchema>;
export type PlannedUpdate = v.InferOutput<typeof updateSchema>;
export type ScenarioProvider = v.InferOutput<typeof providerSchema>;
export type PlannedChange = v.InferOutput<typeof changeSchema>;
export type PlannedControl = v.InferOutput<typeof controlSchema>;

export interface Scenario {
  name: string;
  seed: number;
  startMs: number;
  days: number;
  area: string;
  resolutionWh: number;
  k: number;
  households: ScenarioHousehold[];
  faults: Fault[];
  updates: PlannedUpdate[];
  control: PlannedControl[];
  providers: ScenarioProvider[];
  changes: PlannedChange[];
  selling?: ScenarioSelling;
}

export interface ScenarioProblem {
  /** Such as `households[1].pv.peakW`; empty for the whole. */
  path: string;
  message: string;
}

/** The scenario cannot be used; each problem names its field. Recovery: correct the file. */
export class ScenarioError extends Error {
  readonly file: string;
  readonly problems: ScenarioProblem[];
  constructor(file: string, problems: ScenarioProblem[]) {
    super(problems.map(({ path, message }) => `${file}: ${path ? `${path}: ` : ''}${message}`).join('\n'));
    this.name = 'ScenarioError';
    this.file = file;
    this.problems = problems;
  }
}

type Issue = v.BaseIssue<unknown>;

/** `households[1].pv.peakW` */
function pathOf(issue: Issue): string {
  return (issue.path ?? [])
    .map(({ key }, n) => (typeof key === 'number' ? `[${key}]` : `${n > 0 ? '.' : ''}${String(key)}`))
    .join('');
}

function problemOf(issue: Issue): ScenarioProblem {
  return { path: pathOf(issue), message: issue.message };
}

/**
 * @param file the scenario's path: for errors, and because recordings lie beside it
 * @throws ScenarioError
 */
export function parseScenario(text: string, file: string): Scenario {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ScenarioError(file, [{ path: '', message: `not JSON: ${(error as Error).message}` }]);
  }
  const result = v.safeParse(scenarioSchema, json);
  if (!result.success) throw new ScenarioError(file, result.issues.map(problemOf));
  const { start, place, households, ...rest } = result.output;
  const problems = crossCheck(result.output);
  if (problems.length > 0) throw new ScenarioError(file, problems);
  return {
    ...rest,
    startMs: start,
    households: households.map(({ trace, name, ...household }) => ({
      ...household,
      appliances: household.appliances as unknown as ApplianceSpec[],
      name: name ?? household.id,
      place,
      ...(trace === undefined ? {} : { trace: resolve(dirname(file), trace) }),
    })),
  };
}

/** The household that a fault concerns, if it is one's. */
const householdOf = ({ kill, powerCut }: Fault): string | undefined =>
  powerCut ?? (kill?.startsWith('gateway:') ? kill.slice('gateway:'.length) : undefined);

/** What no single field shows. */
function crossCheck(scenario: v.InferOutput<typeof scenarioSchema>): ScenarioProblem[] {
  const { households, faults, control } = scenario;
  const problems: ScenarioProblem[] = [];
  const ids = new Set<string>();
  households.forEach((household, n) => {
    const path = `households[${n}]`;
    if (ids.has(household.id)) problems.push({ path: `${path}.id`, message: `"${household.id}" is there twice` });
    ids.add(household.id);
    const synthesized = household.preset !== undefined || household.appliances.length > 0 || household.pv !== undefined;
    if (synthesized === (household.trace !== undefined)) {
      const message = synthesized
        ? 'a recording and appliances exclude each other'
        : 'expected a preset, appliances, pv or trace';
      problems.push({ path, message });
    }
    if (household.phases === 3 && household.trace !== undefined)
      problems.push({ path: `${path}.phases`, message: 'a recording is of one phase' });
  });
  problems.push(...supplyProblems(scenario));
  control.forEach(({ command, limitW }, n) => {
    if ((command === 'limit') !== (limitW !== undefined))
      problems.push({ path: `control[${n}].limitW`, message: 'belongs to limit, and only to it' });
  });
  faults.forEach((fault, n) => {
    const path = `faults[${n}]`;
    if ((fault.kill === undefined) === (fault.powerCut === undefined)) {
      problems.push({
        path,
        message: fault.kill === undefined ? 'expected kill or powerCut' : 'expected kill or powerCut, not both',
      });
    }
    const id = householdOf(fault);
    if (id !== undefined && !ids.has(id)) {
      const field = fault.powerCut === undefined ? 'kill' : 'powerCut';
      problems.push({ path: `${path}.${field}`, message: `there is no household "${id}"` });
    }
  });
  return problems;
}

function supplyProblems({ households, providers, changes }: v.InferOutput<typeof scenarioSchema>): ScenarioProblem[] {
  const problems: ScenarioProblem[] = [];
  const names = new Set<string>();
  providers.forEach(({ name }, n) => {
    if (names.has(name)) problems.push({ path: `providers[${n}].name`, message: `"${name}" is there twice` });
    names.add(name);
  });
  /** By household: who has it, and since when. */
  const present = new Map(households.map(({ id, provider = providers[0].name }) => [id, { provider, at: 0 }]));
  households.forEach(({ provider }, n) => {
    if (provider !== undefined && !names.has(provider))
      problems.push({ path: `households[${n}].provider`, message: `there is no provider "${provider}"` });
  });
  changes.forEach(({ household, at, to }, n) => {
    const wrong = (field: string, message: string) => problems.push({ path: `changes[${n}].${field}`, message });
    const before = present.get(household);
    if (!before) wrong('household', `there is no household "${household}"`);
    if (!names.has(to)) wrong('to', `there is no provider "${to}"`);
    else if (before?.provider === to) wrong('to', `"${household}" has "${to}" already`);
    if (before && at <= before.at) wrong('at', 'is not after the change before');
    present.set(household, { provider: to, at });
  });
  return problems;
}

/** @throws ScenarioError; or the file system's error where the file cannot be read */
export async function readScenario(file: string): Promise<Scenario> {
  return parseScenario(await readFile(file, 'utf8'), file);
}

/** The neighbourhood that shows everything there is. */
export const defaultScenarioFile = resolve(import.meta.dirname, 'scenarios', 'default.json');

/**
 * What a household draws: its recording's replay, or its appliances.
 * @throws TraceError where the recording cannot be used
 */
export async function loadOf(household: ScenarioHousehold, seed: number): Promise<HouseholdLoad> {
  if (household.trace === undefined) return createHouseholdLoad(household, seed);
  return traceLoad(await readTrace(household.trace));
}

/** What each of its phases draws: one, or three. */
export async function loadsOf(household: ScenarioHousehold, seed: number): Promise<HouseholdLoad[]> {
  if (household.phases === 1) return [await loadOf(household, seed)];
  const { preset, pv, ...others } = household;
  const all = [...(preset ? presets[preset] : []), ...(household.appliances ?? [])];
  return [0, 1, 2].map((phase) => {
    const appliances = all.filter((_, index) => index % 3 === phase);
    const own = { ...others, id: `${household.id}-L${phase + 1}`, appliances, ...(phase === 1 && pv && { pv }) };
    return createHouseholdLoad(own, seed);
  });
}

/** The same neighbourhood with `count` households: the first ones, or all and further, varied ones. */
export function extendScenario(scenario: Scenario, count: number, seed = scenario.seed): Scenario {
  const households = scenario.households.slice(0, count);
  const taken = new Set(households.map(({ id }) => id));
  for (let n = households.length + 1; households.length < count; n++) {
    const id = `house-${n}`;
    if (!taken.has(id)) households.push(variedHousehold(id, n, seed, scenario.households[0].place));
  }
  const ids = new Set(households.map(({ id }) => id));
  const faults = scenario.faults.filter((fault) => {
    const id = householdOf(fault);
    return id === undefined || ids.has(id);
  });
  const changes = scenario.changes.filter(({ household }) => ids.has(household));
  return { ...scenario, households, faults, changes };
}

/** Half of them are flats; every third of the others has panels. */
const mixture: Preset[] = ['flat', 'family', 'flat', 'family', 'flat', 'electric', 'flat', 'family', 'flat', 'shop'];

function variedHousehold(id: string, n: number, seed: number, place: HouseholdSpec['place']): ScenarioHousehold {
  const random = new Random(seed, 'household', id);
  const preset = mixture[(n - 1) % mixture.length];
  const appliances: ApplianceSpec[] = [{ kind: 'standby', powerW: Math.round(random.between(5, 90)) }];
  if (random.chance(0.3)) appliances.push({ kind: 'computer', powerW: Math.round(random.between(50, 250)) });
  if (random.chance(0.2)) appliances.push({ kind: 'boiler', litresPerDay: Math.round(random.between(40, 160)) });
  const pv = {
    peakW: Math.round(random.between(2000, 7000)),
    tiltDeg: Math.round(random.between(15, 45)),
    azimuthDeg: Math.round(random.between(110, 250)),
    sky: 'changing' as const,
  };
  const roof = preset !== 'flat' && random.chance(0.4);
  return {
    id,
    name: `House ${n}`,
    preset,
    appliances,
    ...(roof ? { pv } : {}),
    place,
    mains: nominalMains,
    chip: {},
    phases: 1,
    tariff: 'flex',
  };
}

/** Something that goes wrong in a run, once: from `atMs` to before `untilMs`. */
export interface FaultEvent {
  atMs: number;
  untilMs: number;
  kind: 'kill' | 'powerCut';
  /** `broker`, `collector`, `provider` or `gateway:ID`; for a power cut the household's id. */
  target: string;
}

/**
 * The faults of a run from `startMs` on, in the order of time. `HH:MM` comes on each of its days; what lies before the
 * start or after the end is left out. Takes the start because a recording sets the clock to its own first row.
 */
export function faultEvents(scenario: Scenario, startMs = scenario.startMs, days = scenario.days): FaultEvent[] {
  const endMs = startMs + days * DAY_MS;
  const eventsOf = ({ at, forMinutes, kill, powerCut = '' }: Fault): FaultEvent[] =>
    momentsOf(at, startMs, endMs).map((atMs) => {
      const untilMs = atMs + Math.round(forMinutes * 60) * 1000;
      return kill === undefined
        ? { atMs, untilMs, kind: 'powerCut', target: powerCut }
        : { atMs, untilMs, kind: 'kill', target: kill };
    });
  return scenario.faults
    .flatMap(eventsOf)
    .filter(({ atMs }) => atMs >= startMs && atMs < endMs)
    .sort((a, b) => a.atMs - b.atMs);
}

/** Of each of these, once for each of its moments in the run, in the order of time. */
export function plannedIn<T extends { at: string | number }>(
  planned: readonly T[],
  startMs: number,
  days: number,
): (T & { atMs: number })[] {
  const endMs = startMs + days * DAY_MS;
  return planned
    .flatMap((one) => momentsOf(one.at, startMs, endMs).map((atMs) => ({ ...one, atMs })))
    .filter(({ atMs }) => atMs >= startMs && atMs < endMs)
    .sort((a, b) => a.atMs - b.atMs);
}

function momentsOf(at: string | number, startMs: number, endMs: number): number[] {
  if (typeof at === 'number') return [at];
  const [hours, minutes] = at.split(':').map(Number);
  const moments: number[] = [];
  for (let dayMs = startMs - (startMs % DAY_MS); dayMs < endMs; dayMs += DAY_MS) {
    moments.push(dayMs + (hours * 60 + minutes) * 60_000);
  }
  return moments;
}
