/**
 * What every gateway's bundle holds: the door's plan (protocols.md, section 0). It is the same for all gateways, or whoever wrote
 * one would know its gateway again by the shape of its bundles; so it is signed by the grid's offline key, and every bundle names
 * it by its digest, by which the relay refuses another one.
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  number        big-endian; a newer plan has a higher one
 *        5     4  sendAfterMs   so long after the begin of a slot its bundle leaves, whatever happened in the house
 *        9     1  n, number of destinations, from 1
 *              for each, in order of their names
 *                 1+m  name         ASCII, one byte of length before it
 *                  32  publicKey    X25519; cells are sealed to it
 *                  32  listKey      Ed25519; signs the lists of answers
 *                   1  cells        in each bundle
 *                   2  messageBytes the longest message that fits into a cell
 *                   2  answerBytes  the longest answer that fits into a list's entry
 *                  64  signature    Ed25519 over "quietmeter/v1/door-plan" ‖ 00 ‖ everything before
 */
import { createHash } from 'node:crypto';
import { ED25519_PUBLIC_KEY_BYTES, ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { HPKE_PUBLIC_KEY_BYTES } from '../crypto/hpke.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SLOT_MS } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;
/** A destination's name is its party's role, or `report-server-2`. */
export const DESTINATION_PATTERN = /^[a-z][a-z0-9-]{0,31}$/;
export const DESTINATIONS_MOST = 16;
export const PLAN_DIGEST_BYTES = 32;
/** A message of this size still fits, as a cell, into one call (protocol/services/call.ts). */
export const MESSAGE_MOST_BYTES = 16_384;

export interface Destination {
  name: string;
  publicKey: Uint8Array;
  listKey: Uint8Array;
  cells: number;
  messageBytes: number;
  answerBytes: number;
}
export interface UnsignedPlan {
  number: number;
  sendAfterMs: number;
  destinations: readonly Destination[];
}
export interface DoorPlan extends UnsignedPlan {
  /** SHA-256 of everything but the signature. */
  digest: Uint8Array;
}

/** Not from whom it should be. */
export class PlanForgedError extends Error {
  override readonly name = 'PlanForgedError';
  constructor() {
    super("plan.signature: was not made by the grid's key");
  }
}

/** @param sign Ed25519 by the grid's offline key over the message @throws MalformedError */
export function publishPlan(plan: UnsignedPlan, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const writer = new ByteWriter('plan')
    .u8('version', VERSION)
    .u32('number', plan.number)
    .u32('sendAfterMs', plan.sendAfterMs)
    .u8('destinations', plan.destinations.length);
  for (const { name, publicKey, listKey, cells, messageBytes, answerBytes } of plan.destinations)
    writer
      .text('name', name, DESTINATION_PATTERN)
      .bytes('publicKey', publicKey, HPKE_PUBLIC_KEY_BYTES)
      .bytes('listKey', listKey, ED25519_PUBLIC_KEY_BYTES)
      .u8('cells', cells)
      .u16('messageBytes', messageBytes)
      .u16('answerBytes', answerBytes);
  const body = writer.finish();
  readBody(new ByteReader('plan', body));
  return Buffer.concat([body, sign(labelled(LABELS.doorPlan, body))]);
}

/** @param planKey the grid's key, Ed25519, 32 B, pinned by configuration @throws MalformedError, PlanForgedError */
export function openPlan(bytes: Uint8Array, planKey: Uint8Array): DoorPlan {
  const reader = new ByteReader('plan', bytes);
  const plan = readBody(reader);
  const body = bytes.subarray(0, reader.at);
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(planKey, labelled(LABELS.doorPlan, body), signature)) throw new PlanForgedError();
  return { ...plan, digest: createHash('sha256').update(body).digest() };
}

function readBody(reader: ByteReader): UnsignedPlan {
  reader.constant('version', VERSION);
  const number = reader.u32('number');
  const sendAfterMs = reader.u32('sendAfterMs');
  if (sendAfterMs >= SLOT_MS) throw reader.error('sendAfterMs', 'is not within a slot');
  const count = reader.u8('destinations');
  if (count < 1 || count > DESTINATIONS_MOST)
    throw reader.error('destinations', `are ${count}, not 1 to ${DESTINATIONS_MOST}`);
  const destinations: Destination[] = [];
  for (let i = 0; i < count; i++) {
    const field = `destinations[${i}]`;
    const destination = {
      name: reader.text(`${field}.name`, DESTINATION_PATTERN),
      publicKey: reader.bytes(`${field}.publicKey`, HPKE_PUBLIC_KEY_BYTES),
      listKey: reader.bytes(`${field}.listKey`, ED25519_PUBLIC_KEY_BYTES),
      cells: reader.u8(`${field}.cells`),
      messageBytes: reader.u16(`${field}.messageBytes`),
      answerBytes: reader.u16(`${field}.answerBytes`),
    };
    const before = destinations[i - 1];
    if (before && before.name >= destination.name) throw reader.error(`${field}.name`, 'is not in order');
    if (destination.cells < 1) throw reader.error(`${field}.cells`, 'are none');
    if (destination.messageBytes < 1 || destination.messageBytes > MESSAGE_MOST_BYTES)
      throw reader.error(`${field}.messageBytes`, `is not 1 to ${MESSAGE_MOST_BYTES}`);
    destinations.push(destination);
  }
  return { number, sendAfterMs, destinations };
}

/** @throws RangeError where the plan has no such destination */
export function destinationOf({ destinations }: UnsignedPlan, name: string): Destination {
  const found = destinations.find((destination) => destination.name === name);
  if (!found) throw new RangeError(`the door leads to no ${name}`);
  return found;
}
