// A gateway process with appliances: what the provider's service says reaches the meter's relay as a frame on its line.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import type { ControlView } from '../../../gateway/web/household-view.ts';
import { publicRoute, startService } from '../../../operator/shared/service.ts';
import { HOUR_MS, newControlId, signControl } from '../../../protocol/control/message.ts';
import { controlMessagesCall } from '../../../protocol/control/services.ts';
import { generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { decodeMessage } from '../../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../../protocol/wire/link-frame.ts';
import { LINK_RELAY, RELAY_OFF } from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';
import { ConductedGateway } from '../support/conducted.ts';
import { AREA, House, T0 } from '../support/house.ts';

test('asked of the provider, verified, on the relay', async (t) => {
  const house = await House.build(t);
  const key = generateEd25519Key();
  const ca = await GridCa.open(join(house.directory, 'grid-ca'));
  const [port] = await freePorts(1);
  const issuedMs = T0;
  const message = signControl(
    {
      id: newControlId(),
      area: AREA,
      deviceClass: 'boiler',
      command: 'off',
      limitW: null,
      issuedMs,
      notBeforeMs: issuedMs,
      expiresMs: issuedMs + 2 * HOUR_MS,
    },
    key.privateKey,
  );
  const service = await startService({
    name: 'provider',
    access: {
      host: '127.0.0.1',
      port,
      ...(await ca.server('provider', ['127.0.0.1'])),
      caFile: ca.caFile,
      requestsPerMinute: 600,
    },
    routes: [
      publicRoute({
        method: 'POST',
        path: controlMessagesCall.path,
        body: controlMessagesCall.body,
        handle: ({ area }) => ({ messages: area === AREA ? [message] : [] }),
      }),
    ],
  });
  t.teardown(() => service.close());
  house.gateway = new ConductedGateway(house.directory, {
    ...house.config,
    control: {
      controlKey: Buffer.from(key.publicKey).toString('hex'),
      provider: { url: service.url, caFile: ca.caFile },
      timeZone: 'UTC',
      appliances: [{ name: 'boiler', label: 'Boiler', deviceClass: 'boiler', relay: true }],
    },
  });
  await house.gateway.start();
  await house.greet();
  const reader = new FrameReader(nodeNatives);
  const relays: unknown[] = [];
  const listen = house.meter.receive.bind(house.meter);
  house.meter.receive = (bytes) => {
    for (const body of reader.push(Buffer.from(bytes).toString('latin1'))) {
      const command = decodeMessage(body);
      if (command.type === LINK_RELAY) relays.push(command);
    }
    listen(bytes);
  };
  await house.step();
  for (let tries = 0; tries < 100; tries++) {
    const { messages } = (await house.gateway.ask('controlMessages')) as ControlView;
    if (messages.length > 0) break;
    await sleep(20);
  }
  await house.advanceTo(house.nowMs + 1000);
  t.like(await house.gateway.ask('appliances'), [
    { name: 'boiler', state: 'off', reason: 'the provider has it switched off until 02:00' },
  ]);
  t.like(await house.gateway.ask('controlMessages'), {
    messages: [{ command: 'off', state: 'in force' }],
    refusals: [],
  });
  t.like(relays.at(-1), { state: RELAY_OFF });
  await house.advanceTo(issuedMs + 2 * HOUR_MS);
  t.like(await house.gateway.ask('appliances'), [{ name: 'boiler', state: 'on' }]);
});

test('a mistake in the configuration names its field', async (t) => {
  const { loadConfig } = await import('../../../gateway/config.ts');
  const house = new House();
  const file = join(house.directory, 'gateway.json');
  const config = {
    householdId: 'h',
    householdName: 'H',
    dataDir: 'd',
    meterLink: 'tcp:localhost:1',
    tcti: 'device:x',
    area: AREA,
    broker: { url: 'mqtts://b', caFile: 'ca' },
    providerPublicKey: '00'.repeat(32),
    web: null,
  };
  const problem = (control: object): string => {
    writeFileSync(file, JSON.stringify({ ...config, control }));
    try {
      loadConfig(file);
      return '';
    } catch (error) {
      return (error as Error).message.slice(file.length + 2);
    }
  };
  t.is(problem({ timeZone: 'Mars/Olympus' }), 'control.timeZone: is no time zone');
  t.is(
    problem({ appliances: [{ name: 'Boiler', label: 'x', deviceClass: 'boiler' }] }),
    'control.appliances.0.name: is no name of an appliance',
  );
  const one = { name: 'a', label: 'x', deviceClass: 'boiler' };
  t.is(problem({ appliances: [one, one] }), 'control.appliances: has a name twice');
  t.is(problem({ appliances: [one], timeZone: 'Europe/Vienna', openadr: { host: '127.0.0.1', port: 0 } }), '');
});
