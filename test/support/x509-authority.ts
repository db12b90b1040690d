/** The trusted third party's X.509 authority, without the party. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, X509CertificateGenerator } from '@peculiar/x509';
import type { IssuerKey } from '../../protocol/identity/certificates.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const YEAR_MS = 365 * 86_400_000;

/** Valid for a year before and after. */
export async function makeAuthority(nowMs: number): Promise<IssuerKey & { certificate: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '41',
      name: 'CN=trusted third party',
      notBefore: new Date(nowMs - YEAR_MS),
      notAfter: new Date(nowMs + YEAR_MS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), privateKey: keys.privateKey };
}
