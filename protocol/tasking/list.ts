/**
 * All tasks that are on offer, as every gateway fetches them: the whole list, the same for everybody, its digest in the public log
 * (protocols.md, section 2), or each meter could get a list of its own. Who fetches says nothing about what he is going to do.
 *
 *   list  1     version = 1
 *         4     slot          since which it holds; each list replaces those before
 *         2     n
 *         …     entries       1 flag (0 none · 1 flagged) ‖ 1+n reason, where flagged ‖ 2 length ‖ task as its provider signed it
 *         64    signature     Ed25519 by the task server over label ‖ 00 ‖ everything before
 *
 * A gateway's policy chooses (`chooses`): by default what asks for sums and is not flagged.
 */
import { createHash } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { openTask, type Task, TaskError, type TaskKind } from './task.ts';

const VERSION = 1;
const REASON = /^[\x20-\x7e]{0,200}$/;
export const TASKS_MOST = 1000;

export interface OfferedTask {
  /** As its provider signed it. */
  bytes: Uint8Array;
  /** Why it is flagged; null where it is not. */
  flag: string | null;
}

/** The task server's step. @throws MalformedError */
export function publishTaskList(
  slot: number,
  tasks: readonly OfferedTask[],
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const writer = new ByteWriter('tasks').u8('version', VERSION).u32('slot', slot).u16('tasks', tasks.length);
  for (const [i, { bytes, flag }] of tasks.entries()) {
    writer.u8(`[${i}].flag`, flag === null ? 0 : 1);
    if (flag !== null) writer.text(`[${i}].reason`, flag, REASON);
    writer.u16(`[${i}].task`, bytes.length).bytes(`[${i}].task`, bytes, bytes.length);
  }
  const body = writer.finish();
  return Buffer.concat([body, sign(labelled(LABELS.taskList, body))]);
}

/** What the public log has. */
export const taskListDigest = (list: Uint8Array): Uint8Array => createHash('sha256').update(list).digest();

/**
 * The gateway's step.
 * @param keyOf the providers' task keys, by name: the task server can leave tasks out, it cannot make any
 * @throws MalformedError, TaskError
 */
export function openTaskList(
  bytes: Uint8Array,
  serverKey: Uint8Array,
  keyOf: (provider: string) => Uint8Array | undefined,
): { slot: number; tasks: { task: Task; flag: string | null }[] } {
  const reader = new ByteReader('tasks', bytes);
  reader.constant('version', VERSION);
  const slot = reader.u32('slot');
  const count = reader.u16('tasks');
  if (count > TASKS_MOST) throw reader.error('tasks', `are ${count}, more than ${TASKS_MOST}`);
  const found = Array.from({ length: count }, (_, i) => {
    const kind = reader.u8(`[${i}].flag`);
    if (kind > 1) throw reader.error(`[${i}].flag`, `is ${kind}`);
    const flag = kind === 1 ? reader.text(`[${i}].reason`, REASON) : null;
    return { flag, bytes: reader.bytes(`[${i}].task`, reader.u16(`[${i}].task`)) };
  });
  const message = labelled(LABELS.taskList, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(serverKey, message, signature))
    throw new TaskError('tasks.signature', 'was not made by the task server');
  return { slot, tasks: found.map((one, i) => ({ task: openTask(one.bytes, keyOf, `tasks[${i}]`), flag: one.flag })) };
}

/** What a customer takes part in. */
export interface TaskPolicy {
  kinds: readonly TaskKind[];
  /** Single values, too. */
  rounded: boolean;
  /** Flagged ones, too. */
  flagged: boolean;
  /** Only for at least as much, smallest unit of money. */
  leastAmount: number;
}
export const DEFAULT_TASK_POLICY: TaskPolicy = {
  kinds: ['read', 'watch-voltage', 'watch-frequency', 'report-interval', 'tariff'],
  rounded: false,
  flagged: false,
  leastAmount: 0,
};

/** Whether a household does a task. @param mine its leaf and what it has */
export function chooses(
  policy: TaskPolicy,
  { task, flag }: { task: Task; flag: string | null },
  mine: { inArea: boolean; audience: (audience: Task['audience']) => boolean },
): boolean {
  if (!mine.inArea || !mine.audience(task.audience) || !policy.kinds.includes(task.kind)) return false;
  if (task.kind === 'tariff') return true;
  if (task.amount < policy.leastAmount) return false;
  return (task.result !== 'rounded' || policy.rounded) && (flag === null || policy.flagged);
}
