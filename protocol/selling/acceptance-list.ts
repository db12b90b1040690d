/**
 * L2 as it is published: what the control centre has accepted in an epoch (a slot), for everybody (paper, section 4.C; protocols.md,
 * section 1). A customer sees that his sale stands; nobody who did not make the credential can read a CID from it, and its order says
 * nothing: entries are sorted. (For gateway and control centre.)
 *
 *   offset  size
 *        0     1  version = 1
 *        1     4  epoch          big-endian; the slot in which they were accepted
 *        5    32  previous       SHA-256 of the list before, whole; zeros before the first
 *       37    32  keysetDigest   of the centre's keyset: everybody sees that he holds the same one
 *       69     4  n
 *       73  32·n  entries        SHA-256(label ‖ 00 ‖ identity of the credential), ascending
 *              64  signature     Ed25519 by the announcement key over label ‖ 00 ‖ everything before
 */
import { createHash } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;
const DIGEST_BYTES = 32;
const HEAD_BYTES = 73;
export const NO_LIST_BEFORE: Uint8Array = new Uint8Array(DIGEST_BYTES);

export interface AcceptanceList {
  epoch: number;
  previous: Uint8Array;
  keysetDigest: Uint8Array;
  entries: readonly Uint8Array[];
}

/** `path` names the field. */
export class AcceptanceListError extends Error {
  override readonly name = 'AcceptanceListError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** @param identity of the credential (values.ts), 32 B */
export const acceptedEntry = (identity: Uint8Array): Uint8Array =>
  createHash('sha256').update(labelled(LABELS.acceptedCredential, identity)).digest();

/** The control centre's step. @throws MalformedError */
export function signAcceptanceList(list: AcceptanceList, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const writer = new ByteWriter('acceptanceList')
    .u8('version', VERSION)
    .u32('epoch', list.epoch)
    .bytes('previous', list.previous, DIGEST_BYTES)
    .bytes('keysetDigest', list.keysetDigest, DIGEST_BYTES)
    .u32('entries', list.entries.length);
  [...list.entries].sort(Buffer.compare).forEach((entry, i) => {
    writer.bytes(`entries[${i}]`, entry, DIGEST_BYTES);
  });
  const body = writer.finish();
  return Buffer.concat([body, sign(labelled(LABELS.acceptanceList, body))]);
}

/** @param key announcement key, 32 B @throws MalformedError, AcceptanceListError */
export function openAcceptanceList(bytes: Uint8Array, key: Uint8Array): AcceptanceList {
  const reader = new ByteReader('acceptanceList', bytes);
  reader.constant('version', VERSION);
  const epoch = reader.u32('epoch');
  const previous = reader.bytes('previous', DIGEST_BYTES);
  const keysetDigest = reader.bytes('keysetDigest', DIGEST_BYTES);
  const count = reader.u32('entries');
  if (HEAD_BYTES + count * DIGEST_BYTES + ED25519_SIGNATURE_BYTES !== bytes.length)
    throw reader.error('entries', `are not ${count}, as the list says`);
  const entries: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const entry = reader.bytes(`entries[${i}]`, DIGEST_BYTES);
    if (i > 0 && Buffer.compare(entries[i - 1], entry) >= 0) throw reader.error(`entries[${i}]`, 'is not in order');
    entries.push(entry);
  }
  const message = labelled(LABELS.acceptanceList, bytes.subarray(0, reader.at));
  if (!verifyEd25519(key, message, reader.bytes('signature', ED25519_SIGNATURE_BYTES)))
    throw new AcceptanceListError('acceptanceList.signature', "was not made by the centre's announcement key");
  return { epoch, previous, keysetDigest, entries };
}

/** What the next list names as `previous`. */
export const acceptanceListDigest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
