/**
 * How a gateway gets its names (tpm-privacy-concept.txt, figure 6.2; protocols.md section 3).
 *
 *   Customer ── name, address, customer number, PIN ──► Gateway (its page; forgotten once sealed)
 *   Gateway  ── 1 request: EK certificate, keys' publics, personal data, PIN, sealed to the third party ──► TrustedThirdParty
 *   Gateway  ◄── 2 challenge: a secret that only this EK's TPM activates, and only for this AK; a nonce ── TrustedThirdParty
 *   Gateway  ── 3 answer: MAC under that secret; identifier, household and pseudonym keys, certified by the AK ──► TrustedThirdParty
 *   Gateway  ◄── 4 certificates, encrypted under a second such secret ── TrustedThirdParty
 *
 * The third party learns who the customer is and which pseudonyms are theirs; whoever carries the messages learns nothing: 1 and 3
 * are HPKE in constant size, 2 and 4 open in that TPM only. The PIN is judged in step 3, when the TPM has proved to be there:
 * nobody else can use up the tries of a gateway or of a customer.
 *
 * Each message is idempotent: the gateway keeps the exact bytes of 1 and 3 before it sends them and repeats those; the third
 * party keeps its answers. A transaction is named by the first 16 bytes of SHA-256(label ‖ sealed request).
 *
 * Later (a top-up of pseudonyms): one signed request with keys certified by the AK over the identifier's certificate, answered
 * like step 4.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import * as v from 'valibot';
import { HpkeError, openSealed, sealTo } from '../crypto/hpke.ts';
import { LABELS, type Label, labelBytes, labelled } from '../crypto/labels.ts';
import { mac, macMatches } from '../crypto/mac.ts';
import { bytes, encodeBody, fitting } from '../services/call.ts';
import { MalformedError } from '../wire/bytes.ts';
import { CUSTOMER_NUMBER_PATTERN, PIN_PATTERN } from './pin.ts';

/** How many days' pseudonyms are certified at once. */
export const BATCH_DAYS = 35;
export const TRANSACTION_BYTES = 16;
export const NONCE_BYTES = 32;
/** Secret inside a credential: a TPM holds no longer one than its name algorithm's digest. */
export const SECRET_BYTES = 32;

/** Plaintexts are filled up to these lengths, so that a name's length does not show. */
const REQUEST_PLAIN_BYTES = 8_192;
const ANSWER_PLAIN_BYTES = 40_960;

/** What people write: no control characters, nothing that is only spaces. */
const text = (most: number) =>
  v.pipe(
    v.string('is missing'),
    v.trim(),
    v.minLength(1, 'is empty'),
    v.maxLength(most, `is longer than ${most} characters`),
    v.regex(/^[^\p{C}]*$/u, 'holds characters that cannot be printed'),
  );
export const PERSONAL_DATA = v.strictObject({
  name: text(100),
  /** As on an envelope, in one line. */
  address: text(200),
  provider: text(60),
  customerNumber: v.pipe(v.string('is missing'), v.regex(CUSTOMER_NUMBER_PATTERN, 'is no customer number')),
  pin: v.pipe(v.string('is missing'), v.regex(PIN_PATTERN, 'is not eight digits')),
});
export type PersonalData = v.InferOutput<typeof PERSONAL_DATA>;

/** TPM2B_PUBLIC of a P-256 key. */
const keyPublic = bytes(60, 256);
const REQUEST = v.strictObject({
  /** DER, as it lies in the TPM. */
  ekCertificate: bytes(100, 3_000),
  /** TPM2B_PUBLIC. */
  ekPublic: bytes(60, 700),
  akPublic: keyPublic,
  ...PERSONAL_DATA.entries,
});
export type InitialisationRequest = v.InferOutput<typeof REQUEST>;

export const CERTIFIED = v.strictObject({
  /** TPM2B_PUBLIC. */
  public: keyPublic,
  /** TPMS_ATTEST of type certify. */
  attest: bytes(40, 512),
  /** By the AK, r ‖ s. */
  signature: bytes(64),
});
/** A key that the AK says to be in its TPM. */
export type CertifiedTpmKey = v.InferOutput<typeof CERTIFIED>;
const DAY = v.pipe(v.number(), v.integer('is no whole number'), v.minValue(0), v.maxValue(200_000));
const PSEUDONYM_KEYS = v.pipe(
  v.array(v.strictObject({ day: DAY, ...CERTIFIED.entries })),
  v.maxLength(2 * BATCH_DAYS, `are more than ${2 * BATCH_DAYS}`),
);
/** A pseudonym's key and the day that it is for, UTC days since 1970. */
export type PseudonymKey = v.InferOutput<typeof PSEUDONYM_KEYS>[number];

