/**
 * All that a household does with its TPM, once over swtpm's own connection and once through a `device:` path.
 */
import { createHash, randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { makeCredential } from '../../../protocol/attestation/credential.ts';
import { EkRoots } from '../../../protocol/attestation/ek-chain.ts';
import { authorizedBytes, NV_INDEX } from '../../../protocol/attestation/policy.ts';
import {
  readAttestationKey,
  verifyKeyCertification,
  verifyNvCertification,
  verifyQuote,
} from '../../../protocol/attestation/quote.ts';
import { generateSigningKey, signP256, verifyP256 } from '../../../protocol/crypto/p256.ts';
import { type Bus, busTo, CC } from './bus.ts';
import { householdTpm, loaded, tpmMakers } from './household-tpm.ts';
import { type Device, deviceOn, hasSocat } from './pty.ts';

const MESSAGE = Buffer.from('a quarter hour');
const DIGEST = createHash('sha256').update(MESSAGE).digest();

async function wholeLife(t: ExecutionContext, tcti: string): Promise<void> {
  const tpm = await Tpm.open(tcti);
  // initialisation
  const { certificate, publicBlob } = await tpm.endorsement();
  const { ekSerial } = new EkRoots(await tpmMakers()).checkWithKey(certificate, publicBlob, Date.now());
  t.regex(ekSerial, /^[0-9a-f]+$/);
  const ak = await tpm.loadKey(await tpm.createAttestationKey());
  const attestationKey = readAttestationKey(ak.blob.publicBlob);
  const secret = randomBytes(32);
  t.deepEqual(Buffer.from(await tpm.activateCredential(ak, makeCredential(publicBlob, ak.name, secret))), secret);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  const nonce = randomBytes(32);
  const shown = { ...(await tpm.certify(key, ak, nonce)), attestationKey, nonce };
  t.deepEqual(verifyKeyCertification(shown, key.blob.publicBlob).key.publicKey, key.publicKey);
  // readings
  for (let i = 0; i < 10; i++) t.true(verifyP256(key.publicKey, MESSAGE, await tpm.sign(key, DIGEST)));
  // measurements and their quote
  await tpm.extendPcr(8, DIGEST, { from: Buffer.alloc(32) });
  const pcrs = [...(await tpm.readPcrs([8, 9]))].map(([pcr, value]) => ({ pcr, value }));
  verifyQuote({ ...(await tpm.quote(ak, nonce, [8, 9])), attestationKey, nonce }, pcrs);
  // updates, the log
  await tpm.defineCounter(NV_INDEX.version);
  const count = await tpm.raiseCounter(NV_INDEX.version, 3);
  const certified = { ...(await tpm.certifyNv(ak, NV_INDEX.version, nonce)), attestationKey, nonce };
  t.is(
    Number(Buffer.from(verifyNvCertification(certified, NV_INDEX.version, 'counter').content).readBigUInt64BE()),
    count,
  );
  await tpm.defineArea(NV_INDEX.anchor, 64);
  await tpm.writeArea(NV_INDEX.anchor, Buffer.alloc(64, 5));
  t.deepEqual(Buffer.from((await tpm.readArea(NV_INDEX.anchor))!), Buffer.alloc(64, 5));
  const policyKey = generateSigningKey();
  const sealed = await tpm.seal(secret, policyKey.publicKey);
  const state = { pcrs, counterIndex: NV_INDEX.version, counterMost: count };
  const authorization = { ...state, signature: signP256(policyKey.privateKey, authorizedBytes(state)) };
  t.deepEqual(Buffer.from(await tpm.unseal(sealed, policyKey.publicKey, authorization)), secret);
  await tpm.increment(NV_INDEX.version);
  const error = await t.throwsAsync(tpm.unseal(sealed, policyKey.publicKey, authorization), { instanceOf: TpmError });
  t.is(error.kind, 'rolled back');
  t.is((await tpm.randomBytes(40)).length, 40);
  t.is((await tpm.lockout()).locked, false);
  t.is(await loaded(tpm), 0);
  await tpm.close();
}

test('the whole life of a household, over a connection to swtpm', async (t) => {
  await wholeLife(t, (await householdTpm(t)).tcti);
});

const withSocat = hasSocat ? test : test.skip;

async function device(t: ExecutionContext): Promise<{ bus: Bus; device: Device }> {
  const household = await householdTpm(t);
  const bus = await busTo(t, household);
  return { bus, device: await deviceOn(t, bus, household.directory) };
}

withSocat('the whole life of a household, through a device: path (skipped without socat)', async (t) => {
  const { bus, device: tpm0 } = await device(t);
  await wholeLife(t, tpm0.tcti);
  t.false(bus.commands.includes(CC.startup), 'the kernel has started it; others may be at work');
});

withSocat(
  'a device unplugged and plugged in again: gone, and ready, nothing lost (skipped without socat)',
  async (t) => {
    const { device: tpm0 } = await device(t);
    const tpm = await Tpm.open(tpm0.tcti);
    const key = await tpm.loadKey(await tpm.createSigningKey());
    await tpm0.unplug();
    for (let i = 0; i < 2; i++) {
      const error = await t.throwsAsync(tpm.sign(key, DIGEST), { instanceOf: TpmError });
      t.is(error.kind, 'gone');
      t.is(tpm.state, 'gone');
    }
    await tpm0.plugIn();
    t.true(verifyP256(key.publicKey, MESSAGE, await tpm.sign(key, DIGEST)));
    t.is(tpm.state, 'ready');
    await tpm.close();
  },
);
