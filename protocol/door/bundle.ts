/**
 * What a gateway gives to the relay once in a slot, always, and always of one size.
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  slot         big-endian; in which it leaves
 *        5    32  planDigest   of the plan that says what follows
 *       37        cells        of the plan's destinations in their order, so many for each as the plan says
 *
 * The relay learns the network address that it came from, and nothing of which cells are dummies.
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { cellBytes } from './cell.ts';
import { type DoorPlan, PLAN_DIGEST_BYTES, type UnsignedPlan } from './plan.ts';

const VERSION = 1;
const HEADER_BYTES = 5 + PLAN_DIGEST_BYTES;
/** With it a call stays below what a service takes (protocol/services/call.ts). */
export const BUNDLE_MOST_BYTES = 48_000;

export interface Bundle {
  slot: number;
  /** By destination, in the plan's order. */
  cells: readonly (readonly Uint8Array[])[];
}

/** Length of every bundle. @throws RangeError where it would be too long to be sent */
export function bundleBytes({ destinations }: UnsignedPlan): number {
  const bytes = destinations.reduce((sum, to) => sum + to.cells * cellBytes(to), HEADER_BYTES);
  if (bytes > BUNDLE_MOST_BYTES)
    throw new RangeError(`a bundle has ${bytes} bytes by this plan, not at most ${BUNDLE_MOST_BYTES}`);
  return bytes;
}

/** @throws MalformedError where the cells are not those of the plan */
export function encodeBundle(plan: DoorPlan, { slot, cells }: Bundle): Uint8Array {
  const writer = new ByteWriter('bundle')
    .u8('version', VERSION)
    .u32('slot', slot)
    .bytes('planDigest', plan.digest, PLAN_DIGEST_BYTES);
  plan.destinations.forEach((destination, d) => {
    for (let i = 0; i < destination.cells; i++) writer.bytes(`cells[${d}][${i}]`, cells[d][i], cellBytes(destination));
  });
  return writer.finish();
}

/** The relay's step. @throws MalformedError */
export function decodeBundle(plan: DoorPlan, bytes: Uint8Array): Bundle {
  const reader = new ByteReader('bundle', bytes);
  reader.constant('version', VERSION);
  const slot = reader.u32('slot');
  if (Buffer.compare(reader.bytes('planDigest', PLAN_DIGEST_BYTES), plan.digest) !== 0)
    throw reader.error('planDigest', 'is not that of the plan');
  const cells = plan.destinations.map((destination, d) =>
    Array.from({ length: destination.cells }, (_, i) => reader.bytes(`cells[${d}][${i}]`, cellBytes(destination))),
  );
  reader.end();
  return { slot, cells };
}

export const bundleDigest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
export const cellDigest = (cell: Uint8Array): Uint8Array => createHash('sha256').update(cell).digest();
