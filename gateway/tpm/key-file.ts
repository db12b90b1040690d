/**
 * A TPM key, or a secret that the TPM sealed, on disk: the two blobs that TPM2_Create gave. The private one is encrypted under
 * the TPM's storage root key and only that TPM loads it; it is kept from other users all the same.
 *
 *   "QMTK" ‖ 01 ‖ purpose (s signing, a attestation, d sealed data) ‖ TPM2B_PRIVATE ‖ TPM2B_PUBLIC
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface KeyBlob {
  /** What it was made for; it decides under which root of the TPM it loads. */
  purpose: 'signing' | 'attestation' | 'sealed';
  /** TPM2B_PRIVATE with its size, as the TPM gave it. */
  privateBlob: Uint8Array;
  /** TPM2B_PUBLIC with its size. */
  publicBlob: Uint8Array;
}

const HEADER = Buffer.from('QMTK\u0001', 'latin1');
const PURPOSES = { s: 'signing', a: 'attestation', d: 'sealed' } as const;
const LETTERS = { signing: 's', attestation: 'a', sealed: 'd' } as const;
const BLOBS_AT = HEADER.length + 1;

/** The file is there but is no key file. It is never overwritten: the key in it may be registered somewhere. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** Null where there is no such file. @throws KeyFileError */
export async function readKeyFile(path: string): Promise<KeyBlob | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (!bytes.subarray(0, HEADER.length).equals(HEADER)) throw new KeyFileError(path, 'is not a key file');
  const purpose = PURPOSES[String.fromCharCode(bytes[HEADER.length]) as keyof typeof PURPOSES];
  if (!purpose) throw new KeyFileError(path, 'holds a key of a purpose that is not known here');
  const privateEnd = endOfSized(bytes, BLOBS_AT);
  const publicEnd = endOfSized(bytes, privateEnd);
  if (publicEnd !== bytes.length) throw new KeyFileError(path, 'is cut short or has something behind its end');
  return { purpose, privateBlob: bytes.subarray(BLOBS_AT, privateEnd), publicBlob: bytes.subarray(privateEnd) };
}

/** Where a TPM2B that starts at `at` ends; past the file's end where it does not fit. */
const endOfSized = (bytes: Buffer, at: number): number =>
  at + 2 > bytes.length ? Number.POSITIVE_INFINITY : at + 2 + bytes.readUInt16BE(at);

/** Whole or not at all, also through a power cut: temporary file, fsync, rename, fsync of the folder. Mode 0600. */
export async function writeKeyFile(path: string, blob: KeyBlob): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.chmod(0o600); // an older temporary file may have had another mode
    await file.writeFile(
      Buffer.concat([HEADER, Buffer.from(LETTERS[blob.purpose]), blob.privateBlob, blob.publicBlob]),
    );
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
