/**
 * A submission of a household that has no certificate of the trusted third party: its pseudonym is registered with the collector
 * (operator/collector/registration.ts). It goes away with that file; submission.ts is what is meant to be.
 *
 * The collector learns the pseudonym of the day and that it reported this slot, checks both signatures, strips everything but
 * `sealed` and passes that on. The broker between them sees what the collector sees.
 *
 *   offset   size
 *        0      1  version = 1
 *        1      4  slot          big-endian
 *        5      1  n, length of the area's name
 *        6      n  area          ASCII
 *      6+n    139  certificate   of the software key that signs (certificate.ts). The TPM's certification travels here, whole,
 *                                in every submission: the collector keeps no state to judge one by. The pseudonym, which is
 *                                the TPM key, stands in it and nowhere else
 *    145+n     64  sealed        the reading under HPKE to the provider (reading.ts)
 *    209+n     64  signature     by the software key over "quietmeter/v1/submission" ‖ 00 ‖ bytes 0…208+n, ECDSA r ‖ s
 *
 * A gateway keeps the exact bytes before it sends them and repeats those bytes until they are acknowledged: signatures and
 * HPKE are random, so a reading encoded twice would be two different claims for one slot.
 */
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { AREA_PATTERN } from './area.ts';
import { CERTIFICATE_BYTES, decodeCertificate, pseudonymIn, verifyCertificate } from './certificate.ts';
import { SEALED_READING_BYTES } from './reading.ts';
import { SubmissionForgedError } from './submission.ts';

const VERSION = 1;

export const isV1 = (bytes: Uint8Array): boolean => bytes[0] === VERSION;

export interface UnsignedSubmissionV1 {
  slot: number;
  area: string;
  /** 139 B, certificate.ts. */
  certificate: Uint8Array;
  /** 64 B, reading.ts. */
  sealed: Uint8Array;
}
export interface SubmissionV1 extends UnsignedSubmissionV1 {
  /** r ‖ s, 64 B. */
  signature: Uint8Array;
}

/** The gateway's step: encodes and signs. @param sign gets the message, not its digest. @throws MalformedError */
export async function signSubmissionV1(
  submission: UnsignedSubmissionV1,
  sign: (message: Uint8Array) => Promise<Uint8Array> | Uint8Array,
): Promise<Uint8Array> {
  const body = encodeBody(submission);
  const signature = await sign(labelled(LABELS.submission, body));
  return Buffer.concat([body, new ByteWriter('submission').bytes('signature', signature, SIGNATURE_BYTES).finish()]);
}

function encodeBody(submission: UnsignedSubmissionV1): Uint8Array {
  return new ByteWriter('submission')
    .u8('version', VERSION)
    .u32('slot', submission.slot)
    .text('area', submission.area, AREA_PATTERN)
    .bytes('certificate', submission.certificate, CERTIFICATE_BYTES)
    .bytes('sealed', submission.sealed, SEALED_READING_BYTES)
    .finish();
}

/** Layout only; whether to believe it is `verifySubmissionV1`'s. @throws MalformedError */
export function decodeSubmissionV1(bytes: Uint8Array): SubmissionV1 {
  const reader = new ByteReader('submission', bytes);
  reader.constant('version', VERSION);
  const submission = {
    slot: reader.u32('slot'),
    area: reader.text('area', AREA_PATTERN),
    certificate: reader.bytes('certificate', CERTIFICATE_BYTES),
    sealed: reader.bytes('sealed', SEALED_READING_BYTES),
    signature: reader.bytes('signature', SIGNATURE_BYTES),
  };
  reader.end();
  return submission;
}

/** Whom the submission says it is from (compressed P-256, 33 B), before anything of it was verified: to look them up. */
export const claimedPseudonymV1 = (submission: UnsignedSubmissionV1): Uint8Array => pseudonymIn(submission.certificate);

/**
 * The collector's step: was this made by a software key that the pseudonym's TPM certified for this slot?
 * @param bytes as they arrived
 * @throws MalformedError, CertificateError (`submission.certificate…`), SubmissionForgedError
 */
export function verifySubmissionV1(submission: SubmissionV1, bytes: Uint8Array, pseudonym: Uint8Array): void {
  const path = 'submission.certificate';
  const certificate = decodeCertificate(submission.certificate, path);
  verifyCertificate(certificate, pseudonym, submission.slot, path);
  const signed = labelled(LABELS.submission, bytes.subarray(0, bytes.length - SIGNATURE_BYTES));
  if (!verifyP256(certificate.publicKey, signed, submission.signature)) throw new SubmissionForgedError();
}
