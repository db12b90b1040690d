/**
 * Secrets that open after an update and not after a rollback, in a real TPM.
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { TpmError, type TpmTrouble } from '../../../gateway/tpm/error.ts';
import { readKeyFile, writeKeyFile } from '../../../gateway/tpm/key-file.ts';
import { trialPolicy } from '../../../gateway/tpm/sessions.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import {
  authorizedBytes,
  isAuthorized,
  NV_INDEX,
  pcrPolicy,
  type ReleaseAuthorization,
  replayEvents,
} from '../../../protocol/attestation/policy.ts';
import { pcrSelection } from '../../../protocol/attestation/tpm-wire.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { busTo, CC } from './bus.ts';
import { type HouseholdTpm, householdTpm, loaded } from './household-tpm.ts';

const SECRET = randomBytes(32);
const POLICY_KEY = generateSigningKey();
const digestOf = (software: string): Buffer => createHash('sha256').update(software).digest();

/** What a release is to a TPM: the software that boots, and the highest count at which it opens. */
function release(software: string, counterMost: number, key = POLICY_KEY): ReleaseAuthorization {
  const events = [8, 9].map((pcr) => ({ pcr, digest: digestOf(`${software} ${pcr}`) }));
  const pcrs = [...replayEvents(events)].map(([pcr, value]) => ({ pcr, value }));
  const state = { pcrs, counterIndex: NV_INDEX.version, counterMost };
  return { ...state, signature: signP256(key.privateKey, authorizedBytes(state)) };
}

/** Starts the TPM anew and measures this software. */
async function boot(household: HouseholdTpm, tpm: Tpm, software: string): Promise<void> {
  await household.reset();
  for (const pcr of [8, 9]) await tpm.extendPcr(pcr, digestOf(`${software} ${pcr}`), { from: Buffer.alloc(32) });
}

async function home(household: { tcti: string }): Promise<{ tpm: Tpm; count: number }> {
  const tpm = await Tpm.open(household.tcti);
  await tpm.defineCounter(NV_INDEX.version);
  return { tpm, count: await tpm.raiseCounter(NV_INDEX.version, 1) };
}

test('one blob opens in each released state, and in no older one once the counter was raised', async (t) => {
  const household = await householdTpm(t);
  const { tpm, count } = await home(household);
  const [first, second] = [release('one', count), release('two', count + 1)];
  await boot(household, tpm, 'one');
  const file = join(household.directory, 'log.tpmkey');
  await writeKeyFile(file, await tpm.seal(SECRET, POLICY_KEY.publicKey));
  const sealed = (await readKeyFile(file))!;
  t.is(sealed.purpose, 'sealed');
  const open = (authorization: ReleaseAuthorization) => tpm.unseal(sealed, POLICY_KEY.publicKey, authorization);
  const refused = async (authorization: ReleaseAuthorization, kind: TpmTrouble, message: RegExp, why: string) => {
    const error = await t.throwsAsync(open(authorization), { instanceOf: TpmError }, why);
    t.is(error.kind, kind, why);
    t.regex(error.message, message, why);
    t.is(await loaded(tpm), 0, why);
  };
  const OTHER_STATE = /^the PCRs hold other values than this release has/;
  const PAST = /^the TPM's counter is past this release/;

  t.deepEqual(Buffer.from(await open(first)), SECRET);
  await refused(second, 'not released', OTHER_STATE, 'the next release, before it runs');
  await boot(household, tpm, 'two');
  t.deepEqual(Buffer.from(await open(second)), SECRET, 'updated, nothing was sealed again');
  await refused(first, 'not released', OTHER_STATE, 'the older one no longer runs');
  await boot(household, tpm, 'one');
  t.deepEqual(Buffer.from(await open(first)), SECRET, 'back again, before the counter was raised');

  await tpm.raiseCounter(NV_INDEX.version, count + 1);
  await refused(first, 'rolled back', PAST, 'rolled back');
  await boot(household, tpm, 'two');
  t.deepEqual(Buffer.from(await open(second)), SECRET);
  await boot(household, tpm, 'evil');
  await refused(second, 'not released', OTHER_STATE, 'software of somebody else');
  await tpm.close();
});

test('removing the counter and defining it anew takes nothing back', async (t) => {
  const household = await householdTpm(t);
  const { tpm, count } = await home(household);
  await boot(household, tpm, 'one');
  const sealed = await tpm.seal(SECRET, POLICY_KEY.publicKey);
  const older = release('one', count);
  await tpm.raiseCounter(NV_INDEX.version, count + 1);
  await tpm.removeNv(NV_INDEX.version);
  await t.throwsAsync(tpm.unseal(sealed, POLICY_KEY.publicKey, older), { instanceOf: TpmError });
  await tpm.defineCounter(NV_INDEX.version);
  await t.throwsAsync(tpm.unseal(sealed, POLICY_KEY.publicKey, older), { instanceOf: TpmError }, 'not written yet');
  await tpm.raiseCounter(NV_INDEX.version, 1);
  const error = await t.throwsAsync(tpm.unseal(sealed, POLICY_KEY.publicKey, older), { instanceOf: TpmError });
  t.is(error.kind, 'rolled back');
  await tpm.close();
});

