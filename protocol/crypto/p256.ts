/**
 * ECDSA on NIST P-256 with SHA-256: the one curve that a TPM 2.0 is sure to sign with.
 *
 *   public key   33 B  compressed point (SEC 1, section 2.3.3: 02 or 03 ‖ x)
 *   signature    64 B  r ‖ s, big-endian (IEEE P1363)
 *
 * (r, n − s) verifies wherever (r, s) does, and a TPM gives either: a signature is no identifier of what it signs. Whoever
 * refuses replays must key on the signed bytes.
 *
 * node:crypto (OpenSSL) verifies about ten times as fast as portable code, which is what the collector does in bulk.
 */
import { createPublicKey, ECDH, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';

export const PUBLIC_KEY_BYTES = 33;
export const SIGNATURE_BYTES = 64;

/** A key or signature from outside that is not what it should be. `field` names which. */
export class P256Error extends Error {
  override readonly name = 'P256Error';
  readonly field: string;
  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`);
    this.field = field;
  }
}

export interface SigningKey {
  /** Compressed, 33 B. */
  publicKey: Uint8Array;
  /** Stays inside OpenSSL; never exported. */
  privateKey: KeyObject;
}

export function generateSigningKey(): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  return { publicKey: compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')), privateKey };
}

/** SEC 1 compressed form of an affine point; coordinates may come without their leading zeros, as a TPM gives them. */
export function compressPoint(x: Uint8Array, y: Uint8Array): Uint8Array {
  const point = new Uint8Array(PUBLIC_KEY_BYTES);
  point[0] = 2 + (y[y.length - 1] & 1);
  point.set(x, PUBLIC_KEY_BYTES - x.length);
  return point;
}

/** SubjectPublicKeyInfo of a P-256 key (RFC 5480) up to the compressed point. */
const SPKI_PREFIX = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');

/** Imported keys are kept: decompressing the point costs as much as half a verification. */
const imported = new Map<string, KeyObject>();
const IMPORTED_MOST = 4096;

/** Checks length, form and that the point is on the curve. @throws P256Error */
export function importPublicKey(publicKey: Uint8Array, field = 'publicKey'): KeyObject {
  const id = Buffer.from(publicKey).toString('latin1');
  const known = imported.get(id);
  if (known) return known;
  if (publicKey.length !== PUBLIC_KEY_BYTES)
    throw new P256Error(field, `is ${publicKey.length} bytes long, not ${PUBLIC_KEY_BYTES}`);
  if (publicKey[0] !== 2 && publicKey[0] !== 3) throw new P256Error(field, 'is not a compressed point');
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  } catch {
    throw new P256Error(field, 'is not a point on P-256');
  }
  if (imported.size >= IMPORTED_MOST) imported.delete(imported.keys().next().value!);
  imported.set(id, key);
  return key;
}

/** 65 B: 04 ‖ x ‖ y, for what cannot take the compressed form. @throws P256Error */
export function uncompressPublicKey(publicKey: Uint8Array, field = 'publicKey'): Uint8Array {
  importPublicKey(publicKey, field);
  return ECDH.convertKey(publicKey, 'prime256v1', undefined, undefined, 'uncompressed') as Buffer;
}

/** Signs SHA-256(message). 64 B. */
export function signP256(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  return sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
}

/**
 * Whether `signature` is one of SHA-256(message) by `publicKey`.
 * @throws P256Error where the key or the signature's length is wrong: that is malformed, not merely false.
 */
export function verifyP256(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  fields = { publicKey: 'publicKey', signature: 'signature' },
): boolean {
  const key = importPublicKey(publicKey, fields.publicKey);
  if (signature.length !== SIGNATURE_BYTES)
    throw new P256Error(fields.signature, `is ${signature.length} bytes long, not ${SIGNATURE_BYTES}`);
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
