/**
 * Counters and areas in the TPM's NV memory.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { NV_INDEX, nvName } from '../../../protocol/attestation/policy.ts';
import { AttestError, readAttestationKey, verifyNvCertification } from '../../../protocol/attestation/quote.ts';
import { busTo, CC } from './bus.ts';
import { householdTpm, loaded } from './household-tpm.ts';

const { version: COUNTER, anchor: AREA } = NV_INDEX;
const refused = (message: string | RegExp) => ({ instanceOf: TpmError, message });

test('a counter only goes up, by one or to a number', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  t.is(await tpm.readCounter(COUNTER), null);
  await t.throwsAsync(tpm.increment(COUNTER), refused('there is no NV index 0x1810100 in the TPM: define it first'));
  for (let i = 0; i < 2; i++) await tpm.defineCounter(COUNTER);
  t.is(await tpm.readCounter(COUNTER), null, 'defined, never counted');
  const first = await tpm.increment(COUNTER);
  t.is(await tpm.increment(COUNTER), first + 1);
  t.is(await tpm.raiseCounter(COUNTER, first + 5), first + 5);
  for (const lower of [0, first, first + 5]) t.is(await tpm.raiseCounter(COUNTER, lower), first + 5, 'never down');
  await tpm.defineCounter(COUNTER);
  t.is(await tpm.readCounter(COUNTER), first + 5, 'defining it again changes nothing');
  await t.throwsAsync(tpm.defineArea(COUNTER, 32), refused('NV index 0x1810100 is in use for something else'));
  t.is(await loaded(tpm), 0);
  await tpm.close();
});

test('removed and defined anew it begins above its last count', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  await tpm.defineCounter(COUNTER);
  await tpm.raiseCounter(COUNTER, 9);
  for (let i = 0; i < 2; i++) await tpm.removeNv(COUNTER);
  t.is(await tpm.readCounter(COUNTER), null);
  await tpm.defineCounter(COUNTER);
  t.true((await tpm.increment(COUNTER)) > 9);
  await tpm.close();
});

test('the counter of releases is made before any other: none of ours lifts it above the number of a release', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  await tpm.defineCounter(NV_INDEX.anchorCount);
  t.is(await tpm.readCounter(COUNTER), 1);
  t.is(await tpm.readCounter(NV_INDEX.anchorCount), null);
  await tpm.close();
});

test('counter and area survive a SIGKILL of the TPM', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  await tpm.defineCounter(COUNTER);
  await tpm.defineArea(AREA, 64);
  const content = randomBytes(64);
  await tpm.raiseCounter(COUNTER, 3);
  await tpm.writeArea(AREA, content);
  for (let i = 0; i < 3; i++) {
    await household.kill();
    await household.start();
    t.is(await tpm.readCounter(COUNTER), 3 + i);
    t.deepEqual(Buffer.from((await tpm.readArea(AREA))!), content);
    t.is(await tpm.increment(COUNTER), 4 + i);
  }
  await tpm.close();
});

for (const lost of ['lose command', 'lose answer'] as const) {
  test(`counting, ${lost}: once all the same`, async (t) => {
    const bus = await busTo(t, await householdTpm(t));
    const tpm = await Tpm.open(bus.tcti);
    await tpm.defineCounter(COUNTER);
    const count = await tpm.raiseCounter(COUNTER, 5);
    let times = 0;
    bus.fate = (command) => (command === CC.nvIncrement && times++ === 0 ? lost : 'pass');
    t.is(await tpm.increment(COUNTER), count + 1);
    t.is(await tpm.readCounter(COUNTER), count + 1);
    t.is(times, lost === 'lose answer' ? 1 : 2);

    let broken = false;
    bus.fate = (command) => {
      if (broken) return 'lose command';
      broken = command === CC.nvIncrement;
      return broken ? lost : 'pass';
    };
    const error = await t.throwsAsync(tpm.increment(COUNTER, { from: count + 1 }), { instanceOf: TpmError });
    t.is(error.kind, 'gone');
    bus.fate = () => 'pass';
    for (let i = 0; i < 3; i++) t.is(await tpm.increment(COUNTER, { from: count + 1 }), count + 2, 'repeated, once');
    await t.throwsAsync(
      tpm.increment(COUNTER, { from: count }),
      refused(/^the counter holds \d+, where \d+ or \d+ was/),
    );
    await tpm.close();
  });
}

test('an area is written whole, or not at all', async (t) => {
  const bus = await busTo(t, await householdTpm(t));
  const tpm = await Tpm.open(bus.tcti);
  t.is(await tpm.readArea(AREA), null);
  await t.throwsAsync(tpm.writeArea(AREA, Buffer.alloc(8)), refused(/^there is no NV index 0x1810200/));
  await tpm.defineArea(AREA, 64);
  t.is(await tpm.readArea(AREA), null, 'nothing was written yet');
  const [older, newer] = [randomBytes(64), randomBytes(64)];
  await tpm.writeArea(AREA, older);
  await t.throwsAsync(tpm.writeArea(AREA, Buffer.alloc(63)), { message: 'NV index 0x1810200 takes 64 bytes, not 63' });
  let times = 0;
  bus.fate = (command) => (command === CC.nvWrite && times++ === 0 ? 'lose answer' : 'pass');
  await tpm.writeArea(AREA, newer);
  t.deepEqual(Buffer.from((await tpm.readArea(AREA))!), newer);
  await t.throwsAsync(tpm.raiseCounter(AREA, 1), refused('NV index 0x1810200 is no counter'));
  await tpm.close();
});

test('what an answer says cannot be altered on the bus', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  await tpm.defineCounter(COUNTER);
  await tpm.raiseCounter(COUNTER, 7);
  await tpm.close();
  const bus = await busTo(t, household);
  const count = Buffer.from('0000000000000007', 'hex');
  bus.alter = (answer) => {
    const at = answer.indexOf(count);
    if (at >= 0) answer[at + 7] = 6; // a count from before the last update
    return at >= 0;
  };
  const deceived = await Tpm.open(bus.tcti);
  await t.throwsAsync(deceived.readCounter(COUNTER), { instanceOf: TpmError });
  t.true(bus.altered > 0);
  await deceived.close();
});

test('the attestation key certifies what an index holds', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const key = await tpm.loadKey(await tpm.createAttestationKey());
  const attestationKey = readAttestationKey(key.blob.publicBlob);
  const nonce = randomBytes(32);
  await tpm.defineCounter(COUNTER);
  await tpm.raiseCounter(COUNTER, 6);
  await tpm.defineArea(AREA, 48);
  const content = randomBytes(48);
  await tpm.writeArea(AREA, content);
  const counter = { ...(await tpm.certifyNv(key, COUNTER, nonce)), attestationKey, nonce };
  const area = { ...(await tpm.certifyNv(key, AREA, nonce)), attestationKey, nonce };
  const certified = verifyNvCertification(counter, COUNTER, 'counter');
  t.is(Buffer.from(certified.content).readBigUInt64BE(), 6n);
  t.deepEqual(Buffer.from(certified.indexName), nvName(COUNTER, 'counter'), 'the name that policies are computed with');
  t.deepEqual(Buffer.from(verifyNvCertification(area, AREA, 48).content), content);

  const code = (f: () => unknown): string => t.throws(f, { instanceOf: AttestError }).code;
  t.is(
    code(() => verifyNvCertification(counter, AREA, 48)),
    'name',
  );
  t.is(
    code(() => verifyNvCertification(area, AREA, 49)),
    'name',
  );
  t.is(
    code(() => verifyNvCertification({ ...counter, nonce: randomBytes(32) }, COUNTER, 'counter')),
    'nonce',
  );
  await tpm.close();
});
