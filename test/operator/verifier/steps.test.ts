import { createHash } from 'node:crypto';
import test from 'ava';
import {
  CHALLENGE_LIFE_MS,
  INTERVAL_MS,
  MINUTE_MS,
  RELEASES,
  RESULT_LIFE_MS,
} from '../../../bench/attestation/workbench.ts';
import { Refusal } from '../../../operator/shared/service.ts';
import { Challenges } from '../../../operator/verifier/challenges.ts';
import { Verifier } from '../../../operator/verifier/steps.ts';
import { appraise } from '../../../protocol/attestation/appraisal.ts';
import { verifyResult } from '../../../protocol/attestation/attestation-result.ts';
import { decodeEvidence, PCR_GATEWAY } from '../../../protocol/attestation/evidence.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { workbench } from './bench.ts';

const DAY_MS = 86_400_000;
const day = (ms: number): number => Math.floor(ms / DAY_MS);

test('a device in order is trusted, for as long as the result says, and told when to come again', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const { nonce } = bench.verifier.challenge(device.ekSerial);
  const answer = bench.verifier.receive(device.ekSerial, device.evidence(nonce));
  t.is(answer.nextMs, INTERVAL_MS);
  t.false(answer.explain);
  const result = verifyResult(answer.result, bench.resultKey, { device: device.ekSerial, nowMs: bench.nowMs });
  t.true(result.trusted);
  t.deepEqual(result.refusals, []);
  t.deepEqual(result.warnings, []);
  t.is(result.expiresMs, bench.nowMs + RESULT_LIFE_MS);
  t.deepEqual(Buffer.from(result.nonce), Buffer.from(nonce));
  const [row] = bench.verifier.fleet();
  t.like(row, {
    device: device.ekSerial,
    address: 'Lindenweg 4',
    state: 'trusted',
    gatewayVersion: 1,
    meterVersion: 1,
  });

  bench.advance(RESULT_LIFE_MS);
  t.like(bench.verifier.fleet()[0], { state: 'expired', sinceMs: result.expiresMs });
  t.regex(bench.verifier.fleet()[0].why[0], /^The last result has expired: no evidence came since 2026-06-01T00:00:00/);
});

test('the same evidence gets the same answer, byte for byte, however late', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const evidence = device.evidence(bench.verifier.challenge(device.ekSerial).nonce);
  const first = bench.verifier.receive(device.ekSerial, evidence);
  bench.advance(2 * CHALLENGE_LIFE_MS);
  t.deepEqual(bench.verifier.receive(device.ekSerial, evidence), first);
  t.is(bench.verifier.evidenceOf(device.ekSerial).length, 1);
});

test('a replay or a late answer is refused and changes nothing of what is known of the device', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const { nonce } = bench.verifier.challenge(device.ekSerial);
  t.true(bench.push(device, device.evidence(nonce)).trusted);
  const before = bench.verifier.fleet();
  t.false(bench.push(device, device.evidence(nonce)).trusted);
  t.deepEqual(bench.verifier.fleet(), before);
});

test('malformed evidence is refused with the path of its field and changes nothing', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const evidence = device.evidence(bench.verifier.challenge(device.ekSerial).nonce);
  const error = t.throws(() => bench.verifier.receive(device.ekSerial, evidence.subarray(0, 40)), {
    instanceOf: Refusal,
  });
  t.is(error.path, 'evidence.ekCertificate');
  t.deepEqual(bench.verifier.evidenceOf(device.ekSerial), []);
  t.true(bench.push(device, evidence).trusted, 'its challenge is still good');
});

test('failures back off, up to a limit; the first good evidence ends it', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const push = (how = {}): number => {
    const { nonce } = bench.verifier.challenge(device.ekSerial);
    return bench.verifier.receive(device.ekSerial, device.evidence(nonce, how)).nextMs / INTERVAL_MS;
  };
  const silent = { claims: { measurement: null } };
  t.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => push(silent)),
    [1, 2, 4, 8, 16, 16],
  );
  t.is(push(), 1);
  t.is(bench.verifier.fleet()[0].failures, 0);
});

test('of unknown software the verifier asks for the files, and names the one that differs', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const files = RELEASES[0].files.map((file, i) =>
    i === 0 ? { ...file, digest: createHash('sha256').update('spy').digest() } : file,
  );
  device.runSoftware(files);
  device.files = [];
  const { nonce } = bench.verifier.challenge(device.ekSerial);
  t.true(bench.verifier.receive(device.ekSerial, device.evidence(nonce)).explain);
  const again = bench.verifier.challenge(device.ekSerial).nonce;
  t.false(bench.verifier.receive(device.ekSerial, device.evidence(again, { claims: { files } })).explain);
  t.deepEqual(bench.verifier.fleet()[0].why, [
    "The gateway's software is none that was released: gateway/main.ts was changed.",
  ]);
});

