import { createHash } from 'node:crypto';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { INTERVAL_MS, RELEASES, RESULT_LIFE_MS } from '../../../bench/attestation/workbench.ts';
import { MEASUREMENTS_FILE, MeasuredBoot } from '../../../gateway/attestation/measured-boot.ts';
import { measureSoftware } from '../../../gateway/attestation/software.ts';
import { PCR_GATEWAY, PCR_METER } from '../../../protocol/attestation/evidence.ts';
import { listingDigest, replay } from '../../../protocol/attestation/software.ts';
import { rig } from './rig.ts';

const digestOf = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

test('the whole way on a TPM: measured, quoted, pushed, trusted, and again at the interval', async (t) => {
  const { rig: house } = await rig(t);
  t.is(house.agent.view().state, 'not initialised');
  await house.attest();
  t.like(house.agent.view(), {
    state: 'trusted',
    sinceMs: house.bench.nowMs,
    expiresMs: house.bench.nowMs + RESULT_LIFE_MS,
    why: [],
    warnings: [],
    trouble: null,
    nextMs: house.bench.nowMs + INTERVAL_MS,
  });
  t.like(house.bench.verifier.fleet()[0], { device: house.device.ekSerial, state: 'trusted' });

  const since = house.bench.nowMs;
  house.bench.advance(INTERVAL_MS - 1);
  house.agent.tick();
  await house.agent.idle();
  t.is(house.agent.pushes, 1, 'not before its time');
  house.bench.advance(1);
  await house.attest();
  t.is(house.agent.pushes, 2);
  t.is(house.agent.view().sinceMs, since);
  // measured once, however often it is asked
  const values = await house.tpm.readPcrs([PCR_GATEWAY, PCR_METER]);
  t.deepEqual(values.get(PCR_GATEWAY), replay([listingDigest(RELEASES[0].files)]));
  t.deepEqual(values.get(PCR_METER), replay([digestOf(RELEASES[0].image)]));
});

test('an image is measured before it is flashed; the new state is attested', async (t) => {
  const { rig: house } = await rig(t);
  await house.attest();
  house.bench.release(2);
  await house.agent.measureImage(digestOf(RELEASES[1].image));
  house.image = RELEASES[1].image;
  house.flashed = RELEASES[1].image;
  await house.attest();
  t.is(house.agent.view().state, 'trusted');
  t.is(house.bench.verifier.fleet()[0].meterVersion, 2);
  const values = await house.tpm.readPcrs([PCR_METER]);
  t.deepEqual(values.get(PCR_METER), replay([digestOf(RELEASES[0].image), digestOf(RELEASES[1].image)]));
});

test("software that was changed is found, explained by the file's name, and good again after a restart with the right one", async (t) => {
  const files = RELEASES[0].files.map((file, i) =>
    i === 0 ? { ...file, digest: digestOf(Buffer.from('spy')) } : file,
  );
  const { rig: house, household } = await rig(t, { software: files });
  await house.attest();
  t.is(house.agent.view().state, 'failed');
  t.deepEqual(house.agent.view().why, ["The gateway's software is none that was released."]);
  // the verifier asked for the files, and is told at once
  await house.attest();
  t.deepEqual(house.agent.view().why, [
    "The gateway's software is none that was released: gateway/main.ts was changed.",
  ]);

  // whatever was run since the TPM's start stays in the register
  const repaired = new MeasuredBoot(async () => house.tpm, household.directory);
  const { events } = await repaired.ensure(listingDigest(RELEASES[0].files), digestOf(RELEASES[0].image));
  t.is(events.filter(({ pcr }) => pcr === PCR_GATEWAY).length, 2);
  await household.kill();
  await household.start();
  const fresh = await repaired.ensure(listingDigest(RELEASES[0].files), digestOf(RELEASES[0].image));
  t.is(fresh.events.length, 2);
  t.false(fresh.unexplained);
});

