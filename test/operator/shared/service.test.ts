// The frame of a service over real TLS: who is let in, what is checked, what is said and what is not.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, X509CertificateGenerator } from '@peculiar/x509';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { GridCa } from '../../../bench/grid-ca.ts';
import { callService, type RequestIdentity } from '../../../gateway/services/client.ts';
import { callAs } from '../../../operator/shared/client.ts';
import { VolatileNonces } from '../../../operator/shared/nonce-memory.ts';
import {
  identifiedRoute,
  publicRoute,
  Refusal,
  roleRoute,
  type Service,
  startService,
} from '../../../operator/shared/service.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  type CertificateSubject,
  HolderCheck,
  issueHolderCertificate,
} from '../../../protocol/identity/certificates.ts';
import { bytes, ServiceError } from '../../../protocol/services/call.ts';

const directory = mkdtempSync(join(tmpdir(), 'quietmeter-service-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const ca = await GridCa.open(join(directory, 'ca'));
const server = await ca.server('meters', ['127.0.0.1']);
const caPem = readFileSync(ca.caFile, 'utf8');
const NOW_MS = Date.UTC(2026, 2, 10);
const DAY_MS = 86_400_000;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
async function authority() {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '41',
      name: 'CN=trusted third party',
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
const trusted = await authority();
const revoked = new Set<string>();
let nowMs: number | undefined = NOW_MS;

async function identity(
  subject: CertificateSubject = { kind: 'household', ekSerial: '0a1b', area: 'north-1' },
  issuer = trusted,
): Promise<RequestIdentity> {
  const key = generateSigningKey();
  const certificate = await issueHolderCertificate(subject, key.publicKey, {
    issuer,
    notBeforeMs: NOW_MS - 1000,
    notAfterMs: NOW_MS + DAY_MS,
    serialNumber: randomBytes(16),
  });
  return {
    certificate,
    audience: 'meters',
    nowMs: () => NOW_MS,
    sign: async (message) => signP256(key.privateKey, message),
  };
}

async function start(t: ExecutionContext, requestsPerMinute = 600): Promise<Service> {
  const service = await startService({
    name: 'meters',
    access: { host: '127.0.0.1', port: 0, ...server, caFile: ca.caFile, requestsPerMinute },
    identification: {
      holders: new HolderCheck(trusted.certificate),
      nowMs: () => nowMs,
      isRevoked: (serialNumber) => revoked.has(serialNumber),
      nonces: new VolatileNonces(),
    },
    routes: [
      publicRoute({
        method: 'POST',
        path: '/reverse',
        body: v.strictObject({ values: v.array(v.strictObject({ bytes: bytes(1, 8) })) }),
        handle: ({ values }) => ({ values: values.map((value) => value.bytes.toReversed()) }),
      }),
      publicRoute({
        method: 'POST',
        path: '/break',
        body: v.strictObject({ secret: v.string() }),
        handle: () => {
          throw new Error('in the middle');
        },
      }),
      publicRoute({
        method: 'GET',
        path: '/no',
        handle: () => {
          throw new Refusal('closed', 'the counter is closed today', 'final', { path: 'counter' });
        },
      }),
      roleRoute(['provider'], { method: 'GET', path: '/role', handle: (_body, { role }) => ({ role }) }),
      identifiedRoute({
        method: 'POST',
        path: '/whose',
        body: v.strictObject({ text: v.string() }),
        handle: ({ text }, holder) => ({ text, ekSerial: holder.kind === 'household' ? holder.ekSerial : '' }),
      }),
    ],
  });
  t.teardown(() => service.close());
  return service;
}
const call = (service: Service, path: string, body?: object, more = {}) =>
  callService({ url: service.url, ca: caPem, path, body, answer: v.any(), ...more });
const refusal = async (t: ExecutionContext, promise: Promise<unknown>): Promise<ServiceError> =>
  (await t.throwsAsync(promise, { instanceOf: ServiceError }))!;

test.beforeEach(() => {
  nowMs = NOW_MS;
});

test.serial('a body is checked field by field, bytes travel as base64url, both ways', async (t) => {
  const service = await start(t);
  t.deepEqual(await call(service, '/reverse', { values: [{ bytes: Buffer.of(1, 2, 255) }] }), { values: ['_wIB'] });
  for (const [body, path, message] of [
    [{ values: [{ bytes: 'AQ' }, { bytes: 'a+b' }] }, 'values.1.bytes', 'values.1.bytes is no base64url'],
    [{ values: [{ bytes: '' }] }, 'values.0.bytes', 'values.0.bytes is not 1 to 8 bytes long'],
    [{ values: [], more: 1 }, 'more', 'more is missing, unknown or of the wrong kind'],
    [{}, 'values', 'values is missing, unknown or of the wrong kind'],
  ] as const) {
    const error = await refusal(t, call(service, '/reverse', body));
    t.like(error, { kind: 'refused', code: 'malformed', recovery: 'correct', path, message });
    t.regex(error.requestId!, /^[0-9a-f-]{36}$/);
  }
  t.like(await refusal(t, call(service, '/reverse', { values: 'x'.repeat(70_000) })), { code: 'too large' });
  t.like(await refusal(t, call(service, '/nowhere')), { code: 'not found', recovery: 'final' });
  t.like(await refusal(t, call(service, '/no')), {
    code: 'closed',
    recovery: 'final',
    path: 'counter',
    message: 'the counter is closed today',
  });
  t.deepEqual(await call(service, '/health'), { party: 'meters' });
  t.deepEqual(service.counters.read(), { answered: 1, closed: 1, malformed: 4, 'not found': 1, 'too large': 1 });
});

test.serial('what breaks inside says nothing of it outside, and the log holds no body', async (t) => {
  const service = await start(t);
  const lines: string[] = [];
  const { error: log } = console;
  console.error = (line: string) => lines.push(line);
  const error = await refusal(t, call(service, '/break', { secret: 'hunter2' }));
  console.error = log;
  t.like(error, { code: 'failed', recovery: 'again', message: 'the service failed; the request may be sent again' });
  t.is(lines.length, 1);
  t.true(lines[0].includes(error.requestId!) && lines[0].includes('/break'));
  t.false(lines[0].includes('hunter2'));
});

test.serial('a party is known by its client certificate, and each route by its parties', async (t) => {
  const service = await start(t);
  const as = async (role: string): Promise<unknown> =>
    callAs(await ca.client(role), { url: service.url, caFile: ca.caFile, path: '/role', answer: v.any() });
  t.deepEqual(await as('provider'), { role: 'provider' });
  t.like(await refusal(t, as('collector')), { code: 'not this role', message: 'only provider may ask this' });
  t.like(await refusal(t, call(service, '/role')), { code: 'not this role' });
  const stranger = await GridCa.open(join(directory, 'other-ca'));
  const files = await stranger.client('provider');
  const answer = callAs(files, { url: service.url, caFile: ca.caFile, path: '/role', answer: v.any() });
  t.like(await refusal(t, answer), { code: 'not this role' }, 'of another authority');
});

test.serial('a gateway is known by the signature of its TPM key over the request', async (t) => {
  const service = await start(t);
  const household = await identity();
  t.deepEqual(await call(service, '/whose', { text: 'ü' }, { identity: household }), { text: 'ü', ekSerial: '0a1b' });
  t.like(await refusal(t, call(service, '/whose', { text: '' })), {
    code: 'not proved',
    message: 'quietmeter-proof does not stand among the headers once',
  });
  nowMs = undefined;
  t.like(await refusal(t, call(service, '/whose', { text: '' }, { identity: household })), {
    code: 'starting',
    recovery: 'again',
  });
});

test.serial('only TLS 1.3, only the pinned authority, and no waiting for ever', async (t) => {
  const service = await start(t);
  const { port } = new URL(service.url);
  const error = await new Promise<Error>((done) =>
    connect({ port: Number(port), ca: caPem, maxVersion: 'TLSv1.2' }).once('error', done),
  );
  t.regex(error.message, /protocol version|alert/);
  const stranger = await GridCa.open(join(directory, 'third-ca'));
  t.like(await refusal(t, call(service, '/health', undefined, { ca: readFileSync(stranger.caFile, 'utf8') })), {
    kind: 'untrusted',
    recovery: 'final',
  });
  t.like(await refusal(t, call({ ...service, url: 'https://127.0.0.1:1' }, '/health')), {
    kind: 'unreachable',
    recovery: 'again',
  });
});

test.serial('one address cannot ask without end', async (t) => {
  const service = await start(t, 3);
  for (let i = 0; i < 3; i++) await call(service, '/health');
  t.like(await refusal(t, call(service, '/health')), { code: 'too many', recovery: 'again' });
});
