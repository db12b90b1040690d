/**
 * Blind RSA signatures: RSABSSA-SHA384-PSSZERO-Deterministic of RFC 9474 (SHA-384, MGF1 with SHA-384, salt of length 0, messages
 * as they are). Who signs learns nothing of what he signs; what comes out is a plain RSA-PSS signature that anyone verifies.
 *
 *   Client                                         Signer
 *   message, 32 random bytes in it
 *   blind(message) → blinded, inverse ── blinded ─► blindSign(blinded)
 *   finalize(message, …, inverse)     ◄─ signature of the blinded ──
 *   signature: verifyBlindRsa(message, signature) holds; nobody can tell which `blinded` it came from
 *
 * "Deterministic" is the RFC's word for a message that is not prepared: it must itself hold entropy that the signer cannot guess,
 * or blindness would rest on the signer's key being honest. All of ours carry 32 random bytes.
 *
 * One key pair for each purpose, denomination and time: a blind signer sees nothing of what he signs but which key is asked for.
 * The public exponent is 65537 for every key, never derived from an attribute (protocols.md, A4); what is exponentiated is the
 * full-width PSS encoding, never a bare hash (A1, A8).
 */
import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';

const PUBLIC_EXPONENT = 65_537;
const EXPONENT_BASE64URL = 'AQAB';
const HASH = 'sha384';
const HASH_BYTES = 48;
const SALT_BYTES = 0;
/** RFC 8017, section 9.1.1: eight zero bytes before the hash of the message. */
const PSS_PREFIX = Buffer.alloc(8);
const PSS_TRAILER = 0xbc;
const RAW = constants.RSA_NO_PADDING;

/** Modulus lengths that are accepted, in bytes: 2048, 3072 and 4096 bits. */
const MODULUS_BYTES: readonly number[] = [256, 384, 512];

/** `field` names what is wrong; no secret is ever in the message. */
export class BlindRsaError extends Error {
  override readonly name = 'BlindRsaError';
  readonly field: string;
  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
  }
}

/** Random bytes, in number as asked for; injected where published vectors are replayed. */
export type Random = (bytes: number) => Uint8Array;

/** A public key, checked and ready for use. Its modulus is all there is to it. */
export interface BlindRsaKey {
  /** Big-endian, without leading zeros: 256 B for RSA-2048. */
  readonly modulus: Uint8Array;
  readonly n: bigint;
  readonly publicKey: KeyObject;
}

export interface BlindSigningKey {
  readonly modulus: Uint8Array;
  /** Stays inside OpenSSL. */
  readonly privateKey: KeyObject;
}

/** What a client keeps until the answer is there, and forgets then. */
export interface Blinded {
  /** For the signer; as long as the modulus. */
  blinded: Uint8Array;
  /** Secret: it ties the blinded message to the signature. As long as the modulus. */
  inverse: Uint8Array;
}

// Keys

/** Imported keys are kept: importing one costs as much as a verification. */
const imported = new Map<string, BlindRsaKey>();
const IMPORTED_MOST = 1024;

/** @throws BlindRsaError where this is no modulus of an accepted length */
export function importBlindRsaKey(modulus: Uint8Array, field = 'modulus'): BlindRsaKey {
  const id = Buffer.from(modulus).toString('latin1');
  const known = imported.get(id);
  if (known) return known;
  if (!MODULUS_BYTES.includes(modulus.length))
    throw new BlindRsaError(field, `is ${modulus.length} bytes long, not one of ${MODULUS_BYTES.join(', ')}`);
  if ((modulus[0] & 0x80) === 0) throw new BlindRsaError(field, 'is shorter than its length says');
  if ((modulus[modulus.length - 1] & 1) === 0) throw new BlindRsaError(field, 'is even');
  const copy = Buffer.from(modulus);
  const publicKey = createPublicKey({
    key: { kty: 'RSA', n: copy.toString('base64url'), e: EXPONENT_BASE64URL },
    format: 'jwk',
  });
  const key = { modulus: copy, n: toInteger(copy), publicKey };
  if (imported.size >= IMPORTED_MOST) imported.delete(imported.keys().next().value!);
  imported.set(id, key);
  return key;
}

export async function generateBlindSigningKey(bits: 2048 | 3072 | 4096 = 2048): Promise<BlindSigningKey> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: bits,
    publicExponent: PUBLIC_EXPONENT,
  });
  return blindSigningKey(privateKey);
}

/** @throws BlindRsaError where it is no RSA key with our exponent */
export function blindSigningKey(privateKey: KeyObject, field = 'privateKey'): BlindSigningKey {
  const { kty, n, e } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'RSA' || e !== EXPONENT_BASE64URL) throw new BlindRsaError(field, 'is no RSA key with exponent 65537');
  return { modulus: Buffer.from(n!, 'base64url'), privateKey };
}

// The client's steps

/**
 * Blinds messages for one key. Several cost one inversion together (Montgomery's trick), which is most of the work of one.
 * @throws BlindRsaError where a message cannot be blinded under this key; chance does not bring it about
 */
