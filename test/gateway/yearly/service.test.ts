// Registers and a change of provider over the grid operator's real service, signed by a certified household key.
import 'reflect-metadata';
import { generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, X509CertificateGenerator } from '@peculiar/x509';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import type { RequestIdentity } from '../../../gateway/services/client.ts';
import { HouseholdYearly } from '../../../gateway/yearly/start.ts';
import type { Register } from '../../../operator/grid-operator/register.ts';
import { openYearly } from '../../../operator/grid-operator/yearly-service.ts';
import { callAs } from '../../../operator/shared/client.ts';
import { startService } from '../../../operator/shared/service.ts';
import { ed25519PublicKey } from '../../../protocol/crypto/ed25519.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { openInvoice } from '../../../protocol/grid-fees/invoice.ts';
import { yearFirstSlot } from '../../../protocol/grid-fees/register-reading.ts';
import { changeCall, invoicesCall } from '../../../protocol/grid-fees/services.ts';
import { issueHolderCertificate } from '../../../protocol/identity/certificates.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { DAY_MS, SLOTS_PER_DAY, slotStartMs } from '../../../protocol/time/slots.ts';

const DEVICE = '0a1b2c';
const END = yearFirstSlot(2027);
const START_MS = slotStartMs(END) - 3 * DAY_MS;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const validity = { notBeforeMs: START_MS - DAY_MS, notAfterMs: START_MS + 400 * DAY_MS };

async function thirdParty() {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '41',
      name: 'CN=trusted third party',
      notBefore: new Date(validity.notBeforeMs),
      notAfter: new Date(validity.notAfterMs),
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

test('a change of provider and the end of the year: the gateway asks, tells, and two providers are invoiced', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-yearly-'));
  mkdirSync(join(directory, 'gateway'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const issuer = await thirdParty();
  const authorityFile = join(directory, 'authority.pem');
  writeFileSync(authorityFile, issuer.certificate);
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = ed25519PublicKey(privateKey);
  const keyFile = join(directory, 'grid-fees.pem');
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const clock = new DrivenClock(START_MS);
  const database = new DatabaseSync(':memory:');
  const register = { device: (serial: string) => (serial === DEVICE ? { state: 'installed' } : undefined) };
  const { yearly, routes, identification } = openYearly(
    { name: 'City Grid', feeMilliCentPerKwh: 7_000, keyFile, authorityFile, providers: [] },
    database,
    register as unknown as Register,
    () => clock.nowMs(),
  );
  const [port] = await freePorts(1);
  const service = await startService({
    name: 'grid-operator',
    access: {
      host: '127.0.0.1',
      port,
      ...(await ca.server('grid-operator', ['127.0.0.1'])),
      caFile: ca.caFile,
      requestsPerMinute: 600,
    },
    routes,
    identification,
  });
  const console_ = await ca.client('console');
  const call = (path: string, body: object, answer: Parameters<typeof callAs>[1]['answer']): Promise<unknown> =>
    callAs(console_, { url: service.url, caFile: ca.caFile, path, body, answer });
  const { answer } = changeCall;
  const fromSlot = END - SLOTS_PER_DAY;
  const provider = {
    name: 'Sunny Power',
    readingKey: '11'.repeat(32),
    controlKey: '22'.repeat(32),
    tariff: 'sunny',
    tariffKey: `02${'33'.repeat(32)}`,
    url: 'https://sunny:8443',
    controlUrl: 'https://sunny:8444',
  };
  yearly.supply(DEVICE, 'Old Power', END - 10_000);
  await call('/grid-fees/change-provider', { device: DEVICE, fromSlot, provider }, answer);

  const household = generateSigningKey();
  const certificate = await issueHolderCertificate(
    { kind: 'household', ekSerial: DEVICE, area: 'north-1' },
    household.publicKey,
    { issuer, ...validity, serialNumber: randomBytes(16) },
  );
  const identity: RequestIdentity = {
    audience: 'grid-operator',
    certificate,
    nowMs: () => clock.nowMs(),
    sign: async (message) => signP256(household.privateKey, message),
  };
  const lines: string[] = [];
  const gateway = new HouseholdYearly({
    settings: { url: service.url, caFile: ca.caFile, key: Buffer.from(key).toString('hex') },
    dataDir: join(directory, 'gateway'),
    measured: {
      measuredRange: () => ({ first: END - 1000, last: END }),
      quarterHours: (slot) => [
        {
          slot,
          startImportMwh: 0,
          startExportMwh: 0,
          endImportMwh: (slot + 1 - (END - 1000)) * 1_000_000,
          endExportMwh: 0,
          exact: true,
        },
      ],
    },
    clock,
    household: { requestIdentity: () => identity },
    authority: issuer.certificate,
    first: { readingKey: new Uint8Array(32), controlKey: null },
    log: (line) => void lines.push(line),
  });
  t.teardown(async () => {
    await gateway.close();
    await service.close();
    database.close();
    rmSync(directory, { recursive: true });
  });

  gateway.tick();
  await gateway.idle();
  t.like(gateway.choice.changes, [{ number: 1, fromSlot, provider: { name: 'Sunny Power' } }]);
  clock.advanceTo(slotStartMs(END) + 500);
  gateway.tick();
  await gateway.idle();
  t.deepEqual(
    gateway.registers.rows().map(({ reason, state }) => [reason, state]),
    [
      ['first', 'acknowledged'],
      ['change of provider', 'acknowledged'],
      ['year', 'acknowledged'],
    ],
  );
  t.deepEqual(lines, [`the provider changes to Sunny Power with slot ${fromSlot}`]);
  const total = async (name: string): Promise<number[]> => {
    const { invoices } = (await call(invoicesCall.path, { provider: name, year: 2026 }, invoicesCall.answer)) as {
      invoices: string[];
    };
    return invoices.map((text) => openInvoice(text, key).totalMilliCent);
  };
  t.deepEqual(await total('Old Power'), [2 * SLOTS_PER_DAY * 7_000]);
  t.deepEqual(await total('Sunny Power'), [SLOTS_PER_DAY * 7_000]);
  t.deepEqual(await total('Sunny Power'), [SLOTS_PER_DAY * 7_000], 'asked twice, invoiced once');
});
