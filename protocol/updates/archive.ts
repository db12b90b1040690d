/**
 * The gateway's software as one file: what the trusted third party serves and the gateway unpacks. Its digest is that of the
 * listing of its files (protocol/attestation/software.ts), the same that the gateway measures into its TPM when it runs them.
 *
 *   deflate of:   count u16 · per file: path (u8 length, ASCII) · length u32 · bytes
 */
import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { listingDigest } from '../attestation/software.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';

export interface ArchivedFile {
  /** From the project's root, with `/`. */
  path: string;
  bytes: Uint8Array;
}

const PATH = /^(?!.*(?:^|\/)\.\.?(?:\/|$))[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;
/** Unpacked. */
const MOST_BYTES = 20_000_000;

/** Files in the order of their paths: the same files give the same bytes. @throws MalformedError */
export function encodeArchive(files: readonly ArchivedFile[]): Uint8Array {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const writer = new ByteWriter('archive').u16('count', sorted.length);
  sorted.forEach(({ path, bytes }, i) => {
    writer.text(`files[${i}].path`, path, PATH).u32(`files[${i}].length`, bytes.length);
    writer.bytes(`files[${i}].bytes`, bytes, bytes.length);
  });
  return deflateRawSync(writer.finish(), { level: 9 });
}

/** Paths lead nowhere but below the root, each occurs once. @throws MalformedError */
export function decodeArchive(archive: Uint8Array): ArchivedFile[] {
  let plain: Uint8Array;
  try {
    plain = inflateRawSync(archive, { maxOutputLength: MOST_BYTES });
  } catch {
    throw new MalformedError('archive', 'cannot be unpacked');
  }
  const reader = new ByteReader('archive', plain);
  const files: ArchivedFile[] = [];
  for (let i = 0, count = reader.u16('count'); i < count; i++) {
    const path = reader.text(`files[${i}].path`, PATH);
    const before = files.at(-1);
    if (before && before.path >= path) throw reader.error(`files[${i}].path`, 'is not after the one before');
    files.push({ path, bytes: reader.bytes(`files[${i}].bytes`, reader.u32(`files[${i}].length`)) });
  }
  reader.end();
  return files;
}

/** 32 B: what the manifest names and PCR 8 is extended by. */
export const archiveDigest = (files: readonly ArchivedFile[]): Uint8Array =>
  listingDigest(files.map(({ path, bytes }) => ({ path, digest: createHash('sha256').update(bytes).digest() })));
