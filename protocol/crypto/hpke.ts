/**
 * Encryption to a party whose public key is known: HPKE, base mode, single shot (RFC 9180, section 6.1).
 *
 *   KEM  DHKEM(X25519, HKDF-SHA256)  0x0020
 *   KDF  HKDF-SHA256                 0x0001
 *   AEAD AES-128-GCM                 0x0001
 *
 *   sealed   enc (32 B, the ephemeral public key) ‖ ciphertext (as long as the plaintext) ‖ tag (16 B)
 *
 * Base mode says nothing of who sealed: the sender's signature is made over the sealed bytes. Length is not hidden: the
 * caller pads. `info` binds the purpose (a label), `aad` what travels beside it in clear.
 */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { type Label, labelBytes } from './labels.ts';

export const HPKE_PUBLIC_KEY_BYTES = 32;
export const HPKE_PRIVATE_KEY_BYTES = 32;
const ENC_BYTES = 32;
const TAG_BYTES = 16;
/** By how much sealed bytes are longer than the plaintext. */
export const HPKE_OVERHEAD_BYTES = ENC_BYTES + TAG_BYTES;

/** What came from outside does not open, or a key has the wrong form. `field` names which. */
export class HpkeError extends Error {
  override readonly name = 'HpkeError';
  readonly field: string;
  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
  }
}

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });

export interface HpkeKeyPair {
  /** 32 B. */
  publicKey: Uint8Array;
  /** 32 B. Secret: kept in a file of mode 0600, never logged. */
  privateKey: Uint8Array;
}

export async function generateHpkeKeyPair(): Promise<HpkeKeyPair> {
  const pair = await suite.kem.generateKeyPair();
  return {
    publicKey: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)),
    privateKey: new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey)),
  };
}

/**
 * Seals to the holder of `recipientPublicKey` (32 B).
 * @param ephemeralSeed only for replaying published vectors; each seed may be used once ever
 * @throws HpkeError where the key is malformed
 */
export async function sealTo(
  recipientPublicKey: Uint8Array,
  info: Label | Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  ephemeralSeed?: Uint8Array,
): Promise<Uint8Array> {
  if (recipientPublicKey.length !== HPKE_PUBLIC_KEY_BYTES)
    throw new HpkeError(
      'recipientPublicKey',
      `is ${recipientPublicKey.length} bytes long, not ${HPKE_PUBLIC_KEY_BYTES}`,
    );
  const publicKey = await suite.kem.deserializePublicKey(recipientPublicKey);
  const { enc, ct } = await suite
    .seal({ recipientPublicKey: publicKey, info: infoBytes(info), ekm: ephemeralSeed }, plaintext, aad)
    // X25519 with a point of small order gives zeros, which WebCrypto refuses
    .catch(() => {
      throw new HpkeError('recipientPublicKey', 'is no X25519 key that can be sealed to');
    });
  return Buffer.concat([new Uint8Array(enc), new Uint8Array(ct)]);
}

/**
 * Opens what was sealed to the holder of `privateKey` (32 B).
 * @throws HpkeError where it was sealed to another key, under other `info` or `aad`, or was altered
 */
export async function openSealed(
  privateKey: Uint8Array,
  info: Label | Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  if (privateKey.length !== HPKE_PRIVATE_KEY_BYTES)
    throw new HpkeError('privateKey', `is ${privateKey.length} bytes long, not ${HPKE_PRIVATE_KEY_BYTES}`);
  if (sealed.length < HPKE_OVERHEAD_BYTES)
    throw new HpkeError('sealed', `is ${sealed.length} bytes long, less than ${HPKE_OVERHEAD_BYTES}`);
  const recipientKey = await suite.kem.deserializePrivateKey(privateKey);
  const enc = sealed.subarray(0, ENC_BYTES);
  const ciphertext = sealed.subarray(ENC_BYTES);
  try {
    return new Uint8Array(await suite.open({ recipientKey, enc, info: infoBytes(info) }, ciphertext, aad));
  } catch {
    throw new HpkeError('sealed', 'does not open: another key, another purpose, or altered');
  }
}

const infoBytes = (info: Label | Uint8Array): Uint8Array => (typeof info === 'string' ? labelBytes(info) : info);
