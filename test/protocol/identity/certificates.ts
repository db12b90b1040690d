/** An issuer of holders' certificates for tests. */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, X509CertificateGenerator } from '@peculiar/x509';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  type CertificateSubject,
  type IssuerKey,
  issueHolderCertificate,
} from '../../../protocol/identity/certificates.ts';

export const NOW_MS = Date.UTC(2026, 2, 10);
export const DAY_MS = 86_400_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export async function makeIssuer(name = 'CN=trusted third party'): Promise<IssuerKey & { certificate: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '41',
      name,
      notBefore: new Date(NOW_MS - DAY_MS),
      notAfter: new Date(NOW_MS + 400 * DAY_MS),
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

/** A holder with a key in software. */
export async function makeHolder(subject: CertificateSubject, issuer: IssuerKey) {
  const key = generateSigningKey();
  const certificate = await issueHolderCertificate(subject, key.publicKey, {
    issuer,
    notBeforeMs: NOW_MS - 1000,
    notAfterMs: NOW_MS + DAY_MS,
    serialNumber: randomBytes(16),
  });
  return {
    publicKey: key.publicKey,
    certificate,
    sign: async (message: Uint8Array) => signP256(key.privateKey, message),
  };
}
