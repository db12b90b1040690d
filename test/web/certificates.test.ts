import 'reflect-metadata';
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import test from 'ava';
import { homeAddresses, openServerCertificate } from '../../web/certificates.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.now();

function folder(t: { teardown(fn: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-ca-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

const host = { hostName: 'raspberrypi', addresses: ['127.0.0.1', '192.168.1.20', 'fd00::2'] };

test('first start: an authority and a server certificate that names this machine', async (t) => {
  const directory = folder(t);
  const made = await openServerCertificate({ directory, nowMs: NOW_MS, ...host });
  const server = new X509Certificate(made.certificatePem);
  const authority = new X509Certificate(made.authorityPem);
  t.true(server.verify(authority.publicKey));
  t.true(server.checkPrivateKey(createPrivateKey(made.keyPem)));
  t.false(server.ca);
  t.true(authority.ca);
  for (const name of ['localhost', 'raspberrypi', 'raspberrypi.local']) t.truthy(server.checkHost(name), name);
  for (const address of host.addresses) t.truthy(server.checkIP(address), address);
  t.is(made.authorityFingerprint, authority.fingerprint256);
  const days = (made.endsMs - NOW_MS) / DAY_MS;
  t.true(days > 396 && days <= 397, `${days} days`);
  for (const name of ['ca.key', 'server.key']) t.is(statSync(join(directory, name)).mode & 0o777, 0o600, name);
});

test('a restart finds what is there; a renewal changes the server’s certificate and keeps the authority', async (t) => {
  const directory = folder(t);
  const first = await openServerCertificate({ directory, nowMs: NOW_MS, ...host });
  t.deepEqual(await openServerCertificate({ directory, nowMs: NOW_MS + 366 * DAY_MS, ...host }), first);
  const renewed = await openServerCertificate({ directory, nowMs: NOW_MS + 368 * DAY_MS, ...host });
  t.not(renewed.certificatePem, first.certificatePem);
  t.not(renewed.keyPem, first.keyPem);
  t.is(renewed.authorityPem, first.authorityPem);
  t.true(renewed.endsMs > first.endsMs + 360 * DAY_MS);
});

test('a server’s certificate never outlives its authority, which is made anew in its last month', async (t) => {
  const directory = folder(t);
  const first = await openServerCertificate({ directory, nowMs: NOW_MS, ...host });
  const late = await openServerCertificate({ directory, nowMs: NOW_MS + 3600 * DAY_MS, ...host });
  t.is(late.authorityPem, first.authorityPem);
  t.is(late.endsMs, Date.parse(new X509Certificate(first.authorityPem).validTo));
  const next = await openServerCertificate({ directory, nowMs: NOW_MS + 3625 * DAY_MS, ...host });
  t.not(next.authorityPem, first.authorityPem);
  t.true(new X509Certificate(next.certificatePem).verify(new X509Certificate(next.authorityPem).publicKey));
});

test('a new address is named by a new certificate; public addresses and foreign names never are', async (t) => {
  const directory = folder(t);
  const open = (addresses: string[], hostName = 'raspberrypi') =>
    openServerCertificate({ directory, nowMs: NOW_MS, hostName, addresses });
  const first = await open(['127.0.0.1']);
  const moved = new X509Certificate(
    (await open(['127.0.0.1', '10.0.0.7', '203.0.113.5', '2001:db8::1'])).certificatePem,
  );
  t.truthy(moved.checkIP('10.0.0.7'));
  t.falsy(moved.checkIP('203.0.113.5'));
  t.falsy(moved.checkIP('2001:db8::1'));
  // The authority was made for another host name: it must not vouch for this one, only for its .local form.
  const renamed = await open(['127.0.0.1'], 'bank.example');
  const certificate = new X509Certificate(renamed.certificatePem);
  t.is(renamed.authorityPem, first.authorityPem);
  t.falsy(certificate.checkHost('bank.example'));
  t.truthy(certificate.checkHost('bank.local'));
});

test('torn or foreign files: the server’s are made anew, a broken authority is named', async (t) => {
  const directory = folder(t);
  const first = await openServerCertificate({ directory, nowMs: NOW_MS, ...host });
  writeFileSync(join(directory, 'server.crt'), first.certificatePem.slice(0, 200));
  const second = await openServerCertificate({ directory, nowMs: NOW_MS, ...host });
  t.true(new X509Certificate(second.certificatePem).verify(new X509Certificate(first.authorityPem).publicKey));
  writeFileSync(join(directory, 'server.key'), first.keyPem);
  t.not((await openServerCertificate({ directory, nowMs: NOW_MS, ...host })).keyPem, first.keyPem);
  writeFileSync(join(directory, 'ca.crt'), 'nonsense');
  await t.throwsAsync(openServerCertificate({ directory, nowMs: NOW_MS, ...host }), {
    message: /ca\.crt: not a certificate; delete it and ca\.key beside it/,
  });
});

test('whoever steals the authority’s key can vouch for this home only: OpenSSL refuses any other name', async (t) => {
  const directory = folder(t);
  const { authorityPem } = await openServerCertificate({ directory, nowMs: NOW_MS, ...host });
  const authorityKey = readFileSync(join(directory, 'ca.key'), 'utf8');
  t.is(await handshake(authorityPem, authorityKey, { type: 'dns', value: 'raspberrypi.local' }), 'trusted');
  t.is(await handshake(authorityPem, authorityKey, { type: 'ip', value: '192.168.7.7' }), 'trusted');
  t.is(
    await handshake(authorityPem, authorityKey, { type: 'dns', value: 'bank.example' }),
    'permitted subtree violation',
  );
  t.is(await handshake(authorityPem, authorityKey, { type: 'dns', value: 'mylocal' }), 'permitted subtree violation');
  t.is(
    await handshake(authorityPem, authorityKey, { type: 'ip', value: '203.0.113.5' }),
    'permitted subtree violation',
  );
});

/** What a TLS client that trusts the authority says of a certificate that a thief made with its key. */
async function handshake(authorityPem: string, authorityKeyPem: string, name: { type: 'dns' | 'ip'; value: string }) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const der = x509.PemConverter.decodeFirst(authorityKeyPem);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '01',
    subject: 'CN=thief',
    issuer: new x509.X509Certificate(authorityPem).subjectName,
    notBefore: new Date(NOW_MS - DAY_MS),
    notAfter: new Date(NOW_MS + DAY_MS),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
    extensions: [new x509.SubjectAlternativeNameExtension([name])],
  });
  const key = createPrivateKey({
    key: Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)),
    format: 'der',
    type: 'pkcs8',
  }).export({ format: 'pem', type: 'pkcs8' });
  const server = tls.createServer({ key, cert: certificate.toString('pem') }).on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise<string>((resolve) => {
      const { port } = server.address() as AddressInfo;
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        ca: authorityPem,
        ...(name.type === 'dns' && { servername: name.value }),
        checkServerIdentity: () => undefined,
      });
      socket.on('secureConnect', () => resolve('trusted'));
      socket.on('error', (error) => resolve(error.message));
      socket.on('secureConnect', () => socket.destroy());
    });
  } finally {
    server.close();
  }
}

test('this machine’s own addresses are private ones, loopback among them', (t) => {
  const addresses = homeAddresses();
  t.true(addresses.includes('127.0.0.1'));
  t.true(addresses.every((address) => /^(127\.|10\.|172\.|192\.168\.|169\.254\.|100\.|::1$|f[cd])/.test(address)));
});
