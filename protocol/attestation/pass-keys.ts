/**
 * The verifier's keys for attestation passes: one RSA-2048 key for each day, because a blind signer sees nothing of what it signs but
 * which key is asked for. They are published at least a month ahead, signed by the verifier's master key, which is kept offline.
 *
 * Everybody must hold the same keys: a gateway that was given keys of its own would carry a mark that the verifier knows again at
 * the collector. So the list has one form, its digest can be compared by all, and **the key of a day never changes**: a list that
 * says otherwise of a day that is known already is refused and an alarm (`joinPassKeys`).
 *
 *   offset   size
 *        0      1  version = 1
 *        1      4  firstDay    big-endian; UTC days since 1970
 *        5      2  n, number of days
 *        7  256·n  moduli      of firstDay, firstDay + 1, …; the exponent is 65537
 *  7+256·n     64  signature   Ed25519 by the master key over "quietmeter/v1/pass-keys" ‖ 00 ‖ everything before
 */
import { createHash } from 'node:crypto';
import { BlindRsaError, type BlindRsaKey, importBlindRsaKey } from '../crypto/blind-rsa.ts';
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { PASS_KEY_BYTES } from './pass.ts';

const VERSION = 1;
/** Two months that are still to be settled, the running one, and one ahead; in base64url it fits into an answer of 64 kB. */
export const PASS_KEYS_MOST_DAYS = 180;
/** Length of a list of the most days. */
export const PASS_KEYS_MOST_BYTES = 7 + PASS_KEYS_MOST_DAYS * PASS_KEY_BYTES + ED25519_SIGNATURE_BYTES;

export interface PassKeys {
  firstDay: number;
  /** Moduli of firstDay, firstDay + 1, … */
  moduli: readonly Uint8Array[];
}

/** `path` names the field: `passKeys.signature`. */
export class PassKeysError extends Error {
  override readonly name = 'PassKeysError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

function encodeBody({ firstDay, moduli }: PassKeys): Uint8Array {
  const writer = new ByteWriter('passKeys')
    .u8('version', VERSION)
    .u32('firstDay', firstDay)
    .u16('moduli', moduli.length);
  moduli.forEach((modulus, i) => {
    writer.bytes(`moduli[${i}]`, modulus, PASS_KEY_BYTES);
  });
  return writer.finish();
}

/** The verifier's step. @param sign Ed25519 by the master key over the message @throws MalformedError */
export function publishPassKeys(keys: PassKeys, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const body = encodeBody(keys);
  return Buffer.concat([body, sign(labelled(LABELS.passKeys, body))]);
}

/**
 * @param masterKey Ed25519, 32 B, pinned by configuration
 * @throws MalformedError, PassKeysError
 */
export function openPassKeys(bytes: Uint8Array, masterKey: Uint8Array): PassKeys {
  const reader = new ByteReader('passKeys', bytes);
  reader.constant('version', VERSION);
  const firstDay = reader.u32('firstDay');
  const count = reader.u16('moduli');
  if (count < 1 || count > PASS_KEYS_MOST_DAYS)
    throw reader.error('moduli', `are ${count}, not 1 to ${PASS_KEYS_MOST_DAYS}`);
  const moduli = Array.from({ length: count }, (_, i) => reader.bytes(`moduli[${i}]`, PASS_KEY_BYTES));
  const message = labelled(LABELS.passKeys, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(masterKey, message, signature))
    throw new PassKeysError('passKeys.signature', "was not made by the verifier's master key");
  moduli.forEach((modulus, i) => {
    try {
      importBlindRsaKey(modulus);
    } catch (error) {
      if (!(error instanceof BlindRsaError)) throw error;
      throw new PassKeysError(`passKeys.moduli[${i}]`, error.message);
    }
  });
  return { firstDay, moduli };
}

/** What everybody compares: SHA-256 of the list without its signature. */
export const passKeysDigest = (keys: PassKeys): Uint8Array => createHash('sha256').update(encodeBody(keys)).digest();

/** The key of a day, or undefined where the list does not reach. */
export function passKeyOf({ firstDay, moduli }: PassKeys, day: number): BlindRsaKey | undefined {
  const modulus = moduli[day - firstDay];
  return modulus && importBlindRsaKey(modulus);
}

/**
 * A newer list beside the one that is known.
 * @returns the newer one
 * @throws PassKeysError where they contradict each other
 */
export function joinPassKeys(known: PassKeys | undefined, newer: PassKeys): PassKeys {
  newer.moduli.forEach((modulus, i) => {
    const before = known?.moduli[newer.firstDay + i - known.firstDay];
    if (before && Buffer.compare(before, modulus) !== 0)
      throw new PassKeysError(
        `passKeys.moduli[${i}]`,
        `is another key for day ${newer.firstDay + i} than was published`,
      );
  });
  return newer;
}
