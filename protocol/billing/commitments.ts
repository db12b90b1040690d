/**
 * The meter commits to every quarter hour (private-metering.txt, "meters output readings … and sign them"; Rial, Danezis,
 * "Privacy-preserving smart metering", WPES 2011, section 4.1; protocols.md, section 5).
 *
 *   Meter (its gateway, attested) ── C_t for every slot, Merkle root signed by the certified key ──► Provider
 *                                 ── month key and readings ──► whom the customer asks to compute (delegation.ts)
 *
 *   C_t = G^{r_t} · H^{c_t}      c_t: the reading of slot t as a whole number of `unitMwh`, below 2^bits
 *   r_t = PRF(month key, purpose ‖ register ‖ revision ‖ t)
 *
 * The provider learns which slots were measured; of the readings nothing. Each purpose of the allocation ledger, each register and
 * each revision has randomness of its own: were it shared by import and export, their difference could be found by trial.
 *
 * A batch covers consecutive slots of one series:
 *
 *   head   size                                                          batch   size
 *          1    version = 1                                                      142     head
 *          32   meter: SHA-256 of the certified key (33 B)                       count × 33   C_t, compressed P-256
 *          2    month, counted from January 1970
 *          1    purpose (allocation ledger; 0 = rest)
 *          1    register: 1 = import, 2 = export
 *          1    revision: 0; whoever commits to a slot anew counts up
 *          4    sinceSlot: the first slot that this meter ever measured: what is billed from it on has no hole
 *          4    unitMwh: what the readings count
 *          1    bits: readings are below 2^bits
 *          4    firstSlot
 *          2    count
 *          32   root of the Merkle tree whose leaves are slot (4 B) ‖ C_t
 *          64   signature by the certified key over label ‖ all bytes before it
 */
import {
  decodeElements,
  decodeScalar,
  ELEMENT_BYTES,
  type Element,
  encodeScalar,
  modulo,
  multiScalar,
  ORDER,
} from '../crypto/group.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { MAC_KEY_BYTES, mac } from '../crypto/mac.ts';
import { HASH_BYTES, isInTree, merklePath, merkleRoot } from '../crypto/merkle.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { commit, commitment, VALUE_BITS } from '../crypto/pedersen.ts';
import { monthFirstSlot } from '../time/months.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';
import { identifierReference } from './bill.ts';

export const REGISTERS = { import: 1, export: 2 } as const;
export type Register = keyof typeof REGISTERS;
/** The allocation ledger's purpose of what the bill is about. */
export const REST = 0;

const VERSION = 1;
const HEAD_BODY_BYTES = 1 + HASH_BYTES + 2 + 3 + 4 + 4 + 1 + 4 + 2 + HASH_BYTES;
export const HEAD_BYTES = HEAD_BODY_BYTES + SIGNATURE_BYTES;

/** What batches of one series have in common. */
export interface Series {
  /** 32 B, identifierReference of the certified key. */
  meter: Uint8Array;
  month: number;
  purpose: number;
  register: Register;
  revision: number;
  /** The first slot that this meter ever measured. */
  sinceSlot: number;
  /** 1: readings count mWh; 1000: Wh. */
  unitMwh: number;
  /** 1 to 24. */
  bits: number;
}
export interface BatchHead extends Series {
  firstSlot: number;
  count: number;
  root: Uint8Array;
}
export interface Batch extends BatchHead {
  /** The bytes of the head, signature and all. */
  head: Uint8Array;
  elements: Element[];
}
/** What opens C_t. */
export interface Opening {
  value: number;
  /** 32 B. */
  randomness: Uint8Array;
}

/** A batch that is not believed, or batches that do not fit together. `path` names the field. */
export class CommitmentError extends Error {
  override readonly name = 'CommitmentError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

// ── the meter's steps ──

/** The month's key, of a secret that never leaves the house: handing out one month's tells nothing of another's. 32 B each. */
export function monthKey(secret: Uint8Array, month: number): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(month);
  return mac(secret, LABELS.commitmentKey, bytes);
}

