/**
 * What a seed becomes under a key: the blinded candidate, computed as the meter computes it (values.ts). The control centre opens
 * candidates with it, in cut-and-choose and in reconciliation; tests play the meter. (For gateway and control centre: needs BigInt.)
 */
import { type Blinded, BlindRsaError, type BlindRsaKey, blind } from '../crypto/blind-rsa.ts';
import { nodeNatives } from './node-natives.ts';
import { factorOfSeed, idOfSeed, type ValueKind, valueIdentity, valuePayload } from './values.ts';

export interface ValueKey {
  keyId: Uint8Array;
  month: number;
  /** V. */
  value: number;
  key: BlindRsaKey;
}
export interface Candidate extends Blinded {
  /** CID or RID. */
  id: Uint8Array;
  /** What is signed. */
  payload: Uint8Array;
  /** SHA-256(keyId ‖ payload). */
  identity: Uint8Array;
}

/** @throws BlindRsaError where the payload shares a factor with the modulus; chance does not bring it about */
export function candidateOf(kind: ValueKind, { keyId, month, value, key }: ValueKey, seed: Uint8Array): Candidate {
  const id = idOfSeed(nodeNatives, kind, seed, keyId);
  const payload = valuePayload(id, month, value);
  const factor = factorOfSeed(nodeNatives, kind, seed, keyId, key.modulus);
  const [blinded] = blind(key, [payload], () => factor);
  return { ...blinded, id, payload, identity: valueIdentity(nodeNatives, keyId, payload) };
}

/** Whether `blinded` is what this seed becomes; then the candidate, else null. */
export function openedBy(kind: ValueKind, key: ValueKey, seed: Uint8Array, blinded: Uint8Array): Candidate | null {
  try {
    const candidate = candidateOf(kind, key, seed);
    return Buffer.compare(candidate.blinded, blinded) === 0 ? candidate : null;
  } catch (error) {
    if (error instanceof BlindRsaError) return null;
    throw error;
  }
}
