/**
 * The registers that the grid operator is told once a year (tpm-privacy-concept.txt, "Data Provisioning For the Grid Operator"), and
 * where a household changes its provider or its people.
 *
 *   Gateway ── registers, signed by the household's certified TPM key ──► GridOperator ── digest: it is on disk ──► Gateway
 *
 * The grid operator learns the total of a household since the last time: no quarter hour, no person. Whole kWh, as on any meter:
 * the rest is carried on by the register itself.
 *
 *   register reading  size
 *                     1     version = 1
 *                     1     reason      0 the year is over · 1 change of provider · 2 moving out · 3 first reading
 *                     4     slot        the registers are those at its first instant
 *                     1+n   ekSerial    as in the household certificate
 *                     4     importKwh   rounded down
 *                     4     exportKwh   rounded down
 *                     64    signature   P-256 by the household key over "quietmeter/v1/register-reading" ‖ 00 ‖ all before
 *
 * Device, reason and slot name a reading: of a year's end there is one slot, so one reading per device and year.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { SLOT_MS, slotStartMs } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

export const READING_REASONS = ['year', 'change of provider', 'moving out', 'first'] as const;
export type ReadingReason = (typeof READING_REASONS)[number];

const VERSION = 1;
const SERIAL_PATTERN = /^([0-9a-f]{2}){1,28}$/;
const MWH_PER_KWH = 1_000_000;

export interface RegisterReading {
  reason: ReadingReason;
  slot: number;
  /** Of the endorsement key's certificate: names the device. */
  ekSerial: string;
  importKwh: number;
  exportKwh: number;
}

/** The first slot of a year of UTC. */
export const yearFirstSlot = (year: number): number => Date.UTC(year, 0) / SLOT_MS;
/** The year that ends with, or contains, the quarter hour before `slot`. */
export const yearOf = (slot: number): number => new Date(slotStartMs(slot) - 1).getUTCFullYear();

export const toKwh = (mwh: number): number => Math.floor(mwh / MWH_PER_KWH);

/** @param sign by the household key over SHA-256(message) @throws MalformedError that names the field */
export async function signRegisterReading(
  reading: RegisterReading,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const body = new ByteWriter('registerReading')
    .u8('version', VERSION)
    .u8('reason', READING_REASONS.indexOf(reading.reason))
    .u32('slot', reading.slot)
    .text('ekSerial', reading.ekSerial, SERIAL_PATTERN)
    .u32('importKwh', reading.importKwh)
    .u32('exportKwh', reading.exportKwh)
    .finish();
  return Buffer.concat([body, await sign(labelled(LABELS.registerReading, body))]);
}

/** @throws MalformedError */
export function decodeRegisterReading(bytes: Uint8Array): RegisterReading {
  const reader = new ByteReader('registerReading', bytes);
  reader.constant('version', VERSION);
  const reason = READING_REASONS[reader.u8('reason')];
  if (reason === undefined) throw reader.error('reason', 'is not known');
  const slot = reader.u32('slot');
  const ekSerial = reader.text('ekSerial', SERIAL_PATTERN);
  const importKwh = reader.u32('importKwh');
  const exportKwh = reader.u32('exportKwh');
  reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  return { reason, slot, ekSerial, importKwh, exportKwh };
}

/** Whether the household's key signed exactly these bytes. */
export function verifyRegisterReading(bytes: Uint8Array, householdKey: Uint8Array): boolean {
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return verifyP256(householdKey, labelled(LABELS.registerReading, body), bytes.subarray(body.length));
}

/** Names a reading without its signature, of which there can be several. 32 B. */
export const registerReadingDigest = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
      .digest(),
  );
