/**
 * Proof that an attestation key is in the TPM of an endorsement key: a secret that only that TPM gives out, and only where it also
 * holds the key of that name (TPM2_MakeCredential, done without a TPM; Part 1, 24 and B.10, C.6).
 *
 *   TrustedThirdParty                                               Gateway's TPM
 *   secret, seed
 *   idObject         = HMAC ‖ AES-CFB(secret), keys from seed and AK's name ──►   seed := decrypt with the EK
 *   encryptedSecret  = seed, for the EK                             ──►   ActivateCredential: is the AK of this name here?
 *                                                        secret  ◄──   yes
 *
 * An EK cannot sign; this is what it can do instead. Whether it is a TPM's at all says its certificate (ek-chain.ts).
 */
import {
  constants,
  createCipheriv,
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  type X509Certificate,
} from 'node:crypto';
import { OBJECT, sized, TPM_ALG, TPM_ECC_NIST_P256, TPM_ECC_NIST_P384, TpmReader, u16, u32 } from './tpm-wire.ts';

/** What TPM2_ActivateCredential takes. */
export interface Credential {
  /** TPM2B_ID_OBJECT. */
  idObject: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  encryptedSecret: Uint8Array;
}

/** An endorsement key as its TPM describes it. */
export interface EndorsementPublic {
  /** TPMA_OBJECT. */
  attributes: number;
  publicKey: KeyObject;
  /** Hash that its name and what is derived for it are made with. */
  hash: 'sha256' | 'sha384';
  /** AES key length of what it protects. */
  cipherBits: number;
  /** Null for RSA. */
  point: { curve: 'prime256v1' | 'secp384r1'; coordinateBytes: number; x: Buffer; y: Buffer } | null;
}

const HASHES: Readonly<Record<number, 'sha256' | 'sha384'>> = {
  [TPM_ALG.SHA256]: 'sha256',
  [TPM_ALG.SHA384]: 'sha384',
};
const DIGEST_BYTES = { sha256: 32, sha384: 48 } as const;
const CURVES = {
  [TPM_ECC_NIST_P256]: { curve: 'prime256v1', crv: 'P-256', coordinateBytes: 32 },
  [TPM_ECC_NIST_P384]: { curve: 'secp384r1', crv: 'P-384', coordinateBytes: 48 },
} as const;
const NEEDED = OBJECT.fixedTPM | OBJECT.fixedParent | OBJECT.sensitiveDataOrigin | OBJECT.restricted | OBJECT.decrypt;
const DEFAULT_EXPONENT = 65_537;

