/**
 * The X.509 certificates that the trusted third party issues for keys of one household's TPM (tpm-privacy-concept.txt, figure
 * 6.2; RFC 5280). Three keys, so that no party learns from a certificate what it may not know:
 *
 *   identifier   shown to the provider and the trusted third party    name, customer number, provider; nothing of the device
 *   household    shown to grid operator and verifier, signs requests   serial number of the EK certificate, area; no person
 *   attestation  shown to the verifier, signs what the TPM says        serial number, area, and the address for a field visit
 *
 *   subject      OU = kind · CN = name · O = provider · 2.5.4.5 = customer number, or the EK's serial · L = area ·
 *                2.5.4.16 = address
 *   key          P-256, in the TPM · signature ECDSA with SHA-256 by the issuer, whose certificate everybody pins
 *
 * The address is the one in the grid operator's register, never what the customer typed. Validity counts in protocol time.
 */
import 'reflect-metadata';
import { createHash, X509Certificate as NodeCertificate, type webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PublicKey,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { compressPoint, uncompressPublicKey } from '../crypto/p256.ts';

export type CertificateKind = 'identifier' | 'household' | 'attestation';

/** What each kind says of its holder; all texts are non-empty. */
export type CertificateSubject =
  | { kind: 'identifier'; name: string; provider: string; customerNumber: string }
  | { kind: 'household'; ekSerial: string; area: string }
  | { kind: 'attestation'; ekSerial: string; area: string; address: string };

/** A certificate that was found good. */
export type Holder<Kind extends CertificateKind = CertificateKind> = Extract<CertificateSubject, { kind: Kind }> & {
  /** Compressed P-256, 33 B. */
  publicKey: Uint8Array;
  /** The certificate's own serial number, lower-case hexadecimal: what a revocation names. */
  serialNumber: string;
  notAfterMs: number;
};

/** `path` names the field: `certificate.subject`. */
export class HolderError extends Error {
  override readonly name = 'HolderError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** Attribute of the distinguished name for each field (RFC 4519). */
const ATTRIBUTES = {
  kind: 'OU',
  name: 'CN',
  provider: 'O',
  customerNumber: '2.5.4.5',
  ekSerial: '2.5.4.5',
  area: 'L',
  address: '2.5.4.16',
} as const;
const FIELDS = {
  identifier: ['name', 'provider', 'customerNumber'],
  household: ['ekSerial', 'area'],
  attestation: ['ekSerial', 'area', 'address'],
} as const;
/** tcg-kp-AIKCertificate (TCG "Credential Profiles EK"); clientAuth for keys that sign requests. */
const USAGE = {
  identifier: '1.3.6.1.5.5.7.3.2',
  household: '1.3.6.1.5.5.7.3.2',
  attestation: '2.23.133.8.3',
} as const;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** SubjectPublicKeyInfo of P-256 up to the uncompressed point (RFC 5480). */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

export interface IssuerKey {
  /** Its certificate, PEM or DER. */
  certificate: string | Uint8Array;
  privateKey: webcrypto.CryptoKey;
}

/** The trusted third party's step. @param serialNumber 16 random bytes @returns DER */
export async function issueHolderCertificate(
  subject: CertificateSubject,
  publicKey: Uint8Array,
  {
    issuer,
    notBeforeMs,
    notAfterMs,
    serialNumber,
  }: {
    issuer: IssuerKey;
    notBeforeMs: number;
    notAfterMs: number;
    serialNumber: Uint8Array;
  },
  crypto: webcrypto.Crypto = globalThis.crypto as webcrypto.Crypto,
): Promise<Uint8Array> {
  const fields = ['kind', ...FIELDS[subject.kind]] as (keyof typeof ATTRIBUTES)[];
  const values = subject as unknown as Record<string, string>;
  for (const field of fields) if (!values[field]) throw new HolderError(`subject.${field}`, 'is empty');
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: positive(serialNumber).toString('hex'),
      notBefore: new Date(notBeforeMs),
      notAfter: new Date(notAfterMs),
      // as objects: in a plain string quotes and commas would be syntax, and the customer types the name
      subject: new Name(fields.map((field) => ({ [ATTRIBUTES[field]]: [{ utf8String: values[field] }] }))),
      issuer: parse(issuer.certificate).subject,
      publicKey: new PublicKey(Buffer.concat([SPKI_PREFIX, uncompressPublicKey(publicKey)])),
      signingKey: issuer.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([USAGE[subject.kind]]),
      ],
    },
    crypto,
  );
  return new Uint8Array(certificate.rawData);
}

