/**
 * Whether an endorsement certificate leads to a maker of TPMs that is pinned here (TCG "EK Credential Profile" 2.3, RFC 5280).
 *
 *   root, pinned ── signs ──► intermediate, known here ── signs ──► endorsement certificate, from the TPM
 *
 * Signatures are node:crypto's, extensions @peculiar/x509's; what neither does is done here: the way to the root, path lengths,
 * validity at a given instant, purpose, lists of what the maker revoked. A certificate that was checked once is remembered, its
 * times are looked at again each time.
 */
import 'reflect-metadata';
import { createHash, X509Certificate as NodeCertificate, verify } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509Crl,
} from '@peculiar/x509';
import { isCertified, readEndorsementPublic } from './credential.ts';
import { TpmWireError } from './tpm-wire.ts';

export type EkTrouble =
  | 'malformed'
  | 'authority'
  | 'usage'
  | 'algorithm'
  | 'critical'
  | 'manufacturer'
  | 'issuer'
  | 'not yet'
  | 'expired'
  | 'revoked'
  | 'other key';

/** The message is a plain sentence. */
export class EkChainError extends Error {
  override readonly name = 'EkChainError';
  readonly code: EkTrouble;
  constructor(code: EkTrouble, message: string) {
    super(message);
    this.code = code;
  }
}

export interface EkRootsOptions {
  /** PEM, which may hold several, or DER. */
  roots: readonly (string | Uint8Array)[];
  intermediates?: readonly (string | Uint8Array)[];
  /** Lists of what makers revoked, PEM or DER; each signed by one of the above. */
  revocations?: readonly (string | Uint8Array)[];
}

export interface CheckedEk {
  /**
   * By it the grid operator knows the device, lower-case hexadecimal: the first MAKER_ID_BYTES of SHA-256 over the public key
   * (SubjectPublicKeyInfo) of the authority that issued the certificate, then the certificate's serial number. Serial numbers alone
   * are unique within one authority only: two makers may give the same.
   */
  ekSerial: string;
  /** The maker's letters, such as `IFX`, or its number, `id:00001014`; null where the certificate does not say. */
  manufacturer: string | null;
  /** One of the makers' lists of revocations is past its time; what it revokes stays revoked. */
  revocationsStale: boolean;
}

/** tcg-kp-EKCertificate; attribute of the TPM's maker (EK Credential Profile, 3.1.2 and 3.2.8). */
const EK_PURPOSE = '2.23.133.8.1';
const MANUFACTURER = '2.23.133.2.1';
const MANUFACTURER_ID = /^id:[0-9A-Fa-f]{8}$/;
/** Extensions that may be critical: directory attributes, key usage, alternative name, basic constraints, extended usage. */
const UNDERSTOOD = new Set(['2.5.29.9', '2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.37']);
const HASHES = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const RSA_LEAST_BITS = 2048;
export const MAKER_ID_BYTES = 8;
/** Certificates that are remembered. */
const KNOWN_MOST = 65_536;

interface Authority {
  certificate: NodeCertificate;
  /** Of its public key, hexadecimal. */
  makerId: string;
  subject: string;
  /** For people. */
  what: string;
  /** How many authorities may stand below it. */
  pathLength: number;
  /** Null for a root. Set when the ways have been found. */
  issuer: Authority | null;
  trusted: boolean;
  fromMs: number;
  untilMs: number;
  revoked: Set<string>;
  /** When the newest list of it ends; null where there is none, or it does not say. */
  revocationsUntilMs: number | null;
}

interface Known {
  ekSerial: string;
  /** Of the certificate alone. */
  serial: string;
  manufacturer: string | null;
  fromMs: number;
  untilMs: number;
  issuer: Authority;
}

/** The makers of TPMs that are believed. */
export class EkRoots {
  readonly #authorities: Authority[];
  readonly #known = new Map<string, Known>();

