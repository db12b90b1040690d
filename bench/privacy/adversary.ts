/**
 * Adversaries: every feature by itself, in either direction, and a classifier trained on all of them (logistic regression). On the
 * training runs the best is picked; only that one plays for the record.
 */
import { FEATURES } from './features.ts';

/** What an adversary is shown of one pair, and the coin. */
export interface Example {
  differences: readonly number[];
  swapped: boolean;
}
/** Positive: a has X. Zero: it does not know. */
export interface Adversary {
  name: string;
  judge(differences: readonly number[]): number;
}

/** Share of right guesses; where the adversary does not know, it is right half of the time. */
export function shareRight({ judge }: Adversary, examples: readonly Example[]): number {
  const right = examples.reduce((sum, { differences, swapped }) => {
    const verdict = judge(differences);
    return sum + (verdict === 0 ? 0.5 : Number(verdict < 0 === swapped));
  }, 0);
  return right / examples.length;
}

/** The classifier is judged on examples that it was not trained on, so that it is not picked for what it learned by heart. */
export function pickBest(training: readonly Example[]): Adversary {
  const middle = Math.floor(training.length / 2);
  const [first, second] = [training.slice(0, middle), training.slice(middle)];
  const singles = FEATURES.flatMap(({ name }, i): Adversary[] => [
    { name, judge: (d) => d[i] },
    { name: `${name}, the other way`, judge: (d) => -d[i] },
  ]);
  const candidates = singles.map((adversary) => ({ adversary, share: shareRight(adversary, training) }));
  candidates.push({
    adversary: trainClassifier(training),
    share: (shareRight(trainClassifier(first), second) + shareRight(trainClassifier(second), first)) / 2,
  });
  return candidates.reduce((best, one) => (one.share > best.share ? one : best)).adversary;
}

const ROUNDS = 1000;
const RATE = 0.5;
const SHRINK = 0.002;

/** Logistic regression without a constant: exchanging a and b turns the verdict round. */
export function trainClassifier(examples: readonly Example[]): Adversary {
  const scales = FEATURES.map((_, i) => {
    const square = examples.reduce((sum, { differences }) => sum + differences[i] ** 2, 0) / examples.length;
    return square > 0 ? 1 / Math.sqrt(square) : 0;
  });
  const weights = FEATURES.map(() => 0);
  const rows = examples.map(({ differences }) => differences.map((d, i) => Math.max(-5, Math.min(5, d * scales[i]))));
  for (let round = 0; round < ROUNDS; round++) {
    const gradient = weights.map((weight) => -SHRINK * weight);
    for (const [e, row] of rows.entries()) {
      const z = row.reduce((sum, x, i) => sum + x * weights[i], 0);
      const wrongBy = (examples[e].swapped ? 0 : 1) - 1 / (1 + Math.exp(-z));
      for (const [i, x] of row.entries()) gradient[i] += (wrongBy * x) / rows.length;
    }
    for (const i of weights.keys()) weights[i] += RATE * gradient[i];
  }
  return {
    name: 'trained classifier',
    judge: (d) => d.reduce((sum, x, i) => sum + Math.max(-5, Math.min(5, x * scales[i])) * weights[i], 0),
  };
}
