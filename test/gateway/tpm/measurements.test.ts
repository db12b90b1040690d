/**
 * PCRs and quotes, also where bus or TPM fail in the middle.
 */
import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { replayEvents } from '../../../protocol/attestation/policy.ts';
import { readAttestationKey, verifyKeyCertification, verifyQuote } from '../../../protocol/attestation/quote.ts';
import { busTo, CC } from './bus.ts';
import { householdTpm, loaded } from './household-tpm.ts';

const ZEROS = Buffer.alloc(32);
const DIGEST = createHash('sha256').update('a release').digest();
const OTHER = createHash('sha256').update('another one').digest();
const after = (...digests: Buffer[]): Buffer =>
  digests.reduce((value, digest) => createHash('sha256').update(value).update(digest).digest(), ZEROS);
const pcr8 = async (tpm: Tpm): Promise<Buffer> => Buffer.from((await tpm.readPcrs([8])).get(8)!);

test('PCRs begin as zeros, and an event log leads to what they hold', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const events = [8, 9, 8, 9, 9].map((pcr) => ({ pcr, digest: randomBytes(32), label: 'an image' }));
  t.deepEqual([...(await tpm.readPcrs([8, 9])).values()].map(Buffer.from), [ZEROS, ZEROS]);
  for (const { pcr, digest } of events) {
    const value = await tpm.extendPcr(pcr, digest);
    t.deepEqual(Buffer.from(value), Buffer.from((await tpm.readPcrs([pcr])).get(pcr)!));
  }
  t.deepEqual(
    [...(await tpm.readPcrs([8, 9]))].map(([pcr, value]) => [pcr, Buffer.from(value)]),
    [...replayEvents(events)].map(([pcr, value]) => [pcr, Buffer.from(value)]),
  );
  t.is((await tpm.readPcrs(Array.from({ length: 24 }, (_, pcr) => pcr))).size, 24, 'more than one command can ask');
  await t.throwsAsync(async () => tpm.readPcrs([24]), { message: 'there is no PCR 24' });
  t.throws(() => tpm.extendPcr(8, randomBytes(20)), { message: 'the digest is 20 bytes long, not 32' });
  await tpm.close();
});

test('a quote over them verifies, with the TPM once started anew, too', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const key = await tpm.loadKey(await tpm.createAttestationKey());
  const attestationKey = readAttestationKey(key.blob.publicBlob);
  await tpm.extendPcr(8, DIGEST);
  const quoted = async () => {
    const nonce = randomBytes(32);
    const pcrs = [...(await tpm.readPcrs([8, 9]))].map(([pcr, value]) => ({ pcr, value }));
    return verifyQuote({ ...(await tpm.quote(key, nonce, [8, 9])), attestationKey, nonce }, pcrs);
  };
  const first = await quoted();
  const clock = await tpm.clock();
  t.is(first.resetCount, clock.resetCount, 'in the endorsement hierarchy the counts are told as they are');
  t.is(first.restartCount, clock.restartCount);
  t.true(first.clockMs <= clock.clockMs && clock.clockMs - first.clockMs < 60_000);
  await tpm.close();
  await household.reset();
  const again = await Tpm.open(household.tcti);
  t.deepEqual(await pcr8(again), ZEROS);
  const nonce = randomBytes(32);
  const quote = await again.quote(key, nonce, [8]);
  const second = verifyQuote({ ...quote, attestationKey, nonce }, [{ pcr: 8, value: ZEROS }]);
  t.is(second.resetCount, first.resetCount + 1);
  t.true(second.clockMs >= first.clockMs);
  await again.close();
});

test('a key that is certified carries the nonce, and is the one that is shown', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const ak = await tpm.loadKey(await tpm.createAttestationKey());
  const key = await tpm.loadKey(await tpm.createSigningKey());
  const nonce = randomBytes(32);
  const shown = {
    ...(await tpm.certify(key, ak, nonce)),
    attestationKey: readAttestationKey(ak.blob.publicBlob),
    nonce,
  };
  t.deepEqual(verifyKeyCertification(shown, key.blob.publicBlob).key.publicKey, key.publicKey);
  await tpm.close();
});

for (const lost of ['lose command', 'lose answer'] as const) {
  test(`extending, ${lost}: once all the same`, async (t) => {
    const bus = await busTo(t, await householdTpm(t));
    const tpm = await Tpm.open(bus.tcti);
    await tpm.extendPcr(8, OTHER);
    let times = 0;
    bus.fate = (command) => (command === CC.pcrExtend && times++ === 0 ? lost : 'pass');
    t.deepEqual(Buffer.from(await tpm.extendPcr(8, DIGEST)), after(OTHER, DIGEST));
    t.is(times, lost === 'lose answer' ? 1 : 2);
    t.deepEqual(await pcr8(tpm), after(OTHER, DIGEST));
    await tpm.close();
  });

  test(`extending, ${lost}, and then nothing answers: repeated later with the value from before`, async (t) => {
    const bus = await busTo(t, await householdTpm(t));
    const tpm = await Tpm.open(bus.tcti);
    let broken = false;
    bus.fate = (command) => {
      if (broken) return 'lose command';
      broken = command === CC.pcrExtend;
      return broken ? lost : 'pass';
    };
    const error = await t.throwsAsync(tpm.extendPcr(8, DIGEST, { from: ZEROS }), { instanceOf: TpmError });
    t.is(error.kind, 'gone');
    bus.fate = () => 'pass';
    for (let i = 0; i < 3; i++)
      t.deepEqual(Buffer.from(await tpm.extendPcr(8, DIGEST, { from: ZEROS })), after(DIGEST));
    t.deepEqual(await pcr8(tpm), after(DIGEST));
    await tpm.close();
  });
}

test('extending from a value that is not there: what was measured before is gone, and nothing is done', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const before = await tpm.extendPcr(8, DIGEST);
  await household.reset();
  const error = await t.throwsAsync(tpm.extendPcr(8, OTHER, { from: before }), { instanceOf: TpmError });
  t.is(error.kind, 'reset');
  t.is(error.message, 'PCR 8 holds neither what it held before nor what it should hold now');
  t.deepEqual(await pcr8(tpm), ZEROS);
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('reset between reading and extending: seen, nothing is extended onto the forgotten', async (t) => {
  const household = await householdTpm(t);
  const bus = await busTo(t, household);
  const tpm = await Tpm.open(bus.tcti);
  await tpm.extendPcr(8, DIGEST);
  let pulled: Promise<void> | undefined;
  bus.fate = (command) => {
    if (command !== CC.pcrExtend || pulled) return 'pass';
    pulled = household.reset();
    return 'lose command';
  };
  // the reset runs beside it: either way the PCR holds nothing of before
  const error = await t.throwsAsync(
    tpm.extendPcr(8, OTHER).catch(async (thrown) => {
      await pulled;
      throw thrown;
    }),
    { instanceOf: TpmError },
  );
  t.true(['reset', 'gone'].includes(error.kind), error.message);
  t.deepEqual(await pcr8(tpm), ZEROS);
  t.is(await loaded(tpm), 0);
  await tpm.close();
});