/** Positive and without leading zeros, or it would be another number in DER. */
function positive(serialNumber: Uint8Array): Buffer {
  const serial = Buffer.from(serialNumber);
  serial[0] = (serial[0] & 0x3f) | 0x40;
  return serial;
}

const parse = (certificate: string | Uint8Array): X509Certificate => new X509Certificate(certificate as string);

/** The provider that an identifier certificate names, which was found good before. */
export const providerOf = (identifier: Uint8Array): string =>
  parse(identifier).subjectName.getField(ATTRIBUTES.provider)[0];

/**
 * Whoever is shown a certificate: holds those that the trusted third party issued for good, and says whose they are. Which are
 * revoked is the caller's to look up by `serialNumber`.
 */
export class HolderCheck {
  readonly #issuer: NodeCertificate;
  readonly #known = new Map<string, { holder: Holder; notBeforeMs: number }>();

  /** @param issuerCertificate the trusted third party's, pinned by configuration; PEM or DER */
  constructor(issuerCertificate: string | Uint8Array) {
    this.#issuer = new NodeCertificate(issuerCertificate as string);
    if (!this.#issuer.ca) throw new HolderError('issuer', 'is no certificate of an authority');
  }

  /** @param der as it was shown @throws HolderError, a plain sentence */
  check<Kind extends CertificateKind>(der: Uint8Array, kinds: readonly Kind[], nowMs: number): Holder<Kind> {
    const { holder, notBeforeMs } = this.#read(der);
    if (nowMs < notBeforeMs) throw new HolderError('certificate', 'is not valid yet');
    if (nowMs > holder.notAfterMs) throw new HolderError('certificate', 'has expired');
    if (!kinds.includes(holder.kind as Kind))
      throw new HolderError('certificate.subject', `is of kind ${holder.kind}, not ${kinds.join(' or ')}`);
    return holder as Holder<Kind>;
  }

  #read(der: Uint8Array): { holder: Holder; notBeforeMs: number } {
    const digest = createHash('sha256').update(der).digest('base64');
    const known = this.#known.get(digest);
    if (known) return known;
    const read = readHolder(der, this.#issuer);
    if (this.#known.size >= KNOWN_MOST) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(digest, read);
    return read;
  }
}
/** Certificates whose signature has been checked once. */
const KNOWN_MOST = 4096;

function readHolder(der: Uint8Array, issuer: NodeCertificate): { holder: Holder; notBeforeMs: number } {
  let certificate: NodeCertificate;
  let subject: Name;
  try {
    certificate = new NodeCertificate(der);
    subject = parse(der).subjectName;
  } catch {
    throw new HolderError('certificate', 'is no X.509 certificate');
  }
  if (certificate.ca) throw new HolderError('certificate', "is an authority's, not a household's");
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
    throw new HolderError('certificate', 'was not issued by the trusted third party');
  const field = (name: keyof typeof ATTRIBUTES): string => {
    const [value, ...more] = subject.getField(ATTRIBUTES[name]);
    if (!value || more.length > 0) throw new HolderError(`certificate.subject.${name}`, 'does not stand there once');
    return value;
  };
  const kind = field('kind') as CertificateKind;
  if (!(kind in FIELDS)) throw new HolderError('certificate.subject.kind', 'is not known');
  if (!certificate.keyUsage?.includes(USAGE[kind]))
    throw new HolderError('certificate.keyUsage', `is not that of ${kind}`);
  const { crv, x, y } = certificate.publicKey.export({ format: 'jwk' });
  if (crv !== 'P-256') throw new HolderError('certificate.publicKey', 'is not on P-256');
  const values = Object.fromEntries(FIELDS[kind].map((name) => [name, field(name)]));
  return {
    holder: {
      kind,
      ...values,
      publicKey: compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')),
      serialNumber: certificate.serialNumber.toLowerCase(),
      notAfterMs: certificate.validToDate.getTime(),
    } as Holder,
    notBeforeMs: certificate.validFromDate.getTime(),
  };
}
