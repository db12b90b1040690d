/** Writes the file by which the collector knows whom to believe (operator/collector/registration.ts). */
import { renameSync, writeFileSync } from 'node:fs';

export interface RegisteredPseudonym {
  /** The TPM's pseudonym key, compressed P-256, 33 B. */
  publicKey: Uint8Array;
  area: string;
}

/** Replaces the file whole: a collector that reads it meanwhile sees the old one or the new one. */
export function writeRegistration(file: string, pseudonyms: readonly RegisteredPseudonym[]): void {
  const entries = pseudonyms.map(({ publicKey, area }) => ({
    publicKey: Buffer.from(publicKey).toString('hex'),
    area,
  }));
  writeFileSync(`${file}.new`, `${JSON.stringify({ version: 1, pseudonyms: entries }, null, 1)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
