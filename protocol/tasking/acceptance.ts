/**
 * Whether a task can be put before the meters: AcceptableTask(t) of Algorithm 3 (tasking-and-trading.txt, section 2.3.1), with reasons
 * in plain words. Refused is what could single a household out; flagged is what is the customer's own decision.
 *
 * 1. It addresses a node of the tree, whole slots to come, and what it asks for makes sense.
 * 2. **k in each leaf**: in every leaf of its area at least k households belong to its audience, or none. A sum over a larger area
 *    would not do: tasks for the other leaves leave the one over.
 * 3. **Differences**: against every task whose slots and measured quantity overlap, leaf by leaf: those of one audience and not of the
 *    other are k or none. (Areas of the tree are nested or apart, so a leaf is the smallest difference; where it is asked for producers
 *    once and for all another time, what is left are the others.) Of two audiences of which neither is `all` nobody counts how many belong
 *    to one and not the other: refused.
 * 4. **Selective tasking**: flagged where a provider keeps asking one area and leaves the others alone.
 * 5. A price task names a tariff version of the public log and nothing else; prices are never in a task.
 *
 * What was counted beforehand is counted again on the results (`enoughResults`): customers choose.
 */
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { type AreaTree, AUDIENCES, type Audience } from './areas.ts';
import { NO_TARIFF, REWARD_AMOUNTS, TASK_SLOTS_MOST, type Task } from './task.ts';

const SLOT_S = 900;
/** So far ahead a task may begin, slots. */
const AHEAD_MOST_SLOTS = 31 * SLOTS_PER_DAY;
/** Of so many tasks for parts of the tree one area may have half. */
const SELECTIVE_FROM = 5;

export interface AcceptanceContext {
  tree: AreaTree;
  /** Accepted so far, of all providers: what differences are taken against. */
  earlier: readonly Task[];
  /** The slot that runs. */
  slot: number;
  /** Whether the public log has a tariff version. */
  isLogged(tariff: Uint8Array): boolean;
}
export type Verdict = 'accepted' | 'flagged' | 'refused';
export interface Acceptance {
  verdict: Verdict;
  /** Plain sentences, of the worst kind found. */
  reasons: string[];
}

export function examineTask(task: Task, context: AcceptanceContext): Acceptance {
  const refusals = [...malformed(task, context), ...(context.tree.node(task.area) ? hidden(task, context) : [])];
  if (refusals.length > 0) return { verdict: 'refused', reasons: refusals };
  const flags = flagged(task, context);
  return flags.length > 0 ? { verdict: 'flagged', reasons: flags } : { verdict: 'accepted', reasons: [] };
}

/** 1 and 5. */
function malformed(task: Task, { tree, slot, earlier, isLogged }: AcceptanceContext): string[] {
  const reasons: string[] = [];
  const refuse = (when: boolean, reason: string): void => {
    if (when) reasons.push(reason);
  };
  refuse(!tree.node(task.area), `${task.area} is no area of the tree`);
  refuse(
    earlier.some(({ id }) => Buffer.compare(id, task.id) === 0),
    'there is a task of this id already',
  );
  refuse(task.firstSlot <= slot, 'it begins in a slot that has begun already');
  refuse(task.firstSlot > slot + AHEAD_MOST_SLOTS, 'it begins more than a month from now');
  refuse(task.slots < 1 || task.slots > TASK_SLOTS_MOST, 'it does not last from one slot to a month');
  const tariffNamed = Buffer.compare(task.tariff, NO_TARIFF) !== 0;
  if (task.kind === 'tariff') {
    refuse(!tariffNamed || !isLogged(task.tariff), 'it names no tariff version of the public log');
    refuse(task.result !== 'none' || task.reward !== 'none', 'a tariff asks for no result and pays no reward');
  } else {
    refuse(tariffNamed, 'it names a tariff and is about something else');
    refuse(task.result === 'none', 'it asks for no result');
    refuse(task.reportEverySlots < 1 || task.slots % task.reportEverySlots !== 0, 'its reports do not fill its slots');
    refuse(
      task.sampleEveryS < 1 || task.sampleEveryS > SLOT_S || SLOT_S % task.sampleEveryS !== 0,
      'its samples do not fill a slot',
    );
    const watch = task.kind.startsWith('watch');
    refuse(watch ? task.low >= task.high : task.low !== 0 || task.high !== 0, 'its band is none');
  }
  refuse(!REWARD_AMOUNTS.includes(task.amount), 'its reward is no denomination that there is');
  refuse((task.reward === 'none') !== (task.amount === 0), 'it does not say how it pays, or not how much');
  return reasons;
}

/** 2 and 3. */
function hidden(task: Task, { tree, earlier }: AcceptanceContext): string[] {
  if (task.kind === 'tariff') return [];
  const reasons: string[] = [];
  for (const { name, households } of tree.leavesOf(task.area)) {
    const count = households![task.audience];
    if (count > 0 && count < tree.least)
      reasons.push(`in ${name} only ${count} of at least ${tree.least} households can do it`);
    for (const other of earlier) {
      if (!overlap(task, other) || !tree.contains(other.area, name) || other.audience === task.audience) continue;
      const left = difference(households!, task.audience, other.audience);
      if (left === null)
        reasons.push(
          `in ${name} nobody counts who belongs to ${task.audience} and not to ${other.audience}, asked before`,
        );
      else if (left > 0 && left < tree.least)
        reasons.push(`in ${name} the difference to an earlier task is ${left} of at least ${tree.least} households`);
    }
  }
  const some = tree.leavesOf(task.area).some(({ households }) => households![task.audience] > 0);
  if (!some) reasons.push('nobody can do it');
  return reasons;
}

/** They measure the same in the same slots. */
function overlap(a: Task, b: Task): boolean {
  const quantity = ({ kind }: Task): string =>
    kind.startsWith('watch') ? kind : kind === 'tariff' ? 'none' : 'energy';
  return quantity(a) === quantity(b) && a.firstSlot < b.firstSlot + b.slots && b.firstSlot < a.firstSlot + a.slots;
}

/** How many of a leaf belong to one and not the other; null where nobody counts it. */
function difference(households: Record<Audience, number>, a: Audience, b: Audience): number | null {
  if (a !== AUDIENCES[0] && b !== AUDIENCES[0]) return null;
  return Math.abs(households[a] - households[b]);
}

/** 4. */
function flagged(task: Task, { tree, earlier }: AcceptanceContext): string[] {
  const reasons: string[] = [];
  const parts = earlier.filter(
    ({ provider, area, kind }) => provider === task.provider && area !== tree.root.name && kind !== 'tariff',
  );
  const same = parts.filter(({ area }) => area === task.area).length;
  if (parts.length + 1 >= SELECTIVE_FROM && task.area !== tree.root.name && 2 * (same + 1) > parts.length + 1) {
    const elsewhere = tree.nodes.some(({ name, households }) => households && !tree.contains(task.area, name));
    if (elsewhere) reasons.push(`${same + 1} of the provider's ${parts.length + 1} tasks are for ${task.area} alone`);
  }
  return reasons;
}

/** Whether results of one interval and leaf may be given on: k, counted again, whoever was counted before. */
export const enoughResults = (households: number, tree: AreaTree): boolean => households >= tree.least;