export function blind(key: BlindRsaKey, messages: readonly Uint8Array[], random: Random = randomBytes): Blinded[] {
  const { n } = key;
  const length = key.modulus.length;
  const encoded = messages.map((message) => toInteger(encodePss(message, length)));
  const factors = messages.map(() => randomUnit(n, length, random));
  // the encoded messages are multiplied in, too: the RFC wants to know that they are coprime to the modulus
  const inverses = invertAll([...factors, ...encoded], n);
  return messages.map((_, i) => {
    const power = publicEncrypt({ key: key.publicKey, padding: RAW }, toBytes(factors[i], length));
    return {
      blinded: toBytes((encoded[i] * toInteger(power)) % n, length),
      inverse: toBytes(inverses[i], length),
    };
  });
}

/**
 * The signature of the message, which holds.
 * @throws BlindRsaError where the signer's answer is none for this message under this key
 */
export function finalize(
  key: BlindRsaKey,
  message: Uint8Array,
  blindSignature: Uint8Array,
  inverse: Uint8Array,
): Uint8Array {
  const length = key.modulus.length;
  if (blindSignature.length !== length)
    throw new BlindRsaError('blindSignature', `is ${blindSignature.length} bytes long, not ${length}`);
  const signature = toBytes((toInteger(blindSignature) * toInteger(inverse)) % key.n, length);
  if (!verifyBlindRsa(key, message, signature))
    throw new BlindRsaError('blindSignature', 'is none of what was blinded, by this key');
  return signature;
}

/** Plain RSA-PSS with a salt of length 0. */
export function verifyBlindRsa(key: BlindRsaKey, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(
    HASH,
    message,
    { key: key.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: SALT_BYTES },
    signature,
  );
}

// The signer's step

/**
 * Signs what it cannot read. The result is checked before it leaves: one faulty signature would give the key away.
 * @throws BlindRsaError where `blinded` is no number below the modulus, of its length
 */
export function blindSign(key: BlindSigningKey, blinded: Uint8Array): Uint8Array {
  const { publicKey, modulus } = importBlindRsaKey(key.modulus);
  if (blinded.length !== modulus.length)
    throw new BlindRsaError('blinded', `is ${blinded.length} bytes long, not ${modulus.length}`);
  if (Buffer.compare(blinded, modulus) >= 0) throw new BlindRsaError('blinded', 'is no number below the modulus');
  const signature = privateDecrypt({ key: key.privateKey, padding: RAW }, blinded);
  if (Buffer.compare(publicEncrypt({ key: publicKey, padding: RAW }, signature), blinded) !== 0)
    throw new BlindRsaError('privateKey', 'gave a wrong signature, which was not handed out');
  return signature;
}

// Inside

/** EMSA-PSS-ENCODE of RFC 8017, section 9.1.1, for a modulus of whole bytes and a salt of length 0. */
function encodePss(message: Uint8Array, length: number): Uint8Array {
  const digest = createHash(HASH).update(message).digest();
  const hash = createHash(HASH).update(PSS_PREFIX).update(digest).digest();
  const block = Buffer.alloc(length - HASH_BYTES - 1);
  block[block.length - 1] = 1;
  const mask = mgf1(hash, block.length);
  for (let i = 0; i < block.length; i++) block[i] ^= mask[i];
  // one bit shorter than the modulus
  block[0] &= 0x7f;
  return Buffer.concat([block, hash, Buffer.of(PSS_TRAILER)]);
}

/** RFC 8017, appendix B.2.1. */
function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const blocks: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let i = 0; i * HASH_BYTES < length; i++) {
    counter.writeUInt32BE(i);
    blocks.push(createHash(HASH).update(seed).update(counter).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** Uniform in 1 … n − 1. */
function randomUnit(n: bigint, length: number, random: Random): bigint {
  for (;;) {
    const drawn = toInteger(random(length));
    if (drawn > 0n && drawn < n) return drawn;
  }
}

/** The inverses of all, for the price of one and three multiplications each. */
function invertAll(values: readonly bigint[], n: bigint): bigint[] {
  const before: bigint[] = [];
  let product = 1n;
  for (const value of values) {
    before.push(product);
    product = (product * value) % n;
  }
  let inverse = invert(product, n);
  const inverses: bigint[] = new Array(values.length);
  for (let i = values.length - 1; i >= 0; i--) {
    inverses[i] = (inverse * before[i]) % n;
    inverse = (inverse * values[i]) % n;
  }
  return inverses;
}

/** Euclid's extended algorithm. Its time depends on the value; it is a blinding factor that is used once, at home. */
function invert(value: bigint, n: bigint): bigint {
  let [r0, r1] = [n, value % n];
  let [s0, s1] = [0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [s0, s1] = [s1, s0 - quotient * s1];
  }
  if (r0 !== 1n) throw new BlindRsaError('message', 'cannot be blinded: it shares a factor with the modulus');
  return s0 < 0n ? s0 + n : s0;
}

const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

const toBytes = (value: bigint, length: number): Uint8Array =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
