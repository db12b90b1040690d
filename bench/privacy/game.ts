/**
 * The linkage game (linkage-game.md): the challenger draws worlds, the party's real protocol code runs, adversaries look at all that
 * the party has seen. They train on half of the runs; the best of them plays the other half, on fresh seeds, and that counts.
 */
import { randomInt } from 'node:crypto';
import { Random } from '../random.ts';
import { type Adversary, type Example, pickBest } from './adversary.ts';
import { differences, View } from './features.ts';
import { type Leak, plant } from './leaks.ts';
import { ACCEPTED_ADVANTAGE, advantageOf, bootstrapBound, type Tally, upperBound } from './statistics.ts';
import type { Transcript } from './transcript.ts';
import { type Challenge, drawWorld, type World, type WorldRules } from './world.ts';

/** 25 pairs of 50 households: each has 48 others around it. */
export const PAIRS = 25;

/** A party, or several together, and how it is played. */
export interface GameParty extends Omit<WorldRules, 'pairs'> {
  name: string;
  /** Of the protocol, such as `receipts`; empty where there is one only. */
  mode: string;
  /** Why it may win: the leak is one that the table of protocols.md names. Null: it must not. */
  expected: string | null;
  /** Runs the protocol for everybody, and tells what the party has seen. */
  play(world: World, random: Random): Promise<Transcript>;
}

export interface Run {
  challenge: Challenge;
  transcript: Transcript;
}
export interface Row {
  party: string;
  mode: string;
  trials: number;
  advantage: number;
  /** Clopper and Pearson. */
  upperBound99: number;
  expected: boolean;
}
export interface Verdict {
  row: Row;
  /** Who was picked. */
  adversary: string;
  bootstrap99: number;
  /** Null where the leak is expected: no threshold. */
  accepted: boolean | null;
  reason: string | null;
}

export async function playRun(party: GameParty, seed: number, pairs = PAIRS): Promise<Run> {
  const random = new Random(seed, party.name, party.mode);
  const challenge = drawWorld({ ...party, pairs }, random);
  return { challenge, transcript: await party.play(challenge.world, random) };
}

export function examplesOf({ challenge: { world, coins }, transcript }: Run): Example[] {
  const view = new View({ ...transcript, owners: new Map() }, world.pairs);
  return world.pairs.map((pair, i) => ({ differences: differences(view, pair), swapped: coins[i] }));
}

/** Guesses of one run; where the adversary does not know, it throws a coin. */
export function tally({ judge }: Adversary, examples: readonly Example[]): Tally {
  const right = examples.filter(({ differences: d, swapped }) => {
    const verdict = judge(d);
    return verdict === 0 ? randomInt(2) === 1 : verdict < 0 === swapped;
  });
  return { right: right.length, trials: examples.length };
}

const total = (tallies: readonly Tally[]): Tally =>
  tallies.reduce((sum, one) => ({ right: sum.right + one.right, trials: sum.trials + one.trials }), {
    right: 0,
    trials: 0,
  });

export interface GameOptions {
  /** Guesses that count; as many again are for training. */
  trials: number;
  seed: number;
  pairs?: number;
  progress?(share: number): void;
}

/** @param onRun for each run, before it is forgotten: transcripts are large */
export async function playGame(
  party: GameParty,
  { trials, seed, pairs = PAIRS, progress }: GameOptions,
  onRun: (run: Run, index: number) => void = () => {},
): Promise<Verdict> {
  const runs = Math.ceil(trials / pairs);
  const examples: Example[][] = [];
  for (let i = 0; i < 2 * runs; i++) {
    const run = await playRun(party, seed + i, pairs);
    examples.push(examplesOf(run));
    onRun(run, i);
    progress?.((i + 1) / (2 * runs));
  }
  return judged(party, examples.slice(0, runs), examples.slice(runs), seed);
}

function judged(party: GameParty, training: Example[][], testing: Example[][], seed: number): Verdict {
  const adversary = pickBest(training.flat());
  const tallies = testing.map((examples) => tally(adversary, examples));
  const sum = total(tallies);
  const upperBound99 = upperBound(sum);
  return {
    row: {
      party: party.name,
      mode: party.mode,
      trials: sum.trials,
      advantage: advantageOf(sum),
      upperBound99,
      expected: party.expected !== null,
    },
    adversary: adversary.name,
    bootstrap99: bootstrapBound(tallies, new Random(seed, 'bootstrap')),
    accepted: party.expected === null ? upperBound99 <= ACCEPTED_ADVANTAGE : null,
    reason: party.expected,
  };
}

/** A planted leak has to be found by at least this. */
export const CONTROL_ADVANTAGE = 0.9;

export interface Control {
  leak: string;
  advantage: number;
}

/** The same adversaries, the same pipeline, on runs into which a leak was planted. @param runs half of them for training */
export function playControl(leak: Leak, runs: readonly Run[], seed: number): Control {
  const examples = runs.map(({ challenge, transcript }, i) => {
    const planted = plant(leak, transcript, challenge.world, new Random(seed + i, leak.name));
    return examplesOf({ challenge, transcript: planted });
  });
  const middle = Math.floor(runs.length / 2);
  const adversary = pickBest(examples.slice(0, middle).flat());
  return { leak: leak.name, advantage: advantageOf(total(examples.slice(middle).map((one) => tally(adversary, one)))) };
}

/** A game in which a control is missed says nothing. */
export const isVoid = (controls: readonly Control[]): boolean =>
  controls.some(({ advantage }) => advantage < CONTROL_ADVANTAGE);
