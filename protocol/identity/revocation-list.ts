/**
 * Pseudonyms that are no longer believed: of a household that moved, a gateway that was replaced, a meter that was tampered with.
 *
 * Trusted third party → everybody. It names pseudonyms, so it must not say which of them belong together: it holds hashes in the
 * order of their bytes, and **only of the day it is made for and days to come**. A pseudonym of a day that is over is never
 * listed: the collector knows what was reported under it, and a list that named it beside today's would join the days.
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  number      big-endian; grows with every list: an older one is refused
 *        5     4  n
 *        9  32·n  entries     SHA-256("quietmeter/v1/revoked-pseudonyms" ‖ 00 ‖ public key, 33 B), ascending, each once
 *   9+32·n    64  signature   by the third party's pseudonym-issuing key over
 *                             "quietmeter/v1/revoked-pseudonyms" ‖ 00 ‖ everything before, ECDSA r ‖ s
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;
const ENTRY_BYTES = 32;
/** A thousand households with the pseudonyms of five weeks. */
export const REVOCATIONS_MOST = 35_000;

export interface RevocationList {
  number: number;
  /** Hashes of revoked pseudonyms, in latin1, to look them up. */
  revoked: ReadonlySet<string>;
}

/** Not made by a third party that is believed. */
export class RevocationListError extends Error {
  override readonly name = 'RevocationListError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

const entryOf = (pseudonym: Uint8Array): Buffer =>
  createHash('sha256').update(labelled(LABELS.revokedPseudonyms, pseudonym)).digest();

export const isRevoked = (list: RevocationList, pseudonym: Uint8Array): boolean =>
  list.revoked.has(entryOf(pseudonym).toString('latin1'));

/**
 * The third party's step.
 * @param pseudonyms compressed public keys of today and days to come, in any order
 * @param sign gets the message, not its digest
 */
export async function issueRevocationList(
  number: number,
  pseudonyms: readonly Uint8Array[],
  sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array> {
  const entries = [...new Map(pseudonyms.map(entryOf).map((entry) => [entry.toString('latin1'), entry])).values()];
  const body = new ByteWriter('revocationList')
    .u8('version', VERSION)
    .u32('number', number)
    .u32('entries', entries.length)
    .bytes('entries', Buffer.concat(entries.sort(Buffer.compare)), entries.length * ENTRY_BYTES)
    .finish();
  return Buffer.concat([body, await sign(labelled(LABELS.revokedPseudonyms, body))]);
}

/**
 * @param issuers pseudonym-issuing keys that are trusted, compressed P-256
 * @throws MalformedError, RevocationListError
 */
export function openRevocationList(bytes: Uint8Array, issuers: readonly Uint8Array[]): RevocationList {
  const reader = new ByteReader('revocationList', bytes);
  reader.constant('version', VERSION);
  const number = reader.u32('number');
  const count = reader.u32('entries');
  if (count > REVOCATIONS_MOST) throw reader.error('entries', `are ${count}, more than ${REVOCATIONS_MOST}`);
  const revoked = new Set<string>();
  let last = Buffer.alloc(0);
  for (let i = 0; i < count; i++) {
    const entry = Buffer.from(reader.bytes(`entries[${i}]`, ENTRY_BYTES));
    if (i > 0 && Buffer.compare(last, entry) >= 0) throw reader.error(`entries[${i}]`, 'is out of order');
    revoked.add(entry.toString('latin1'));
    last = entry;
  }
  const message = labelled(LABELS.revokedPseudonyms, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  if (!issuers.some((issuer) => verifyP256(issuer, message, signature)))
    throw new RevocationListError('revocationList.signature', 'was not made by a trusted third party that is believed');
  return { number, revoked };
}
