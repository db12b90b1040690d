/**
 * Which runs are of the same appliance: those that draw alike. Each kind keeps the mean of its runs' power and reactive power, and how much
 * they vary (Welford's running variance); a run belongs to the kind that it lies nearest to in those terms, or begins one of its own.
 */
import { distance, type Run } from './runs.ts';

export interface Kind {
  id: number;
  /** The customer's name for it; null until there is one. */
  label: string | null;
  runs: number;
  powerW: number;
  reactiveVar: number;
  /** Sum of the squares of what runs' powers lie off the mean, W². */
  squaresW2: number;
  /** Unix ms of the end of its newest run. */
  lastMs: number;
}

type Drawn = Pick<Run, 'powerW' | 'reactiveVar'>;

/** Once or twice is chance. */
export const ENOUGH_RUNS = 3;
/** More would be no list for people. */
export const MOST_KINDS = 48;
const SHARE = 0.035;
const FITS = 2;
/** An old kind still learns: mains voltage and seasons change what is drawn. */
const MEMORY_RUNS = 60;

/** The kind that draws like this; undefined where none does. */
export function kindOf<K extends Kind>(drawn: Drawn, kinds: Iterable<K>): K | undefined {
  let best: K | undefined;
  let least = FITS;
  for (const kind of kinds) {
    const found = distance(drawn, kind, SHARE + spreadOf(kind));
    if (found > least) continue;
    best = kind;
    least = found;
  }
  return best;
}

/** A kind with one more run. */
export function grown(kind: Kind, run: Run): Kind {
  const runs = kind.runs + 1;
  const weight = 1 / Math.min(runs, MEMORY_RUNS);
  const off = run.powerW - kind.powerW;
  const powerW = kind.powerW + off * weight;
  return {
    ...kind,
    runs,
    powerW,
    reactiveVar: kind.reactiveVar + (run.reactiveVar - kind.reactiveVar) * weight,
    squaresW2: kind.squaresW2 + off * (run.powerW - powerW),
    lastMs: Math.max(kind.lastMs, run.toMs),
  };
}

/** Standard deviation of a kind's power as a share of it: at most 3 %, or one kind would swallow its neighbours. */
function spreadOf({ runs, squaresW2, powerW }: Kind): number {
  if (runs < ENOUGH_RUNS) return 0;
  return Math.min(0.03, Math.sqrt(squaresW2 / (runs - 1)) / Math.max(1, powerW));
}