/** Reads a TPM2B_PUBLIC: RSA-2048 and longer, P-256, P-384. @throws TpmWireError, also where it is no key of this sort */
export function readEndorsementPublic(publicBlob: Uint8Array): EndorsementPublic {
  const outer = new TpmReader(publicBlob, 'ekPublic');
  const reader = new TpmReader(outer.sized('size'), 'ekPublic');
  outer.end();
  const type = reader.u16('type');
  const hash = HASHES[reader.u16('nameAlg')] ?? reader.fail('nameAlg', 'is neither SHA-256 nor SHA-384');
  const attributes = reader.u32('objectAttributes');
  if ((attributes & NEEDED) !== NEEDED || attributes & OBJECT.sign)
    reader.fail('objectAttributes', 'are not those of an endorsement key');
  reader.sized('authPolicy');
  reader.expect16(TPM_ALG.AES, 'symmetric');
  const cipherBits = reader.u16('symmetric.keyBits');
  if (cipherBits !== 128 && cipherBits !== 256) reader.fail('symmetric.keyBits', `is ${cipherBits}, not 128 or 256`);
  reader.expect16(TPM_ALG.CFB, 'symmetric.mode');
  reader.expect16(TPM_ALG.NULL, 'scheme');
  if (type === TPM_ALG.RSA) {
    const bits = reader.u16('keyBits');
    const exponent = reader.u32('exponent') || DEFAULT_EXPONENT;
    const n = reader.sized('unique');
    reader.end();
    if (n.length * 8 !== bits || bits < 2048 || n[0] < 0x80) reader.fail('unique', `is no modulus of ${bits} bits`);
    if (exponent !== DEFAULT_EXPONENT) reader.fail('exponent', `is ${exponent}, not ${DEFAULT_EXPONENT}`);
    const publicKey = fromJwk({ kty: 'RSA', n: n.toString('base64url'), e: 'AQAB' });
    return { attributes, publicKey, hash, cipherBits, point: null };
  }
  if (type !== TPM_ALG.ECC) reader.fail('type', 'is neither RSA nor ECC');
  const id = reader.u16('curveID') as keyof typeof CURVES;
  if (!(id in CURVES)) reader.fail('curveID', 'is neither P-256 nor P-384');
  const { curve, crv, coordinateBytes } = CURVES[id];
  reader.expect16(TPM_ALG.NULL, 'kdf');
  const coordinate = (field: string): Buffer => {
    const bytes = reader.sized(field);
    if (bytes.length > coordinateBytes) reader.fail(field, `is ${bytes.length} bytes long`);
    return Buffer.concat([Buffer.alloc(coordinateBytes - bytes.length), bytes]);
  };
  const x = coordinate('unique.x');
  const y = coordinate('unique.y');
  reader.end();
  const publicKey = pointKey(crv, x, y) ?? reader.fail('unique', 'is no point of the curve');
  return { attributes, publicKey, hash, cipherBits, point: { curve, coordinateBytes, x, y } };
}
function pointKey(crv: string, x: Buffer, y: Buffer): KeyObject | null {
  try {
    return fromJwk({ kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') });
  } catch {
    return null;
  }
}
const fromJwk = (key: Record<string, string>): KeyObject => createPublicKey({ key, format: 'jwk' });

/** Whether the certificate is of this very key. */
export const isCertified = ({ publicKey }: EndorsementPublic, certificate: X509Certificate): boolean =>
  certificate.publicKey.equals(publicKey);

/** Random bytes, in number as asked for. */
export type Random = (bytes: number) => Uint8Array;

/**
 * @param ekPublic TPM2B_PUBLIC of the endorsement key @param name the TPM's name of the attestation key
 * @param secret at most as long as the EK's hash: 32 B fit into all
 * @throws TpmWireError where `ekPublic` is no endorsement key
 */
export function makeCredential(
  ekPublic: Uint8Array,
  name: Uint8Array,
  secret: Uint8Array,
  random: Random = randomBytes,
): Credential {
  const ek = readEndorsementPublic(ekPublic);
  const digestBytes = DIGEST_BYTES[ek.hash];
  if (secret.length === 0 || secret.length > digestBytes)
    throw new RangeError(`a secret of ${secret.length} bytes does not fit into a credential of ${digestBytes}`);
  const { seed, encryptedSecret } = ek.point ? agreeSeed(ek, ek.point, random) : encryptSeed(ek, random(digestBytes));
  const storageKey = kdfa(ek.hash, seed, 'STORAGE', name, ek.cipherBits);
  const cipher = createCipheriv(`aes-${ek.cipherBits}-cfb`, storageKey, NO_IV);
  const encrypted = Buffer.concat([cipher.update(sized(secret)), cipher.final()]);
  const integrityKey = kdfa(ek.hash, seed, 'INTEGRITY', NOTHING, 8 * digestBytes);
  const integrity = createHmac(ek.hash, integrityKey).update(encrypted).update(name).digest();
  return { idObject: sized(sized(integrity), encrypted), encryptedSecret: sized(encryptedSecret) };
}
/** Each key encrypts once. */
const NO_IV = Buffer.alloc(16);
const NOTHING = Buffer.alloc(0);
/** What the seed is for; OAEP's label and KDFe's (Part 1, 24.4). */
const IDENTITY = 'IDENTITY';

/** RSA: the seed under OAEP (B.10.4). */
function encryptSeed({ publicKey, hash }: EndorsementPublic, seed: Uint8Array) {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const oaepLabel = Buffer.from(`${IDENTITY}\0`);
  return { seed, encryptedSecret: publicEncrypt({ key: publicKey, padding, oaepHash: hash, oaepLabel }, seed) };
}

/** ECC: the seed from Diffie-Hellman with a key that is used once (C.6.3). */
function agreeSeed(
  { hash }: EndorsementPublic,
  { curve, coordinateBytes, x, y }: NonNullable<EndorsementPublic['point']>,
  random: Random,
) {
  const own = createECDH(curve);
  for (;;) {
    try {
      own.setPrivateKey(random(coordinateBytes));
      break;
    } catch {} // zero, or not below the group's order: draw again
  }
  const ownPoint = own.getPublicKey();
  const ownX = ownPoint.subarray(1, 1 + coordinateBytes);
  const ownY = ownPoint.subarray(1 + coordinateBytes);
  const shared = own.computeSecret(Buffer.concat([Buffer.of(4), x, y]));
  const seed = kdfe(hash, shared, IDENTITY, ownX, x);
  return { seed, encryptedSecret: Buffer.concat([sized(ownX), sized(ownY)]) };
}

/** KDFa (Part 1, 11.4.10.2; SP 800-108, counter mode), without a second context. */
function kdfa(hash: string, key: Uint8Array, label: string, context: Uint8Array, bits: number): Buffer {
  const block = createHmac(hash, key).update(u32(1)).update(`${label}\0`).update(context).update(u32(bits)).digest();
  return block.subarray(0, bits / 8); // one block is enough: no key here is longer than the hash
}

/** KDFe (Part 1, 11.4.10.3; SP 800-56A), as many bits as the hash has. */
function kdfe(hash: string, shared: Uint8Array, label: string, partyU: Uint8Array, partyV: Uint8Array): Buffer {
  return createHash(hash).update(u32(1)).update(shared).update(`${label}\0`).update(partyU).update(partyV).digest();
}

/** What a TPM of SHA-256 calls the object with this public area: nameAlg ‖ digest. */
export const nameOf = (publicBlob: Uint8Array): Buffer =>
  Buffer.concat([u16(TPM_ALG.SHA256), createHash('sha256').update(publicBlob.subarray(2)).digest()]);
