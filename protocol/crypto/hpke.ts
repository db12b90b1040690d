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
 * caller pads. `info` binds the purpose (a label), `aad` what travels beside it in clear. Both sides can export a further secret
 * (section 5.3), under which an answer may be encrypted that nobody else can read or recognise.
 *
 * Made of node:crypto alone: a party opens some thousands a second.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
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

export interface HpkeKeyPair {
  /** 32 B. */
  publicKey: Uint8Array;
  /** 32 B. Secret: kept in a file of mode 0600, never logged. */
  privateKey: Uint8Array;
}

/** A private key made ready once for opening often. */
export interface HpkeOpener {
  readonly key: KeyObject;
  /** 32 B. */
  readonly publicKey: Uint8Array;
}

/** What both sides export besides: `bytes` of a secret for this purpose. */
export interface Exporting {
  context: Uint8Array;
  bytes: number;
}

export async function generateHpkeKeyPair(): Promise<HpkeKeyPair> {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const bytes = privateKey.export({ format: 'der', type: 'pkcs8' });
  return { publicKey: rawPublicKey(publicKey), privateKey: new Uint8Array(bytes.subarray(-HPKE_PRIVATE_KEY_BYTES)) };
}

/** @param privateKey 32 B @throws HpkeError */
export function hpkeOpener(privateKey: Uint8Array): HpkeOpener {
  if (privateKey.length !== HPKE_PRIVATE_KEY_BYTES)
    throw new HpkeError('privateKey', `is ${privateKey.length} bytes long, not ${HPKE_PRIVATE_KEY_BYTES}`);
  const key = importPrivateKey(privateKey);
  return { key, publicKey: rawPublicKey(createPublicKey(key)) };
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
  return sealExporting(recipientPublicKey, info, aad, plaintext, NOTHING, ephemeralSeed).sealed;
}

