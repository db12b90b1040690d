/**
 * The bench's certificate authority of the grid: server certificates for brokers, client certificates for the operator's parties
 * (the common name is the role). ECDSA P-256; private keys in files of mode 0600. A second start on the same folder uses the
 * authority that is there, so that gateways which trust it go on to do so.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

type CryptoKey = webcrypto.CryptoKey;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const YEAR_MS = 365 * 86_400_000;
/** Clocks of a bench start today; certificates are judged by the machine's clock, not by protocol time. */
const BEFORE_MS = 86_400_000;

export interface CertificateFiles {
  certFile: string;
  keyFile: string;
}

export class GridCa {
  /** PEM. What everybody trusts. */
  readonly caFile: string;
  readonly #directory: string;
  readonly #certificate: X509Certificate;
  readonly #privateKey: CryptoKey;

  private constructor(directory: string, certificate: X509Certificate, privateKey: CryptoKey) {
    this.#directory = directory;
    this.#certificate = certificate;
    this.#privateKey = privateKey;
    this.caFile = join(directory, 'ca.crt');
  }

  /** Opens the authority of this folder, or makes it. */
  static async open(directory: string): Promise<GridCa> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const [certFile, keyFile] = [join(directory, 'ca.crt'), join(directory, 'ca.key')];
    if (existsSync(certFile) && existsSync(keyFile)) {
      const pkcs8 = PemConverter.decode(readFileSync(keyFile, 'utf8'))[0];
      const key = await webcrypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, false, ['sign']);
      return new GridCa(directory, new X509Certificate(readFileSync(certFile, 'utf8')), key);
    }
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        ...validity(),
        name: 'CN=quietmeter bench grid CA',
        keys,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new BasicConstraintsExtension(true, 0, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        ],
      },
      webcrypto,
    );
    await write(certFile, keyFile, certificate, keys.privateKey);
    return new GridCa(directory, certificate, keys.privateKey);
  }

  /** For a broker that is reached under these names or addresses. */
  server(name: string, hosts: string[]): Promise<CertificateFiles> {
    const names = hosts.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value }));
    return this.#issue(name, ExtendedKeyUsage.serverAuth, [new SubjectAlternativeNameExtension(names)]);
  }

  /** For a party: `collector`, `provider`. */
  client(role: string): Promise<CertificateFiles> {
    return this.#issue(role, ExtendedKeyUsage.clientAuth, []);
  }

  async #issue(name: string, usage: ExtendedKeyUsage, extensions: Extension[]): Promise<CertificateFiles> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.create(
      {
        ...validity(),
        subject: `CN=${name}`,
        issuer: this.#certificate.subject,
        publicKey: keys.publicKey,
        signingKey: this.#privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([usage]),
          ...extensions,
        ],
      },
      webcrypto,
    );
    const files = { certFile: join(this.#directory, `${name}.crt`), keyFile: join(this.#directory, `${name}.key`) };
    await write(files.certFile, files.keyFile, certificate, keys.privateKey);
    return files;
  }
}

function validity(): { serialNumber: string; notBefore: Date; notAfter: Date } {
  // positive and without leading zeros, or it would be another number in DER
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x3f) | 0x40;
  const nowMs = Date.now();
  return {
    serialNumber: serial.toString('hex'),
    notBefore: new Date(nowMs - BEFORE_MS),
    notAfter: new Date(nowMs + YEAR_MS),
  };
}

async function write(certFile: string, keyFile: string, certificate: X509Certificate, key: CryptoKey): Promise<void> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  writeFileSync(keyFile, `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`, { mode: 0o600 });
  writeFileSync(certFile, `${certificate.toString('pem')}\n`);
}
