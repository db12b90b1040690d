/**
 * Ed25519 (RFC 8032), for keys that live offline and sign what everybody compares: the signature of a message is one, whoever makes
 * it and however often.
 *
 *   public key   32 B        signature   64 B
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';

export const ED25519_PUBLIC_KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;
/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410) up to the key itself. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** A key from outside that is not what it should be. `field` names which. */
export class Ed25519Error extends Error {
  override readonly name = 'Ed25519Error';
  readonly field: string;
  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`);
    this.field = field;
  }
}

export interface Ed25519Key {
  /** 32 B. */
  publicKey: Uint8Array;
  /** Stays inside OpenSSL. */
  privateKey: KeyObject;
}

export function generateEd25519Key(): Ed25519Key {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKeyOf(publicKey), privateKey };
}

/** 32 B, of a private key too. */
export function ed25519PublicKey(privateKey: KeyObject): Uint8Array {
  return publicKeyOf(createPublicKey(privateKey));
}

const publicKeyOf = (key: KeyObject): Uint8Array => Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url');

/** 64 B. */
export const signEd25519 = (privateKey: KeyObject, message: Uint8Array): Uint8Array => sign(null, message, privateKey);

/** A signature of another length is simply false. @throws Ed25519Error where the key is none */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ED25519_PUBLIC_KEY_BYTES)
    throw new Ed25519Error('publicKey', `is ${publicKey.length} bytes long, not ${ED25519_PUBLIC_KEY_BYTES}`);
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
