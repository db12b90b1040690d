/**
 * Small files that only the gateway's user may read. A write is all or nothing: a power cut leaves the old file or the
 * new one, never half of each.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Mode of files with keys, hashes of passwords or sessions. */
const OWNER_ONLY = 0o600;
/** Mode of files that anyone may read, such as a certificate. */
export const PUBLIC_FILE = 0o644;

export function writeWhole(path: string, text: string, mode = OWNER_ONLY): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
}

/** The file's text, or null where there is none. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