const KEYS = v.strictObject({ identifier: CERTIFIED, household: CERTIFIED, pseudonyms: PSEUDONYM_KEYS });
export type InitialisationKeys = v.InferOutput<typeof KEYS>;
const TOP_UP = v.strictObject({ pseudonyms: PSEUDONYM_KEYS });

/** What travels in clear (inside TLS), as schemas for bodies and answers. */
export const SEALED_REQUEST = v.strictObject({ sealed: bytes(100, REQUEST_PLAIN_BYTES + 64) });
/** What TPM2_ActivateCredential takes: TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
const CREDENTIAL = v.strictObject({ idObject: bytes(20, 256), encryptedSecret: bytes(20, 600) });
export type Credential = v.InferOutput<typeof CREDENTIAL>;
export const CHALLENGE = v.strictObject({
  transaction: bytes(TRANSACTION_BYTES),
  credential: CREDENTIAL,
  nonce: bytes(NONCE_BYTES),
});
export type Challenge = v.InferOutput<typeof CHALLENGE>;
export const SEALED_ANSWER = v.strictObject({
  transaction: bytes(TRANSACTION_BYTES),
  sealed: bytes(100, ANSWER_PLAIN_BYTES + 64),
});
export const SEALED_TOP_UP = v.strictObject({ sealed: bytes(100, ANSWER_PLAIN_BYTES + 64) });
export const SEALED_CERTIFICATES = v.strictObject({ credential: CREDENTIAL, sealed: bytes(28, 40_000) });
export type SealedCertificates = v.InferOutput<typeof SEALED_CERTIFICATES>;

const CERTIFICATES = v.strictObject({
  /** X.509, DER (certificates.ts). */
  identifier: bytes(100, 3_000),
  household: bytes(100, 3_000),
  attestation: bytes(100, 3_000),
  /** As the grid operator's register has it. */
  area: v.string(),
  /** pseudonym-certificate.ts, one for a day. */
  pseudonyms: v.array(bytes(1, 200)),
});
export type Certificates = v.InferOutput<typeof CERTIFICATES>;
const TOPPED_UP = v.strictObject({ pseudonyms: v.array(bytes(1, 200)) });

// 1

/** Personal data with the path of the first field that is wrong. @throws MalformedError `personal.pin: …` */
export const checkPersonalData = (value: unknown): PersonalData => checked('personal', PERSONAL_DATA, value);

export async function sealRequest(request: InitialisationRequest, thirdParty: Uint8Array): Promise<Uint8Array> {
  return sealJson(request, REQUEST_PLAIN_BYTES, LABELS.initialisationRequest, thirdParty, NOTHING);
}
/** @throws MalformedError that names the field */
export async function openRequest(sealed: Uint8Array, privateKey: Uint8Array): Promise<InitialisationRequest> {
  return openJson('request', REQUEST, sealed, LABELS.initialisationRequest, privateKey, NOTHING);
}
export const transactionOf = (sealedRequest: Uint8Array): Uint8Array =>
  createHash('sha256')
    .update(labelled(LABELS.initialisationRequest, sealedRequest))
    .digest()
    .subarray(0, TRANSACTION_BYTES);

// 3

/** What the AK certifies a key over (qualifying data of TPM2_Certify, 32 B); `day` for a pseudonym, null for the others. */
export function certifiedOver(nonce: Uint8Array, day: number | null): Uint8Array {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(day ?? 0xffff_ffff);
  return createHash('sha256')
    .update(labelled(LABELS.initialisationAnswer, number, nonce))
    .digest();
}
/** In a top-up the nonce is made of the identifier certificate's serial number: the request's own signature keeps it from replay. */
export const topUpNonce = (identifierSerial: string): Uint8Array =>
  createHash('sha256')
    .update(labelled(LABELS.initialisationAnswer, Buffer.from(identifierSerial, 'hex')))
    .digest();

/** @param secret that the TPM activated */
export async function sealAnswer(
  keys: InitialisationKeys,
  { transaction, secret }: { transaction: Uint8Array; secret: Uint8Array },
  thirdParty: Uint8Array,
): Promise<Uint8Array> {
  const json = Buffer.from(encodeBody(keys));
  const activated = mac(secret, LABELS.initialisationActivated, transaction, json);
  const answer = { activated, keys: json.toString('utf8') };
  return sealJson(answer, ANSWER_PLAIN_BYTES, LABELS.initialisationAnswer, thirdParty, transaction);
}
/** The keys as a text of their own, JSON within JSON: the MAC is over exactly these characters. */
const ANSWER = v.strictObject({ activated: bytes(32), keys: v.string() });

