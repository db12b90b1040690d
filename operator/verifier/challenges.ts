/**
 * Challenges that need no memory until they are answered: whoever asks for thousands fills nothing.
 *
 *   offset  size
 *        0     6  issuedMs   big-endian, protocol time
 *        6    10  random
 *       16    16  tag        of HMAC(secret, label ‖ 00 ‖ bytes 0…15 ‖ device), the first half
 *
 * The tag says that it is ours and whose it is, the time when it ends. That it is answered once is the store's to see to, for
 * as long as it could be answered.
 */
import { timingSafeEqual } from 'node:crypto';
import { NONCE_BYTES } from '../../protocol/attestation/evidence.ts';
import { LABELS } from '../../protocol/crypto/labels.ts';
import { mac } from '../../protocol/crypto/mac.ts';

const RANDOM_AT = 6;
const TAG_AT = 16;
export const CHALLENGE_RANDOM_BYTES = TAG_AT - RANDOM_AT;

export type ChallengeState = 'fresh' | 'foreign' | 'expired';

export interface Challenge {
  nonce: Uint8Array;
  expiresMs: number;
}

export class Challenges {
  readonly #secret: Uint8Array;
  readonly #lifeMs: number;

  /** @param secret 32 B, kept by the verifier alone; @param lifeMs how long a challenge may be answered */
  constructor(secret: Uint8Array, lifeMs: number) {
    this.#secret = secret;
    this.#lifeMs = lifeMs;
  }

  /** @param random CHALLENGE_RANDOM_BYTES bytes that were never used before */
  issue(device: string, nowMs: number, random: Uint8Array): Challenge {
    const nonce = Buffer.alloc(NONCE_BYTES);
    nonce.writeUIntBE(nowMs, 0, RANDOM_AT);
    nonce.set(random.subarray(0, CHALLENGE_RANDOM_BYTES), RANDOM_AT);
    nonce.set(this.#tag(nonce, device), TAG_AT);
    return { nonce, expiresMs: nowMs + this.#lifeMs };
  }

  /** Whether `device` may answer it now. One of another device is as foreign as one that was never issued. */
  judge(device: string, nonce: Uint8Array, nowMs: number): { state: ChallengeState; expiresMs: number } {
    const bytes = Buffer.from(nonce);
    const expiresMs = bytes.readUIntBE(0, RANDOM_AT) + this.#lifeMs;
    if (!timingSafeEqual(this.#tag(bytes, device), bytes.subarray(TAG_AT))) return { state: 'foreign', expiresMs };
    return { state: nowMs < expiresMs ? 'fresh' : 'expired', expiresMs };
  }

  #tag(nonce: Buffer, device: string): Uint8Array {
    const parts = [nonce.subarray(0, TAG_AT), Buffer.from(device)];
    return mac(this.#secret, LABELS.attestationChallenge, ...parts).subarray(0, NONCE_BYTES - TAG_AT);
  }
}