/**
 * r_t: HMAC-SHA256 of the month's key over purpose ‖ register ‖ revision ‖ slot ‖ try; tries go on until it is a scalar from 1 to
 * ORDER − 1, which takes a second one once in 2^32.
 */
export function randomnessOf(
  key: Uint8Array,
  { purpose, register, revision }: Pick<Series, 'purpose' | 'register' | 'revision'>,
  slot: number,
): Uint8Array {
  if (key.length !== MAC_KEY_BYTES) throw new RangeError(`month key is ${key.length} bytes long, not ${MAC_KEY_BYTES}`);
  const input = Buffer.from([purpose, REGISTERS[register], revision, 0, 0, 0, 0, 0]);
  input.writeUInt32BE(slot, 3);
  for (let attempt = 0; attempt < 256; attempt++) {
    input[7] = attempt;
    const bytes = mac(key, LABELS.commitmentRandomness, input);
    if (Buffer.compare(bytes, ORDER_BYTES) < 0 && Buffer.compare(bytes, ZERO) > 0) return bytes;
  }
  throw new Error('the month key gives no randomness');
}
const ORDER_BYTES = Buffer.from(ORDER.toString(16), 'hex');
const ZERO = Buffer.alloc(ORDER_BYTES.length);

export const openingOf = (key: Uint8Array, series: Series, slot: number, value: number): Opening => ({
  value,
  randomness: randomnessOf(key, series, slot),
});

/** C_t, 33 B, in constant time. @throws RangeError where the reading does not fit the series */
export function commitReading(key: Uint8Array, series: Series, slot: number, value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** series.bits)
    throw new RangeError(`the reading of slot ${slot} is no whole number from 0 to 2^${series.bits} − 1`);
  return commit(value, randomnessOf(key, series, slot)).encode();
}

/**
 * A batch as it travels.
 * @param commitments C_t of firstSlot and the slots after it, 33 B each
 * @param sign by the certified key over SHA-256(message)
 * @throws MalformedError that names the field
 */