/** `activated` says whether the secret was activated: where not, nothing of the keys is to be believed. @throws MalformedError */
export async function openAnswer(
  sealed: Uint8Array,
  { transaction, secret }: { transaction: Uint8Array; secret: Uint8Array },
  privateKey: Uint8Array,
): Promise<{ activated: boolean; keys: InitialisationKeys }> {
  const label = LABELS.initialisationAnswer;
  const { activated, keys } = await openJson('answer', ANSWER, sealed, label, privateKey, transaction);
  let value: unknown;
  try {
    value = JSON.parse(keys);
  } catch {
    throw new MalformedError('answer.keys', 'is no JSON');
  }
  return {
    activated: macMatches(secret, activated, LABELS.initialisationActivated, transaction, Buffer.from(keys)),
    keys: checked('answer.keys', KEYS, value),
  };
}

export const sealTopUp = (pseudonyms: PseudonymKey[], thirdParty: Uint8Array): Promise<Uint8Array> =>
  sealJson({ pseudonyms }, ANSWER_PLAIN_BYTES, LABELS.initialisationAnswer, thirdParty, NOTHING);
/** @throws MalformedError */
export const openTopUp = async (sealed: Uint8Array, privateKey: Uint8Array): Promise<PseudonymKey[]> =>
  (await openJson('topUp', TOP_UP, sealed, LABELS.initialisationAnswer, privateKey, NOTHING)).pseudonyms;

// 4

/** AES-256-GCM under a key derived from the second secret, which is used once. */
export function encryptCertificates(
  value: Certificates | { pseudonyms: Uint8Array[] } | { identifier: Uint8Array },
  secret: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', certificatesKey(secret), ONCE);
  return Buffer.concat([cipher.update(encodeBody(value)), cipher.final(), cipher.getAuthTag()]);
}
/** @throws MalformedError */
export const decryptCertificates = (sealed: Uint8Array, secret: Uint8Array): Certificates =>
  checked('certificates', CERTIFICATES, decryptJson(sealed, secret));
/** @throws MalformedError */
export const decryptTopUp = (sealed: Uint8Array, secret: Uint8Array): Uint8Array[] =>
  checked('certificates', TOPPED_UP, decryptJson(sealed, secret)).pseudonyms;

const ONCE = Buffer.alloc(12);
const TAG_BYTES = 16;
const certificatesKey = (secret: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), labelBytes(LABELS.initialisationCertificates), 32));

export function decryptJson(sealed: Uint8Array, secret: Uint8Array): unknown {
  try {
    const decipher = createDecipheriv('aes-256-gcm', certificatesKey(secret), ONCE);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const plain = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
    return JSON.parse(plain.toString('utf8'));
  } catch {
    throw new MalformedError('certificates', 'do not open with the secret that the TPM activated');
  }
}

// JSON in constant size: length (4 B, big-endian) ‖ JSON ‖ zeros

const NOTHING = new Uint8Array();

/** JSON filled up to `length` bytes, sealed. */
export async function sealJson(
  value: object,
  length: number,
  label: Label,
  publicKey: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array> {
  const json = encodeBody(value);
  const plain = Buffer.alloc(length);
  if (json.length + 4 > length) throw new RangeError(`${label}: ${json.length} bytes do not fit into ${length}`);
  plain.writeUInt32BE(json.length);
  plain.set(json, 4);
  try {
    return await sealTo(publicKey, label, aad, plain);
  } finally {
    plain.fill(0);
  }
}

/** @throws MalformedError that names the field */
export async function openJson<S extends v.GenericSchema>(
  name: string,
  schema: S,
  sealed: Uint8Array,
  label: Label,
  privateKey: Uint8Array,
  aad: Uint8Array,
): Promise<v.InferOutput<S>> {
  let plain: Buffer;
  try {
    plain = Buffer.from(await openSealed(privateKey, label, aad, sealed));
  } catch (error) {
    if (error instanceof HpkeError) throw new MalformedError(name, 'was not sealed to this party, or altered');
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(plain.subarray(4, 4 + plain.readUInt32BE(0)).toString('utf8'));
  } catch {
    throw new MalformedError(name, 'holds no JSON');
  }
  return checked(name, schema, value);
}

export function checked<S extends v.GenericSchema>(name: string, schema: S, value: unknown): v.InferOutput<S> {
  const result = fitting(schema, value);
  if ('value' in result) return result.value;
  throw new MalformedError(result.path ? `${name}.${result.path}` : name, result.problem);
}
