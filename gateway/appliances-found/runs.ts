/**
 * From steps to runs: what was switched on by so much is what is later switched off by as much. A step down that fits none of what is on
 * may be two that ended at once, or a part of what began at once: a heat pump's compressor stops before its pump. What cannot be told is
 * left out: a run that was guessed would be in a sum.
 */
import type { Step } from './edges.ts';

/** Something was on from then to then. */
export interface Run {
  fromMs: number;
  toMs: number;
  powerW: number;
  reactiveVar: number;
}

type Drawn = Pick<Step, 'powerW' | 'reactiveVar'>;
type On = Drawn & Pick<Step, 'atMs'>;

/** What is on for longer is not waited for. */
const LONGEST_MS = 14 * 3_600_000;
/** A house has no more on at once that could be told apart; the oldest is forgotten. */
const MOST_ON = 24;

/** How far two measurements of the same appliance lie apart: 1 is one standard deviation or so. */
export function distance(a: Drawn, b: Drawn, share: number): number {
  const scaleW = 6 + share * Math.max(Math.abs(a.powerW), Math.abs(b.powerW));
  return Math.hypot((a.powerW - b.powerW) / scaleW, (a.reactiveVar - b.reactiveVar) / (1.5 * scaleW));
}

/** Motors run warm and heaters hot: at the end of a run they draw a little less. */
const SHARE = 0.02;
const FITS = 2.5;
/** Nothing tells two candidates apart that are nearer to each other than this. */
const ALIKE = 1;
/** What is less of a whole than this is rather something else whose beginning was missed. */
const LEAST_PART = 0.6;
const SMALLEST_REST_W = 30;
/** A house that fed in so lately has panels or a battery: what it uses is more than what flows in. */
const FEEDS_W = 20;
const FED_LATELY_MS = 36 * 3_600_000;

export class RunFinder {
  #on: On[] = [];
  #fedMs = Number.NEGATIVE_INFINITY;

  /** What is on now, oldest first. */
  get on(): readonly On[] {
    return this.#on;
  }

  /** Values were missing: nobody knows what is on. */
  forget(): void {
    this.#on = [];
  }

  /** @returns the runs that this step ends: none, one, or two that ended at once */
  take(step: Step): Run[] {
    if (step.levelW < -FEEDS_W) this.#fedMs = step.atMs;
    const ended = this.#end(step);
    if (step.atMs - this.#fedMs > FED_LATELY_MS) this.#fit(step.levelW);
    return ended;
  }

  /** What is on cannot draw more than the house does, where nothing generates: ends were missed, of the oldest most likely. */
  #fit(levelW: number): void {
    const mostW = SMALLEST_REST_W + 1.05 * levelW;
    while (this.#on.length > 0 && this.#on.reduce((sum, { powerW }) => sum + powerW, 0) > mostW) this.#on.shift();
  }

  #end(step: Step): Run[] {
    this.#on = this.#on.filter(({ atMs }) => step.atMs - atMs < LONGEST_MS);
    if (step.powerW > 0) {
      this.#on.push(step);
      if (this.#on.length > MOST_ON) this.#on.shift();
      return [];
    }
    const off = { atMs: step.atMs, powerW: -step.powerW, reactiveVar: -step.reactiveVar };
    const ended = this.#single(off) ?? this.#pair(off);
    if (!ended) return this.#part(off);
    this.#on = this.#on.filter((on) => !ended.includes(on));
    return ended.map((on) => {
      // ended alone, both steps say what it draws; together only the first does
      const mean = (one: number, other: number) => (ended.length === 1 ? (one + other) / 2 : one);
      const powerW = mean(on.powerW, off.powerW);
      return { fromMs: on.atMs, toMs: off.atMs, powerW, reactiveVar: mean(on.reactiveVar, off.reactiveVar) };
    });
  }

  #single(off: On): On[] | null {
    const best = nearest(this.#on, (on) => distance(on, off, SHARE));
    if (!best) return null;
    // of those that fit as well the last: were it the first, one end that was missed would shift all that follow
    const limit = Math.min(FITS, distance(best, off, SHARE) + ALIKE);
    return [this.#on.findLast((on) => distance(on, off, SHARE) <= limit)!];
  }

  /** The larger part of something ended: it was a run, and the rest is on. */
  #part(off: On): Run[] {
    const whole = nearest(this.#on, (on) => {
      const share = off.powerW / on.powerW;
      return share < LEAST_PART || on.powerW - off.powerW < SMALLEST_REST_W ? Number.POSITIVE_INFINITY : 1 / share;
    });
    if (!whole) return [];
    const { powerW, reactiveVar } = off;
    const rest = { atMs: whole.atMs, powerW: whole.powerW - powerW, reactiveVar: whole.reactiveVar - reactiveVar };
    this.#on = this.#on.map((on) => (on === whole ? rest : on));
    return [{ fromMs: whole.atMs, toMs: off.atMs, powerW, reactiveVar }];
  }

  #pair(off: On): On[] | null {
    const pairs = this.#on.flatMap((one, index) => this.#on.slice(index + 1).map((other) => [one, other]));
    return nearest(pairs, ([one, other]) => {
      const together = { powerW: one.powerW + other.powerW, reactiveVar: one.reactiveVar + other.reactiveVar };
      return distance(together, off, SHARE) * 1.5; // there are many pairs: one must fit better
    });
  }
}

function nearest<T>(candidates: readonly T[], measure: (candidate: T) => number): T | null {
  let best: T | null = null;
  let least = FITS;
  for (const candidate of candidates) {
    const found = measure(candidate);
    if (found > least) continue;
    best = candidate;
    least = found;
  }
  return best;
}