/** The same at once, and a secret that only the recipient can export, too. @throws HpkeError */
export function sealExporting(
  recipientPublicKey: Uint8Array,
  info: Label | Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  exporting: Exporting,
  ephemeralSeed?: Uint8Array,
): { sealed: Uint8Array; exported: Uint8Array } {
  if (recipientPublicKey.length !== HPKE_PUBLIC_KEY_BYTES)
    throw new HpkeError(
      'recipientPublicKey',
      `is ${recipientPublicKey.length} bytes long, not ${HPKE_PUBLIC_KEY_BYTES}`,
    );
  const recipient = importPublicKey(recipientPublicKey);
  const ephemeral = ephemeralSeed ? deriveEphemeral(ephemeralSeed) : generateKeyPairSync('x25519');
  const enc = rawPublicKey(ephemeral.publicKey);
  const dh = agree(ephemeral.privateKey, recipient, 'recipientPublicKey', 'is no X25519 key that can be sealed to');
  const { key, nonce, exporter } = schedule(dh, enc, recipientPublicKey, info);
  const cipher = createCipheriv('aes-128-gcm', key, nonce).setAAD(aad);
  const sealed = Buffer.concat([enc, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return { sealed, exported: exportFrom(exporter, exporting) };
}

/**
 * Opens what was sealed to the holder of `privateKey` (32 B, or made ready by `hpkeOpener`).
 * @throws HpkeError where it was sealed to another key, under other `info` or `aad`, or was altered
 */
export async function openSealed(
  privateKey: Uint8Array | HpkeOpener,
  info: Label | Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const opener = privateKey instanceof Uint8Array ? hpkeOpener(privateKey) : privateKey;
  return openExporting(opener, info, aad, sealed, NOTHING).plaintext;
}

/** The same at once, and the secret that the sender exported. @throws HpkeError */
export function openExporting(
  opener: HpkeOpener,
  info: Label | Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  exporting: Exporting,
): { plaintext: Uint8Array; exported: Uint8Array } {
  if (sealed.length < HPKE_OVERHEAD_BYTES)
    throw new HpkeError('sealed', `is ${sealed.length} bytes long, less than ${HPKE_OVERHEAD_BYTES}`);
  const enc = sealed.subarray(0, ENC_BYTES);
  const dh = agree(opener.key, importPublicKey(enc), 'sealed', DOES_NOT_OPEN);
  const { key, nonce, exporter } = schedule(dh, enc, opener.publicKey, info);
  const decipher = createDecipheriv('aes-128-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plaintext = decipher.update(sealed.subarray(ENC_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw new HpkeError('sealed', DOES_NOT_OPEN);
  }
  return { plaintext: new Uint8Array(plaintext), exported: exportFrom(exporter, exporting) };
}

const DOES_NOT_OPEN = 'does not open: another key, another purpose, or altered';
const NOTHING: Exporting = { context: new Uint8Array(), bytes: 0 };

// RFC 9180, section 4: the labelled key derivation, for the KEM and for the suite

const VERSION = Buffer.from('HPKE-v1');
const KEM = Buffer.from('KEM\x00\x20', 'latin1');
const SUITE = Buffer.from('HPKE\x00\x20\x00\x01\x00\x01', 'latin1');
const HASH_BYTES = 32;
const KEY_BYTES = 16;
const NONCE_BYTES = 12;
const NO_SALT = new Uint8Array(HASH_BYTES);
const EMPTY = new Uint8Array();

function extract(suite: Uint8Array, salt: Uint8Array, label: string, secret: Uint8Array): Uint8Array {
  return createHmac('sha256', salt).update(VERSION).update(suite).update(label).update(secret).digest();
}

function expand(suite: Uint8Array, secret: Uint8Array, label: string, info: Uint8Array, bytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let block: Uint8Array = EMPTY;
  for (let have = 0, counter = 1; have < bytes; have += HASH_BYTES, counter++) {
    const length = Uint8Array.of(bytes >> 8, bytes & 0xff);
    const hmac = createHmac('sha256', secret).update(block).update(length).update(VERSION).update(suite);
    block = hmac.update(label).update(info).update(Uint8Array.of(counter)).digest();
    parts.push(block);
  }
  return Buffer.concat(parts).subarray(0, bytes);
}

/** Sections 4.1 (ExtractAndExpand) and 5.1 (KeySchedule, base mode). */
function schedule(dh: Uint8Array, enc: Uint8Array, publicKey: Uint8Array, info: Label | Uint8Array) {
  const agreed = extract(KEM, NO_SALT, 'eae_prk', dh);
  const shared = expand(KEM, agreed, 'shared_secret', Buffer.concat([enc, publicKey]), HASH_BYTES);
  const infoHash = extract(SUITE, NO_SALT, 'info_hash', typeof info === 'string' ? labelBytes(info) : info);
  const context = Buffer.concat([BASE_MODE, NO_PSK_HASH, infoHash]);
  const secret = extract(SUITE, shared, 'secret', EMPTY);
  return {
    key: expand(SUITE, secret, 'key', context, KEY_BYTES),
    nonce: expand(SUITE, secret, 'base_nonce', context, NONCE_BYTES),
    exporter: () => expand(SUITE, secret, 'exp', context, HASH_BYTES),
  };
}
const BASE_MODE = Uint8Array.of(0);
const NO_PSK_HASH = extract(SUITE, NO_SALT, 'psk_id_hash', EMPTY);

const exportFrom = (exporter: () => Uint8Array, { context, bytes }: Exporting): Uint8Array =>
  bytes === 0 ? EMPTY : expand(SUITE, exporter(), 'sec', context, bytes);

// X25519 keys as OpenSSL takes them (RFC 8410): what stands before the key itself

const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

const importPublicKey = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
const importPrivateKey = (raw: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, raw]), format: 'der', type: 'pkcs8' });
const rawPublicKey = (key: KeyObject): Uint8Array =>
  new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-HPKE_PUBLIC_KEY_BYTES));

/** Section 7.1.3, DeriveKeyPair. */
function deriveEphemeral(seed: Uint8Array): { publicKey: KeyObject; privateKey: KeyObject } {
  const secret = extract(KEM, NO_SALT, 'dkp_prk', seed);
  const privateKey = importPrivateKey(expand(KEM, secret, 'sk', EMPTY, HPKE_PRIVATE_KEY_BYTES));
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** With a point of small order the shared secret is zero, which OpenSSL refuses. */
function agree(privateKey: KeyObject, publicKey: KeyObject, field: string, problem: string): Uint8Array {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    throw new HpkeError(field, problem);
  }
}
