/**
 * Steps in the house's power: steady → something else → steady again at another level.
 *
 *        ┌────── after: the mean of the first values there
 *   ─────┘  ▲
 *   before  atMs: the first value that no longer belonged to what was before
 *
 * A level is the mean of the newest values that agree with each other, so it follows what drifts (clouds, a battery that is nearly
 * full) and only what jumps is a step. A compressor's rush and a cooker's pulses are over before anything is steady: they leave no step.
 * Constant memory: a dozen values.
 */

/** One second, as the meter measured it. */
export interface Sample {
  unixMs: number;
  powerW: number;
  reactiveVar: number;
}

export interface Step {
  atMs: number;
  /** On is +, off is −. */
  powerW: number;
  reactiveVar: number;
  /** What flows into the house after it. */
  levelW: number;
}

/** So many values that agree are a level. */
const STEADY = 3;
/** After so many a level's mean is as good as it needs to be, and the step to it is told. */
const SETTLED = 5;
/** A level is the mean of so many newest values. */
const LEVEL = 12;
/** What measurement and small things make of a constant load: a few W and a share. */
const NOISE_W = 6;
const NOISE_SHARE = 0.008;
/** What is smaller is not told from noise. */
const SMALLEST_W = 30;
/** Without a value for so long nobody knows what happened. */
const GAP_MS = 5_000;
/** What takes longer from one level to the next was not one switch. */
const LONGEST_MS = 30_000;

export class StepFinder {
  /** Values of the present level. */
  #level: Sample[] = [];
  /** Values since the level was left. */
  #between: Sample[] = [];
  /** A step whose level after it is not settled yet. */
  #arriving: { atMs: number; powerW: number; reactiveVar: number } | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @returns the step that this value completes; `lost` where values were missing: what was on may be off */
  take(sample: Sample): Step | 'lost' | null {
    const isLost = sample.unixMs - this.#lastMs > GAP_MS;
    const isOld = sample.unixMs <= this.#lastMs;
    if (isOld) return null;
    this.#lastMs = sample.unixMs;
    if (isLost) {
      this.#level = [];
      this.#between = [sample];
      this.#arriving = null;
      return 'lost';
    }
    if (this.#between.length === 0 && this.#belongs(sample)) {
      this.#level.push(sample);
      if (this.#level.length === SETTLED && this.#arriving) return this.#arrive();
      if (this.#level.length > LEVEL) this.#level.shift();
      return null;
    }
    this.#between.push(sample);
    const newest = this.#between.slice(-STEADY);
    if (newest.length < STEADY || !agree(newest)) {
      if (this.#between.length > LEVEL) this.#between.splice(1, 1); // the first says when it began
      return null;
    }
    return this.#settle(newest);
  }

  /** A level was reached. */
  #settle(newest: Sample[]): Step | null {
    // a level that was left before it had settled was one, too
    const told = this.#arriving && this.#level.length >= STEADY ? this.#arrive() : null;
    const before = this.#level.length > 0 ? meanOf(this.#level) : null;
    const atMs = this.#between[0].unixMs;
    const isQuick = newest[0].unixMs - atMs <= LONGEST_MS;
    const stepW = before ? meanOf(newest).powerW - before.powerW : 0;
    this.#arriving = before && isQuick && Math.abs(stepW) >= SMALLEST_W ? { atMs, ...before } : null;
    this.#level = newest;
    this.#between = [];
    return told;
  }

  #arrive(): Step {
    const { atMs, powerW, reactiveVar } = this.#arriving!;
    const after = meanOf(this.#level);
    this.#arriving = null;
    return { atMs, powerW: after.powerW - powerW, reactiveVar: after.reactiveVar - reactiveVar, levelW: after.powerW };
  }

  #belongs({ powerW }: Sample): boolean {
    if (this.#level.length === 0) return false;
    const level = meanOf(this.#level).powerW;
    return Math.abs(powerW - level) <= Math.max(SMALLEST_W / 2, 2 * noiseOf(level));
  }
}

const noiseOf = (powerW: number): number => NOISE_W + NOISE_SHARE * Math.abs(powerW);

function agree(samples: Sample[]): boolean {
  const powers = samples.map(({ powerW }) => powerW);
  const spread = Math.max(...powers) - Math.min(...powers);
  return spread <= 2 * noiseOf(powers[0]);
}

function meanOf(samples: Sample[]): { powerW: number; reactiveVar: number } {
  const sum = (read: (sample: Sample) => number) => samples.reduce((total, sample) => total + read(sample), 0);
  return { powerW: sum((s) => s.powerW) / samples.length, reactiveVar: sum((s) => s.reactiveVar) / samples.length };
}
