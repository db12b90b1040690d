/**
 * A party's answers to one batch of cells. Everybody fetches every list whole, so nobody shows by what he asks for that an answer
 * is his. A list has as many entries as its batch had cells, dummies among them, and all entries have one size: a list tells
 * nothing but how many cells came.
 *
 *   offset    size
 *        0       1  version = 1
 *        1       4  number       1 for the party's first list, then one more each
 *        5       4  slot         big-endian; when it was made
 *        9      32  previous     SHA-256 of the list before, whole; zeros before the first
 *       41     1+m  destination  ASCII
 *     42+m       4  n, number of entries
 *     46+m     e·n  entries      in the order of their bytes (cell.ts; e follows from the plan)
 *              4    length of the notice
 *                   notice       what the party tells everybody, such as what was sold in this slot
 *             64    signature    Ed25519 by the destination's list key over "quietmeter/v1/door-list" ‖ 00 ‖ everything before
 *
 * The chain makes the newest list's digest stand for all lists. Gateways get lists from the relay, which has fetched each once: so
 * a party cannot give a list of its own to one gateway, to see what it sends again; nor can the relay, which cannot sign.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, signEd25519, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { ANSWER_ID_BYTES, entryBytes } from './cell.ts';
import { DESTINATION_PATTERN, type Destination } from './plan.ts';

const VERSION = 1;
export const LIST_DIGEST_BYTES = 32;
export const NO_LIST_BEFORE = new Uint8Array(LIST_DIGEST_BYTES);
/** A gateway reads no longer one: some 50,000 entries. */
export const LIST_MOST_BYTES = 16 * 1_048_576;
export const NOTICE_MOST_BYTES = 1_048_576;

export interface UnsignedList {
  number: number;
  slot: number;
  previous: Uint8Array;
  entries: readonly Uint8Array[];
  notice: Uint8Array;
}
export interface AnswerList extends UnsignedList {
  destination: string;
  /** Of all its bytes. */
  digest: Uint8Array;
}

/** A list that is not what it should be, though well formed. `path` names the field. */
export class ListError extends Error {
  override readonly name = 'ListError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

/** The party's step. @param listKey Ed25519 @throws MalformedError */
export function signList(destination: Destination, list: UnsignedList, listKey: KeyObject): Uint8Array {
  const writer = new ByteWriter('list')
    .u8('version', VERSION)
    .u32('number', list.number)
    .u32('slot', list.slot)
    .bytes('previous', list.previous, LIST_DIGEST_BYTES)
    .text('destination', destination.name, DESTINATION_PATTERN)
    .u32('entries', list.entries.length);
  [...list.entries].sort(Buffer.compare).forEach((entry, i) => {
    writer.bytes(`entries[${i}]`, entry, entryBytes(destination));
  });
  const body = writer.u32('noticeLength', list.notice.length).bytes('notice', list.notice, list.notice.length).finish();
  return Buffer.concat([body, signEd25519(listKey, labelled(LABELS.doorList, body))]);
}

/** Checks form and signature. @throws MalformedError, ListError */
export function openList(destination: Destination, bytes: Uint8Array): AnswerList {
  const reader = new ByteReader('list', bytes);
  reader.constant('version', VERSION);
  const number = reader.u32('number');
  const slot = reader.u32('slot');
  const previous = reader.bytes('previous', LIST_DIGEST_BYTES);
  const name = reader.text('destination', DESTINATION_PATTERN);
  const count = reader.u32('entries');
  const size = entryBytes(destination);
  if (count * size > bytes.length) throw reader.error('entries', `are ${count}, more than the list has room for`);
  const entries: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const entry = reader.bytes(`entries[${i}]`, size);
    if (i > 0 && Buffer.compare(entries[i - 1], entry) > 0) throw reader.error(`entries[${i}]`, 'is not in order');
    entries.push(entry);
  }
  const notice = reader.bytes('notice', reader.u32('noticeLength'));
  const body = bytes.subarray(0, reader.at);
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (name !== destination.name) throw new ListError('list.destination', 'is another party');
  if (!verifyEd25519(destination.listKey, labelled(LABELS.doorList, body), signature))
    throw new ListError('list.signature', "was not made by the party's list key");
  return { destination: name, number, slot, previous, entries, notice, digest: listDigest(bytes) };
}

/** @throws ListError where `list` does not follow upon the list with this number and digest */
export function checkFollows(before: { number: number; digest: Uint8Array }, list: AnswerList): void {
  if (list.number !== before.number + 1)
    throw new ListError('list.number', `is ${list.number}, not ${before.number + 1}`);
  if (Buffer.compare(list.previous, before.digest) !== 0)
    throw new ListError('list.previous', 'is not the digest of the list before');
}

export const listDigest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

/** The entry with this id, or undefined. Entries are in order, so it is found in a few steps. */
export function entryOf({ entries }: Pick<UnsignedList, 'entries'>, id: Uint8Array): Uint8Array | undefined {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(entries[middle].subarray(0, ANSWER_ID_BYTES), id) < 0) low = middle + 1;
    else high = middle;
  }
  const found = entries[low];
  return found && Buffer.compare(found.subarray(0, ANSWER_ID_BYTES), id) === 0 ? found : undefined;
}
