/**
 * All public keys of a party in one signed list (protocols.md, section 0). Who signs blindly sees nothing of what he signs but which
 * key is asked for: so there is one key pair for each purpose, value and month, and what a key signs is worth what its entry says.
 *
 * Everybody must hold the same list: a customer who was given keys of his own would carry a mark that the party knows again (A16).
 * So a list has one form and one digest, which is published where everybody sees it; a newer list may add keys, revoke keys, and drop
 * what is past its deadline, and nothing else (`joinKeysets`). No two entries have one modulus: a signature for one purpose can
 * never be turned into one for another (A4). Exponents are fixed by the kind, never taken from the list.
 *
 *   keyset, big-endian                             entry
 *     1    version = 1                               1    kind         1 blind RSA, e = 65537 · 2 sealing RSA, e = 3 · 3 Ed25519
 *     1+n  party                                     1+n  purpose
 *     4    number: 1, 2, 3 …                         4    value        of what the key signs; 0: nothing
 *     2    n, number of entries                      4    month        since January 1970
 *     …    entries                                   8    opensMs      the party works with the private key from here …
 *     64   signature, Ed25519 by the master key,     8    closesMs     … to here
 *          over label ‖ 00 ‖ everything before       8    deadlineMs   what the key made can be presented until then
 *                                                    8    revokedMs    0: it is not
 *                                                    2+n  public key   modulus, or 32 B
 *
 *   keyId    SHA-256(label ‖ 00 ‖ party ‖ kind ‖ purpose ‖ value ‖ month ‖ public key), texts and key with their lengths
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { BlindRsaError, type BlindRsaKey, importBlindRsaKey } from './blind-rsa.ts';
import { ED25519_PUBLIC_KEY_BYTES, ED25519_SIGNATURE_BYTES, verifyEd25519 } from './ed25519.ts';
import { LABELS, labelled } from './labels.ts';

const VERSION = 1;
const NAME = /^[a-z][a-z0-9-]{0,39}$/;
const KINDS = { blind: 1, sealing: 2, signing: 3 } as const;
export type KeyKind = keyof typeof KINDS;
export const KEY_ID_BYTES = 32;
/** An answer of a service has 64 kB in base64url. */
export const KEYSET_MOST_BYTES = 48_000;
const U32 = 2 ** 32;

export interface KeyDescription {
  kind: KeyKind;
  /** `selling-credential`. */
  purpose: string;
  /** Of one thing that the key signs, in the purpose's own unit; 0 where it signs nothing of value. */
  value: number;
  /** protocol/time/months.ts. */
  month: number;
  /** Modulus, big-endian, or Ed25519's 32 B. */
  publicKey: Uint8Array;
}
export interface KeyTimes {
  opensMs: number;
  closesMs: number;
  deadlineMs: number;
}
export interface KeysetKey extends KeyDescription, KeyTimes {
  /** 32 B. */
  keyId: Uint8Array;
  /** 0: it is not. */
  revokedMs: number;
}
export interface Keyset {
  party: string;
  number: number;
  keys: readonly KeysetKey[];
}

