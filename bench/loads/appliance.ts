/**
 * What an appliance is to the bench: a name, a few numbers, and a plan of when it draws how much on a given day.
 * The plan of a day depends on seed, household, appliance and day only, so that a run may begin on any day.
 */
import type { Random } from '../random.ts';
import type { ShapeName } from './shapes.ts';

/** Power of one wave shape over a stretch of the day. Strokes add up. */
export interface Stroke {
  shape: ShapeName;
  /** Whole seconds since the day began; may reach into the next day, but not beyond it. */
  fromS: number;
  toS: number;
  /** Whole watts, so that switching on and off again leaves nothing behind. At nominal voltage. */
  powerW: number;
}

/** A day in a household. Days begin at mean solar midnight of the place. */
export interface Day {
  /** Days since 1970. */
  number: number;
  weekend: boolean;
  /** Seconds since the day began. */
  sunriseS: number;
  sunsetS: number;
  /** Colder is nearer 1 (January), warmer nearer 0 (July): how much there is to heat. */
  winter: number;
  random: Random;
}

export type Parameters = Record<string, number>;

export interface Appliance<P extends Parameters = Parameters> {
  /** One line for people. */
  about: string;
  /** What may be set, with its default. Watts, counts and hours; none is negative. */
  parameters: P;
  plan(parameters: P, day: Day): Stroke[];
}

/** Keeps the parameters' names for the plan's type. */
export const appliance = <P extends Parameters>(definition: Appliance<P>): Appliance<P> => definition;

export const HOUR_S = 3600;
export const MINUTE_S = 60;

export function stroke(shape: ShapeName, fromS: number, forS: number, powerW: number): Stroke {
  const from = Math.max(0, Math.round(fromS));
  // The end is rounded, not the length: what begins where another stroke ends does not overlap it.
  return { shape, fromS: from, toS: Math.max(from + 1, Math.round(fromS + forS)), powerW: Math.round(powerW) };
}

/** An hour of people's day, with how likely it is and how much it varies (standard deviation, h). */
export type Habit = [hour: number, weight: number, spreadH: number];

/** The second of a day at which people do something that they do at such hours. */
export function habitualS(random: Random, habits: readonly Habit[]): number {
  let draw = random.between(
    0,
    habits.reduce((sum, [, weight]) => sum + weight, 0),
  );
  for (const [hour, weight, spreadH] of habits) {
    draw -= weight;
    if (draw < 0) return Math.min(Math.max(random.normal(hour, spreadH), 0), 23.9) * HOUR_S;
  }
  throw new RangeError('habits: there is none with a weight');
}

/** A whole count with the given mean: 2.3 is 2, and 3 in three of ten cases. */
export function countAround(random: Random, mean: number): number {
  return Math.floor(mean) + (random.chance(mean % 1) ? 1 : 0);
}

/** A thermostat: switches on and off from `fromS` to `toS`, seconds given for one turn of each. */
export function thermostat(
  random: Random,
  shape: ShapeName,
  powerW: number,
  span: { fromS: number; toS: number; onS: number; offS: number },
): Stroke[] {
  const strokes: Stroke[] = [];
  let atS = span.fromS;
  while (atS < span.toS) {
    const onS = Math.min(span.onS * random.between(0.8, 1.25), span.toS - atS);
    strokes.push(stroke(shape, atS, onS, powerW));
    atS += onS + span.offS * random.between(0.8, 1.25);
  }
  return strokes;
}
