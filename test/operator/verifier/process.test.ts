/**
 * A household that the trusted third party initialised, its gateway's attestation on a software TPM, and the verifier as a process
 * behind HTTPS: the whole way, with a kill in the middle.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { GridCa } from '../../../bench/grid-ca.ts';
import { Party } from '../../../bench/party.ts';
import { BenchReleases } from '../../../bench/releases.ts';
import { prepareVerifier, type VerifierSide } from '../../../bench/verifier-side.ts';
import { type Attestation, openAttestation } from '../../../gateway/attestation/open.ts';
import { callService } from '../../../gateway/services/client.ts';
import { callAs } from '../../../operator/shared/client.ts';
import type { FleetRow } from '../../../operator/verifier/steps.ts';
import { fleetDevicesCall, fleetRevokeCall } from '../../../protocol/attestation/fleet.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import { measurementOfImage } from '../../../protocol/updates/measurement.ts';
import { LINK_MEASURE } from '../../../protocol/wire/link-messages.ts';
import { mainOf } from '../grid.ts';
import { form, gatewayOf, initialise, START_MS, startSide, type TestGateway, type TestSide } from '../identity-side.ts';

const IMAGE = Buffer.alloc(20_000, 'the program of the meter;');

interface House {
  side: TestSide;
  gateway: TestGateway;
  verifierSide: VerifierSide;
  verifier: Party;
  attestation: Attestation;
  ca: GridCa;
  /** What the meter runs. */
  image: Uint8Array;
  /** Until the next result, or something keeps it. */
  attest(): Promise<void>;
  fleet(): Promise<FleetRow[]>;
}

async function build(t: ExecutionContext): Promise<House> {
  const side = await startSide(t);
  const ca = await GridCa.open(join(side.directory, 'grid-ca'));
  const verifierSide = await prepareVerifier({
    directory: join(side.directory, 'verifier-side'),
    ca,
    endorsementRootsDir: side.side.endorsementRootsDir,
    authorityFile: side.side.authorityFile,
    gridOperatorUrl: side.side.urls.gridOperator,
    releases: new BenchReleases(join(side.directory, 'releases'), IMAGE),
  });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  t.is((await initialise(gateway.identity, form(letter))).state, 'ready');
  const logPath = join(side.directory, 'verifier.log');
  const verifier = new Party({ name: 'verifier', main: mainOf('verifier'), configPath: verifierSide.config, logPath });
  t.teardown(async () => {
    await verifier.kill();
    if (!t.passed) t.log(`verifier:\n${readFileSync(logPath, 'utf8').slice(-3000)}`);
  });
  await verifier.start();
  await verifier.advance(START_MS, true);

  const meta = new Map<string, string>();
  const house: House = {
    side,
    gateway,
    verifierSide,
    verifier,
    ca,
    image: IMAGE,
    attestation: openAttestation({
      config: verifierSide.gatewayAttestation,
      dataDir: gateway.swtpm.directory,
      store: { meta: (key) => meta.get(key) ?? null, setMeta: (key, value) => void meta.set(key, value) },
      tpm: async () => gateway.tpm,
      household: gateway.identity,
      sendToMeter: (command) => {
        if (command.type !== LINK_MEASURE) return;
        const digest = measurementOfImage(command.nonce, house.image);
        setImmediate(() => house.attestation.heard(digest));
      },
      clock: side.clock,
      log: (line) => gateway.log.push(line),
    }),
    async attest() {
      const { agent } = house.attestation;
      const pushes = agent.pushes;
      agent.attestNow();
      for (let i = 0; i < 400 && agent.pushes === pushes; i++) {
        await agent.idle();
        if (agent.view().trouble) return;
        await new Promise((done) => setTimeout(done, 5));
        agent.tick();
      }
    },
    fleet: async () => (await verifier.ask('fleet')) as FleetRow[],
  };
  t.teardown(() => house.attestation.close());
  return house;
}

test('a household is attested under its own name, gets its pass, and the verifier survives kill -9', async (t) => {
  const house = await build(t);
  t.like((await house.fleet())[0], {
    device: house.gateway.serial,
    state: 'never seen',
    address: 'Musterweg 5, 12345 Musterstadt',
  });
  await house.attest();
  const { agent, passes } = house.attestation;
  t.deepEqual(agent.view().why, []);
  t.like(agent.view(), { state: 'trusted', trouble: null });
  t.like((await house.fleet())[0], {
    device: house.gateway.serial,
    state: 'trusted',
    gatewayVersion: 1,
    meterVersion: 1,
  });

  await passes.settled();
  const today = Math.floor(START_MS / 86_400_000);
  t.truthy(await passes.passFor(today, house.gateway.identity.pseudonymOf(today)!), passes.trouble ?? '');

  const before = await house.fleet();
  await house.verifier.kill();
  await house.attest();
  t.regex(agent.view().trouble ?? '', /^the verifier cannot be reached/);
  t.is(agent.view().state, 'trusted');
  await house.verifier.start();
  await house.verifier.advance(START_MS, true);
  t.deepEqual(await house.fleet(), before);
  await new Promise((done) => setTimeout(done, 1000)); // the agent's pause
  await house.attest();
  t.like(agent.view(), { state: 'trusted', trouble: null });
});

test('a meter that runs another image than was flashed: failed on the page and on the console, in one sentence', async (t) => {
  const house = await build(t);
  house.image = Buffer.from('another program');
  await house.attest();
  const sentence = 'The meter runs another image than the gateway flashed to it.';
  t.like(house.attestation.agent.view(), { state: 'failed', why: [sentence] });
  const console = await house.ca.client('console');
  const { url } = house.verifierSide;
  const call = { url, caFile: house.ca.caFile };
  const { devices } = await callAs(console, {
    ...call,
    ...fleetDevicesCall,
    body: { state: null, text: '', from: 0, open: null },
  });
  t.like(devices[0], { state: 'failed', why: [sentence], failures: 1 });

  await callAs(console, {
    ...call,
    ...fleetRevokeCall,
    body: { device: house.gateway.serial, severity: 'revoked', reason: 'the seal of its housing was broken' },
  });
  t.like((await house.fleet())[0], { state: 'revoked' });

  // nobody else is told anything
  for (const role of ['collector', 'provider']) {
    const error = await t.throwsAsync(
      callAs(await house.ca.client(role), {
        ...call,
        ...fleetDevicesCall,
        body: { state: null, text: '', from: 0, open: null },
      }),
      { instanceOf: ServiceError },
    );
    t.is(error.code, 'not this role');
  }
  const identifier = house.gateway.identity.requestIdentity('identifier', 'verifier')!;

  const error = await t.throwsAsync(
    callService({
      url,
      ca: readFileSync(house.ca.caFile, 'utf8'),
      path: '/attestation/challenge',
      body: {},
      answer: v.object({}),
      identity: identifier,
    }),
    { instanceOf: ServiceError },
  );
  t.is(error.code, 'not this certificate');
});
