/** The makers of TPMs that are believed, from a folder of certificates. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EkRoots } from '../../protocol/attestation/ek-chain.ts';

/** Certificates in PEM: who signed itself is a root, the others stand between. @throws EkChainError where there is no root */
export function readMakers(directory: string): EkRoots {
  const roots: string[] = [];
  const intermediates: string[] = [];
  for (const name of readdirSync(directory).sort()) {
    if (!/\.(pem|crt|cer)$/.test(name)) continue;
    const pem = readFileSync(join(directory, name), 'utf8');
    const certificate = new X509Certificate(pem);
    (certificate.checkIssued(certificate) ? roots : intermediates).push(pem);
  }
  return new EkRoots({ roots, intermediates });
}
