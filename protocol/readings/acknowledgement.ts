/**
 * What the collector answers to a submission: whether it is on its disk, and if not, what the gateway should do. The same bytes
 * get the same answer, however often they come.
 *
 *   offset  size
 *        0     1  version = 1
 *        1     1  status      see VERDICTS
 *        2    32  digest      SHA-256 of the submission's bytes as they arrived
 *
 * Not signed: it travels over TLS from a broker of the collector's own company, on a topic only the collector may write. A
 * broker that lies here could as well throw submissions away.
 */
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { SUBMISSION_DIGEST_BYTES } from './submission.ts';

const VERSION = 1;

/** What the gateway does next: forget the bytes, send the same bytes later, or give up and tell the customer why. */
export type Recovery = 'done' | 'again' | 'final';

/** The byte of each status, and its recovery. */
export const VERDICTS = {
  /** On the collector's disk. */
  stored: { byte: 1, recovery: 'done' },
  /** The slot has not ended by the collector's clock: one of the two clocks is wrong. */
  tooEarly: { byte: 2, recovery: 'again' },
  /** Does not have a submission's layout. (Byte 3 stood for households without certificates.) */
  malformed: { byte: 4, recovery: 'final' },
  /** The pseudonym belongs to another area, or the topic does. */
  wrongArea: { byte: 5, recovery: 'final' },
  /** The month's settlement is over. */
  tooLate: { byte: 6, recovery: 'final' },
  /** The software key is not certified by the pseudonym for this slot. */
  badCertificate: { byte: 7, recovery: 'final' },
  /** Not signed by the certified key. */
  badSignature: { byte: 8, recovery: 'final' },
  /** Another submission of this pseudonym for this slot is on the collector's disk. */
  conflict: { byte: 9, recovery: 'final' },
  /** The pseudonym was not certified by a third party that is believed, or for another day. */
  badPseudonym: { byte: 10, recovery: 'final' },
  /** The pseudonym was revoked. */
  revoked: { byte: 11, recovery: 'final' },
  /** The attestation pass was not signed by the verifier's key of its day. */
  badPass: { byte: 12, recovery: 'final' },
  /** The pass is for another day. */
  passOfAnotherDay: { byte: 13, recovery: 'final' },
  /** The pass is for another pseudonym. */
  passOfAnotherPseudonym: { byte: 14, recovery: 'final' },
  /** The pseudonym has used another pass on the same day. */
  secondPass: { byte: 15, recovery: 'final' },
  /** The collector does not have the verifier's key of that day (yet). */
  passKeyMissing: { byte: 16, recovery: 'again' },
  /** The reading is sealed to a provider that the collector does not deliver to (yet). */
  unknownProvider: { byte: 17, recovery: 'again' },
} as const satisfies Record<string, { byte: number; recovery: Recovery }>;

export type Verdict = keyof typeof VERDICTS;
export type Refusal = Exclude<Verdict, 'stored'>;

const BY_BYTE = new Map<number, Verdict>(
  Object.entries(VERDICTS).map(([verdict, { byte }]) => [byte, verdict as Verdict]),
);

export interface Acknowledgement {
  verdict: Verdict;
  /** SHA-256 of the submission, 32 B. */
  digest: Uint8Array;
}

export const recoveryOf = (verdict: Verdict): Recovery => VERDICTS[verdict].recovery;

export function encodeAcknowledgement(acknowledgement: Acknowledgement): Uint8Array {
  return new ByteWriter('acknowledgement')
    .u8('version', VERSION)
    .u8('status', VERDICTS[acknowledgement.verdict].byte)
    .bytes('digest', acknowledgement.digest, SUBMISSION_DIGEST_BYTES)
    .finish();
}

/** @throws MalformedError */
export function decodeAcknowledgement(bytes: Uint8Array): Acknowledgement {
  const reader = new ByteReader('acknowledgement', bytes);
  reader.constant('version', VERSION);
  const status = reader.u8('status');
  const verdict = BY_BYTE.get(status);
  if (!verdict) throw reader.error('status', `is ${status}, which means nothing`);
  const digest = reader.bytes('digest', SUBMISSION_DIGEST_BYTES);
  reader.end();
  return { verdict, digest };
}
