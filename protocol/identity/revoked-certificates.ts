/**
 * X.509 certificates (identifier, household, attestation) that are no longer believed, signed by the trusted third party.
 *
 * Apart from the revoked pseudonyms (revocation-list.ts): who holds both lists must not learn from one which household the other
 * means.
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  number      big-endian; grows with every list: an older one is refused
 *        5     4  n
 *        9  16·n  serial numbers of certificates, ascending, each once
 *   9+16·n    64  signature   by the third party's pseudonym-issuing key over
 *                             "quietmeter/v1/revoked-certificates" ‖ 00 ‖ everything before, ECDSA r ‖ s
 */
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { RevocationListError } from './revocation-list.ts';

const VERSION = 1;
const SERIAL_BYTES = 16;
const MOST = 100_000;

export interface RevokedCertificates {
  number: number;
  /** Lower-case hexadecimal, as `Holder.serialNumber`. */
  serialNumbers: ReadonlySet<string>;
}

/** The third party's step. @param sign gets the message, not its digest */
export async function issueRevokedCertificates(
  { number, serialNumbers }: RevokedCertificates,
  sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array> {
  const serials = [...serialNumbers].sort().map((serial) => Buffer.from(serial, 'hex'));
  const body = new ByteWriter('revokedCertificates')
    .u8('version', VERSION)
    .u32('number', number)
    .u32('n', serials.length)
    .bytes('serialNumbers', Buffer.concat(serials), serials.length * SERIAL_BYTES)
    .finish();
  return Buffer.concat([body, await sign(labelled(LABELS.revokedCertificates, body))]);
}

/** @param issuers pseudonym-issuing keys that are trusted, compressed P-256 @throws MalformedError, RevocationListError */
export function openRevokedCertificates(bytes: Uint8Array, issuers: readonly Uint8Array[]): RevokedCertificates {
  const reader = new ByteReader('revokedCertificates', bytes);
  reader.constant('version', VERSION);
  const number = reader.u32('number');
  const n = reader.u32('n');
  if (n > MOST) throw reader.error('n', `is ${n}, more than ${MOST}`);
  const serialNumbers = new Set<string>();
  let last = '';
  for (let i = 0; i < n; i++) {
    const serial = Buffer.from(reader.bytes(`serialNumbers[${i}]`, SERIAL_BYTES)).toString('hex');
    if (serial <= last) throw reader.error(`serialNumbers[${i}]`, 'is out of order');
    serialNumbers.add(serial);
    last = serial;
  }
  const message = labelled(LABELS.revokedCertificates, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  if (!issuers.some((issuer) => verifyP256(issuer, message, signature)))
    throw new RevocationListError(
      'revokedCertificates.signature',
      'was not made by a trusted third party that is believed',
    );
  return { number, serialNumbers };
}
