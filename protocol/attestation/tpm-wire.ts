/**
 * How TPM 2.0 structures look on the wire: big-endian, TPM2B_… with a size of two bytes in front. The gateway builds and
 * reads them for its TPM, and who verifies reads them without one, so this file knows no TPM and no library.
 * Names and numbers: TCG "Trusted Platform Module Library", Part 2: Structures.
 */
import { createHash } from 'node:crypto';

/** TPM_ALG_ID (Part 2, 6.3). */
export const TPM_ALG = {
  RSA: 0x0001,
  AES: 0x0006,
  KEYEDHASH: 0x0008,
  SHA256: 0x000b,
  SHA384: 0x000c,
  /** "None": no symmetric algorithm, no scheme, the key's own scheme. */
  NULL: 0x0010,
  ECDSA: 0x0018,
  ECC: 0x0023,
  CFB: 0x0043,
} as const;

/** TPM_ECC_CURVE (6.4): NIST P-256 and P-384. */
export const TPM_ECC_NIST_P256 = 0x0003;
export const TPM_ECC_NIST_P384 = 0x0004;

/** TPM_ST (6.9): what a structure says it is. */
export const TPM_ST = {
  ATTEST_NV: 0x8014,
  ATTEST_CERTIFY: 0x8017,
  ATTEST_QUOTE: 0x8018,
  HASHCHECK: 0x8024,
} as const;

/** TPM_GENERATED_VALUE (6.2): "\xffTCG" begins everything that a TPM says of itself, and nothing else that it signs. */
export const TPM_GENERATED = 0xff544347;

/** TPM_RH_NULL (7.4). */
export const TPM_RH_NULL = 0x40000007;

/** TPMA_OBJECT (8.3): what a key is and may do. */
export const OBJECT = {
  /** Can never leave this TPM, nor can its parent. */
  fixedTPM: 0x2,
  fixedParent: 0x10,
  /** The TPM made the secret itself. */
  sensitiveDataOrigin: 0x20,
  /** Used with its password (ours is empty) rather than with a policy only. */
  userWithAuth: 0x40,
  /** Its administration needs its policy, not a password. */
  adminWithPolicy: 0x80,
  /** Wrong guesses do not count: an unclean stop cannot lock the TPM. */
  noDA: 0x400,
  /** Signs only what the TPM made itself, or decrypts only for the TPM. */
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
} as const;

export const u8 = (value: number): Buffer => Buffer.of(value);
export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
/** TPM2B: the size in two bytes, then the bytes. */
export const sized = (...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([u16(body.length), body]);
};
/** A TPM2B without content. */
export const EMPTY = sized();

/** PCRs of a bank, as a selection of three bytes names them. */
export const PCR_COUNT = 24;
/** TPML_PCR_SELECTION: these PCRs of the SHA-256 bank; an empty list where there are none. */
export function pcrSelection(pcrs: readonly number[]): Buffer {
  if (pcrs.length === 0) return u32(0);
  const bits = Buffer.alloc(PCR_COUNT / 8);
  for (const pcr of pcrs) {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT) throw new RangeError(`there is no PCR ${pcr}`);
    bits[pcr >> 3] |= 1 << (pcr & 7);
  }
  return Buffer.concat([u32(1), u16(TPM_ALG.SHA256), u8(bits.length), bits]);
}

/** What was read is no such structure. `path` names the field that it broke at. */
export class TpmWireError extends Error {
  override readonly name = 'TpmWireError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** Reads a structure from its beginning. Each step takes the field's name, for the error's path. */
export class TpmReader {
  readonly #bytes: Buffer;
  readonly #structure: string;
  #at = 0;
  constructor(bytes: Uint8Array, structure: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#structure = structure;
  }
  take(length: number, field: string): Buffer {
    if (this.#at + length > this.#bytes.length) this.fail(field, 'is cut short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  u8 = (field: string): number => this.take(1, field).readUInt8();
  u16 = (field: string): number => this.take(2, field).readUInt16BE();
  u32 = (field: string): number => this.take(4, field).readUInt32BE();
  u64 = (field: string): bigint => this.take(8, field).readBigUInt64BE();
  /** A TPM2B's content. */
  sized = (field: string): Buffer => this.take(this.u16(field), field);
  /** A number that must be this one. */
  expect16(expected: number, field: string): void {
    const found = this.u16(field);
    if (found !== expected) this.fail(field, `is 0x${found.toString(16)}, not 0x${expected.toString(16)}`);
  }
  end(): void {
    if (this.#at !== this.#bytes.length) this.fail('end', `has ${this.#bytes.length - this.#at} bytes behind it`);
  }
  fail(field: string, problem: string): never {
    throw new TpmWireError(`${this.#structure}.${field}`, problem);
  }
}

/** The public area of a P-256 key that signs with ECDSA and SHA-256. */
export interface TpmSigningPublic {
  /** TPMA_OBJECT. */
  attributes: number;
  /** Affine coordinates, 32 B or less: a TPM may leave leading zeros out. */
  x: Buffer;
  y: Buffer;
  /** What the TPM knows the key by: nameAlg ‖ SHA-256(public area). Depends on every attribute. */
  name: Buffer;
}

/** Reads a TPM2B_PUBLIC. @throws TpmWireError, also for keys of another kind */
export function readSigningPublic(publicBlob: Uint8Array): TpmSigningPublic {
  const outer = new TpmReader(publicBlob, 'public');
  const area = outer.sized('size');
  outer.end();
  const reader = new TpmReader(area, 'public');
  reader.expect16(TPM_ALG.ECC, 'type');
  reader.expect16(TPM_ALG.SHA256, 'nameAlg');
  const attributes = reader.u32('objectAttributes');
  reader.sized('authPolicy');
  reader.expect16(TPM_ALG.NULL, 'symmetric');
  reader.expect16(TPM_ALG.ECDSA, 'scheme');
  reader.expect16(TPM_ALG.SHA256, 'scheme.hashAlg');
  reader.expect16(TPM_ECC_NIST_P256, 'curveID');
  reader.expect16(TPM_ALG.NULL, 'kdf');
  const x = reader.sized('unique.x');
  const y = reader.sized('unique.y');
  reader.end();
  if (x.length > 32 || x.length === 0) reader.fail('unique.x', `is ${x.length} bytes long`);
  if (y.length > 32 || y.length === 0) reader.fail('unique.y', `is ${y.length} bytes long`);
  const name = Buffer.concat([u16(TPM_ALG.SHA256), createHash('sha256').update(area).digest()]);
  return { attributes, x, y, name };
}

/** Reads a TPMT_SIGNATURE of ECDSA with SHA-256 as r ‖ s, 64 B. @throws TpmWireError */
export function readEcdsaSignature(signature: Uint8Array): Uint8Array {
  const reader = new TpmReader(signature, 'signature');
  reader.expect16(TPM_ALG.ECDSA, 'sigAlg');
  reader.expect16(TPM_ALG.SHA256, 'hash');
  const raw = Buffer.alloc(64);
  for (const [field, end] of [
    ['r', 32],
    ['s', 64],
  ] as const) {
    const number = reader.sized(field);
    if (number.length > 32) reader.fail(field, `is ${number.length} bytes long`);
    raw.set(number, end - number.length);
  }
  reader.end();
  return raw;
}