test('restarts are seen, counted and told, and trust goes on', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  t.true(bench.attest(device).trusted);
  device.restart();
  const result = bench.attest(device);
  t.true(result.trusted);
  t.deepEqual(result.warnings, [
    { code: 'restarted', sentence: 'The TPM was started again since the last evidence (once).' },
  ]);
  t.is(bench.verifier.fleet()[0].restarts, 1);
});

test('a roll-out: both releases are accepted until the older one is retired; nobody goes back', async (t) => {
  const bench = await workbench(t);
  const [early, late] = [await bench.device(), await bench.device()];
  t.true(bench.attest(early).trusted);
  t.true(bench.attest(late).trusted);
  bench.release(2);
  early.flash(RELEASES[1].image);
  early.runSoftware(RELEASES[1].files);
  early.files = [];
  t.true(bench.attest(early).trusted);
  t.true(bench.attest(late).trusted);
  t.like(
    bench.releases
      .rollOut(bench.verifier.fleet(), bench.nowMs)
      .map(({ version, gateways, meters }) => [version, gateways, meters]),
    [
      [1, 1, 1],
      [2, 1, 1],
    ],
  );
  bench.advance(DAY_MS);
  t.true(bench.attest(early).trusted);
  t.deepEqual(
    bench.attest(late).refusals.map(({ code }) => code),
    ['gateway retired', 'meter retired'],
  );
  t.throws(() => bench.release(1, { notes: 'another one' }), { message: /another manifest of release 1/ });
});

test('an update on its way: the new image is measured, the meter still runs the old one, and may until that is retired', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  bench.attest(device);
  bench.release(2);
  device.flash(RELEASES[1].image);
  device.image = RELEASES[0].image; // it has not been started yet
  const result = bench.attest(device);
  t.true(result.trusted);
  t.deepEqual(
    result.warnings.map(({ sentence }) => sentence),
    ['A newer image was measured for the meter; until it has started it, the meter runs release 1.'],
  );
  t.is(bench.verifier.fleet()[0].meterVersion, 1);
  device.image = RELEASES[1].image;
  t.like(bench.attest(device), { trusted: true, warnings: [] });
  t.is(bench.verifier.fleet()[0].meterVersion, 2);
  device.image = RELEASES[0].image;
  const back = bench.attest(device);
  t.deepEqual(
    back.refusals.map(({ code }) => code),
    ['meter differs'],
    'once it ran, there is no way back',
  );
});

test('a log that was changed, or begun anew: trusted, and said where the operator sees it', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  bench.attest(device, { claims: { log: { state: 'changed', begunAnew: 0 } } });
  t.like(bench.verifier.fleet()[0], {
    state: 'trusted',
    warnings: [
      "The household's log was changed: nothing more is chained or billed until the customer has cleared it up.",
    ],
  });
  bench.attest(device, { claims: { log: { state: 'good', begunAnew: 2 } } });
  t.deepEqual(bench.verifier.fleet()[0].warnings, ["The household's log was begun anew after a change (2 times)."]);
});

test('a release that is not to be installed yet is not accepted yet', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  bench.release(2, { notBeforeMs: bench.nowMs + MINUTE_MS });
  device.flash(RELEASES[1].image);
  t.deepEqual(
    bench.attest(device).refusals.map(({ sentence }) => sentence),
    ["The meter's image is of release 2, which is not accepted yet."],
  );
});

test('a meter that was never flashed by its gateway: trusted by its answer, where a release says so', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  device.events = device.events.filter(({ pcr }) => pcr === PCR_GATEWAY);
  t.deepEqual(
    bench.attest(device).refusals.map(({ code }) => code),
    ['meter unmeasured'],
  );
  const meter = [new Uint8Array(32), ...bench.manifest(2).accepted.meter];
  bench.release(2, { accepted: { gateway: bench.manifest(2).accepted.gateway, meter } });
  t.true(bench.attest(device).trusted);
  t.is(bench.verifier.fleet()[0].meterVersion, 1);
  device.image = Buffer.from('another program');
  t.deepEqual(
    bench.attest(device).refusals.map(({ code }) => code),
    ['meter unreleased'],
  );
  t.deepEqual(
    bench.attest(device, { claims: { measurement: null } }).refusals.map(({ code }) => code),
    ['meter silent'],
  );
});

test('a policy that accepts everything is warned of in every verdict', async (t) => {
  const bench = await workbench(t, { acceptAnything: { gateway: true, meter: false } });
  const device = await bench.device();
  device.runSoftware([{ path: 'gateway/main.ts', digest: createHash('sha256').update('anything').digest() }]);
  device.files = [];
  const result = bench.attest(device);
  t.true(result.trusted);
  t.deepEqual(
    result.warnings.map(({ code }) => code),
    ['gateway anything'],
  );
  t.is(result.vectors.gateway.configuration, 32);
});

