/**
 * Which makers of TPMs a party believes: a folder of certificates (PEM). Those that signed themselves are pinned as roots, the
 * others are intermediates; files that are no certificates are not looked at. Lists of what makers revoked end in `.crl`.
 */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EkRoots } from '../../protocol/attestation/ek-chain.ts';
import { ConfigError } from './config.ts';

/** @throws ConfigError */
export function readEkRoots(directory: string): EkRoots {
  const roots: string[] = [];
  const intermediates: string[] = [];
  const revocations: Uint8Array[] = [];
  try {
    for (const name of readdirSync(directory).sort()) {
      const file = join(directory, name);
      if (name.endsWith('.crl')) revocations.push(readFileSync(file));
      if (!/\.(pem|crt)$/.test(name)) continue;
      const pem = readFileSync(file, 'utf8');
      const certificate = new X509Certificate(pem);
      (certificate.checkIssued(certificate) ? roots : intermediates).push(pem);
    }
    return new EkRoots({ roots, intermediates, revocations });
  } catch (error) {
    throw new ConfigError(directory, '', (error as Error).message);
  }
}
