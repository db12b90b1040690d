/**
 * The readings of one slot and one area, on their way from the collector to the provider.
 *
 * The collector has stripped certificates, pseudonyms and signatures and shuffled the items; its MAC stands in their place. The
 * provider learns slot, area and number of the items, and nothing of where each came from.
 *
 *   offset     size
 *        0        1  version = 1
 *        1        1  kind       1 regular, 2 settlement
 *        2        4  epoch      big-endian; the month (protocol/time/months.ts) whose MAC key is used
 *        6        4  counter    1 for the collector's first batch, then one more each; never begins again with an epoch, so
 *                               that no batch can be missing at an epoch's end unnoticed
 *       10        4  slot
 *       14        1  n
 *       15        n  area       ASCII
 *     15+n        2  m, number of items, from 1
 *     17+n     64·m  items      sealed readings, in random order
 *  17+n+64m      32  mac        HMAC-SHA256 under the epoch's key over "quietmeter/v1/batch" ‖ 00 ‖ everything before
 *
 * An area sum is published once. A **regular** batch closes a fixed time after its slot; there is one at most for a slot and area.
 * What comes later waits for the month's **settlement**, in which only slots with at least k late readings are released: released
 * as they come, 35 days of backlog would be one household's profile, and a corrected sum minus the published one a reading.
 *
 * The provider's answer travels the other way under the same key:
 *
 *   offset  size
 *        0     1  version = 1
 *        1     1  status    1 stored, 2 expect, 3 refused
 *        2     4  epoch     whose key is used
 *        6     4  counter   stored, refused: of that batch. expect: the counter that the provider waits for
 *       10    32  digest    stored, refused: SHA-256 of the batch's bytes. expect: zero
 *       42    32  mac       HMAC-SHA256 under the epoch's key over "quietmeter/v1/batch-acknowledged" ‖ 00 ‖ bytes 0…41
 *
 * `stored`: the collector deletes the items. `expect`: a batch before it is missing, or the provider has just connected; the
 * collector sends everything from that counter on. `refused`: another batch has that counter on the provider's disk; nothing is
 * deleted and people must look. The same batch gets the same answer.
 */
import { createHash } from 'node:crypto';
import { LABELS } from '../crypto/labels.ts';
import { MAC_BYTES, mac, macMatches } from '../crypto/mac.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { AREA_PATTERN } from './area.ts';
import { SEALED_READING_BYTES } from './reading.ts';

const VERSION = 1;
const KINDS = { regular: 1, settlement: 2 } as const;
const STATUSES = { stored: 1, expect: 2, refused: 3 } as const;
const EPOCH_AT = 2;
const DIGEST_BYTES = 32;

/** An area has some tens or hundreds of households; a batch of this many items is half a MiB. */
export const BATCH_MOST_ITEMS = 8192;
export const BATCH_MOST_BYTES = 17 + 32 + BATCH_MOST_ITEMS * SEALED_READING_BYTES + MAC_BYTES;

export type BatchKind = keyof typeof KINDS;
export interface Batch {
  kind: BatchKind;
  epoch: number;
  counter: number;
  slot: number;
  area: string;
  /** Sealed readings, 64 B each. */
  items: Uint8Array[];
}

/** The MAC does not fit: not from the other side, or altered on the way. */
export class ForgedError extends Error {
  override readonly name = 'ForgedError';
  readonly path: string;
  constructor(path: string) {
    super(`${path}: does not fit`);
    this.path = path;
  }
}

/** One key for each month, so that the key of one that got out forges nothing in another. */
const epochKey = (sharedKey: Uint8Array, epoch: number): Uint8Array =>
  mac(sharedKey, LABELS.batchKey, new ByteWriter('key').u32('epoch', epoch).finish());

