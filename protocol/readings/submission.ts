/**
 * One quarter-hour reading on its way from a gateway to its collector.
 *
 * The collector learns the pseudonym of the day, that it reported this slot, and whether an attestation pass came with it; it checks
 * the chain of signatures, strips everything but `sealed` and passes that on. The broker between them sees what the collector sees.
 *
 *   offset   size
 *        0      1  version = 3
 *        1      4  slot                  big-endian
 *        5  103+n  pseudonymCertificate  by the trusted third party, of the pseudonym of this slot's day; the area stands in it, n
 *                                        bytes long (protocol/identity/pseudonym-certificate.ts)
 *    108+n    139  certificate           by the pseudonym's key in the TPM, of the software key that signs (certificate.ts)
 *    247+n    326  pass                  of this pseudonym and day, or none (protocol/attestation/pass.ts)
 *    573+n      8  provider              to which the reading is sealed (provider.ts)
 *    581+n     64  sealed                the reading under HPKE to that provider (reading.ts)
 *    645+n     64  signature             by the software key over "quietmeter/v1/submission" ‖ 00 ‖ bytes 0…644+n, ECDSA r ‖ s
 *
 * Everything that is needed to judge one travels in it, whole: the collector looks up nothing. All households of an area send the
 * same number of bytes, with a pass or without.
 *
 * A gateway keeps the exact bytes before it sends them and repeats those bytes until they are acknowledged: signatures and
 * HPKE are random, so a reading encoded twice would be two different claims for one slot.
 */
import { createHash } from 'node:crypto';
import { decodePass, PASS_BYTES, type Pass } from '../attestation/pass.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import {
  decodePseudonymCertificate,
  PSEUDONYM_CERTIFICATE_MOST_BYTES,
  type PseudonymCertificate,
  readPseudonymCertificate,
} from '../identity/pseudonym-certificate.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { CERTIFICATE_BYTES, type CertifiedKey, decodeCertificate, verifyCertificate } from './certificate.ts';
import { PROVIDER_REFERENCE_BYTES } from './provider.ts';
import { SEALED_READING_BYTES } from './reading.ts';

const VERSION = 3;

/** No submission is longer, so whatever is longer need not be read. */
export const SUBMISSION_MOST_BYTES =
  5 +
  PSEUDONYM_CERTIFICATE_MOST_BYTES +
  CERTIFICATE_BYTES +
  PASS_BYTES +
  PROVIDER_REFERENCE_BYTES +
  SEALED_READING_BYTES +
  SIGNATURE_BYTES;
export const SUBMISSION_DIGEST_BYTES = 32;

export interface UnsignedSubmission {
  slot: number;
  /** 103 B and the area's name, protocol/identity/pseudonym-certificate.ts. */
  pseudonymCertificate: Uint8Array;
  /** 139 B, certificate.ts. */
  certificate: Uint8Array;
  /** 326 B; NO_PASS where there is none. */
  pass: Uint8Array;
  /** 8 B, provider.ts. */
  provider: Uint8Array;
  /** 64 B, reading.ts. */
  sealed: Uint8Array;
}
export interface Submission {
  slot: number;
  pseudonym: PseudonymCertificate;
  /** 139 B, certificate.ts. */
  certificate: Uint8Array;
  /** Null where there is none. */
  pass: Pass | null;
  /** 8 B, provider.ts. */
  provider: Uint8Array;
  /** 64 B, reading.ts. */
  sealed: Uint8Array;
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

function encodeBody({
  slot,
  pseudonymCertificate,
  certificate,
  pass,
  provider,
  sealed,
}: UnsignedSubmission): Uint8Array {
  decodePseudonymCertificate(pseudonymCertificate, 'submission.pseudonymCertificate');
  return new ByteWriter('submission')
    .u8('version', VERSION)
    .u32('slot', slot)
    .bytes('pseudonymCertificate', pseudonymCertificate, pseudonymCertificate.length)
    .bytes('certificate', certificate, CERTIFICATE_BYTES)
    .bytes('pass', pass, PASS_BYTES)
    .bytes('provider', provider, PROVIDER_REFERENCE_BYTES)
    .bytes('sealed', sealed, SEALED_READING_BYTES)
    .finish();
}

/** Layout only; whether to believe it is the collector's to find out (operator/collector/trust.ts). @throws MalformedError */
export function decodeSubmission(bytes: Uint8Array): Submission {
  const reader = new ByteReader('submission', bytes);
  reader.constant('version', VERSION);
  const submission = {
    slot: reader.u32('slot'),
    pseudonym: readPseudonymCertificate(reader, 'pseudonymCertificate'),
    certificate: reader.bytes('certificate', CERTIFICATE_BYTES),
    pass: decodePass(reader.bytes('pass', PASS_BYTES), 'submission.pass'),
    provider: reader.bytes('provider', PROVIDER_REFERENCE_BYTES),
    sealed: reader.bytes('sealed', SEALED_READING_BYTES),
    signature: reader.bytes('signature', SIGNATURE_BYTES),
  };
  reader.end();
  return submission;
}

/**
 * The collector's step, once the pseudonym is believed: was this made by a software key that the pseudonym's TPM certified for this
 * slot?
 * @param bytes as they arrived
 * @throws CertificateError (`submission.certificate…`), SubmissionForgedError
 */
export function verifySubmission(submission: Submission, bytes: Uint8Array): CertifiedKey {
  const path = 'submission.certificate';
  const certificate = decodeCertificate(submission.certificate, path);
  verifyCertificate(certificate, submission.pseudonym.publicKey, submission.slot, path);
  const signed = labelled(LABELS.submission, bytes.subarray(0, bytes.length - SIGNATURE_BYTES));
  if (!verifyP256(certificate.publicKey, signed, submission.signature)) throw new SubmissionForgedError();
  return certificate;
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
