/**
 * One quarter-hour reading on its way from a gateway to its collector.
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
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { AREA_PATTERN } from './area.ts';
import { CERTIFICATE_BYTES, decodeCertificate, pseudonymIn, verifyCertificate } from './certificate.ts';
import { SEALED_READING_BYTES } from './reading.ts';

const VERSION = 1;
const AREA_MOST_BYTES = 32;

/** No submission is longer, so whatever is longer need not be read. */
export const SUBMISSION_MOST_BYTES = 6 + AREA_MOST_BYTES + CERTIFICATE_BYTES + SEALED_READING_BYTES + SIGNATURE_BYTES;
export const SUBMISSION_DIGEST_BYTES = 32;

export interface UnsignedSubmission {
  slot: number;
  area: string;
  /** 139 B, certificate.ts. */
  certificate: Uint8Array;
  /** 64 B, reading.ts. */
  sealed: Uint8Array;
}
export interface Submission extends UnsignedSubmission {
  /** r ‖ s, 64 B. */
  signature: Uint8Array;
}

/** The gateway's step: encodes and signs. @param sign gets the message, not its digest. @throws MalformedError */
export async function signSubmission(
  submission: UnsignedSubmission,
  sign: (message: Uint8Array) => Promise<Uint8Array> | Uint8Array,
): Promise<Uint8Array> {
  const body = encodeBody(submission);
  const signature = await sign(labelled(LABELS.submission, body));
  return Buffer.concat([body, new ByteWriter('submission').bytes('signature', signature, SIGNATURE_BYTES).finish()]);
}

function encodeBody(submission: UnsignedSubmission): Uint8Array {
  return new ByteWriter('submission')
    .u8('version', VERSION)
    .u32('slot', submission.slot)
    .text('area', submission.area, AREA_PATTERN)
    .bytes('certificate', submission.certificate, CERTIFICATE_BYTES)
    .bytes('sealed', submission.sealed, SEALED_READING_BYTES)
    .finish();
}

/** Layout only; whether to believe it is `verifySubmission`'s. @throws MalformedError */
export function decodeSubmission(bytes: Uint8Array): Submission {
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
export const claimedPseudonym = (submission: UnsignedSubmission): Uint8Array => pseudonymIn(submission.certificate);

/**
 * The collector's step: was this made by a software key that the pseudonym's TPM certified for this slot?
 * @param bytes as they arrived
 * @throws MalformedError, CertificateError (`submission.certificate…`), SubmissionForgedError
 */
export function verifySubmission(submission: Submission, bytes: Uint8Array, pseudonym: Uint8Array): void {
  const path = 'submission.certificate';
  const certificate = decodeCertificate(submission.certificate, path);
  verifyCertificate(certificate, pseudonym, submission.slot, path);
  const signed = labelled(LABELS.submission, bytes.subarray(0, bytes.length - SIGNATURE_BYTES));
  if (!verifyP256(certificate.publicKey, signed, submission.signature)) throw new SubmissionForgedError();
}

export class SubmissionForgedError extends Error {
  override readonly name = 'SubmissionForgedError';
  constructor() {
    super('submission.signature: was not made by the certified key over these bytes');
  }
}

/**
 * Names a submission in acknowledgements and in the collector's memory of replays. It covers the signature, which the provider
 * never sees: who has only the sealed item cannot compute it, so a digest does not tie an item to a pseudonym.
 */
export const submissionDigest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
