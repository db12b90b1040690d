/**
 * What the meter has sealed to a party (firmware/arithmetic/seal.ts): RSA-KEM with e = 3, then AES-256-CBC and HMAC-SHA256.
 *
 *   Meter ── sealed ──► Gateway (carries it) ── sealed ──► Party: openMeterSeal(key, header, sealed) → plaintext
 *
 *   z         random in 1 … n − 1
 *   key       HMAC-SHA256("quietmeter/v1/meter-seal", z ‖ 00000001)
 *   encapsulated = z³ mod n
 *   text      u16 length of the header ‖ header ‖ plaintext ‖ 80 ‖ 00 … to whole blocks of 16 B
 *   tag       first 16 B of HMAC-SHA256(key of "meter-seal mac", text ‖ 00000001)
 *   cipher    AES-256-CBC(key of "meter-seal encrypt", iv = tag, plaintext ‖ 80 ‖ 00 …)
 *
 *   sealed    encapsulated, as long as the modulus ‖ tag 16 ‖ cipher
 *
 * The key of a label is HMAC-SHA256(key, label ‖ 00000001). Code and iv in one is the composition of RFC 5297; the counter 00000001
 * is what Espruino's native PBKDF2 appends. A sealing key seals and nothing else: RSA with e = 3 is safe for a number that is random
 * in the whole range and for nothing less.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from './blind-rsa.ts';
import { LABELS } from './labels.ts';

const EXPONENT = 3;
const EXPONENT_BASE64URL = 'Aw';
const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
const MOST_HEADER_BYTES = 0xffff;
const PAD = 0x80;
const CIPHER = 'aes-256-cbc';
const COUNTER = Buffer.of(0, 0, 0, 1);
const RAW = constants.RSA_NO_PADDING;

/** What was sealed is not for this key and header, or was changed; which of it, nobody learns. */
export class MeterSealError extends Error {
  override readonly name = 'MeterSealError';
  readonly field: string;
  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
  }
}

export interface MeterSealKey {
  /** For the meter: big-endian, its highest bit set. */
  readonly modulus: Uint8Array;
  readonly privateKey: KeyObject;
}

export async function generateMeterSealKey(bits: 2048 | 3072 = 2048): Promise<MeterSealKey> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits, publicExponent: EXPONENT });
  return meterSealKey(privateKey);
}

/** @throws MeterSealError where it is no RSA key with exponent 3 */
export function meterSealKey(privateKey: KeyObject, field = 'privateKey'): MeterSealKey {
  const { kty, n, e } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'RSA' || e !== EXPONENT_BASE64URL) throw new MeterSealError(field, 'is no RSA key with exponent 3');
  return { modulus: Buffer.from(n!, 'base64url'), privateKey };
}

/** How many bytes a plaintext takes when it is sealed under a modulus of so many bytes. */
export const meterSealedBytes = (modulusBytes: number, plaintextBytes: number): number =>
  modulusBytes + TAG_BYTES + BLOCK_BYTES * (Math.floor(plaintextBytes / BLOCK_BYTES) + 1);

/**
 * @param header as it was sealed with
 * @throws MeterSealError where `sealed` is not what a meter sealed to this key under this header
 */
export function openMeterSeal(key: MeterSealKey, header: Uint8Array, sealed: Uint8Array, field = 'sealed'): Uint8Array {
  const { length } = key.modulus;
  const cipherBytes = sealed.length - length - TAG_BYTES;
  if (cipherBytes < BLOCK_BYTES || cipherBytes % BLOCK_BYTES !== 0)
    throw new MeterSealError(field, `is ${sealed.length} bytes long: not one encapsulated key, a tag and whole blocks`);
  const encapsulated = sealed.subarray(0, length);
  // a number and the same with n added would be two messages with one content
  if (Buffer.compare(encapsulated, key.modulus) >= 0) throw new MeterSealError(field, 'begins with no number below n');
  const tag = sealed.subarray(length, length + TAG_BYTES);

  const keys = keysOf(privateDecrypt({ key: key.privateKey, padding: RAW }, encapsulated));
  const decipher = createDecipheriv(CIPHER, keys.encrypt, tag).setAutoPadding(false);
  const padded = Buffer.concat([decipher.update(sealed.subarray(length + TAG_BYTES)), decipher.final()]);
  const end = padded.lastIndexOf(PAD);
  const isPadded = end >= padded.length - BLOCK_BYTES && padded.subarray(end + 1).every((byte) => byte === 0);
  if (!timingSafeEqual(tagOf(keys.mac, header, padded), tag) || !isPadded)
    throw new MeterSealError(field, 'was not sealed for this key and header');
  return padded.subarray(0, end);
}

/** What the meter does, in JavaScript: for tests, and for meters that are none. */
export function sealAsMeter(
  modulus: Uint8Array,
  header: Uint8Array,
  plaintext: Uint8Array,
  random: Random = randomBytes,
): Uint8Array {
  const { length } = modulus;
  const n = Buffer.from(modulus).toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'RSA', n, e: EXPONENT_BASE64URL }, format: 'jwk' });
  let z = random(length);
  while (Buffer.compare(z, modulus) >= 0 || z.every((byte) => byte === 0)) z = random(length);
  const keys = keysOf(z);
  const padded = Buffer.alloc(meterSealedBytes(0, plaintext.length) - TAG_BYTES);
  padded.set(plaintext);
  padded[plaintext.length] = PAD;
  const tag = tagOf(keys.mac, header, padded);
  const cipher = createCipheriv(CIPHER, keys.encrypt, tag).setAutoPadding(false);
  return Buffer.concat([
    publicEncrypt({ key: publicKey, padding: RAW }, z),
    tag,
    cipher.update(padded),
    cipher.final(),
  ]);
}

/** As Espruino's native PBKDF2 computes it. */
const countedHmac = (key: Uint8Array | string, ...message: (Uint8Array | string)[]): Buffer => {
  const hmac = createHmac('sha256', key);
  for (const part of message) hmac.update(part);
  return hmac.update(COUNTER).digest();
};

function keysOf(z: Uint8Array): { mac: Buffer; encrypt: Buffer } {
  const key = countedHmac(LABELS.meterSeal, z);
  return { mac: countedHmac(key, 'meter-seal mac'), encrypt: countedHmac(key, 'meter-seal encrypt') };
}

function tagOf(mac: Uint8Array, header: Uint8Array, padded: Uint8Array): Buffer {
  if (header.length > MOST_HEADER_BYTES) throw new MeterSealError('header', `is ${header.length} bytes long`);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(header.length);
  return countedHmac(mac, length, header, padded).subarray(0, TAG_BYTES);
}