/** `path` names the field: `keyset.keys[3].publicKey`. */
export class KeysetError extends Error {
  override readonly name = 'KeysetError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** 32 B. @throws MalformedError */
export function keyIdOf(party: string, key: KeyDescription): Uint8Array {
  const described = describe(new ByteWriter('key').text('party', party, NAME), key).finish();
  return createHash('sha256').update(labelled(LABELS.keyId, described)).digest();
}

const describe = (writer: ByteWriter, { kind, purpose, value, month, publicKey }: KeyDescription): ByteWriter =>
  writer
    .u8('kind', KINDS[kind])
    .text('purpose', purpose, NAME)
    .u32('value', value)
    .u32('month', month)
    .u16('publicKey', publicKey.length)
    .bytes('publicKey', publicKey, publicKey.length);

function encodeBody({ party, number, keys }: Keyset): Uint8Array {
  const head = new ByteWriter('keyset')
    .u8('version', VERSION)
    .text('party', party, NAME)
    .u32('number', number)
    .u16('keys', keys.length);
  const entries = keys.map((key, i) => {
    const writer = new ByteWriter(`keyset.keys[${i}]`)
      .u8('kind', KINDS[key.kind])
      .text('purpose', key.purpose, NAME)
      .u32('value', key.value)
      .u32('month', key.month);
    for (const field of ['opensMs', 'closesMs', 'deadlineMs', 'revokedMs'] as const)
      writer.u32(field, Math.floor(key[field] / U32)).u32(field, key[field] % U32);
    return writer
      .u16('publicKey', key.publicKey.length)
      .bytes('publicKey', key.publicKey, key.publicKey.length)
      .finish();
  });
  return Buffer.concat([head.finish(), ...entries]);
}

/** The party's step. @param sign Ed25519 by the master key over the message @throws MalformedError */
export function publishKeyset(keyset: Keyset, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const body = encodeBody(keyset);
  return Buffer.concat([body, sign(labelled(LABELS.keyset, body))]);
}

/** What everybody compares: SHA-256 of the list without its signature. */
export const keysetDigest = (keyset: Keyset): Uint8Array => createHash('sha256').update(encodeBody(keyset)).digest();

/**
 * @param party whose keys they have to be
 * @param masterKey Ed25519, 32 B, pinned by configuration
 * @throws MalformedError, KeysetError
 */
export function openKeyset(bytes: Uint8Array, party: string, masterKey: Uint8Array): Keyset {
  const reader = new ByteReader('keyset', bytes);
  reader.constant('version', VERSION);
  if (reader.text('party', NAME) !== party) throw reader.error('party', `is not ${party}`);
  const number = reader.u32('number');
  const count = reader.u16('keys');
  const keys: KeysetKey[] = [];
  for (let i = 0; i < count; i++) keys.push(readKey(reader, `keys[${i}]`, party));
  const message = labelled(LABELS.keyset, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(masterKey, message, signature))
    throw new KeysetError('keyset.signature', "was not made by the party's master key");
  checkApart(keys);
  return { party, number, keys };
}

function readKey(reader: ByteReader, path: string, party: string): KeysetKey {
  const kindByte = reader.u8(`${path}.kind`);
  const kind = (Object.keys(KINDS) as KeyKind[]).find((name) => KINDS[name] === kindByte);
  if (!kind) throw reader.error(`${path}.kind`, `is ${kindByte}`);
  const instant = (field: string): number => {
    const value = reader.u32(`${path}.${field}`) * U32 + reader.u32(`${path}.${field}`);
    if (!Number.isSafeInteger(value)) throw reader.error(`${path}.${field}`, 'is no instant');
    return value;
  };
  const head = {
    kind,
    purpose: reader.text(`${path}.purpose`, NAME),
    value: reader.u32(`${path}.value`),
    month: reader.u32(`${path}.month`),
  };
  const times = {
    opensMs: instant('opensMs'),
    closesMs: instant('closesMs'),
    deadlineMs: instant('deadlineMs'),
    revokedMs: instant('revokedMs'),
  };
  const publicKey = reader.bytes(`${path}.publicKey`, reader.u16(`${path}.publicKey`));
  if (times.opensMs > times.closesMs || times.closesMs > times.deadlineMs)
    throw reader.error(`${path}.closesMs`, 'is not between opening and deadline');
  checkPublicKey(kind, publicKey, `keyset.${path}.publicKey`);
  const described = { ...head, publicKey };
  return { ...described, ...times, keyId: keyIdOf(party, described) };
}

function checkPublicKey(kind: KeyKind, publicKey: Uint8Array, path: string): void {
  if (kind === 'signing') {
    if (publicKey.length !== ED25519_PUBLIC_KEY_BYTES)
      throw new KeysetError(path, `is ${publicKey.length} bytes long, not ${ED25519_PUBLIC_KEY_BYTES}`);
    return;
  }
  try {
    importBlindRsaKey(publicKey);
  } catch (error) {
    if (!(error instanceof BlindRsaError)) throw error;
    throw new KeysetError(path, error.message);
  }
}

/** One modulus, one key; one key in force for each purpose, value and month. */
function checkApart(keys: readonly KeysetKey[]): void {
  const moduli = new Set<string>();
  const inForce = new Set<string>();
  keys.forEach((key, i) => {
    const modulus = Buffer.from(key.publicKey).toString('hex');
    if (moduli.has(modulus)) throw new KeysetError(`keyset.keys[${i}].publicKey`, 'is that of another entry, too');
    moduli.add(modulus);
    if (key.revokedMs !== 0) return;
    const place = placeOf(key);
    if (inForce.has(place)) throw new KeysetError(`keyset.keys[${i}]`, `is a second key for ${place}`);
    inForce.add(place);
  });
}

const placeOf = ({ kind, purpose, value, month }: KeyDescription): string =>
  `${kind} ${purpose}, value ${value}, month ${month}`;

/**
 * A newer list beside the one that is known.
 * @returns the newer one
 * @throws KeysetError where they contradict each other: an alarm, for somebody is shown keys that others are not
 */
export function joinKeysets(known: Keyset | undefined, newer: Keyset): Keyset {
  if (!known) return newer;
  if (newer.party !== known.party) throw new KeysetError('keyset.party', `is not ${known.party}`);
  const same = Buffer.compare(keysetDigest(known), keysetDigest(newer)) === 0;
  if (newer.number === known.number && !same)
    throw new KeysetError('keyset.number', `is ${newer.number}, as that of another list`);
  if (newer.number < known.number) throw new KeysetError('keyset.number', `is ${newer.number}, after ${known.number}`);
  const knownKeys = new Map(known.keys.map((key) => [hex(key.keyId), key]));
  newer.keys.forEach((key, i) => {
    const before = knownKeys.get(hex(key.keyId));
    const path = `keyset.keys[${i}]`;
    if (!before) {
      const replaced = known.keys.find((one) => placeOf(one) === placeOf(key) && !isRevokedIn(newer, one));
      if (replaced) throw new KeysetError(path, `takes the place of a key for ${placeOf(key)} that is not revoked`);
      return;
    }
    for (const field of ['opensMs', 'closesMs', 'deadlineMs'] as const)
      if (key[field] !== before[field]) throw new KeysetError(`${path}.${field}`, 'is another than was published');
    if (before.revokedMs !== 0 && key.revokedMs !== before.revokedMs)
      throw new KeysetError(`${path}.revokedMs`, 'was changed after the key was revoked');
  });
  return newer;
}

const isRevokedIn = (keyset: Keyset, { keyId }: KeysetKey): boolean =>
  keyset.keys.some((one) => one.revokedMs !== 0 && Buffer.compare(one.keyId, keyId) === 0);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** By its id, revoked or not. */
export const keyById = (keyset: Keyset, keyId: Uint8Array): KeysetKey | undefined =>
  keyset.keys.find((key) => Buffer.compare(key.keyId, keyId) === 0);

/** The key in force for a purpose and month. @param value where there are several */
export const keyFor = (keyset: Keyset, purpose: string, month: number, value?: number): KeysetKey | undefined =>
  keyset.keys.find(
    (key) =>
      key.purpose === purpose &&
      key.month === month &&
      key.revokedMs === 0 &&
      (value === undefined || key.value === value),
  );

/** For blinding and verifying. @throws KeysetError where the key is of another kind */
export function blindKeyOf(key: KeysetKey): BlindRsaKey {
  if (key.kind !== 'blind') throw new KeysetError('key.kind', `is ${key.kind}, not blind`);
  return importBlindRsaKey(key.publicKey);
}
