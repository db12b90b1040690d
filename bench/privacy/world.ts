/**
 * The world that the challenger draws (linkage-game.md): households in disjoint pairs a and b, for each pair two traces X and Y, and
 * a coin that says who of the two has which. Whatever the party may know (its leakage, as code) is the same in both worlds: that is
 * asserted here, byte for byte.
 */
import { randomInt } from 'node:crypto';
import type { Random } from '../random.ts';

/** What a household does in a slot: sells, reports, sends; `value` in the party's own unit (Wh, credentials). */
export interface Event {
  slot: number;
  value: number;
}
export type Trace = readonly Event[];

export interface Pair {
  a: string;
  b: string;
  x: Trace;
  y: Trace;
}
export interface World {
  firstSlot: number;
  slots: number;
  households: readonly string[];
  pairs: readonly Pair[];
  traces: ReadonlyMap<string, Trace>;
}
/** A world and what only the challenger knows. */
export interface Challenge {
  world: World;
  /** By pair: true where a has Y and b has X. */
  coins: readonly boolean[];
}

export interface WorldRules {
  pairs: number;
  firstSlot: number;
  slots: number;
  /** X and Y of one pair. */
  pair(random: Random, firstSlot: number, slots: number): [Trace, Trace];
  /** Everything that the party may know. */
  leakage(traces: ReadonlyMap<string, Trace>): unknown;
}

/** Traces come from `random`, coins from the system. @throws Error where the leakage tells the worlds apart */
export function drawWorld(rules: WorldRules, random: Random): Challenge {
  const { firstSlot, slots } = rules;
  const households = shuffled(
    Array.from({ length: 2 * rules.pairs }, (_, i) => `house-${i + 1}`),
    random,
  );
  const pairs = Array.from({ length: rules.pairs }, (_, i): Pair => {
    const [x, y] = rules.pair(random, firstSlot, slots);
    return { a: households[2 * i], b: households[2 * i + 1], x, y };
  });
  const coins = pairs.map(() => randomInt(2) === 1);
  const traces = assign(pairs, coins);
  const told = JSON.stringify(rules.leakage(traces));
  for (const i of pairs.keys()) {
    const other = assign(
      pairs,
      coins.map((coin, j) => coin !== (i === j)),
    );
    if (JSON.stringify(rules.leakage(other)) !== told)
      throw new Error(`pair ${i}: the party may tell the two worlds apart by what it is allowed to know`);
  }
  return { world: { firstSlot, slots, households: [...households].sort(), pairs, traces }, coins };
}

function assign(pairs: readonly Pair[], coins: readonly boolean[]): Map<string, Trace> {
  const traces = new Map<string, Trace>();
  for (const [i, { a, b, x, y }] of pairs.entries()) {
    traces.set(a, coins[i] ? y : x);
    traces.set(b, coins[i] ? x : y);
  }
  // in no order that the coins have a part in
  return new Map([...traces].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** Sum of each household's values: what a bill or a month's end says. */
export const sums = (traces: ReadonlyMap<string, Trace>): [string, number][] =>
  [...traces].map(([household, trace]) => [household, trace.reduce((sum, { value }) => sum + value, 0)]);

/** What happened in each slot, by nobody in particular. */
export function anonymousEvents(traces: ReadonlyMap<string, Trace>): [number, number][] {
  const events = [...traces.values()].flat().map(({ slot, value }): [number, number] => [slot, value]);
  return events.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
}