test('only what the policy key signed opens it, as the TPM sees it and as everybody can', async (t) => {
  const household = await householdTpm(t);
  const { tpm, count } = await home(household);
  await boot(household, tpm, 'one');
  const sealed = await tpm.seal(SECRET, POLICY_KEY.publicKey);
  const good = release('one', count);
  t.true(isAuthorized(POLICY_KEY.publicKey, good));
  const stranger = generateSigningKey();
  const bad = {
    'a longer life': { ...good, counterMost: count + 1 },
    'another counter': { ...good, counterIndex: NV_INDEX.anchorCount },
    'other values': { ...good, pcrs: release('two', count).pcrs },
    'one PCR fewer': { ...good, pcrs: good.pcrs.slice(0, 1) },
    "a stranger's signature": release('one', count, stranger),
    'an altered signature': { ...good, signature: Uint8Array.from(good.signature, (b, i) => (i === 63 ? b ^ 1 : b)) },
  };
  for (const [why, authorization] of Object.entries(bad)) {
    const error = await t.throwsAsync(
      tpm.unseal(sealed, POLICY_KEY.publicKey, authorization),
      { instanceOf: TpmError },
      why,
    );
    t.is(error.kind, 'not released', why);
    t.regex(error.message, /^the policy key has not signed this release/, why);
    t.false(isAuthorized(POLICY_KEY.publicKey, authorization), why);
  }
  // a stranger's key with the stranger's signature: the TPM believes the signature, the blob does not want it
  const own = release('one', count, stranger);
  await t.throwsAsync(tpm.unseal(sealed, stranger.publicKey, own), { instanceOf: TpmError });
  t.deepEqual(Buffer.from(await tpm.unseal(sealed, POLICY_KEY.publicKey, good)), SECRET);
  t.is(await loaded(tpm), 0);
  await tpm.close();
});

test('another TPM does not open it, nor an altered blob', async (t) => {
  const household = await householdTpm(t);
  const { tpm, count } = await home(household);
  const stranger = await householdTpm(t, { fresh: true });
  const other = await home(stranger);
  await boot(household, tpm, 'one');
  await boot(stranger, other.tpm, 'one');
  const sealed = await tpm.seal(SECRET, POLICY_KEY.publicKey);
  const authorization = release('one', Math.max(count, other.count));
  const away = await t.throwsAsync(other.tpm.unseal(sealed, POLICY_KEY.publicKey, authorization), {
    instanceOf: TpmError,
  });
  t.is(away.kind, 'foreign key');
  t.regex(
    away.message,
    /^this TPM does not take the sealed secret: it was made by another TPM, or this one was cleared/,
  );
  const altered = { ...sealed, privateBlob: Uint8Array.from(sealed.privateBlob, (b, i) => (i === 40 ? b ^ 1 : b)) };
  t.is(
    (await t.throwsAsync(tpm.unseal(altered, POLICY_KEY.publicKey, authorization), { instanceOf: TpmError })).kind,
    'foreign key',
  );
  for (const length of [0, 129])
    await t.throwsAsync(tpm.seal(Buffer.alloc(length), POLICY_KEY.publicKey), { instanceOf: RangeError });
  await tpm.close();
  await other.tpm.close();
});

test('on the bus there is no secret, neither when it is sealed, nor opened, nor drawn', async (t) => {
  const household = await householdTpm(t);
  const bus = await busTo(t, household);
  const { tpm, count } = await home(bus);
  for (const pcr of [8, 9]) await tpm.extendPcr(pcr, digestOf(`one ${pcr}`));
  const sealed = await tpm.seal(SECRET, POLICY_KEY.publicKey);
  t.deepEqual(Buffer.from(await tpm.unseal(sealed, POLICY_KEY.publicKey, release('one', count))), SECRET);
  const drawn = await tpm.randomBytes(32);
  t.true(bus.commands.includes(CC.getRandom) && bus.commands.includes(CC.unseal));
  t.true(bus.seen().includes(digestOf('one 8')), 'the ear hears');
  t.false(bus.seen().includes(SECRET));
  t.false(bus.seen().includes(Buffer.from(drawn)));
  await tpm.close();
});

test('a policy over PCRs is what the TPM computes', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  await tpm.extendPcr(9, digestOf('an image'));
  for (const pcrs of [[8], [9], [8, 9], [23, 0, 9]]) {
    const values = [...(await tpm.readPcrs(pcrs))].map(([pcr, value]) => ({ pcr, value }));
    const digest = await tpm.run((esys) =>
      trialPolicy(esys, (session) => esys.call('PolicyPCR', session, [], null, pcrSelection(pcrs))),
    );
    t.deepEqual(pcrPolicy(values), digest);
  }
  t.is(await loaded(tpm), 0);
  await tpm.close();
});
