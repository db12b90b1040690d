/**
 * TLS without anyone outside the house: on its first start the gateway makes a certificate authority of its own, which
 * the customer trusts once, and has it sign the server's certificate, which is renewed before it ends.
 *
 * An authority in a browser's list could vouch for any site in the world if its key were stolen from the gateway.
 * Ours cannot: name constraints (RFC 5280 §4.2.1.10, critical) confine it to this host's name, to names that exist
 * only inside a home, and to private addresses.
 */
import 'reflect-metadata';
import { createHash, createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { PUBLIC_FILE, readIfThere, writeWhole } from './private-files.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** Apple's systems refuse server certificates of more than 825 days, even under an own authority; 398 is what public ones use. */
const SERVER_DAYS = 397;
const RENEW_BEFORE_DAYS = 30;
/** Clocks at home differ: a certificate is valid from a day before it was made. */
const CLOCK_SLACK_MS = DAY_MS;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Names under which a home knows its machines: mDNS, RFC 8375, and what routers use. */
const HOME_DOMAINS = ['localhost', 'local', 'home.arpa', 'internal', 'lan'];
/** Loopback, private, link-local and carrier-grade (also used by home VPNs) addresses, with prefix length. */
const HOME_NETWORKS: [string, number][] = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
];

export interface ServerCertificate {
  keyPem: string;
  certificatePem: string;
  /** The authority's public certificate: what the customer trusts. */
  authorityPem: string;
  /** SHA-256 of the authority's certificate, as browsers show it (`AB:CD:…`), for comparing by eye. */
  authorityFingerprint: string;
  endsMs: number;
}

export interface CertificateOptions {
  /** Where keys (0600) and certificates are kept. */
  directory: string;
  /** Transport time: the system's clock, not the conductor's. */
  nowMs: number;
  /** This machine's name and addresses; by default what the system says. */
  hostName?: string;
  addresses?: string[];
}

/** Addresses of this machine that a home network can reach it by, loopback included. */
export function homeAddresses(): string[] {
  const found = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map((entry) => entry.address)
    // Link-local IPv6 needs a zone in the address bar, which browsers refuse.
    .filter((address) => !address.startsWith('fe80') && isHomeAddress(address));
  return [...new Set(['127.0.0.1', '::1', ...found])].sort();
}

const homeNetworks = new BlockList();
for (const [network, prefix] of HOME_NETWORKS)
  homeNetworks.addSubnet(network, prefix, isIP(network) === 6 ? 'ipv6' : 'ipv4');

function isHomeAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && homeNetworks.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Opens what an earlier start made; makes what is missing, ends soon, or no longer names this machine. */
export async function openServerCertificate(options: CertificateOptions): Promise<ServerCertificate> {
  const { directory, nowMs } = options;
  const host = (options.hostName ?? hostname()).toLowerCase();
  const authority = await openAuthority(directory, host, nowMs);
  const names = serverNames(host, authority.hostName, options.addresses ?? homeAddresses());

  const keyPath = join(directory, 'server.key');
  const certificatePath = join(directory, 'server.crt');
  let keyPem = readIfThere(keyPath);
  let certificatePem = readIfThere(certificatePath);
  if (!keyPem || !certificatePem || !isStillGood(keyPem, certificatePem, authority.pem, names, nowMs)) {
    ({ keyPem, certificatePem } = await issue(authority, names, nowMs));
    writeWhole(keyPath, keyPem);
    writeWhole(certificatePath, certificatePem, PUBLIC_FILE);
  }
  return {
    keyPem,
    certificatePem,
    authorityPem: authority.pem,
    authorityFingerprint: new X509Certificate(authority.pem).fingerprint256,
    endsMs: Date.parse(new X509Certificate(certificatePem).validTo),
  };
}

interface Authority {
  pem: string;
  keyPem: string;
  /** The host name that its constraints allow beside the home's domains. */
  hostName: string;
}

