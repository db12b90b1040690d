/**
 * A household's name for one day: a P-256 key in its TPM, certified by the trusted third party (tpm-privacy-concept.txt, figure
 * 6.2, "pseudonym"). Whoever sees it learns the area and the day, which he knows anyway, and nothing of the household: no serial
 * number, no validity of its own, no field that two days of one household have in common.
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  day          big-endian; UTC days since 1970, floor(slot / 96): exactly one pseudonym is valid on each
 *        5    33  publicKey    in the TPM, compressed P-256
 *       38     1  n
 *       39     n  area         ASCII
 *     39+n    64  signature    by the third party's pseudonym-issuing key over
 *                              "quietmeter/v1/pseudonym-certificate" ‖ 00 ‖ bytes 0…38+n, ECDSA r ‖ s
 *
 * Trusted third party → gateway (a batch of days, readable by that TPM only) → collector, in every submission.
 */
import { LABELS, labelled } from '../crypto/labels.ts';
import { importPublicKey, P256Error, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;
const AREA_MOST_BYTES = 32;

/** Of a certificate whose area's name is as long as a name can be. */
export const PSEUDONYM_CERTIFICATE_MOST_BYTES = 39 + AREA_MOST_BYTES + SIGNATURE_BYTES;

/** The day on which a slot's pseudonym is valid. */
export const dayOfSlot = (slot: number): number => Math.floor(slot / SLOTS_PER_DAY);

export interface Pseudonym {
  /** UTC days since 1970. */
  day: number;
  /** In the TPM, compressed, 33 B. */
  publicKey: Uint8Array;
  area: string;
}
export interface PseudonymCertificate extends Pseudonym {
  /** r ‖ s, 64 B. */
  signature: Uint8Array;
}

/** `path` names the field: `pseudonymCertificate.day`. */
export class PseudonymError extends Error {
  override readonly name = 'PseudonymError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

function encodeBody({ day, publicKey, area }: Pseudonym, path: string): Uint8Array {
  return new ByteWriter(path)
    .u8('version', VERSION)
    .u32('day', day)
    .bytes('publicKey', publicKey, PUBLIC_KEY_BYTES)
    .text('area', area, AREA_PATTERN)
    .finish();
}

/** What the third party signs (with SHA-256). @throws MalformedError */
export const pseudonymToSign = (pseudonym: Pseudonym): Uint8Array =>
  labelled(LABELS.pseudonymCertificate, encodeBody(pseudonym, 'pseudonymCertificate'));

/**
 * The third party's step, when it knows that the key lives in the household's TPM.
 * @param sign gets the message, not its digest
 * @throws MalformedError, P256Error
 */
export async function issuePseudonymCertificate(
  pseudonym: Pseudonym,
  sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array> {
  importPublicKey(pseudonym.publicKey, 'pseudonymCertificate.publicKey');
  return encodePseudonymCertificate({ ...pseudonym, signature: await sign(pseudonymToSign(pseudonym)) });
}

/** @throws MalformedError */
export function encodePseudonymCertificate(certificate: PseudonymCertificate): Uint8Array {
  const path = 'pseudonymCertificate';
  const signature = new ByteWriter(path).bytes('signature', certificate.signature, SIGNATURE_BYTES).finish();
  return Buffer.concat([encodeBody(certificate, path), signature]);
}

/** Reads one where it stands inside a message, as `field`. @throws MalformedError */
export function readPseudonymCertificate(reader: ByteReader, field = ''): PseudonymCertificate {
  const path = (name: string): string => (field ? `${field}.${name}` : name);
  reader.constant(path('version'), VERSION);
  const day = reader.u32(path('day'));
  const publicKey = reader.bytes(path('publicKey'), PUBLIC_KEY_BYTES);
  const area = reader.text(path('area'), AREA_PATTERN);
  return { day, publicKey, area, signature: reader.bytes(path('signature'), SIGNATURE_BYTES) };
}

/** Layout only; whether to believe it is `verifyPseudonymCertificate`'s. @throws MalformedError */
export function decodePseudonymCertificate(bytes: Uint8Array, path = 'pseudonymCertificate'): PseudonymCertificate {
  const reader = new ByteReader(path, bytes);
  const certificate = readPseudonymCertificate(reader);
  reader.end();
  return certificate;
}

/**
 * Whether one of the issuers that are trusted made this certificate, for the day of `slot`.
 * @param issuers pseudonym-issuing keys, compressed P-256: the present one, and the one before for as long as it is believed
 * @throws PseudonymError with a sentence of its own for each reason
 */
export function verifyPseudonymCertificate(
  certificate: PseudonymCertificate,
  issuers: readonly Uint8Array[],
  slot: number,
  path = 'pseudonymCertificate',
): void {
  if (certificate.day !== dayOfSlot(slot))
    throw new PseudonymError(
      `${path}.day`,
      `is ${certificate.day}, but slot ${slot} belongs to day ${dayOfSlot(slot)}`,
    );
  try {
    importPublicKey(certificate.publicKey);
  } catch (error) {
    if (!(error instanceof P256Error)) throw error;
    throw new PseudonymError(`${path}.publicKey`, error.message.slice('publicKey: '.length));
  }
  const message = pseudonymToSign(certificate);
  if (!issuers.some((issuer) => verifyP256(issuer, message, certificate.signature)))
    throw new PseudonymError(`${path}.signature`, 'was not made by a trusted third party that is believed here');
}
