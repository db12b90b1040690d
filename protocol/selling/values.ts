import type { SellingNatives } from './natives.ts';
import { ascii, joined, word } from './natives.ts';

/**
 * Credentials and receipts: what is signed blindly, and how the meter makes it. (Espruino dialect: the firmware imports this file)
 *
 *   payload, 40 B, big-endian   id 32 · month u32 (since January 1970) · value u32 (credits)
 *   identity, 32 B              SHA-256(keyId ‖ payload): never the signature
 *   seed, 32 B                  drawn for each; id and blinding factor come from it, so that revealing the seed opens a candidate
 *
 * The id of a credential is the paper's CID, of a receipt RID (protocols.md, section 1). Month and value must be those of the key:
 * whoever signs sees nothing but which key is asked for. What is signed is RSABSSA-SHA384-PSSZERO-Deterministic over the payload.
 */
export const VALUE_ID_BYTES = 32;
export const SEED_BYTES = 32;
export const KEY_ID_BYTES = 32;
export const PAYLOAD_BYTES = 40;

/** Which of the two is made: nothing of one is used in the other. */
export const CREDENTIAL = 'credential';
export const RECEIPT = 'receipt';
export type ValueKind = typeof CREDENTIAL | typeof RECEIPT;

export function valuePayload(id: Uint8Array, month: number, value: number): Uint8Array {
  return joined([id, word(month), word(value)]);
}

export function valueIdentity(natives: SellingNatives, keyId: Uint8Array, payload: Uint8Array): Uint8Array {
  return natives.sha256(joined([keyId, payload]));
}

/** CID or RID. */
export function idOfSeed(natives: SellingNatives, kind: ValueKind, seed: Uint8Array, keyId: Uint8Array): Uint8Array {
  return natives.expand(seed, joined([ascii(`quietmeter/v1/${kind}-id`), keyId]), VALUE_ID_BYTES);
}

/**
 * The blinding factor: uniform in 2 … n − 1, big-endian, as long as the modulus. What is not below the modulus is thrown away and
 * drawn again, which takes two draws at most on average.
 */
export function factorOfSeed(
  natives: SellingNatives,
  kind: ValueKind,
  seed: Uint8Array,
  keyId: Uint8Array,
  modulus: Uint8Array,
): Uint8Array {
  for (let attempt = 0; ; attempt++) {
    const label = joined([ascii(`quietmeter/v1/${kind}-factor`), keyId, word(attempt)]);
    const factor = natives.expand(seed, label, modulus.length);
    if (isFactor(factor, modulus)) return factor;
  }
}

/** Whether 1 < bytes < modulus, both big-endian and of one length. */
export function isFactor(bytes: Uint8Array, modulus: Uint8Array): boolean {
  if (bytes.length !== modulus.length) return false;
  const last = bytes.length - 1;
  let at = 0;
  while (at < last && bytes[at] === 0) at++;
  if (at === last && bytes[last] < 2) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== modulus[i]) return bytes[i] < modulus[i];
  return false;
}