async function openAuthority(directory: string, host: string, nowMs: number): Promise<Authority> {
  const keyPath = join(directory, 'ca.key');
  const certificatePath = join(directory, 'ca.crt');
  const keyPem = readIfThere(keyPath);
  const pem = readIfThere(certificatePath);
  if (keyPem && pem) {
    const certificate = parse(certificatePath, pem);
    const hostName = /^OU=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
    if (Date.parse(certificate.validTo) - nowMs > RENEW_BEFORE_DAYS * DAY_MS) return { pem, keyPem, hostName };
  }
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [`quietmeter at ${host}`] }, { OU: [host] }],
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(nowMs + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      new x509.Extension('2.5.29.30', true, nameConstraints([...HOME_DOMAINS, host])),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const authority = { pem: made.toString('pem'), keyPem: await exportKey(keys.privateKey), hostName: host };
  writeWhole(keyPath, authority.keyPem);
  writeWhole(certificatePath, authority.pem, PUBLIC_FILE);
  return authority;
}

interface ServerNames {
  dns: string[];
  ip: string[];
}

/** Only names that the authority's constraints allow: one that it must not vouch for would spoil the whole certificate. */
function serverNames(host: string, authorityHost: string, addresses: string[]): ServerNames {
  const allowed = (name: string) =>
    name === authorityHost || HOME_DOMAINS.some((domain) => name === domain || name.endsWith(`.${domain}`));
  const dns = ['localhost', host, `${host.split('.')[0]}.local`].filter(allowed);
  return { dns: [...new Set(dns)], ip: addresses.filter(isHomeAddress) };
}

function isStillGood(keyPem: string, pem: string, authorityPem: string, names: ServerNames, nowMs: number): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const authority = new X509Certificate(authorityPem);
    return (
      certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
      certificate.verify(authority.publicKey) &&
      Date.parse(certificate.validTo) - nowMs > RENEW_BEFORE_DAYS * DAY_MS &&
      names.dns.every((name) => certificate.checkHost(name)) &&
      names.ip.every((address) => certificate.checkIP(address))
    );
  } catch {
    return false; // A torn or foreign file: made anew.
  }
}

async function issue(authority: Authority, names: ServerNames, nowMs: number) {
  const authorityCertificate = new x509.X509Certificate(authority.pem);
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pemBytes(authority.keyPem), ALGORITHM, false, ['sign']);
  const endsMs = Math.min(nowMs + SERVER_DAYS * DAY_MS, authorityCertificate.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [names.dns.at(-1)!] }],
    issuer: authorityCertificate.subjectName,
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(endsMs),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.dns.map((value) => ({ type: 'dns' as const, value })),
        ...names.ip.map((value) => ({ type: 'ip' as const, value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityCertificate),
    ],
  });
  return { keyPem: await exportKey(keys.privateKey), certificatePem: certificate.toString('pem') };
}

function parse(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new Error(`${path}: not a certificate; delete it and ca.key beside it to have both made anew`);
  }
}

/** Positive and unguessable, 16 bytes (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(der, 'PRIVATE KEY');
}

const pemBytes = (pem: string): ArrayBuffer => x509.PemConverter.decodeFirst(pem);

/**
 * NameConstraints ::= SEQUENCE { permittedSubtrees [0] SEQUENCE OF SEQUENCE { base GeneralName } }
 * GeneralName: dNSName [2] IA5String, iPAddress [7] OCTET STRING (address ‖ mask).
 */
function nameConstraints(domains: string[]): Uint8Array<ArrayBuffer> {
  const subtrees = [
    ...domains.map((domain) => der(0x30, der(0x82, Buffer.from(domain, 'ascii')))),
    ...HOME_NETWORKS.map(([network, prefix]) => der(0x30, der(0x87, addressAndMask(network, prefix)))),
  ];
  return der(0x30, der(0xa0, ...subtrees));
}

function der(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const body = Buffer.concat(parts);
  const size = body.length;
  // The shortest form of the length: browsers refuse any other (X.690 §10.1), OpenSSL does not notice.
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Uint8Array.from([tag, ...length, ...body]);
}

function addressAndMask(network: string, prefix: number): Uint8Array {
  const size = isIP(network) === 6 ? 16 : 4;
  const bytes = new Uint8Array(2 * size);
  if (size === 4) bytes.set(network.split('.').map(Number));
  else if (network === '::1') bytes[15] = 1;
  else bytes.set(Buffer.from(network.replaceAll(':', ''), 'hex'));
  for (let bit = 0; bit < prefix; bit++) bytes[size + (bit >> 3)] |= 0x80 >> (bit & 7);
  return bytes;
}

/** Eight hex digits that tell one gateway's authority from another's. */
export const authorityTag = (authorityPem: string): string =>
  createHash('sha256').update(new X509Certificate(authorityPem).raw).digest('hex').slice(0, 8);
