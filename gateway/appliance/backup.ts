/**
 * A back-up of the household in one file: everything under the data folder but what the TPM keeps, under a passphrase.
 *
 *   "QMB1" · salt 16 · nonce 12 · AES-256-GCM of (deflated: count u16 · per file: path · mode · bytes) · tag 16
 *
 * The key is scrypt(passphrase, salt; N = 2^17, r = 8, p = 1) (RFC 7914). Databases are copied by SQLite's own back-up, so the
 * gateway may go on meanwhile; a copy is checked before it is written.
 *
 * What a back-up is good for: on the same gateway, everything. On another one (another TPM) the TPM's keys are gone: the
 * household's names and the sealed log key stay behind (`withoutTpm`), history, bills and the page's login come along, and the
 * customer sets the meter up anew. Coins and credentials are the meter's: an old copy here cannot spend them twice.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { deflateSync, inflateSync } from 'node:zlib';
import { ByteReader, ByteWriter, MalformedError } from '../../protocol/wire/bytes.ts';
import { writeDurably } from '../update/durable-file.ts';

const MAGIC = Buffer.from('QMB1', 'latin1');
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 2 ** 20 };
export const PASSPHRASE_LEAST_LETTERS = 12;
const UNPACKED_MOST_BYTES = 2 ** 31;
const PATH = /^(?!.*(?:^|\/)\.\.?(?:\/|$))[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;
/** What is of no use under another TPM: keys that it wrapped, and what was sealed to them. */
const OF_THIS_TPM = /^(identity\.db|.*\.tpmkey|log-key.*|measurements.*|authorizations.*)$/;

export class BackupError extends Error {
  override readonly name = 'BackupError';
}

interface Kept {
  path: string;
  mode: number;
  bytes: Uint8Array;
}

/** @returns how many files it has. @throws BackupError */
export async function makeBackup(dataDir: string, file: string, passphrase: string): Promise<number> {
  checkPassphrase(passphrase);
  const files: Kept[] = [];
  const scratch = mkdtempSync(join(dirname(file), '.quietmeter-backup-'));
  try {
    for (const path of filesOf(dataDir)) {
      const from = join(dataDir, path);
      const mode = statSync(from).mode & 0o777;
      const bytes = path.endsWith('.db') ? await copyOfDatabase(from, join(scratch, 'copy.db')) : readFileSync(from);
      files.push({ path: path.split(sep).join('/'), mode, bytes });
    }
    writeDurably(file, await sealed(packed(files), passphrase), 0o600);
    return files.length;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * Puts a back-up into a data folder that does not exist or is empty; all of it or nothing.
 * @param withoutTpm leave out what only the TPM of the back-up could use
 * @returns how many files it put there. @throws BackupError, MalformedError
 */
export async function restoreBackup(
  file: string,
  dataDir: string,
  passphrase: string,
  { withoutTpm = false }: { withoutTpm?: boolean } = {},
): Promise<number> {
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0)
    throw new BackupError(`${dataDir} is not empty: stop the gateway and move the folder away first`);
  const files = unpacked(await opened(readFileSync(file), passphrase)).filter(
    ({ path }) => !withoutTpm || !OF_THIS_TPM.test(path),
  );
  const beside = `${dataDir}.restoring`;
  rmSync(beside, { recursive: true, force: true });
  mkdirSync(beside, { recursive: true, mode: 0o700 });
  for (const { path, mode, bytes } of files) {
    const to = join(beside, path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    writeDurably(to, bytes, mode);
    chmodSync(to, mode);
  }
  rmSync(dataDir, { recursive: true, force: true });
  renameSync(beside, dataDir);
  return files.length;
}

/** SQLite's companions (`-wal`, `-shm`) are part of the database's own copy. */
function filesOf(dataDir: string): string[] {
  return readdirSync(dataDir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/-(wal|shm|journal)$|\.(part|new)$/.test(entry.name))
    .map((entry) => relative(dataDir, join(entry.parentPath, entry.name)))
    .sort();
}

async function copyOfDatabase(from: string, to: string): Promise<Uint8Array> {
  rmSync(to, { force: true });
  const source = new DatabaseSync(from, { readOnly: true });
  try {
    await backup(source, to);
  } finally {
    source.close();
  }
  const copy = new DatabaseSync(to);
  try {
    const { integrity_check: verdict } = copy.prepare('PRAGMA integrity_check').get() as { integrity_check: string };
    if (verdict !== 'ok') throw new BackupError(`${from}: the database is damaged: ${verdict}`);
    copy.exec('PRAGMA journal_mode = DELETE');
  } finally {
    copy.close();
  }
  return readFileSync(to);
}

function packed(files: readonly Kept[]): Uint8Array {
  const writer = new ByteWriter('back-up').u16('count', files.length);
  files.forEach(({ path, mode, bytes }, n) => {
    writer.text(`files[${n}].path`, path, PATH).u16(`files[${n}].mode`, mode);
    writer.u32(`files[${n}].length`, bytes.length).bytes(`files[${n}].bytes`, bytes, bytes.length);
  });
  return deflateSync(writer.finish());
}

function unpacked(bytes: Uint8Array): Kept[] {
  let plain: Uint8Array;
  try {
    plain = inflateSync(bytes, { maxOutputLength: UNPACKED_MOST_BYTES });
  } catch {
    throw new MalformedError('back-up', 'cannot be unpacked');
  }
  const reader = new ByteReader('back-up', plain);
  const count = reader.u16('count');
  const files = Array.from({ length: count }, (_, n): Kept => {
    const path = reader.text(`files[${n}].path`, PATH);
    const mode = reader.u16(`files[${n}].mode`);
    if ((mode & ~0o777) !== 0) throw reader.error(`files[${n}].mode`, 'is no mode of a file');
    return { path, mode, bytes: reader.bytes(`files[${n}].bytes`, reader.u32(`files[${n}].length`)) };
  });
  reader.end();
  return files;
}

async function sealed(plain: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const head = Buffer.concat([MAGIC, salt, nonce]);
  const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, salt), nonce).setAAD(head);
  return Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

async function opened(bytes: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const headBytes = MAGIC.length + SALT_BYTES + NONCE_BYTES;
  const head = bytes.subarray(0, headBytes);
  if (bytes.length < headBytes + TAG_BYTES || !MAGIC.equals(bytes.subarray(0, MAGIC.length)))
    throw new BackupError('this file is no back-up of a gateway');
  const key = await keyOf(passphrase, head.subarray(MAGIC.length, MAGIC.length + SALT_BYTES));
  const decipher = createDecipheriv('aes-256-gcm', key, head.subarray(headBytes - NONCE_BYTES)).setAAD(head);
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  const plain = decipher.update(bytes.subarray(headBytes, bytes.length - TAG_BYTES));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    throw new BackupError('the passphrase is wrong, or the file was changed');
  }
}

const keyOf = (passphrase: string, salt: Uint8Array): Promise<Buffer> =>
  promisify<string, Uint8Array, number, typeof COST, Buffer>(scrypt)(passphrase.normalize('NFKC'), salt, 32, COST);

function checkPassphrase(passphrase: string): void {
  if ([...passphrase].length < PASSPHRASE_LEAST_LETTERS)
    throw new BackupError(`the passphrase has fewer than ${PASSPHRASE_LEAST_LETTERS} letters`);
}