test('a TPM that goes away in the middle of work: a clear state, and nothing is lost', async (t) => {
  const { rig: house, household } = await rig(t);
  await house.attest();
  await household.kill();
  await house.attest();
  t.regex(
    house.agent.view().trouble ?? '',
    /^the TPM does not do its part: .*\. (The gateway looks for its TPM again by itself|Check where)/,
  );
  t.is(house.agent.view().state, 'trusted', 'what the verifier said last holds until it expires');
  house.bench.advance(RESULT_LIFE_MS);
  t.like(house.agent.view(), { state: 'expired', why: ['The last result has expired.'] });

  await household.start();
  house.realMs += 60_000; // the pause is over
  await house.attest();
  t.like(house.agent.view(), { state: 'trusted', trouble: null });
  t.deepEqual(
    house.agent.view().warnings.filter((warning) => warning.startsWith('The TPM was started again')),
    ['The TPM was started again since the last evidence (once).'],
  );
});

test('a meter that is silent, a verifier that is away: said in words, and over when they are back', async (t) => {
  const { rig: house } = await rig(t);
  house.meterAnswers = false;
  await house.attest();
  t.deepEqual(house.agent.view().why, ['The meter did not answer what image it runs.']);
  house.meterAnswers = true;
  house.verifierReachable = false;
  await house.attest();
  t.is(house.agent.view().trouble, 'the verifier cannot be reached: verifier: no answer');
  house.agent.tick();
  await house.agent.idle(); // within the pause nothing is tried
  house.verifierReachable = true;
  house.realMs += 1000;
  await house.attest();
  t.like(house.agent.view(), { state: 'trusted', trouble: null });
});

test('the result survives a restart of the gateway; one of another verifier is thrown away', async (t) => {
  const { rig: house } = await rig(t);
  await house.attest();
  const view = house.agent.view();
  t.is(view.state, 'trusted');
  const kept = JSON.parse(house.meta.get('attestation.result')!);
  t.is(kept.jwt.split('.').length, 3);
  house.meta.set('attestation.result', JSON.stringify({ ...kept, jwt: `${kept.jwt.slice(0, -4)}AAAA` }));
  t.is(house.agent.view().state, 'never');
});

test('measured once per start of the TPM, whatever kills the gateway in between', async (t) => {
  const { rig: house, household } = await rig(t);
  const [gateway, meter] = [digestOf(Buffer.from('software')), digestOf(Buffer.from('image'))];
  const file = join(household.directory, MEASUREMENTS_FILE);
  const boot = (): MeasuredBoot => new MeasuredBoot(async () => house.tpm, household.directory);

  // killed after the log was written and before the TPM was told
  const dying = new MeasuredBoot(
    async () => ({
      clock: () => house.tpm.clock(),
      readPcrs: (pcrs) => house.tpm.readPcrs(pcrs),
      extendPcr: async () => {
        throw new Error('killed');
      },
    }),
    household.directory,
  );
  await t.throwsAsync(dying.ensure(gateway, meter), { message: 'killed' });
  t.is(JSON.parse(readFileSync(file, 'utf8')).events.length, 1);
  t.is(statSync(file).mode & 0o777, 0o600);

  const once = await boot().ensure(gateway, meter);
  const twice = await boot().ensure(gateway, meter);
  t.deepEqual(twice, once);
  t.deepEqual(
    once.events.map(({ pcr }) => pcr),
    [PCR_GATEWAY, PCR_METER],
  );
  t.deepEqual(once.pcrs[0].value, replay([gateway]));

  rmSync(file);
  const lost = await boot().ensure(gateway, meter);
  t.deepEqual(lost.pcrs, once.pcrs, 'a lost log does not make it extend again');
  t.false(lost.unexplained);

  await house.tpm.extendPcr(PCR_METER, digestOf(Buffer.from('somebody else')));
  t.true((await boot().ensure(gateway, meter)).unexplained);
});

test("the gateway's own software: every file, in the order of paths, the same each time", (t) => {
  const files = measureSoftware();
  const paths = files.map(({ path }) => path);
  t.deepEqual(paths, [...paths].sort());
  t.true(paths.includes('gateway/main.ts'));
  t.true(paths.includes('protocol/attestation/evidence.ts'));
  t.true(paths.includes('package-lock.json'));
  t.false(paths.some((path) => path.startsWith('operator/') || path.startsWith('bench/')));
  t.deepEqual(listingDigest(measureSoftware()), listingDigest(files));
  t.deepEqual(listingDigest([...files].reverse()), listingDigest(files));
});
