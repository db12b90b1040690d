/** Houses whose appliances are known, second by second as a meter would measure them. */

import { appliances, type Preset, parametersOf, presets } from '../../../bench/loads/catalogue.ts';
import { createHouseholdLoad, defaultPlace, type HouseholdSpec } from '../../../bench/loads/household-load.ts';
import { daylight, solarOffsetMs } from '../../../bench/loads/sun.ts';
import { Random } from '../../../bench/random.ts';
import type { Step } from '../../../gateway/appliances-found/edges.ts';

const DAY_MS = 86_400_000;
const SEED = 7;
/** 4 October 2024, a Friday, and the days after it. */
const FIRST_DAY = 20_000;

export interface Live {
  unixMs: number;
  powerMw: number;
  reactiveMvar: number;
}
/** A stroke of an appliance's plan: it was on from then to then. */
export interface Truth extends Pick<Step, 'powerW'> {
  kind: string;
  fromMs: number;
  toMs: number;
}

export interface House {
  lives: Live[];
  truths: Truth[];
  fromMs: number;
  toMs: number;
  /** Exact, of the whole time. */
  drawnMwh: number;
  fedMwh: number;
}

/** One window a second: noise of a share of the power and of some W, as the virtual board measures it. */
export function house(preset: Preset, days: number, spec: Partial<HouseholdSpec> = {}): House {
  const id = `found-${preset}`;
  const load = createHouseholdLoad({ id, preset, ...spec }, SEED);
  const noise = new Random(SEED, id, 'noise');
  const startMs = FIRST_DAY * DAY_MS - solarOffsetMs(defaultPlace);
  const fromMs = Math.ceil(startMs / 1000) * 1000;
  const toMs = fromMs + days * DAY_MS;
  const lives: Live[] = [];
  let reactiveVar = 0;
  let drawnMwh = 0;
  let fedMwh = 0;
  for (let unixMs = fromMs; unixMs < toMs; unixMs += 1000) {
    const { powerW, wave, changed } = load.at(unixMs);
    if (changed) reactiveVar = reactiveOf(wave.voltageV, wave.currentA);
    if (powerW > 0) drawnMwh += powerW / 3.6;
    else fedMwh -= powerW / 3.6;
    const noisy = (value: number) => Math.round(1000 * (value + noise.normal(0, 1.5 + 0.003 * Math.abs(powerW))));
    lives.push({ unixMs, powerMw: noisy(powerW), reactiveMvar: noisy(reactiveVar) });
  }
  const truths = Array.from({ length: days }, (_, n) => planOf(preset, id, FIRST_DAY + n, startMs + n * DAY_MS)).flat();
  return { lives, truths, fromMs, toMs, drawnMwh: Math.round(drawnMwh), fedMwh: Math.round(fedMwh) };
}

function planOf(preset: Preset, id: string, number: number, beginMs: number): Truth[] {
  const weekday = new Date(number * DAY_MS).getUTCDay();
  const ofYear = (number % 365.2425) / 365.2425;
  return presets[preset].flatMap((spec, index) => {
    const day = {
      number,
      weekend: weekday === 0 || weekday === 6,
      ...daylight(defaultPlace, number),
      winter: 0.5 + 0.5 * Math.cos(2 * Math.PI * (ofYear - 0.05)),
      random: new Random(SEED, id, spec.kind, index, number),
    };
    return appliances[spec.kind].plan(parametersOf(spec), day).map(({ fromS, toS, powerW }) => ({
      kind: spec.kind,
      fromMs: beginMs + fromS * 1000,
      toMs: beginMs + toS * 1000,
      powerW,
    }));
  });
}

/** Of the fundamental and what follows it: voltage turned by a quarter cycle, times current. */
function reactiveOf(voltageV: Float64Array, currentA: Float64Array): number {
  const { length } = voltageV;
  let sum = 0;
  for (let n = 0; n < length; n++) sum += voltageV[(n + (length * 3) / 4) % length] * currentA[n];
  return sum / length;
}
