// The gateway as a process gets its names: the bench plays the customer, as its page will.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { IdentityState } from '../../../gateway/identity/household-identity.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { generateHpkeKeyPair } from '../../../protocol/crypto/hpke.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';
import { ADDRESS, AREA, form, START_MS, startSide } from '../../operator/identity-side.ts';
import { ConductedGateway } from '../support/conducted.ts';
import { householdTpm } from '../tpm/household-tpm.ts';

test('initialised over the conductor, killed at random on the way, and again weeks later', async (t) => {
  const side = await startSide(t);
  const swtpm = await householdTpm(t);
  const tpm = await Tpm.open(swtpm.tcti);
  const { certificate } = await tpm.endorsement();
  await tpm.close();
  await side.side.provision(certificate, { address: ADDRESS, area: AREA });
  await side.advance(START_MS);
  const [letter] = await side.side.sendLetters(['C-1001']);
  const { caFile } = side.side.gatewayIdentity;
  const gateway = new ConductedGateway(swtpm.directory, {
    householdId: 'house-1',
    householdName: 'House 1',
    dataDir: join(swtpm.directory, 'gateway'),
    meterLink: 'conductor',
    tcti: swtpm.tcti,
    area: AREA,
    broker: { url: 'mqtts://127.0.0.1:1', caFile },
    providerPublicKey: Buffer.from((await generateHpkeKeyPair()).publicKey).toString('hex'),
    identity: side.side.gatewayIdentity,
    web: null,
    clock: 'conductor',
  });
  t.teardown(() => gateway.kill());
  const state = async (): Promise<IdentityState> => (await gateway.ask('identity')) as IdentityState;
  const restart = async (): Promise<void> => {
    await gateway.kill();
    await gateway.start();
    await gateway.advance(side.clock.nowMs(), undefined, false);
  };
  await gateway.start();
  await gateway.advance(START_MS, undefined, false);
  t.is((await state()).state, 'uninitialised');
  t.deepEqual(await gateway.ask('initialise', form(letter, { pin: '12' })), {
    error: 'personal.pin: is not eight digits',
  });
  t.is(((await gateway.ask('initialise', form(letter))) as IdentityState).state, 'waiting');
  const patience = Date.now() + 60_000;
  for (let kills = 0; (await state()).state !== 'ready' && Date.now() < patience; ) {
    await sleep(randomBytes(1)[0]);
    if (kills++ < 2) await restart();
  }
  t.deepEqual(await state(), { state: 'ready', reason: null, daysLeft: 35 });
  await restart();
  t.deepEqual(await state(), { state: 'ready', reason: null, daysLeft: 35 });

  await side.advance(START_MS + 25 * DAY_MS);
  await gateway.advance(START_MS + 25 * DAY_MS, undefined, false);
  while ((await state()).daysLeft !== 35 && Date.now() < patience) await sleep(50);
  t.is((await state()).daysLeft, 35, 'topped up by itself');
  t.false(gateway.log.includes('Mustermann') || gateway.log.includes(letter.pin));
  t.is(await gateway.stop(), 0);
});