/** The collector's step. @param sharedKey 32 B, known to collector and provider only. @throws MalformedError */
export function encodeBatch(batch: Batch, sharedKey: Uint8Array): Uint8Array {
  const writer = new ByteWriter('batch')
    .u8('version', VERSION)
    .u8('kind', KINDS[batch.kind])
    .u32('epoch', batch.epoch)
    .u32('counter', batch.counter)
    .u32('slot', batch.slot)
    .text('area', batch.area, AREA_PATTERN)
    .u16('items', batch.items.length);
  batch.items.forEach((item, i) => {
    writer.bytes(`items[${i}]`, item, SEALED_READING_BYTES);
  });
  const body = writer.finish();
  return Buffer.concat([body, mac(epochKey(sharedKey, batch.epoch), LABELS.batch, body)]);
}

/** The provider's step: checks the MAC, then decodes. @throws ForgedError, MalformedError */
export function decodeBatch(bytes: Uint8Array, sharedKey: Uint8Array): Batch {
  const body = authenticated('batch', bytes, sharedKey, LABELS.batch);
  const reader = new ByteReader('batch', body);
  reader.constant('version', VERSION);
  const kind = named(reader, 'kind', KINDS);
  const epoch = reader.u32('epoch');
  const counter = reader.u32('counter');
  const slot = reader.u32('slot');
  const area = reader.text('area', AREA_PATTERN);
  const count = reader.u16('items');
  if (count < 1 || count > BATCH_MOST_ITEMS) throw reader.error('items', `are ${count}, not 1 to ${BATCH_MOST_ITEMS}`);
  const items = Array.from({ length: count }, (_, i) => reader.bytes(`items[${i}]`, SEALED_READING_BYTES));
  reader.end();
  return { kind, epoch, counter, slot, area, items };
}

export const batchDigest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

export interface BatchAnswer {
  status: keyof typeof STATUSES;
  epoch: number;
  counter: number;
  /** Of the batch, 32 B; zeros where the status is `expect`. */
  digest: Uint8Array;
}

/** The provider's answer that it waits for `counter`. */
export const expecting = (epoch: number, counter: number): BatchAnswer => ({
  status: 'expect',
  epoch,
  counter,
  digest: new Uint8Array(DIGEST_BYTES),
});

/** @throws MalformedError */
export function encodeBatchAnswer(answer: BatchAnswer, sharedKey: Uint8Array): Uint8Array {
  const body = new ByteWriter('answer')
    .u8('version', VERSION)
    .u8('status', STATUSES[answer.status])
    .u32('epoch', answer.epoch)
    .u32('counter', answer.counter)
    .bytes('digest', answer.digest, DIGEST_BYTES)
    .finish();
  return Buffer.concat([body, mac(epochKey(sharedKey, answer.epoch), LABELS.batchAcknowledged, body)]);
}

/** The collector's step. @throws ForgedError, MalformedError */
export function decodeBatchAnswer(bytes: Uint8Array, sharedKey: Uint8Array): BatchAnswer {
  const reader = new ByteReader('answer', authenticated('answer', bytes, sharedKey, LABELS.batchAcknowledged));
  reader.constant('version', VERSION);
  const answer = {
    status: named(reader, 'status', STATUSES),
    epoch: reader.u32('epoch'),
    counter: reader.u32('counter'),
    digest: reader.bytes('digest', DIGEST_BYTES),
  };
  reader.end();
  return answer;
}

/** What stands before a MAC that fits. Batch and answer both have their epoch at offset 2. */
function authenticated(
  path: string,
  bytes: Uint8Array,
  sharedKey: Uint8Array,
  label: typeof LABELS.batch | typeof LABELS.batchAcknowledged,
): Uint8Array {
  const reader = new ByteReader(path, bytes);
  reader.bytes('header', EPOCH_AT);
  const key = epochKey(sharedKey, reader.u32('epoch'));
  if (bytes.length < reader.at + MAC_BYTES) throw reader.error('mac', 'is missing');
  const body = bytes.subarray(0, bytes.length - MAC_BYTES);
  if (!macMatches(key, bytes.subarray(body.length), label, body)) throw new ForgedError(`${path}.mac`);
  return body;
}

function named<Names extends Record<string, number>>(reader: ByteReader, field: string, names: Names): keyof Names {
  const byte = reader.u8(field);
  const name = Object.keys(names).find((key) => names[key] === byte);
  if (name === undefined) throw reader.error(field, `is ${byte}, which means nothing`);
  return name;
}
