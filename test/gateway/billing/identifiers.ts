/** A trusted third party in software, and identifiers that it issued, whose keys are in no TPM. */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BasicConstraintsExtension, X509CertificateGenerator } from '@peculiar/x509';
import type { Identifier } from '../../../gateway/billing/bill-part.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { type CertificateSubject, issueHolderCertificate } from '../../../protocol/identity/certificates.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const VALID = { notBeforeMs: Date.UTC(2020), notAfterMs: Date.UTC(2049) };
export const PROVIDER = 'Quiet Power';

export class IdentifierIssuer {
  readonly issuerFile: string;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #pem: string;
  private constructor(issuerFile: string, keys: webcrypto.CryptoKeyPair, pem: string) {
    this.issuerFile = issuerFile;
    this.#keys = keys;
    this.#pem = pem;
  }

  static async open(directory: string): Promise<IdentifierIssuer> {
    const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        serialNumber: '4d',
        name: 'CN=third party',
        notBefore: new Date(VALID.notBeforeMs),
        notAfter: new Date(VALID.notAfterMs),
        keys,
        signingAlgorithm: ALGORITHM,
        extensions: [new BasicConstraintsExtension(true, 0, true)],
      },
      webcrypto,
    );
    const issuerFile = join(directory, 'third-party.crt');
    writeFileSync(issuerFile, certificate.toString('pem'));
    return new IdentifierIssuer(issuerFile, keys, certificate.toString('pem'));
  }

  async issue(more: Partial<CertificateSubject> = {}): Promise<Identifier> {
    const { publicKey, privateKey } = generateSigningKey();
    const subject = { kind: 'identifier', name: 'Ada', provider: PROVIDER, customerNumber: '4711', ...more };
    const issuer = { certificate: this.#pem, privateKey: this.#keys.privateKey };
    const certificate = await issueHolderCertificate(
      subject as CertificateSubject,
      publicKey,
      { issuer, ...VALID, serialNumber: randomBytes(16) },
      webcrypto,
    );
    return { certificate, publicKey, sign: async (message) => signP256(privateKey, message) };
  }
}
