/**
 * The report token: the right to one report in one slot, and nothing about whose (tasking-and-trading.txt, section 2.2.1: in place of
 * the group key that k meters would share; protocols.md, section 2).
 *
 *   Issuer      publishes the keys of a day's slots a day ahead, signed, for everybody the same
 *   Gateway     draws a one-time Ed25519 key for each slot; its public half is what it has signed blindly ── under its name ──► Issuer
 *   Issuer      signs once for each household and slot; sees neither the key nor when it is used
 *   Gateway     signs the report of that slot with the one-time key, and forgets it ── anonymously ──► report servers
 *
 * The issuer learns who is going to report, the servers that somebody may. Nobody who sees a token can use it for another report.
 * A key of its own for each slot, so that what was not used in one slot is worth nothing in another. The area stands in the report
 * alone: a household could report as one of another area, which its attested gateway does not do.
 *
 *   keys of slots              token, 324 B
 *     1    version = 1           4    slot
 *     4    first slot            32   one-time public key, Ed25519
 *     2    n                     32   —
 *     256  modulus, each         256  signature: RSABSSA-SHA384-PSSZERO-Deterministic under the slot's key over label ‖ 00 ‖ slot ‖ key
 *     64   signature, Ed25519
 *
 * (— is SHA-256 of the slot's modulus: which key was used.) Its identity is SHA-256(key's digest ‖ slot ‖ one-time key).
 */
import { createHash } from 'node:crypto';
import {
  type Blinded,
  type BlindRsaKey,
  blind,
  finalize,
  importBlindRsaKey,
  type Random,
  verifyBlindRsa,
} from '../crypto/blind-rsa.ts';
import { ED25519_PUBLIC_KEY_BYTES, ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { ReportError } from './errors.ts';

const VERSION = 1;
const MODULUS_BYTES = 256;
const DIGEST_BYTES = 32;
export const REPORT_TOKEN_BYTES = 4 + ED25519_PUBLIC_KEY_BYTES + DIGEST_BYTES + MODULUS_BYTES;
/** Of one list: two days. */
export const SLOT_KEYS_MOST = 2 * SLOTS_PER_DAY;

// ── keys ──

export interface SlotKeys {
  firstSlot: number;
  /** Of firstSlot, firstSlot + 1 … */
  keys: readonly BlindRsaKey[];
}

/** The issuer's step. @param sign Ed25519 by its master key @throws MalformedError */
export function publishSlotKeys(
  firstSlot: number,
  moduli: readonly Uint8Array[],
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const body = new ByteWriter('slotKeys').u8('version', VERSION).u32('firstSlot', firstSlot).u16('keys', moduli.length);
  for (const [i, modulus] of moduli.entries()) body.bytes(`keys.${i}`, modulus, MODULUS_BYTES);
  const bytes = body.finish();
  return Buffer.concat([bytes, sign(labelled(LABELS.reportTokenKeys, bytes))]);
}

/** @throws MalformedError, BlindRsaError, ReportError where the signature is not the issuer's */
export function openSlotKeys(bytes: Uint8Array, masterKey: Uint8Array): SlotKeys {
  const reader = new ByteReader('slotKeys', bytes);
  reader.constant('version', VERSION);
  const firstSlot = reader.u32('firstSlot');
  const count = reader.u16('keys');
  if (count > SLOT_KEYS_MOST) throw reader.error('keys', `are ${count}, more than ${SLOT_KEYS_MOST}`);
  const moduli = Array.from({ length: count }, (_, i) => reader.bytes(`keys.${i}`, MODULUS_BYTES));
  const message = labelled(LABELS.reportTokenKeys, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(masterKey, message, signature))
    throw new ReportError('slotKeys.signature', "was not made by the issuer's master key", 'forged');
  if (new Set(moduli.map((modulus) => Buffer.from(modulus).toString('hex'))).size !== count)
    throw new ReportError('slotKeys.keys', 'hold one key twice', 'forged');
  return { firstSlot, keys: moduli.map((modulus, i) => importBlindRsaKey(modulus, `slotKeys.keys.${i}`)) };
}

/** The key of a slot; undefined where the list does not reach it. */
export const keyOfSlot = ({ firstSlot, keys }: SlotKeys, slot: number): BlindRsaKey | undefined =>
  keys[slot - firstSlot];

// ── tokens ──

export interface ReportToken {
  slot: number;
  /** One-time Ed25519 key, 32 B. */
  publicKey: Uint8Array;
  /** SHA-256 of the modulus, 32 B. */
  keyDigest: Uint8Array;
  /** 256 B. */
  signature: Uint8Array;
}

const digestOf = (key: BlindRsaKey): Uint8Array => createHash('sha256').update(key.modulus).digest();
const payload = (slot: number, publicKey: Uint8Array): Uint8Array =>
  new ByteWriter('token').u32('slot', slot).bytes('publicKey', publicKey, ED25519_PUBLIC_KEY_BYTES).finish();
const message = (slot: number, publicKey: Uint8Array): Uint8Array =>
  labelled(LABELS.reportToken, payload(slot, publicKey));

/** The gateway's first step, for one slot. @param publicKey of the one-time key, whose private half it keeps */
export function blindReportToken(key: BlindRsaKey, slot: number, publicKey: Uint8Array, random?: Random): Blinded {
  return blind(key, [message(slot, publicKey)], random)[0];
}

/** The gateway's second step. @throws BlindRsaError where the answer is none to this question */
export function finishReportToken(
  key: BlindRsaKey,
  slot: number,
  publicKey: Uint8Array,
  answer: Uint8Array,
  inverse: Uint8Array,
): Uint8Array {
  return encodeToken({
    slot,
    publicKey,
    keyDigest: digestOf(key),
    signature: finalize(key, message(slot, publicKey), answer, inverse),
  });
}

const encodeToken = (token: ReportToken): Uint8Array =>
  Buffer.concat([payload(token.slot, token.publicKey), token.keyDigest, token.signature]);

/** Layout only. @throws MalformedError */
export function decodeReportToken(bytes: Uint8Array, path = 'token'): ReportToken {
  const reader = new ByteReader(path, bytes);
  const token = {
    slot: reader.u32('slot'),
    publicKey: reader.bytes('publicKey', ED25519_PUBLIC_KEY_BYTES),
    keyDigest: reader.bytes('keyDigest', DIGEST_BYTES),
    signature: reader.bytes('signature', MODULUS_BYTES),
  };
  reader.end();
  return token;
}

/** 32 B; what is spent. Never the signature. */
export const reportTokenId = ({ slot, publicKey, keyDigest }: Omit<ReportToken, 'signature'>): Uint8Array =>
  createHash('sha256').update(keyDigest).update(payload(slot, publicKey)).digest();

/** The identity of the token to be, before it is signed or after. */
export const idOfSlotKey = (key: BlindRsaKey, slot: number, publicKey: Uint8Array): Uint8Array =>
  reportTokenId({ slot, publicKey, keyDigest: digestOf(key) });

/** Whether the key of its slot signed it. @throws ReportError */
export function verifyReportToken(token: ReportToken, slot: number, key: BlindRsaKey, path = 'token'): void {
  if (token.slot !== slot) throw new ReportError(`${path}.slot`, `is ${token.slot}, not ${slot}`, 'another slot');
  if (
    Buffer.compare(token.keyDigest, digestOf(key)) !== 0 ||
    !verifyBlindRsa(key, message(slot, token.publicKey), token.signature)
  )
    throw new ReportError(`${path}.signature`, "was not made by the issuer's key of that slot", 'forged');
}
