/**
 * The certificate of a short-lived reading key.
 *
 * Gateway → collector. A real TPM takes 200 to 600 ms for a signature, so it does not sign readings: its pseudonym key
 * certifies a software key for the quarter hours of one day, and that one signs. The certificate travels with every
 * submission, so that the collector needs no state to judge one; to the provider nothing of it goes on. It says nothing
 * but the pseudonym, which the collector knows anyway, and its slots lie on a grid that is the same for every household
 * (whole days of UTC), or their borders would be a mark to know a household by.
 *
 *   offset  size
 *        0     1  version = 1
 *        1    33  pseudonym    public key in the TPM, compressed P-256
 *       34    33  publicKey    the short-lived software key, compressed P-256
 *       67     4  firstSlot    big-endian; first quarter hour that the key may sign for
 *       71     4  lastSlot     the last one, included
 *       75    64  signature    by the pseudonym key over "quietmeter/v1/reading-key" ‖ 00 ‖ bytes 0…74, ECDSA r ‖ s
 */
import { LABELS, labelled } from '../crypto/labels.ts';
import { importPublicKey, P256Error, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';

const VERSION = 1;
const PSEUDONYM_AT = 1;
const PUBLIC_KEY_AT = PSEUDONYM_AT + PUBLIC_KEY_BYTES;
const FIRST_SLOT_AT = PUBLIC_KEY_AT + PUBLIC_KEY_BYTES;
const LAST_SLOT_AT = FIRST_SLOT_AT + 4;
const SIGNATURE_AT = LAST_SLOT_AT + 4;
export const CERTIFICATE_BYTES = SIGNATURE_AT + SIGNATURE_BYTES;

/** Longest validity that is accepted, in slots: a key of a week is no short-lived key. */
export const CERTIFICATE_MOST_SLOTS = 7 * 96;

export interface CertifiedKey {
  /** The TPM's public key, compressed, 33 B. */
  pseudonym: Uint8Array;
  /** The software key, compressed, 33 B. */
  publicKey: Uint8Array;
  firstSlot: number;
  /** Included. */
  lastSlot: number;
}
export interface ReadingKeyCertificate extends CertifiedKey {
  /** r ‖ s, 64 B. */
  signature: Uint8Array;
}

/** `path` names the field: `certificate.lastSlot`. The message is a sentence without secrets. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

function encodeBody(key: CertifiedKey): Buffer {
  const body = Buffer.alloc(SIGNATURE_AT);
  body[0] = VERSION;
  body.set(key.pseudonym, PSEUDONYM_AT);
  body.set(key.publicKey, PUBLIC_KEY_AT);
  body.writeUInt32BE(key.firstSlot, FIRST_SLOT_AT);
  body.writeUInt32BE(key.lastSlot, LAST_SLOT_AT);
  return body;
}

/** What the pseudonym key signs (with SHA-256). */
export const certificateToSign = (key: CertifiedKey): Uint8Array => labelled(LABELS.readingKey, encodeBody(key));

/** Checks the fields, has the pseudonym key sign them and encodes. `sign` gets the message, not its digest. */
export async function issueCertificate(
  key: CertifiedKey,
  sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array> {
  checkFields(key, 'certificate');
  return encodeCertificate({ ...key, signature: await sign(certificateToSign(key)) });
}

export function encodeCertificate(certificate: ReadingKeyCertificate): Uint8Array {
  return Buffer.concat([encodeBody(certificate), certificate.signature], CERTIFICATE_BYTES);
}

/** Layout only; whether to believe it is `verifyCertificate`'s. @throws CertificateError */
export function decodeCertificate(bytes: Uint8Array, path = 'certificate'): ReadingKeyCertificate {
  if (bytes.length !== CERTIFICATE_BYTES)
    throw new CertificateError(path, `is ${bytes.length} bytes long, not ${CERTIFICATE_BYTES}`);
  const view = Buffer.from(bytes); // a copy: what was decoded does not change when the caller's buffer is used again
  if (view[0] !== VERSION) throw new CertificateError(`${path}.version`, `is ${view[0]}, not ${VERSION}`);
  const certificate = {
    pseudonym: view.subarray(PSEUDONYM_AT, PUBLIC_KEY_AT),
    publicKey: view.subarray(PUBLIC_KEY_AT, FIRST_SLOT_AT),
    firstSlot: view.readUInt32BE(FIRST_SLOT_AT),
    lastSlot: view.readUInt32BE(LAST_SLOT_AT),
    signature: view.subarray(SIGNATURE_AT),
  };
  checkFields(certificate, path);
  return certificate;
}

function checkFields(key: CertifiedKey, path: string): void {
  for (const field of ['pseudonym', 'publicKey'] as const) {
    try {
      importPublicKey(key[field]);
    } catch (error) {
      if (!(error instanceof P256Error)) throw error;
      throw new CertificateError(`${path}.${field}`, error.message.slice('publicKey: '.length));
    }
  }
  if (key.lastSlot < key.firstSlot)
    throw new CertificateError(`${path}.lastSlot`, `(${key.lastSlot}) lies before firstSlot (${key.firstSlot})`);
  if (key.lastSlot - key.firstSlot >= CERTIFICATE_MOST_SLOTS)
    throw new CertificateError(`${path}.lastSlot`, `makes the key valid for more than ${CERTIFICATE_MOST_SLOTS} slots`);
}

/**
 * Whether the pseudonym key that is trusted made this certificate, and the software key may sign for `slot`.
 * @param pseudonymPublicKey the trusted one, compressed, 33 B
 * @throws CertificateError with a sentence of its own for each reason
 */
export function verifyCertificate(
  certificate: ReadingKeyCertificate,
  pseudonymPublicKey: Uint8Array,
  slot: number,
  path = 'certificate',
): void {
  if (Buffer.compare(certificate.pseudonym, pseudonymPublicKey) !== 0)
    throw new CertificateError(`${path}.pseudonym`, 'is not the pseudonym that is expected here');
  if (slot < certificate.firstSlot)
    throw new CertificateError(path, `is not valid yet: slot ${slot} lies before ${certificate.firstSlot}`);
  if (slot > certificate.lastSlot)
    throw new CertificateError(path, `has expired: slot ${slot} lies after ${certificate.lastSlot}`);
  if (!verifyP256(pseudonymPublicKey, certificateToSign(certificate), certificate.signature))
    throw new CertificateError(`${path}.signature`, 'was not made by the pseudonym key over this certificate');
}

/** The pseudonym that a certificate of the right length claims, before anything of it was checked: to look it up first. */
export const pseudonymIn = (bytes: Uint8Array): Uint8Array => bytes.subarray(PSEUDONYM_AT, PUBLIC_KEY_AT);
