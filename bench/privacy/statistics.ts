/** What a number of right guesses says about an advantage (linkage-game.md, "Statistic"). */
import type { Random } from '../random.ts';

export const CONFIDENCE = 0.99;
/** A system is accepted if its advantage is below this with that confidence. */
export const ACCEPTED_ADVANTAGE = 0.1;
export const ACCEPTANCE_TRIALS = 1600;

export interface Tally {
  right: number;
  trials: number;
}

/** 2·Pr[right] − 1: 0 is guessing, 1 is knowing. */
export const advantageOf = ({ right, trials }: Tally): number => (2 * right) / trials - 1;

/** One-sided upper bound of Clopper and Pearson (1934), exact: the p under which so few right guesses are that improbable. */
export function upperBound({ right, trials }: Tally, confidence = CONFIDENCE): number {
  if (right === trials) return 1;
  let [low, high] = [right / trials, 1];
  for (let i = 0; i < 60; i++) {
    const p = (low + high) / 2;
    if (atMost(right, trials, p) > 1 - confidence) low = p;
    else high = p;
  }
  return 2 * high - 1;
}

/** Runs are drawn anew as wholes: guesses of one run may hang together. */
export function bootstrapBound(runs: readonly Tally[], random: Random, confidence = CONFIDENCE, times = 2000): number {
  const advantages = Array.from({ length: times }, () => {
    const sum = { right: 0, trials: 0 };
    for (let i = 0; i < runs.length; i++) {
      const { right, trials } = random.pick(runs);
      sum.right += right;
      sum.trials += trials;
    }
    return advantageOf(sum);
  });
  return advantages.sort((a, b) => a - b)[Math.min(times - 1, Math.floor(confidence * times))];
}

/** How many right guesses are accepted of so many. */
export function mostRight(trials: number, advantage = ACCEPTED_ADVANTAGE): number {
  let right = Math.floor(trials / 2);
  while (upperBound({ right: right + 1, trials }) <= advantage) right++;
  return right;
}

/** P[X ≤ k] of a binomial distribution. */
function atMost(k: number, n: number, p: number): number {
  const odds = Math.log(p) - Math.log1p(-p);
  let logTerm = n * Math.log1p(-p);
  let sum = Math.exp(logTerm);
  for (let i = 0; i < k; i++) {
    logTerm += Math.log((n - i) / (i + 1)) + odds;
    sum += Math.exp(logTerm);
  }
  return Math.min(1, sum);
}
