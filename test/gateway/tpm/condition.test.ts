/**
 * A TPM that locks itself, fails, is reset: a clear state, and recovery without loss.
 */
import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import { RECOVERY, TpmError } from '../../../gateway/tpm/error.ts';
import { ESYS_TR, type Esys } from '../../../gateway/tpm/esys.ts';
import { flushing, withStorageRoot } from '../../../gateway/tpm/keys.ts';
import { NO_PCRS, NOT_HASHED_BY_TPM, OWN_SCHEME, SIGNING_KEY } from '../../../gateway/tpm/structures.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { makeCredential } from '../../../protocol/attestation/credential.ts';
import { authorizedBytes, NV_INDEX } from '../../../protocol/attestation/policy.ts';
import { EMPTY, OBJECT, sized } from '../../../protocol/attestation/tpm-wire.ts';
import { generateSigningKey, signP256, verifyP256 } from '../../../protocol/crypto/p256.ts';
import { busTo } from './bus.ts';
import { householdTpm, loaded } from './household-tpm.ts';

const MESSAGE = Buffer.from('a quarter hour');
const DIGEST = createHash('sha256').update(MESSAGE).digest();
const TPM_RC_FAILURE = 0x101;

/** One try at a key of somebody's that is protected by a password, with a wrong one. */
async function guess(esys: Esys): Promise<void> {
  const protectedKey = Buffer.from(SIGNING_KEY);
  protectedKey.writeUInt32BE(protectedKey.readUInt32BE(6) & ~OBJECT.noDA, 6);
  await withStorageRoot(esys, 'signing', async (root) => {
    const password = sized(sized(Buffer.from('of somebody')), EMPTY);
    const made = await esys.call('Create', root, [ESYS_TR.PASSWORD], password, protectedKey, EMPTY, NO_PCRS);
    const [key] = await esys.call('Load', root, [ESYS_TR.PASSWORD], ...made);
    await flushing(esys, key, () =>
      esys.call('Sign', key, [ESYS_TR.PASSWORD], sized(DIGEST), OWN_SCHEME, NOT_HASHED_BY_TPM),
    );
  });
}

/** Everything that a household needs of its TPM, once. */
async function everything(tpm: Tpm): Promise<() => Promise<void>> {
  const attestationKey = await tpm.loadKey(await tpm.createAttestationKey());
  const key = await tpm.loadKey(await tpm.createSigningKey());
  const { publicBlob } = await tpm.endorsement('p384');
  const credential = makeCredential(publicBlob, attestationKey.name, DIGEST);
  const policyKey = generateSigningKey();
  await tpm.defineCounter(NV_INDEX.version);
  await tpm.defineArea(NV_INDEX.anchor, 32);
  const sealed = await tpm.seal(MESSAGE, policyKey.publicKey);
  const counterMost = (await tpm.raiseCounter(NV_INDEX.version, 1)) + 1000;
  return async () => {
    await tpm.sign(key, DIGEST);
    await tpm.certify(key, attestationKey, DIGEST);
    await tpm.quote(attestationKey, DIGEST, [8, 9]);
    await tpm.activateCredential(attestationKey, credential, 'p384');
    await tpm.extendPcr(8, DIGEST);
    await tpm.increment(NV_INDEX.version);
    await tpm.writeArea(NV_INDEX.anchor, DIGEST);
    await tpm.readArea(NV_INDEX.anchor);
    await tpm.certifyNv(attestationKey, NV_INDEX.version, DIGEST);
    const pcrs = [...(await tpm.readPcrs([8]))].map(([pcr, value]) => ({ pcr, value }));
    const state = { pcrs, counterIndex: NV_INDEX.version, counterMost };
    const signature = signP256(policyKey.privateKey, authorizedBytes(state));
    await tpm.unseal(sealed, policyKey.publicKey, { ...state, signature });
    await tpm.randomBytes(16);
    await tpm.clock();
  };
}
const OPERATIONS = 13;