  /** @throws EkChainError where a certificate or list is none, or leads nowhere */
  constructor({ roots, intermediates = [], revocations = [] }: EkRootsOptions) {
    const rooted = separate(roots).map((source, i) => readAuthority(source, `root ${i + 1}`, true));
    const between = separate(intermediates).map((source, i) => readAuthority(source, `intermediate ${i + 1}`, false));
    if (rooted.length === 0) throw new EkChainError('authority', 'no root is pinned: nothing could be believed');
    this.#authorities = [...rooted, ...between];
    for (const authority of between) {
      const why = this.#lead(authority, []);
      if (why) throw new EkChainError('issuer', `${authority.what} ${why}`);
    }
    separate(revocations).forEach((source, i) => {
      readRevocations(source, `list of revocations ${i + 1}`, this.#authorities);
    });
  }

  /**
   * @param certificate DER, as it lies in the TPM @param atMs Unix ms of the calendar: makers know no other time
   * @throws EkChainError
   */
  check(certificate: Uint8Array, atMs: number): CheckedEk {
    const known = this.#read(certificate);
    const { ekSerial, manufacturer, fromMs, untilMs, issuer } = known;
    checkTime('the certificate', fromMs, untilMs, atMs);
    let revocationsStale = false;
    let { serial } = known;
    let what = 'the certificate';
    for (let authority: Authority | null = issuer; authority; authority = authority.issuer) {
      checkTime(authority.what, authority.fromMs, authority.untilMs, atMs);
      if (authority.revoked.has(serial)) throw new EkChainError('revoked', `${what} was revoked by the TPM's maker`);
      if (authority.revocationsUntilMs !== null && authority.revocationsUntilMs < atMs) revocationsStale = true;
      serial = serialOf(authority.certificate);
      what = authority.what;
    }
    return { ekSerial, manufacturer, revocationsStale };
  }

  /** As `check`, and the public area is the certificate's key, fit for credentials. @throws EkChainError */
  checkWithKey(certificate: Uint8Array, ekPublic: Uint8Array, atMs: number): CheckedEk {
    const checked = this.check(certificate, atMs);
    try {
      if (isCertified(readEndorsementPublic(ekPublic), new NodeCertificate(certificate))) return checked;
    } catch (error) {
      if (error instanceof TpmWireError)
        throw new EkChainError('other key', `the endorsement key is none: ${error.message}`);
      throw error;
    }
    throw new EkChainError('other key', 'the certificate is of another endorsement key than the one that is described');
  }

  #read(der: Uint8Array): Known {
    const digest = createHash('sha256').update(der).digest('base64');
    const known = this.#known.get(digest);
    if (known) return known;
    const { certificate, details } = parse(der, 'the certificate');
    const manufacturer = checkEndorsement(certificate, details);
    const issuer = this.#authorities.find((authority) => authority.trusted && hasIssued(authority, certificate));
    if (!issuer)
      throw new EkChainError('issuer', 'its certificate was not issued by a maker of TPMs that is pinned here');
    const fromMs = certificate.validFromDate.getTime();
    const untilMs = certificate.validToDate.getTime();
    const serial = serialOf(certificate);
    const read = { ekSerial: issuer.makerId + serial, serial, manufacturer, fromMs, untilMs, issuer };
    if (this.#known.size >= KNOWN_MOST) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(digest, read);
    return read;
  }

  /** Finds the way from an intermediate to a root. @returns why there is none, or null */
  #lead(authority: Authority, below: readonly Authority[]): string | null {
    if (authority.trusted) return checkPathLength(authority, below);
    let why: string | null = null;
    for (const issuer of this.#authorities) {
      if (issuer === authority || below.includes(issuer) || !hasIssued(issuer, authority.certificate)) continue;
      why = this.#lead(issuer, [...below, authority]);
      if (why !== null) continue;
      authority.issuer = issuer;
      authority.trusted = true;
      return checkPathLength(authority, below);
    }
    return why ?? 'was not issued by a root or intermediate that is known here';
  }
}

/** In the whole way up, each has room for the authorities below it. */
function checkPathLength(authority: Authority, below: readonly Authority[]): string | null {
  let count = below.length;
  for (let at: Authority | null = authority; at; at = at.issuer, count++)
    if (count > at.pathLength) return `has more authorities above it than ${at.what} allows`;
  return null;
}

const hasIssued = ({ certificate }: Authority, child: NodeCertificate): boolean =>
  child.checkIssued(certificate) && child.verify(certificate.publicKey);

const serialOf = (certificate: NodeCertificate): string => certificate.serialNumber.toLowerCase();

function checkTime(what: string, fromMs: number, untilMs: number, atMs: number): void {
  if (atMs < fromMs) throw new EkChainError('not yet', `${what} is not valid yet`);
  if (atMs > untilMs) throw new EkChainError('expired', `${what} has expired`);
}

// Certificates

/** What a file of several holds, one by one. */
function separate(sources: readonly (string | Uint8Array)[]): (string | Uint8Array)[] {
  return sources.flatMap((source): (string | Uint8Array)[] =>
    typeof source === 'string'
      ? (source.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [source])
      : [source],
  );
}

function parse(source: string | Uint8Array, what: string): { certificate: NodeCertificate; details: X509Certificate } {
  try {
    const certificate = new NodeCertificate(source);
    const details = new X509Certificate(new Uint8Array(certificate.raw));
    void details.extensions; // read now, or they would throw later
    return { certificate, details };
  } catch {
    throw new EkChainError('malformed', `${what} is no X.509 certificate`);
  }
}

function readAuthority(source: string | Uint8Array, what: string, trusted: boolean): Authority {
  const { certificate, details } = parse(source, what);
  const constraints = details.getExtension(BasicConstraintsExtension);
  if (!constraints?.ca) throw new EkChainError('authority', `${what} is no certificate of an authority`);
  const usage = details.getExtension(KeyUsagesExtension);
  if (usage && !(usage.usages & KeyUsageFlags.keyCertSign))
    throw new EkChainError('usage', `${what} may not sign certificates`);
  checkStrength(certificate, details, what);
  const publicKey = certificate.publicKey.export({ format: 'der', type: 'spki' });
  return {
    certificate,
    makerId: createHash('sha256')
      .update(publicKey)
      .digest('hex')
      .slice(0, 2 * MAKER_ID_BYTES),
    subject: details.subject,
    what,
    pathLength: constraints.pathLength ?? Number.POSITIVE_INFINITY,
    issuer: null,
    trusted,
    fromMs: certificate.validFromDate.getTime(),
    untilMs: certificate.validToDate.getTime(),
    revoked: new Set(),
    revocationsUntilMs: null,
  };
}

