/**
 * The list by which the trusted third party knows which gateways are the grid's (tpm-privacy-concept.txt: "the grid operator has to
 * provide the TTP with all the valid EK certificate serial numbers").
 *
 *   GridOperator ── over mutual TLS: what changed after version n, up to version m ──► TrustedThirdParty
 *   GridOperator ◄── the version that it has now ── TrustedThirdParty
 *
 * Every change of a device has a version of its own, counted from 1. The third party takes changes only where they join what it
 * has; otherwise it says what it has, and the grid operator goes on from there: also after either has lost its memory. The list
 * says where a device hangs and nothing of who lives there.
 */
import * as v from 'valibot';
import { AREA_PATTERN } from '../readings/area.ts';

/**
 *   in stock   registered, not yet at a household: may not be initialised
 *   installed  at this address
 *   revoked    lost, stolen, broken or tampered with; for ever
 */
export const DEVICE_STATES = ['in stock', 'installed', 'revoked'] as const;
export type DeviceState = (typeof DEVICE_STATES)[number];

/** Maker and serial number of the EK certificate (protocol/attestation/ek-chain.ts): 8 B and at most 20. */
export const EK_SERIAL_PATTERN = /^([0-9a-f]{2}){1,28}$/;
export const EK_SERIAL = v.pipe(
  v.string('is missing'),
  v.regex(EK_SERIAL_PATTERN, 'is no serial number in lower-case hexadecimal, whole bytes'),
);
export const ADDRESS = v.pipe(
  v.string('is missing'),
  v.trim(),
  v.minLength(1, 'is empty'),
  v.maxLength(200, 'is longer than 200 characters'),
  v.regex(/^[^\p{C}]*$/u, 'holds characters that cannot be printed'),
);
export const AREA = v.pipe(
  v.string('is missing'),
  v.regex(AREA_PATTERN, 'is no area: lower-case letters, digits and hyphens, at most 32'),
);

/** So that a slot's readings of an area fit into one batch (protocol/readings/batch.ts), with those who move out on that day. */
export const AREA_MOST_DEVICES = 8000;

export const DEVICE = v.strictObject({
  /** Of the EK certificate, and its maker (`ekSerial` elsewhere). */
  serial: EK_SERIAL,
  /** Where the field visit goes; null for a device in stock. */
  address: v.nullable(ADDRESS),
  /** Leaf of the grid's tree; null for a device in stock. */
  area: v.nullable(AREA),
  state: v.picklist(DEVICE_STATES, `is none of ${DEVICE_STATES.join(', ')}`),
});
export type Device = v.InferOutput<typeof DEVICE>;

/** Of one message: far below the limit of a body. */
export const CHANGES_MOST = 150;
const VERSION = v.pipe(v.number(), v.integer('is no whole number'), v.minValue(0));
export const DEVICE_CHANGES = v.strictObject({
  /** What the third party is thought to have. */
  after: VERSION,
  /** What it has with these. */
  version: VERSION,
  devices: v.pipe(v.array(DEVICE), v.maxLength(CHANGES_MOST, `are more than ${CHANGES_MOST}`)),
});
export type DeviceChanges = v.InferOutput<typeof DEVICE_CHANGES>;
export const DEVICE_VERSION = v.strictObject({ version: VERSION });
