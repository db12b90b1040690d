/**
 * What the provider asks of meters (tasking-and-trading.txt, section 2.3 and Algorithm 3, lines 1 to 4).
 *
 *   UtilityProvider ── ⟨t, Ts, σ⟩ ──► TaskServer ── the whole list, signed ──► every gateway; the customer's policy chooses
 *
 * (In print line 4 sends ⟨SM, cons, Ts, σ⟩ and line 5 verifies a signature of the user: both are the provider's, over the task.)
 *
 *   task  size
 *         1     version = 1
 *         16    id            random
 *         1+n   provider
 *         4     issued        Ts, seconds since 1970
 *         1+n   area          a node of the tree (areas.ts)
 *         1     audience      AUDIENCES
 *         1     kind          1 read · 2 watch voltage · 3 watch frequency · 4 report every … slots · 5 take a tariff version
 *         1     result        0 none · 1 sum, in shares · 2 single values, rounded
 *         4     first slot
 *         2     slots         for so long
 *         2     report every  slots; divides `slots`
 *         2     sample every  seconds
 *         4     low           mV or mHz, for watches: how many seconds were below …
 *         4     high          … or above
 *         32    tariff        digest in the public log, for kind 5; else zero: a task cannot say a price
 *         1     reward        0 none · 1 by the bank · 2 coins · 3 Bitcoin
 *         4     amount        a fixed denomination (REWARD_AMOUNTS), smallest unit of money
 *         64    σ             Ed25519 by the provider's task key over label ‖ 00 ‖ everything before
 *
 * Results: kind 1 and 4 the energy imported in `report every` slots, Wh; kinds 2 and 3 the seconds outside the band.
 */
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { AUDIENCES, type Audience } from './areas.ts';

const VERSION = 1;
const SECOND_MS = 1000;
export const TASK_ID_BYTES = 16;
const TARIFF_BYTES = 32;
const NAME = /^[a-z][a-z0-9-]{0,39}$/;
export const TASK_SLOTS_MOST = 31 * SLOTS_PER_DAY;
export const TASK_KINDS = ['read', 'watch-voltage', 'watch-frequency', 'report-interval', 'tariff'] as const;
export type TaskKind = (typeof TASK_KINDS)[number];
export const TASK_RESULTS = ['none', 'sum', 'rounded'] as const;
export type TaskResult = (typeof TASK_RESULTS)[number];
export const TASK_REWARDS = ['none', 'bank', 'coins', 'bitcoin'] as const;
export type TaskReward = (typeof TASK_REWARDS)[number];
/** Fixed denominations: an amount of its own would be a mark. */
export const REWARD_AMOUNTS: readonly number[] = [0, 10, 50, 100, 500];
export const NO_TARIFF: Uint8Array = new Uint8Array(TARIFF_BYTES);

export interface Task {
  /** 16 B. */
  id: Uint8Array;
  provider: string;
  issuedMs: number;
  area: string;
  audience: Audience;
  kind: TaskKind;
  result: TaskResult;
  firstSlot: number;
  slots: number;
  reportEverySlots: number;
  sampleEveryS: number;
  low: number;
  high: number;
  /** 32 B. */
  tariff: Uint8Array;
  reward: TaskReward;
  amount: number;
}

export class TaskError extends Error {
  override readonly name = 'TaskError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

/** The provider's step. @throws MalformedError */
export function signTask(task: Task, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const body = new ByteWriter('task')
    .u8('version', VERSION)
    .bytes('id', task.id, TASK_ID_BYTES)
    .text('provider', task.provider, NAME)
    .u32('issued', task.issuedMs / SECOND_MS)
    .text('area', task.area, AREA_PATTERN)
    .u8('audience', AUDIENCES.indexOf(task.audience))
    .u8('kind', TASK_KINDS.indexOf(task.kind) + 1)
    .u8('result', TASK_RESULTS.indexOf(task.result))
    .u32('firstSlot', task.firstSlot)
    .u16('slots', task.slots)
    .u16('reportEverySlots', task.reportEverySlots)
    .u16('sampleEveryS', task.sampleEveryS)
    .u32('low', task.low)
    .u32('high', task.high)
    .bytes('tariff', task.tariff, TARIFF_BYTES)
    .u8('reward', TASK_REWARDS.indexOf(task.reward))
    .u32('amount', task.amount)
    .finish();
  return Buffer.concat([body, sign(labelled(LABELS.task, body))]);
}

/** Layout only: so that what is refused can be told by its id. @throws MalformedError */
export function decodeTask(
  bytes: Uint8Array,
  path = 'task',
): { task: Task; signed: Uint8Array; signature: Uint8Array } {
  const reader = new ByteReader(path, bytes);
  const one = <T>(field: string, all: readonly T[], at: number): T => {
    if (at < 0 || at >= all.length) throw reader.error(field, 'is none that there is');
    return all[at];
  };
  reader.constant('version', VERSION);
  const task: Task = {
    id: reader.bytes('id', TASK_ID_BYTES),
    provider: reader.text('provider', NAME),
    issuedMs: reader.u32('issued') * SECOND_MS,
    area: reader.text('area', AREA_PATTERN),
    audience: one('audience', AUDIENCES, reader.u8('audience')),
    kind: one('kind', TASK_KINDS, reader.u8('kind') - 1),
    result: one('result', TASK_RESULTS, reader.u8('result')),
    firstSlot: reader.u32('firstSlot'),
    slots: reader.u16('slots'),
    reportEverySlots: reader.u16('reportEverySlots'),
    sampleEveryS: reader.u16('sampleEveryS'),
    low: reader.u32('low'),
    high: reader.u32('high'),
    tariff: reader.bytes('tariff', TARIFF_BYTES),
    reward: one('reward', TASK_REWARDS, reader.u8('reward')),
    amount: reader.u32('amount'),
  };
  const signed = labelled(LABELS.task, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  return { task, signed, signature };
}

/** A task that its provider signed. @param keyOf Ed25519, 32 B, by the provider's name @throws MalformedError, TaskError */
export function openTask(bytes: Uint8Array, keyOf: (provider: string) => Uint8Array | undefined, path = 'task'): Task {
  const { task, signed, signature } = decodeTask(bytes, path);
  const key = keyOf(task.provider);
  if (!key) throw new TaskError(`${path}.provider`, 'is not known');
  if (!verifyEd25519(key, signed, signature)) throw new TaskError(`${path}.signature`, 'was not made by the provider');
  return task;
}
