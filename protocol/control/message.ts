/**
 * What the provider tells the appliances of an area (tpm-privacy-concept.txt, "Electricity Consumption Control"; protocols.md
 * section 3).
 *
 *   Provider ── control message, signed ──► every gateway of the area: check · remember · forward to the appliances
 *
 * Everybody may read it. The provider does not learn who heard it, or whether anything was switched: nothing is answered.
 *
 *   control  size
 *            1     version = 1
 *            16    id            random; names the message for ever
 *            1+n   area
 *            1+n   deviceClass
 *            1     command       0 off · 1 on · 2 limit
 *            4     limitW        0 unless `limit`
 *            4     issued        seconds since 1970, as the two below
 *            4     notBefore
 *            4     expires
 *            64    signature     Ed25519 by the provider's control key over "quietmeter/v1/control" ‖ 00 ‖ everything before
 *
 * Big-endian. One message has one encoding, and Ed25519 one signature for it.
 *
 * **Nobody's appliance is made to run**: `off` and `limit` forbid, `on` takes back what was forbidden before, so that the customer's
 * own rules hold again. Who steals the key can keep boilers cold for a day, not switch on a whole town at once.
 *
 * What bounds a message, and with it what a gateway has to remember: it is in force for VALID_MOST_MS at most, is issued AHEAD_MOST_MS
 * before it begins at most, and of one hour of issue PER_HOUR_MOST are taken. Replayed ids are known until they expire.
 */

import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, signEd25519, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';

const SECOND_MS = 1000;
export const HOUR_MS = 3_600_000;
/** A day: who wants more says it again. */
export const VALID_MOST_MS = 24 * HOUR_MS;
/** Said the day before. */
export const AHEAD_MOST_MS = 24 * HOUR_MS;
/** For one area. A contactor is built for some switching, not for a flood. */
export const PER_HOUR_MOST = 12;
/** The provider's clock may be ahead of the gateway's: two slots, as a conductor moves them (signed-request.ts). */
const CLOCK_TOLERANCE_MS = HOUR_MS / 2;

export const CONTROL_ID_BYTES = 16;
export const CONTROL_COMMANDS = ['off', 'on', 'limit'] as const;
export type ControlCommand = (typeof CONTROL_COMMANDS)[number];
/** Every appliance, whatever it is. */
export const EVERY_CLASS = 'all';
/** `ev-charger`, `heat-pump`, `boiler`, `all`. */
export const DEVICE_CLASS_PATTERN = /^[a-z][a-z0-9-]{0,31}$/;
/** 100 A on three phases: no household's appliance draws more. */
export const LIMIT_MOST_W = 70_000;

const VERSION = 1;

/** Times are Unix ms, whole seconds. */
export interface ControlMessage {
  /** 16 B. */
  id: Uint8Array;
  area: string;
  deviceClass: string;
  command: ControlCommand;
  /** W, for `limit`; else null. */
  limitW: number | null;
  issuedMs: number;
  notBeforeMs: number;
  expiresMs: number;
}

export type ControlRefusal =
  | 'malformed'
  | 'unsigned'
  | 'forged'
  | 'other area'
  | 'bounds'
  | 'early'
  | 'expired'
  | 'replayed'
  | 'flood';

/** A message that is not obeyed: which kind of no, the field, and a plain sentence. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly refusal: ControlRefusal;
  readonly path: string;
  constructor(refusal: ControlRefusal, path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.refusal = refusal;
    this.path = path;
  }
}

// ── the provider's step ──

export const newControlId = (): Uint8Array => randomBytes(CONTROL_ID_BYTES);

/** @throws ControlError, MalformedError: what no gateway would take is not signed */
export function signControl(message: ControlMessage, controlKey: KeyObject): Uint8Array {
  checkBounds(message);
  const body = new ByteWriter('control')
    .u8('version', VERSION)
    .bytes('id', message.id, CONTROL_ID_BYTES)
    .text('area', message.area, AREA_PATTERN)
    .text('deviceClass', message.deviceClass, DEVICE_CLASS_PATTERN)
    .u8('command', CONTROL_COMMANDS.indexOf(message.command))
    .u32('limitW', message.limitW ?? 0)
    .u32('issued', message.issuedMs / SECOND_MS)
    .u32('notBefore', message.notBeforeMs / SECOND_MS)
    .u32('expires', message.expiresMs / SECOND_MS)
    .finish();
  return Buffer.concat([body, signEd25519(controlKey, labelled(LABELS.control, body))]);
}

// ── the gateway's steps ──

