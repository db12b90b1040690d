/**
 * What the meters of the paper's experiment need and have to spare (microgrid-trading.txt, section 7, figure 3): all follow one
 * consumption pattern; type A produces little; type B in five episodes. The figure's numbers are not in the text, so levels here are of
 * our own, in its words:
 *
 *   00–06 h  production grows linearly from nothing          consumption low and stable
 *   06–09 h  goes on to its full height                      a peak
 *   09–18 h  stays there                                     moderate, stable
 *   18–21 h  decreases                                       increases
 *   21–24 h  decreases to nothing                            decreases
 *
 * The pattern is a recording in the UCI data set's format, which is what the paper used, or this one where there is none: the same words
 * as numbers, with a repeatable wobble of a tenth.
 */
import { Random } from '../random.ts';
import type { Trace } from '../trace.ts';

export type MeterType = 'A' | 'B';
const HOUR_MIN = 60;
export const DAY_MIN = 24 * HOUR_MIN;
/** A piece lasts ten minutes, as in the paper's example; its power is such that a house needs a few at a time. */
export const PIECE_MIN = 10;
export const PIECE_W = 1000;
const LOW_PRODUCTION_W = 300;
const FULL_PRODUCTION_W = 4000;

/** [hour, W]: straight between them. */
const CONSUMPTION: [number, number][] = [
  [0, 700],
  [5.5, 700],
  [7.5, 2300],
  [9, 1500],
  [18, 1500],
  [20.5, 2700],
  [24, 700],
];
const PRODUCTION: [number, number][] = [
  [0, 0],
  [6, 2400],
  [9, FULL_PRODUCTION_W],
  [18, FULL_PRODUCTION_W],
  [21, 1500],
  [24, 0],
];

function between(points: [number, number][], hour: number): number {
  const next = points.findIndex(([at]) => at > hour);
  if (next < 0) return points[points.length - 1][1];
  const [[fromHour, from], [toHour, to]] = [points[next - 1], points[next]];
  return from + ((to - from) * (hour - fromHour)) / (toHour - fromHour);
}

/** W by the minute of the day. */
export type Pattern = Float64Array;

export function synthesizedConsumption(seed: number): Pattern {
  const random = new Random(seed, 'consumption');
  return Float64Array.from(
    { length: DAY_MIN },
    (_, m) => between(CONSUMPTION, m / HOUR_MIN) * random.between(0.9, 1.1),
  );
}
/** The first whole day of a recording; null where it has none. */
export function recordedConsumption(trace: Trace): Pattern | null {
  const first = Math.ceil(trace.startMs / 86_400_000) * 86_400_000;
  const from = trace.timesMs.findIndex((ms) => ms >= first);
  if (from < 0 || trace.timesMs[from + DAY_MIN - 1] !== first + (DAY_MIN - 1) * 60_000) return null;
  return trace.activeW.slice(from, from + DAY_MIN);
}
export const productionW = (type: MeterType, minute: number): number =>
  type === 'A' ? LOW_PRODUCTION_W : between(PRODUCTION, minute / HOUR_MIN);

/** Production less consumption over the ten minutes from `minute` on, W. */
export function surplusW(type: MeterType, consumption: Pattern, minute: number): number {
  let sum = 0;
  for (let m = minute; m < minute + PIECE_MIN; m++) sum += productionW(type, m % DAY_MIN) - consumption[m % DAY_MIN];
  return sum / PIECE_MIN;
}
/** Pieces that a meter has to buy (what is begun counts whole) and can sell in the ten minutes from `minute` on. */
export function piecesOf(type: MeterType, consumption: Pattern, minute: number): { needed: number; spare: number } {
  const surplus = surplusW(type, consumption, minute);
  return {
    needed: Math.max(0, Math.ceil(-surplus / PIECE_W)),
    spare: Math.max(0, Math.floor(surplus / PIECE_W)),
  };
}
/** Type A of so many meters; the paper has twice as many of type B. */
export const typeA = (meters: number): number => Math.round(meters / 3);
