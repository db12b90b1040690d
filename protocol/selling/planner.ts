/**
 * How many of n claims to challenge in m-of-n mode (selling-power-back.txt, section 6, names this as future work). The control centre
 * opens m of the n entries of a customer's list; what it opens shows a sale with its slot. So each entry more finds cheats more
 * surely, and costs privacy:
 *
 *   alone     k of a customer's n claims are false: found when any of them is among the m
 *             1 − C(n−k, m)/C(n, m)
 *   a pair    two customers claim the same k used credentials, each sold once: every claim opens well by itself, and is found only where
 *             the same credential is among the m of both
 *             1 − Σ_j P(j of the k are among the first's m) · C(n−j, m)/C(n, m)      about 1 − (1 − (m/n)²)^k
 *   revealed  m/n of the customer's sale times
 *
 * These are of one round. Claims that are more than L2 are always found at last: m is doubled round by round (reconciliation). A lone
 * cheat or a pair of k therefore gains only where others leave k used credentials unclaimed. The default mode, receipts, opens none.
 */
export interface ChallengePlan {
  /** Claims of a customer. */
  n: number;
  /** Of them opened. */
  m: number;
  /** False ones among them. */
  k: number;
  foundAlone: number;
  foundPair: number;
  /** Share of sale times that the centre sees. */
  revealed: number;
}

/** Out of these numbers nothing can be planned. `path` names which. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** @throws PlanError */
export function planChallenge(n: number, m: number, k: number): ChallengePlan {
  whole('n', n, 1, 1_000_000);
  whole('m', m, 0, n);
  whole('k', k, 0, n);
  return { n, m, k, foundAlone: foundAlone(n, m, k), foundPair: foundPair(n, m, k), revealed: m / n };
}

/** The smallest m that finds k false claims with this probability, alone or as a pair. @throws PlanError */
export function leastChallenge(n: number, k: number, probability: number, who: 'alone' | 'pair'): number {
  whole('n', n, 1, 1_000_000);
  whole('k', k, 1, n);
  if (!(probability > 0 && probability < 1)) throw new PlanError('probability', 'is not between 0 and 1');
  const found = who === 'alone' ? foundAlone : foundPair;
  // it grows with m, up to certainty at n
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (found(n, middle, k) >= probability) high = middle;
    else low = middle + 1;
  }
  return low;
}

function foundAlone(n: number, m: number, k: number): number {
  return 1 - Math.exp(logMissed(n, m, k));
}

function foundPair(n: number, m: number, k: number): number {
  let missed = 0;
  for (let j = Math.max(0, m - (n - k)); j <= Math.min(k, m); j++) {
    const logHit = logChoose(k, j) + logChoose(n - k, m - j) - logChoose(n, m);
    missed += Math.exp(logHit + logMissed(n, m, j));
  }
  return Math.max(0, 1 - missed);
}

/** ln of the probability that none of k among n is among m: C(n−k, m)/C(n, m). */
const logMissed = (n: number, m: number, k: number): number =>
  m > n - k ? -Infinity : logChoose(n - k, m) - logChoose(n, m);

const logFactorials = [0];
function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i));
  return logFactorials[n];
}
const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

function whole(path: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new PlanError(path, `is no whole number from ${least} to ${most}`);
}