export async function signCommitments(
  series: Series,
  firstSlot: number,
  commitments: readonly Uint8Array[],
  sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array> {
  const head = { ...series, firstSlot, count: commitments.length };
  checkHead(head);
  const body = new ByteWriter('commitments')
    .u8('version', VERSION)
    .bytes('meter', series.meter, HASH_BYTES)
    .u16('month', series.month)
    .u8('purpose', series.purpose)
    .u8('register', REGISTERS[series.register])
    .u8('revision', series.revision)
    .u32('sinceSlot', series.sinceSlot)
    .u32('unitMwh', series.unitMwh)
    .u8('bits', series.bits)
    .u32('firstSlot', firstSlot)
    .u16('count', commitments.length)
    .bytes('root', merkleRoot(leavesOf(firstSlot, commitments)), HASH_BYTES)
    .finish();
  return Buffer.concat([body, await sign(labelled(LABELS.commitments, body)), ...commitments]);
}

// ── the provider's steps ──

/** Layout, certified key and signature of a head alone: enough where one leaf is shown (disclosure.ts). @throws MalformedError, CommitmentError */
export function openHead(bytes: Uint8Array, publicKey: Uint8Array): BatchHead {
  const reader = new ByteReader('commitments', bytes);
  reader.constant('version', VERSION);
  const meter = reader.bytes('meter', HASH_BYTES);
  const month = reader.u16('month');
  const purpose = reader.u8('purpose');
  const register = registerOf(reader);
  const head: BatchHead = {
    meter,
    month,
    purpose,
    register,
    revision: reader.u8('revision'),
    sinceSlot: reader.u32('sinceSlot'),
    unitMwh: reader.u32('unitMwh'),
    bits: reader.u8('bits'),
    firstSlot: reader.u32('firstSlot'),
    count: reader.u16('count'),
    root: reader.bytes('root', HASH_BYTES),
  };
  const body = bytes.subarray(0, reader.at);
  const signature = reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  checkHead(head);
  if (Buffer.compare(meter, identifierReference(publicKey)) !== 0)
    throw new CommitmentError('commitments.meter', 'is not the meter whose certificate was shown');
  if (!verifyP256(publicKey, labelled(LABELS.commitments, body), signature))
    throw new CommitmentError('commitments.signature', "was not made by the meter's certified key over these bytes");
  return head;
}

/**
 * A batch whose certified key is `publicKey` (33 B; the certificate is the caller's to check).
 * @throws MalformedError, CommitmentError, GroupError that name the field
 */
export function openCommitments(bytes: Uint8Array, publicKey: Uint8Array): Batch {
  const headBytes = bytes.slice(0, HEAD_BYTES);
  const head = openHead(headBytes, publicKey);
  const rest = bytes.slice(HEAD_BYTES);
  if (rest.length !== head.count * ELEMENT_BYTES)
    throw new MalformedError('commitments.commitments', `are not ${head.count} of ${ELEMENT_BYTES} bytes`);
  const each = Array.from({ length: head.count }, (_, i) => rest.subarray(i * ELEMENT_BYTES, (i + 1) * ELEMENT_BYTES));
  if (Buffer.compare(merkleRoot(leavesOf(head.firstSlot, each)), head.root) !== 0)
    throw new CommitmentError('commitments.root', 'is not the root of these commitments');
  return { ...head, head: headBytes, elements: decodeElements(rest, 'commitments.commitments') };
}

/** Every slot of a period, once, from batches of one series. */
export interface CommittedPeriod extends Series {
  firstSlot: number;
  endSlot: number;
  elements: Element[];
  /** Roots in the order of the slots. */
  roots: Uint8Array[];
}

const SERIES_FIELDS = ['month', 'purpose', 'register', 'revision', 'sinceSlot', 'unitMwh', 'bits'] as const;

/**
 * Puts batches together to a period: from `firstSlot`, or the meter's first slot where that is later, to before `endSlot`.
 * @param period the batches' whole month unless told otherwise
 * @throws CommitmentError where a slot is missing or comes twice, or a batch is of another series
 */
export function wholePeriod(
  batches: readonly Batch[],
  period?: { firstSlot: number; endSlot: number },
): CommittedPeriod {
  const sorted = [...batches].sort((a, b) => a.firstSlot - b.firstSlot);
  const [first] = sorted;
  if (!first) throw new CommitmentError('commitments', 'are missing');
  const firstSlot = Math.max(period?.firstSlot ?? monthFirstSlot(first.month), first.sinceSlot);
  const endSlot = period?.endSlot ?? monthFirstSlot(first.month + 1);
  let next = firstSlot;
  const elements: Element[] = [];
  for (const batch of sorted) {
    for (const field of SERIES_FIELDS)
      if (batch[field] !== first[field]) throw new CommitmentError(`commitments.${field}`, 'differs between batches');
    if (Buffer.compare(batch.meter, first.meter) !== 0)
      throw new CommitmentError('commitments.meter', 'differs between batches');
    if (batch.firstSlot > next) throw new CommitmentError('commitments.firstSlot', `slot ${next} is missing`);
    if (batch !== first && batch.firstSlot < next)
      throw new CommitmentError('commitments.firstSlot', `slot ${batch.firstSlot} comes twice`);
    elements.push(...batch.elements.slice(next - batch.firstSlot));
    next = batch.firstSlot + batch.count;
  }
  if (next < endSlot) throw new CommitmentError('commitments.count', `slot ${next} is missing`);
  const { meter, month, purpose, register, revision, sinceSlot, unitMwh, bits } = first;
  const series = { meter, month, purpose, register, revision, sinceSlot, unitMwh, bits };
  elements.length = Math.max(0, endSlot - firstSlot);
  return { ...series, firstSlot, endSlot, elements, roots: sorted.map(({ root }) => root) };
}

// ── one reading, for a third party that has none of the others ──

export interface Leaf {
  slot: number;
  /** C_t, 33 B. */
  commitment: Uint8Array;
  path: Uint8Array[];
}

/** @param commitments all of the batch */
export function leafOf(firstSlot: number, commitments: readonly Uint8Array[], slot: number): Leaf {
  const index = slot - firstSlot;
  return {
    slot,
    commitment: commitments[index],
    path: merklePath(leavesOf(firstSlot, commitments), index),
  };
}
export const isLeaf = ({ root, firstSlot, count }: BatchHead, { slot, commitment, path }: Leaf): boolean =>
  isInTree(root, leafBytes(slot, commitment), { index: slot - firstSlot, count, path });

// ── the opened weighted sum ──

export interface OpenedSum {
  /** Σ w_t · c_t */
  sum: bigint;
  /** Σ w_t · r_t, 32 B. */
  randomness: Uint8Array;
}

/**
 * Opens Σ w_t·c_t and nothing else: that is the opening of Π C_t^{w_t}. Whoever may ask for several such sums learns as many
 * equations about the readings: the ledger of disclosure.ts decides about that, not this function.
 */
export function openWeightedSum(weights: readonly bigint[], openings: readonly Opening[]): OpenedSum {
  if (weights.length !== openings.length) throw new RangeError('as many weights as openings are needed');
  let [sum, randomness] = [0n, 0n];
  for (const [i, weight] of weights.entries()) {
    if (weight === 0n) continue;
    sum += weight * BigInt(openings[i].value);
    randomness += weight * decodeScalar(openings[i].randomness);
  }
  return { sum, randomness: encodeScalar(randomness) };
}

/** The least and the most that Σ w_t·c_t can be where 0 ≤ c_t < 2^bits. */
export function sumBounds(weights: readonly bigint[], bits: number): { least: bigint; most: bigint } {
  const mostReading = (1n << BigInt(bits)) - 1n;
  let [least, most] = [0n, 0n];
  for (const weight of weights) {
    if (weight < 0n) least += weight * mostReading;
    else most += weight * mostReading;
  }
  return { least, most };
}

/**
 * Whether `opened` opens Π elements[t]^{weights[t]}. A sum that readings below 2^bits cannot have is false, too: so none is taken that
 * only agrees modulo the order of the group.
 * @throws GroupError where the randomness is no scalar
 */
export function verifyWeightedSum(
  elements: readonly Element[],
  weights: readonly bigint[],
  opened: OpenedSum,
  bits: number = VALUE_BITS,
): boolean {
  const { least, most } = sumBounds(weights, bits);
  if (most - least >= ORDER || opened.sum < least || opened.sum > most) return false;
  const randomness = decodeScalar(opened.randomness, 'opened.randomness');
  return multiScalar(elements, weights).equals(commitment(modulo(opened.sum), randomness));
}

// ── layout ──

function leafBytes(slot: number, commitment: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(4 + commitment.length);
  bytes.writeUInt32BE(slot);
  bytes.set(commitment, 4);
  return bytes;
}
const leavesOf = (firstSlot: number, commitments: readonly Uint8Array[]): Uint8Array[] =>
  commitments.map((commitment, i) => leafBytes(firstSlot + i, commitment));

function registerOf(reader: ByteReader): Register {
  const value = reader.u8('register');
  if (value === REGISTERS.import) return 'import';
  if (value === REGISTERS.export) return 'export';
  throw reader.error('register', `is ${value}, neither import nor export`);
}

function checkHead({ month, sinceSlot, unitMwh, bits, firstSlot, count }: Omit<BatchHead, 'root'>): void {
  const wrong = (field: string, problem: string): never => {
    throw new MalformedError(`commitments.${field}`, problem);
  };
  if (unitMwh < 1) wrong('unitMwh', 'is 0');
  if (bits < 1 || bits > VALUE_BITS) wrong('bits', `is no whole number from 1 to ${VALUE_BITS}`);
  if (count < 1) wrong('count', 'is 0');
  if (firstSlot < Math.max(sinceSlot, monthFirstSlot(month))) wrong('firstSlot', 'lies before the month, or sinceSlot');
  if (firstSlot + count > monthFirstSlot(month + 1)) wrong('count', 'reaches beyond the month');
}
