// A gateway's passes over real TLS, under the name that its household certificate gives it.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { openPasses } from '../../../gateway/attestation/open-passes.ts';
import type { RequestIdentity } from '../../../gateway/services/client.ts';
import { VolatileNonces } from '../../../operator/shared/nonce-memory.ts';
import { startService } from '../../../operator/shared/service.ts';
import { passRoutes } from '../../../operator/verifier/pass-routes.ts';
import { PassOffice } from '../../../operator/verifier/passes.ts';
import { decodePass, verifyPass } from '../../../protocol/attestation/pass.ts';
import { openPassKeys, passKeyOf } from '../../../protocol/attestation/pass-keys.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  type CertificateSubject,
  HolderCheck,
  issueHolderCertificate,
} from '../../../protocol/identity/certificates.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';
import { makeAuthority } from '../../support/x509-authority.ts';

const DAY = 20_522;
const START_MS = DAY * DAY_MS;

test('asked for by the household certificate, given to a trusted device, kept, and used', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-pass-service-'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const master = generateEd25519Key();
  const office = new PassOffice({
    file: join(directory, 'passes.sqlite'),
    sign: (message) => signEd25519(master.privateKey, message),
    leastDaysAhead: 3,
    batchDays: 1,
  });
  await office.advance(START_MS);
  const thirdParty = await makeAuthority(START_MS);
  const trusted = new Set<string>();
  const asked: string[] = [];
  const service = await startService({
    name: 'verifier',
    access: {
      host: '127.0.0.1',
      port: 0,
      ...(await ca.server('verifier', ['127.0.0.1'])),
      caFile: ca.caFile,
      requestsPerMinute: 600,
    },
    identification: {
      holders: new HolderCheck(thirdParty.certificate),
      nowMs: () => START_MS,
      isRevoked: () => false,
      nonces: new VolatileNonces(),
    },
    routes: passRoutes({
      office,
      nowMs: () => START_MS,
      isTrusted: (device) => {
        asked.push(device);
        return trusted.has(device);
      },
    }),
  });
  t.teardown(async () => {
    await service.close();
    office.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const identity = async (subject: CertificateSubject): Promise<RequestIdentity> => {
    const key = generateSigningKey();
    const certificate = await issueHolderCertificate(subject, key.publicKey, {
      issuer: thirdParty,
      notBeforeMs: START_MS - DAY_MS,
      notAfterMs: START_MS + DAY_MS,
      serialNumber: randomBytes(16),
    });
    const sign = async (message: Uint8Array): Promise<Uint8Array> => signP256(key.privateKey, message);
    return { audience: 'verifier', certificate, nowMs: () => START_MS, sign };
  };
  const household = await identity({ kind: 'household', ekSerial: '0a1b', area: 'north-1' });
  const pseudonym = generateSigningKey().publicKey;
  const log: string[] = [];
  const open = (name: string, requestIdentity: RequestIdentity | null) =>
    openPasses({
      dataDir: join(directory, name),
      clock: new DrivenClock(START_MS),
      verifier: { url: service.url, ca: readFileSync(ca.caFile, 'utf8') },
      masterKey: master.publicKey,
      identity: { pseudonymOf: () => pseudonym, requestIdentity: () => requestIdentity },
      log: (line) => log.push(line),
    });

  const passes = open('gateway', household);
  passes.tick();
  await passes.settled();
  t.regex(passes.trouble!, /does not find meter and gateway in order/);
  trusted.add('0a1b');
  passes.wake();
  await passes.settled();
  const pass = decodePass((await passes.passFor(DAY, pseudonym))!)!;
  t.notThrows(() => verifyPass(pass, passKeyOf(openPassKeys(office.passKeys!, master.publicKey), DAY)!));
  t.deepEqual([...new Set(asked)], ['0a1b'], 'the verifier knows the device');

  const person = { kind: 'identifier' as const, name: 'Ada', provider: 'provider', customerNumber: '7' };
  for (const [name, shown, why] of [
    ['person', await identity(person), /household certificate/],
    ['nobody', null, /not initialised yet/],
  ] as const) {
    const refused = open(name, shown);
    refused.tick();
    await refused.settled();
    t.regex(refused.trouble!, why);
  }
});