/** @returns the TPM's maker, where the certificate says it */
function checkEndorsement(certificate: NodeCertificate, details: X509Certificate): string | null {
  const what = 'the certificate';
  if (certificate.ca) throw new EkChainError('authority', `${what} is an authority's, not a TPM's`);
  if (!details.getExtension(ExtendedKeyUsageExtension)?.usages.includes(EK_PURPOSE))
    throw new EkChainError('usage', `${what} is not one of an endorsement key`);
  checkStrength(certificate, details, what);
  const usage = details.getExtension(KeyUsagesExtension);
  const needed =
    certificate.publicKey.asymmetricKeyType === 'rsa' ? KeyUsageFlags.keyEncipherment : KeyUsageFlags.keyAgreement;
  if (usage && !(usage.usages & needed))
    throw new EkChainError('usage', `${what} is of a key that may not open credentials`);
  return readManufacturer(details);
}

/** Key and signature are strong enough, and no extension is critical that is not understood here. */
function checkStrength(certificate: NodeCertificate, details: X509Certificate, what: string): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: key } = certificate.publicKey;
  const strong =
    type === 'rsa' ? (key?.modulusLength ?? 0) >= RSA_LEAST_BITS : type === 'ec' && CURVES.has(key?.namedCurve ?? '');
  if (!strong)
    throw new EkChainError('algorithm', `the key of ${what} is too weak, or of a kind that is not taken here`);
  const { hash } = details.signatureAlgorithm as { hash?: { name: string } };
  if (!hash || !HASHES.has(hash.name)) throw new EkChainError('algorithm', `${what} is signed over a weak digest`);
  const unknown = details.extensions.find(({ critical, type }) => critical && !UNDERSTOOD.has(type));
  if (unknown) throw new EkChainError('critical', `${what} demands ${unknown.type}, which is not understood here`);
}

function readManufacturer(details: X509Certificate): string | null {
  const names = details.getExtension(SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const fields = names.flatMap(({ type, value }) => (type === 'dn' ? new Name(value).getField(MANUFACTURER) : []));
  if (fields.length === 0) return null;
  const [id] = fields;
  if (fields.length > 1 || !MANUFACTURER_ID.test(id))
    throw new EkChainError('manufacturer', "the certificate does not say its TPM's maker as it should");
  const letters = Buffer.from(id.slice(3), 'hex')
    .toString('latin1')
    .replace(/[\0 ]+$/, '');
  return /^[\x21-\x7e]+$/.test(letters) ? letters : id;
}

// Revocations

/** Adds a list to the authority that signed it. */
function readRevocations(source: string | Uint8Array, what: string, authorities: readonly Authority[]): void {
  let list: X509Crl;
  try {
    list = new X509Crl(typeof source === 'string' ? source : new Uint8Array(source));
  } catch {
    throw new EkChainError('malformed', `${what} is none`);
  }
  const { hash } = list.signatureAlgorithm as { hash?: { name: string } };
  if (!hash || !HASHES.has(hash.name)) throw new EkChainError('algorithm', `${what} is signed over a weak digest`);
  const signed = toBeSigned(Buffer.from(list.rawData));
  const signature = Buffer.from(list.signature);
  const issuer = authorities.find(
    ({ certificate, subject }) =>
      subject === list.issuer &&
      verify(hash.name.replace('-', '').toLowerCase(), signed, certificate.publicKey, signature),
  );
  if (!issuer) throw new EkChainError('issuer', `${what} was not signed by a root or intermediate that is known here`);
  for (const { serialNumber } of list.entries) issuer.revoked.add(normalSerial(serialNumber));
  const untilMs = list.nextUpdate?.getTime() ?? null;
  if (untilMs !== null) issuer.revocationsUntilMs = Math.max(untilMs, issuer.revocationsUntilMs ?? 0);
}

/** As OpenSSL writes serial numbers: no sign byte, whole bytes. */
const normalSerial = (hex: string): string => {
  const digits = hex.toLowerCase().replace(/^(00)+(?=..)/, '');
  return digits.length % 2 ? `0${digits}` : digits;
};

/** The first element of the outermost SEQUENCE, with its header: what the signature is over (DER). */
function toBeSigned(der: Buffer): Buffer {
  const bodyOf = (at: number): { from: number; length: number } => {
    const first = der[at + 1];
    if (first < 0x80) return { from: at + 2, length: first };
    const bytes = first & 0x7f;
    return { from: at + 2 + bytes, length: der.readUIntBE(at + 2, bytes) };
  };
  const { from } = bodyOf(0);
  const inner = bodyOf(from);
  return der.subarray(from, inner.from + inner.length);
}
