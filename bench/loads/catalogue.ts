/** All appliances of the bench by name, and the ready-made sets of them that households are made of. */
import * as v from 'valibot';
import type { Appliance, Parameters } from './appliance.ts';
import * as big from './appliances/big.ts';
import * as cooking from './appliances/cooking.ts';
import * as electronics from './appliances/electronics.ts';
import * as motors from './appliances/motors.ts';
import * as resistive from './appliances/resistive.ts';

const all = { ...resistive, ...motors, ...electronics, ...cooking, ...big };

export type ApplianceKind = keyof typeof all;

/** In a scenario: the kind, and whatever differs from its defaults. */
export type ApplianceSpec = { kind: ApplianceKind } & { [parameter: string]: string | number };

export const appliances = all as unknown as Readonly<Record<ApplianceKind, Appliance>>;
export const applianceKinds = Object.keys(all) as ApplianceKind[];

/** The numbers to plan with: those of the scenario, else the defaults. */
export function parametersOf(spec: ApplianceSpec): Parameters {
  const { parameters } = appliances[spec.kind];
  return Object.fromEntries(Object.keys(parameters).map((name) => [name, Number(spec[name] ?? parameters[name])]));
}

/** How far a scenario may go, by the unit at the end of the parameter's name: so that a slip of the pen is noticed. */
const limits: [unit: string, atMost: number][] = [
  ['litresPerDay', 500],
  ['hoursPerDay', 12],
  ['chargesPerDay', 1],
  ['PerDay', 30],
  ['Minutes', 600],
  ['Hour', 24],
  ['lamps', 100],
  ['count', 20],
  ['W', 13_000],
];

/** The highest value that a parameter may have. */
export function limitOf(name: string): number {
  const limit = limits.find(([unit]) => name.endsWith(unit));
  if (!limit) throw new RangeError(`${name}: its unit has no limit`);
  return limit[1];
}

const quantity = (name: string) => v.pipe(v.number(), v.minValue(0), v.maxValue(limitOf(name)));

const schemaOf = (kind: ApplianceKind) =>
  v.strictObject({
    kind: v.literal(kind),
    ...Object.fromEntries(Object.keys(appliances[kind].parameters).map((name) => [name, v.optional(quantity(name))])),
  });

export const applianceSchema = v.variant('kind', applianceKinds.map(schemaOf) as [ReturnType<typeof schemaOf>]);

export type Preset = 'flat' | 'family' | 'shop' | 'electric';

export const presets: Readonly<Record<Preset, readonly ApplianceSpec[]>> = {
  flat: [
    { kind: 'standby', powerW: 35 },
    { kind: 'refrigerator', powerW: 80 },
    { kind: 'kettle' },
    { kind: 'television', powerW: 80 },
    { kind: 'computer' },
    { kind: 'lights', powerW: 40, lamps: 4 },
    { kind: 'inductionCooker', usesPerDay: 1.5 },
    { kind: 'washingMachine', usesPerDay: 0.3 },
  ],
  family: [
    { kind: 'standby', powerW: 70 },
    { kind: 'refrigerator', powerW: 90, count: 2 },
    { kind: 'kettle', usesPerDay: 6 },
    { kind: 'oven' },
    { kind: 'inductionCooker', usesPerDay: 2.5 },
    { kind: 'washingMachine', usesPerDay: 1 },
    { kind: 'vacuumCleaner' },
    { kind: 'television' },
    { kind: 'computer', hoursPerDay: 6 },
    { kind: 'lights', powerW: 120, lamps: 10 },
  ],
  shop: [
    { kind: 'standby', powerW: 90 },
    { kind: 'refrigerator', powerW: 280, onMinutes: 18, offMinutes: 20, count: 2 },
    { kind: 'shopLights' },
    { kind: 'office' },
    { kind: 'kettle', usesPerDay: 8 },
    { kind: 'boiler', powerW: 1500, litresPerDay: 30 },
    { kind: 'vacuumCleaner', usesPerDay: 1 },
  ],
  electric: [
    { kind: 'standby', powerW: 60 },
    { kind: 'refrigerator', count: 2 },
    { kind: 'heatPump' },
    { kind: 'carCharger' },
    { kind: 'kettle' },
    { kind: 'inductionCooker' },
    { kind: 'washingMachine' },
    { kind: 'television' },
    { kind: 'lights' },
  ],
};

export const presetNames = Object.keys(presets) as Preset[];
