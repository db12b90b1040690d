import { sellingError } from './messages.ts';
import type { SellingNatives } from './natives.ts';
import { ascii, joined, word } from './natives.ts';

/**
 * Set-up and registration (paper, sections 4.A and 4.B), what the meter says in them. (Espruino dialect: the firmware imports this
 * file) The gateway carries it under its customer's name (services.ts), and makes none of it: the meter's secret value vouches for
 * every candidate.
 *
 *   SET-UP, 73 B, sealed by the meter to the centre's sealing key
 *      version = 1 · meterId 8 · secretValue 32 · sk 32
 *
 *   a batch   credentials first, first + 1, … of a key, c candidates B for each, in order
 *   digest    d = 32 zero bytes; for each B of the batch: d = SHA-256(d ‖ B)      one after the other, so that none has to be kept
 *   tag       HMAC(secretValue, "quietmeter/v1/registration" ‖ keyId ‖ first u32 ‖ c u32 ‖ n u32 ‖ d ‖ 00000001)
 */
const VERSION = 1;
const METER_ID_BYTES = 8;
const SECRET_BYTES = 32;
export const SET_UP_BYTES = 1 + METER_ID_BYTES + 2 * SECRET_BYTES;
export const DIGEST_BYTES = 32;
/** Blinded credential identity: the centre's number for a candidate that it has signed. */
export const BID_BYTES = 16;

export interface SetUp {
  /** The chip's, 8 B. */
  meterId: Uint8Array;
  /** Proves that a batch comes from this meter, 32 B. */
  secretValue: Uint8Array;
  /** The paper's shared key: under it L4 is bound, 32 B. */
  sharedKey: Uint8Array;
}

/** What a SET-UP is sealed under, with the sealing key's id. */
export function setUpHeader(sealingKeyId: Uint8Array): Uint8Array {
  return joined([ascii('quietmeter/v1/set-up'), sealingKeyId]);
}

export function encodeSetUp(setUp: SetUp): Uint8Array {
  const bytes = joined([new Uint8Array([VERSION]), setUp.meterId, setUp.secretValue, setUp.sharedKey]);
  if (bytes.length !== SET_UP_BYTES) throw sellingError('setUp', `is ${bytes.length} bytes long`);
  return bytes;
}

/** @throws SellingError */
export function decodeSetUp(bytes: Uint8Array): SetUp {
  if (bytes.length !== SET_UP_BYTES) throw sellingError('setUp', `is ${bytes.length} bytes long`);
  if (bytes[0] !== VERSION) throw sellingError('setUp.version', `is ${bytes[0]}`);
  const key = 1 + METER_ID_BYTES;
  return {
    meterId: new Uint8Array(bytes.subarray(1, key)),
    secretValue: new Uint8Array(bytes.subarray(key, key + SECRET_BYTES)),
    sharedKey: new Uint8Array(bytes.subarray(key + SECRET_BYTES)),
  };
}

/** One step of the digest over a list of equally long parts; begins with `listStart()`. */
export function listStart(): Uint8Array {
  return new Uint8Array(DIGEST_BYTES);
}
export function listStep(natives: SellingNatives, digest: Uint8Array, part: Uint8Array): Uint8Array {
  return natives.sha256(joined([digest, part]));
}

export interface Batch {
  keyId: Uint8Array;
  /** Number of the first credential among the customer's of this key, from 0. */
  first: number;
  /** c. */
  candidatesEach: number;
  /** Credentials in the batch. */
  count: number;
  /** Of all candidates, 32 B. */
  digest: Uint8Array;
}

/** 32 B. */
export function registrationTag(natives: SellingNatives, secretValue: Uint8Array, batch: Batch): Uint8Array {
  const numbers = joined([word(batch.first), word(batch.candidatesEach), word(batch.count)]);
  const message = joined([ascii('quietmeter/v1/registration'), batch.keyId, numbers, batch.digest]);
  return natives.expand(secretValue, message, DIGEST_BYTES);
}