/** A message whose signature is good. @param controlKey the provider's, Ed25519, 32 B @throws ControlError */
export function openControl(bytes: Uint8Array, controlKey: Uint8Array): ControlMessage {
  try {
    const { message, bodyBytes } = decode(bytes);
    const signature = bytes.subarray(bodyBytes);
    if (signature.length === 0) throw new ControlError('unsigned', 'control.signature', 'is missing');
    if (signature.length !== ED25519_SIGNATURE_BYTES)
      throw new ControlError('malformed', 'control.signature', `is not ${ED25519_SIGNATURE_BYTES} bytes long`);
    if (!verifyEd25519(controlKey, labelled(LABELS.control, bytes.subarray(0, bodyBytes)), signature))
      throw new ControlError(
        'forged',
        'control.signature',
        "was not made by this household's provider over this message: it was altered, or is somebody else's",
      );
    checkBounds(message);
    return message;
  } catch (error) {
    if (error instanceof MalformedError) throw new ControlError('malformed', error.path, error.problem);
    throw error;
  }
}

/** What was taken before. Must be on disk when `take` returns, or a replay after a power cut would be obeyed. */
export interface ControlMemory {
  has(id: Uint8Array): boolean;
  /** How many were taken whose time of issue lies in [fromMs, toMs). */
  countIssued(fromMs: number, toMs: number): number;
}

/**
 * Whether a message with a good signature is for this household, and new.
 * @throws ControlError
 */
export function checkControl(message: ControlMessage, memory: ControlMemory, area: string, nowMs: number): void {
  if (message.area !== area)
    throw new ControlError('other area', 'control.area', `is ${message.area}; this household is in ${area}`);
  if (message.issuedMs > nowMs + CLOCK_TOLERANCE_MS)
    throw new ControlError('early', 'control.issued', 'lies in the future: is a clock wrong?');
  if (message.expiresMs <= nowMs)
    throw new ControlError('expired', 'control.expires', `was ${timeText(message.expiresMs)}: it has expired`);
  if (memory.has(message.id)) throw new ControlError('replayed', 'control.id', 'was seen before: it is obeyed once');
  const hour = Math.floor(message.issuedMs / HOUR_MS) * HOUR_MS;
  if (memory.countIssued(hour, hour + HOUR_MS) >= PER_HOUR_MOST)
    throw new ControlError(
      'flood',
      'control.issued',
      `is in an hour of which ${PER_HOUR_MOST} messages were taken already: more are not obeyed`,
    );
}

const timeText = (unixMs: number): string => `${new Date(unixMs).toISOString().slice(0, 19)}Z`;

function checkBounds({ command, limitW, issuedMs, notBeforeMs, expiresMs }: ControlMessage): void {
  const bad = (path: string, problem: string): never => {
    throw new ControlError('bounds', `control.${path}`, problem);
  };
  if (command === 'limit') {
    if (limitW === null || !Number.isInteger(limitW) || limitW < 1 || limitW > LIMIT_MOST_W)
      bad('limitW', `is no whole number from 1 to ${LIMIT_MOST_W}`);
  } else if (limitW !== null) bad('limitW', `is given for ${command}`);
  if (expiresMs <= notBeforeMs) bad('expires', 'is not after its beginning');
  if (expiresMs - notBeforeMs > VALID_MOST_MS)
    bad('expires', `is more than ${VALID_MOST_MS / HOUR_MS} hours after its beginning`);
  if (notBeforeMs < issuedMs) bad('notBefore', 'is before its issue');
  if (notBeforeMs - issuedMs > AHEAD_MOST_MS)
    bad('notBefore', `is more than ${AHEAD_MOST_MS / HOUR_MS} hours after its issue`);
}

function decode(bytes: Uint8Array): { message: ControlMessage; bodyBytes: number } {
  const reader = new ByteReader('control', bytes);
  reader.constant('version', VERSION);
  const id = reader.bytes('id', CONTROL_ID_BYTES);
  const area = reader.text('area', AREA_PATTERN);
  const deviceClass = reader.text('deviceClass', DEVICE_CLASS_PATTERN);
  const command = CONTROL_COMMANDS[reader.u8('command')];
  if (command === undefined) throw reader.error('command', 'is not known');
  const limit = reader.u32('limitW');
  if (command !== 'limit' && limit !== 0) throw reader.error('limitW', `is given for ${command}`);
  const message: ControlMessage = {
    id,
    area,
    deviceClass,
    command,
    limitW: command === 'limit' ? limit : null,
    issuedMs: reader.u32('issued') * SECOND_MS,
    notBeforeMs: reader.u32('notBefore') * SECOND_MS,
    expiresMs: reader.u32('expires') * SECOND_MS,
  };
  return { message, bodyBytes: reader.at };
}