test('200 operations of all kinds leave nothing loaded', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const use = await everything(tpm);
  for (let done = 0; done < 200; done += OPERATIONS) await use();
  t.is(await loaded(tpm), 0);
  await tpm.close();
});

test('locked against guessing: said so, all of ours goes on, and it ends', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const use = await everything(tpm);
  t.like(await tpm.lockout(), { locked: false, tries: 0 });
  const { most } = await tpm.lockout();
  let error: TpmError | undefined;
  for (let i = 0; i <= most; i++) error = await t.throwsAsync(tpm.run(guess), { instanceOf: TpmError });
  t.is(error!.kind, 'lockout');
  t.is(tpm.state, 'lockout');
  t.like(await tpm.lockout(), { locked: true, tries: most });
  t.is(await loaded(tpm), 0);

  await use();
  t.is(tpm.state, 'lockout', 'it is still there for who looks');
  await tpm.clearLockout();
  t.is(tpm.state, 'ready');
  t.like(await tpm.lockout(), { locked: false, tries: 0 });
  await tpm.close();
});

test('unclean stops do not lock it', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const use = await everything(tpm);
  for (let i = 0; i < 5; i++) {
    await use();
    await household.kill();
    await household.start();
  }
  t.like(await tpm.lockout(), { locked: false, tries: 0 });
  t.is((await tpm.clock()).safe, false, 'its clock may have been ahead');
  await tpm.close();
});

test('failed: a state of its own, and ready again when it was started anew', async (t) => {
  const household = await householdTpm(t);
  const bus = await busTo(t, household);
  const tpm = await Tpm.open(bus.tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  bus.fate = () => TPM_RC_FAILURE;
  for (let i = 0; i < 2; i++) {
    const error = await t.throwsAsync(tpm.sign(key, DIGEST), { instanceOf: TpmError });
    t.is(error.kind, 'failed');
    t.is(tpm.state, 'failed');
    t.is(
      RECOVERY[error.kind],
      'Switch the gateway off and on again; if that does not help, its TPM has to be replaced.',
    );
  }
  const opening = await t.throwsAsync(Tpm.open(bus.tcti), { instanceOf: TpmError });
  t.is(opening.kind, 'failed', 'told at once, also where it is found so');
  await household.reset();
  bus.fate = () => 'pass';
  t.true(verifyP256(key.publicKey, MESSAGE, await tpm.sign(key, DIGEST)));
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('failed and gone at once: told when it is looked for', async (t) => {
  const household = await householdTpm(t);
  const bus = await busTo(t, household);
  const tpm = await Tpm.open(bus.tcti);
  bus.fate = () => 'lose command';
  t.is((await t.throwsAsync(tpm.clock(), { instanceOf: TpmError })).kind, 'gone');
  t.is(tpm.state, 'gone');
  bus.fate = () => TPM_RC_FAILURE;
  t.is((await t.throwsAsync(tpm.clock(), { instanceOf: TpmError })).kind, 'failed');
  t.is(tpm.state, 'failed');
  bus.fate = () => 'pass';
  await tpm.clock();
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('reset at any moment of the work: nobody notices, but for the counts of starts', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  const attestationKey = await tpm.loadKey(await tpm.createAttestationKey());
  const before = await tpm.clock();
  let reset: Promise<void> | undefined;
  for (let i = 0; i < 60; i++) {
    if (i % 15 === 7) reset = household.reset(); // beside the work, wherever that is when it comes
    t.true(verifyP256(key.publicKey, MESSAGE, await tpm.sign(key, DIGEST)));
    await tpm.certify(key, attestationKey, randomBytes(32));
    if (i % 15 === 14) await reset;
  }
  t.is((await tpm.clock()).resetCount, before.resetCount + 4);
  t.is(await loaded(tpm), 0);
  await tpm.close();
});