test('revocation by severity: an advisory is told, a suspension ends, both leave a notice for the web hook', async (t) => {
  let woken = 0;
  const bench = await workbench(t, { verifier: { onNotice: () => woken++ } });
  const device = await bench.device();
  t.true(bench.attest(device).trusted);
  bench.verifier.revoke(device.ekSerial, 'advisory', 'a weak random generator');
  const advised = bench.attest(device);
  t.true(advised.trusted);
  t.deepEqual(
    advised.warnings.map(({ sentence }) => sentence),
    ['There is an advisory on this device: a weak random generator.'],
  );

  bench.verifier.revoke(device.ekSerial, 'suspended', 'the seal is broken');
  bench.verifier.revoke(device.ekSerial, 'suspended', 'the seal is broken'); // twice, and said once
  t.like(bench.verifier.fleet()[0], { state: 'suspended', why: ['The device is suspended: the seal is broken.'] });
  t.false(bench.verifier.trusted(device.ekSerial, day(bench.nowMs)));
  bench.verifier.reinstate(device.ekSerial);
  t.is(bench.verifier.fleet()[0].state, 'trusted');
  t.is(bench.store.noticesWaiting(), 3);
  t.true(woken >= 3);
});

test('a pass is for a device that is trusted now, today or on the next two days', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const today = day(bench.nowMs);
  t.false(bench.verifier.trusted(device.ekSerial, today));
  bench.attest(device);
  t.deepEqual(
    [-2, 0, 1, 2, 3].map((ahead) => bench.verifier.trusted(device.ekSerial, today + ahead)),
    [false, true, true, true, false],
  );
  bench.advance(RESULT_LIFE_MS);
  t.false(bench.verifier.trusted(device.ekSerial, today));
});

test('devices that were registered and never seen stand in the fleet as well', async (t) => {
  const bench = await workbench(t);
  bench.register('0badcafe');
  t.like(bench.verifier.fleet()[0], {
    device: '0badcafe',
    state: 'never seen',
    sinceMs: null,
    why: ['The device has never been attested.'],
  });
});

test('kept evidence gives the same verdict when it is judged again', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const nowMs = bench.nowMs;
  bench.attest(device);
  const [{ digest }] = bench.verifier.evidenceOf(device.ekSerial);
  bench.advance(5 * DAY_MS);
  const { evidence } = bench.verifier.keptEvidence(Buffer.from(digest, 'hex')) as { evidence: string };
  const decoded = decodeEvidence(Buffer.from(evidence, 'base64url'));
  const verdict = appraise({
    ...bench.verifier.inputFor(decoded, { challenge: 'unchecked', sender: null, nowMs }),
    calendarMs: nowMs,
  });
  t.true(verdict.trusted);
  t.deepEqual(
    verdict.warnings.map(({ code }) => code),
    ['challenge unchecked'],
  );
});

test('evidence of a device in order is forgotten after a week, of one that failed after a year and more', async (t) => {
  const bench = await workbench(t);
  const [good, bad] = [await bench.device(), await bench.device()];
  bench.attest(good);
  bench.attest(bad, { claims: { measurement: null } });
  bench.advance(8 * DAY_MS);
  t.is(bench.verifier.evidenceOf(good.ekSerial).length, 0);
  t.is(bench.verifier.evidenceOf(bad.ekSerial).length, 1);
  bench.advance(400 * DAY_MS);
  t.is(bench.verifier.evidenceOf(bad.ekSerial).length, 0);
});

test('challenges: of another device, of another verifier, at the very end of its life', (t) => {
  const challenges = new Challenges(Buffer.alloc(32, 1), 1000);
  const { nonce, expiresMs } = challenges.issue('ab', 5000, Buffer.alloc(10, 7));
  t.is(expiresMs, 6000);
  t.is(challenges.judge('ab', nonce, 5999).state, 'fresh');
  t.is(challenges.judge('ab', nonce, 6000).state, 'expired');
  t.is(challenges.judge('abc', nonce, 5999).state, 'foreign');
  t.is(new Challenges(Buffer.alloc(32, 2), 1000).judge('ab', nonce, 5999).state, 'foreign');
  for (let i = 0; i < nonce.length; i++) {
    const changed = Buffer.from(nonce);
    changed[i] ^= 1;
    t.is(challenges.judge('ab', changed, 5999).state, 'foreign');
  }
});

test('before it knows the time the verifier answers: later', async (t) => {
  const bench = await workbench(t);
  const { privateKey } = generateSigningKey();
  const verifier = new Verifier({
    store: bench.store,
    challenges: new Challenges(Buffer.alloc(32), 1000),
    trust: bench.trust,
    register: { device: () => undefined, all: () => [] },
    references: () => bench.releases.references(),
    isCertificateRevoked: () => false,
    resultKey: privateKey,
    intervalMs: 1,
    resultLifeMs: 1,
  });
  t.like(
    t.throws(() => verifier.challenge('ab'), { instanceOf: Refusal }),
    { recovery: 'again', status: 503 },
  );
});
