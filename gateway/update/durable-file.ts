import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';

/** Written beside, synced, renamed: after a kill or a power cut the old content is there, or the new one. */
export function writeDurably(file: string, content: Uint8Array, mode: number): void {
  const fresh = `${file}.part`;
  const handle = openSync(fresh, 'w', mode);
  try {
    writeFileSync(handle, content);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(fresh, file);
}
