// The provider's control messages: signed, stored, published, asked for; and who may say and hear them at the broker.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import { Broadcasts } from '../../../gateway/services/broadcasts.ts';
import { callService } from '../../../gateway/services/client.ts';
import { mayPublish, maySubscribe } from '../../../operator/broker/permissions.ts';
import { ControlDesk, ControlStore } from '../../../operator/provider/control.ts';
import { callAs } from '../../../operator/shared/client.ts';
import { Refusal } from '../../../operator/shared/service.ts';
import { HOUR_MS, openControl, PER_HOUR_MOST } from '../../../protocol/control/message.ts';
import {
  type ControlOrder,
  controlMessagesCall,
  controlOpenAdrCall,
  controlSendCall,
  controlSentCall,
} from '../../../protocol/control/services.ts';
import { controlTopic } from '../../../protocol/control/topics.ts';
import { ed25519PublicKey, generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import { START_MS, startGrid } from '../grid.ts';

const NOW = START_MS + 17 * HOUR_MS;
const noCars: ControlOrder = {
  area: 'north-1',
  deviceClass: 'ev-charger',
  command: 'off',
  limitW: null,
  notBeforeMs: NOW,
  expiresMs: NOW + 2 * HOUR_MS,
};
const event = {
  id: 'vtn-17',
  programID: '44',
  targets: [
    { type: 'SERVICE_AREA', values: ['north-1'] },
    { type: 'GROUP', values: ['heat-pump'] },
  ],
  intervalPeriod: { start: new Date(NOW).toISOString(), duration: 'PT1H' },
  intervals: [{ id: 0, payloads: [{ type: 'IMPORT_CAPACITY_LIMIT', values: [1.5] }] }],
};

function desk(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-control-'));
  const store = new ControlStore(join(directory, 'control.sqlite'));
  t.teardown(() => {
    store.close();
    rmSync(directory, { recursive: true });
  });
  const key = generateEd25519Key();
  const published: { area: string; bytes: Uint8Array }[] = [];
  const publish = (area: string, bytes: Uint8Array): void => void published.push({ area, bytes });
  return { desk: new ControlDesk({ store, controlKey: key.privateKey, publish }), store, published, key };
}
const refusal = (work: () => unknown): { code: string; message: string; path: string | undefined } => {
  try {
    work();
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, message: error.message, path: error.path };
    throw error;
  }
  throw new Error('it was sent');
};

test('an order becomes a signed message, once however often it is sent', (t) => {
  const { desk: it, store, published, key } = desk(t);
  const order = { ...noCars, id: new Uint8Array(16).fill(7) };
  const { id, message } = it.send(order, NOW + 1234);
  t.deepEqual(openControl(message, key.publicKey), {
    ...noCars,
    id: Buffer.from(id),
    issuedMs: NOW + 1000,
    notBeforeMs: NOW + 1000,
  });
  t.deepEqual(published, [{ area: 'north-1', bytes: message }]);
  t.deepEqual(Buffer.from(it.send(order, NOW + 60_000).message), Buffer.from(message));
  t.is(published.length, 1);
  t.is(store.list(10).length, 1);
  t.deepEqual(
    refusal(() => it.send({ ...order, deviceClass: 'boiler' }, NOW)),
    { code: 'other order', message: 'id is that of another order', path: 'id' },
  );
});

test('no gateway would take it: not sent', (t) => {
  const { desk: it, published } = desk(t);
  t.is(refusal(() => it.send({ ...noCars, expiresMs: NOW }, NOW)).message, 'expiresMs has passed');
  t.deepEqual(
    refusal(() => it.send({ ...noCars, expiresMs: NOW + 25 * HOUR_MS }, NOW)),
    { code: 'bounds', message: 'expiresMs is more than 24 hours after its beginning', path: 'expiresMs' },
  );
  t.is(
    refusal(() => it.send({ ...noCars, command: 'limit' }, NOW)).message,
    'limitW is no whole number from 1 to 70000',
  );
  t.is(published.length, 0);
  for (let n = 0; n < PER_HOUR_MOST; n++) it.send(noCars, NOW + n);
  t.is(refusal(() => it.send(noCars, NOW + 100)).code, 'flood');
  t.notThrows(() => it.send({ ...noCars, area: 'south-1' }, NOW + 100), 'each area has its own count');
  t.notThrows(() => it.send(noCars, NOW + HOUR_MS), 'and each hour');
});

test('an OpenADR event is an order; the same event again is the same message', (t) => {
  const { desk: it, published, key } = desk(t);
  const { message } = it.sendEvent(event, NOW);
  t.like(openControl(message, key.publicKey), {
    area: 'north-1',
    deviceClass: 'heat-pump',
    command: 'limit',
    limitW: 1500,
    expiresMs: NOW + HOUR_MS,
  });
  t.deepEqual(Buffer.from(it.sendEvent(event, NOW + 5000).message), Buffer.from(message));
  t.is(published.length, 1);
  t.deepEqual(
    refusal(() => it.sendEvent({ ...event, targets: [] }, NOW)),
    {
      code: 'malformed',
      message: 'event.targets: do not name one SERVICE_AREA',
      path: 'event.targets',
    },
  );
});

test('at the broker the provider says it, every gateway hears it, and nobody else says it', (t) => {
  const topic = controlTopic('north-1', new Uint8Array(32));
  const said = { topic, qos: 1, retain: false };
  t.true(mayPublish('provider', 'provider', said));
  t.false(mayPublish('provider', 'provider', { ...said, retain: true }));
  t.false(mayPublish('provider', 'provider', { ...said, topic: `${topic}/x` }));
  t.false(mayPublish('gateway', '0123456789abcdef0123', said));
  t.false(mayPublish('collector', 'collector', said));
  t.true(maySubscribe('gateway', '0123456789abcdef0123', topic));
  for (const filter of ['quietmeter/control/+/+', 'quietmeter/control/#', 'quietmeter/control/north-1'])
    t.false(maySubscribe('gateway', '0123456789abcdef0123', filter), filter);
  const acl = (name: string): string[] =>
    readFileSync(join(import.meta.dirname, `../../../operator/broker/mosquitto/${name}.acl`), 'utf8').split('\n');
  t.deepEqual(
    [...acl('gateways'), ...acl('parties')].filter((line) => line.includes('/control/')),
    ['topic read quietmeter/control/+/+', 'topic write quietmeter/control/+/+'],
  );
  t.is(
    acl('parties').lastIndexOf('user provider') < acl('parties').indexOf('topic write quietmeter/control/+/+'),
    true,
  );
});

test('from the console over provider and broker to a gateway; who comes late asks', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-control-ca-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const ca = await GridCa.open(directory);
  const { privateKey } = generateKeyPairSync('ed25519');
  const keyFile = join(directory, 'control.pem');
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const [port] = await freePorts(1);
  const host = '127.0.0.1';
  const service = { host, port, ...(await ca.server('provider-control', [host])), caFile: ca.caFile };
  const grid = await startGrid(t, { caDirectory: directory, provider: { control: { service, keyFile } } });
  await grid.advance(NOW);
  const access = { url: `https://${host}:${port}`, caFile: ca.caFile };
  const console_ = await ca.client('console');

  const heard: Uint8Array[] = [];
  let listening = false;
  const broadcasts = new Broadcasts({
    url: grid.side.gatewayAccess.url,
    ca: readFileSync(ca.caFile, 'utf8'),
    broadcasts: [
      { topic: controlTopic('north-1', ed25519PublicKey(privateKey)), heard: (payload) => void heard.push(payload) },
    ],
    listening: () => {
      listening = true;
    },
    log: (line) => t.log(line),
  });
  broadcasts.start();
  t.teardown(() => broadcasts.close());
  const until = async (ready: () => boolean): Promise<void> => {
    while (!ready()) await sleep(10);
  };
  await until(() => listening);
  await callAs(console_, {
    ...access,
    path: controlSendCall.path,
    body: { ...noCars, area: 'south-1' },
    answer: controlSendCall.answer,
  });
  const { message } = await callAs(console_, {
    ...access,
    path: controlSendCall.path,
    body: noCars,
    answer: controlSendCall.answer,
  });
  await callAs(console_, { ...access, path: controlOpenAdrCall.path, body: event, answer: controlOpenAdrCall.answer });
  await until(() => heard.length === 2);
  t.deepEqual(Buffer.from(heard[0]), Buffer.from(message), 'its own area, and no other');
  t.is(openControl(heard[1], ed25519PublicKey(privateKey)).deviceClass, 'heat-pump');

  const asked = (): Promise<{ messages: Uint8Array[] }> =>
    callService({
      url: access.url,
      ca: readFileSync(ca.caFile, 'utf8'),
      path: controlMessagesCall.path,
      body: { area: 'north-1' },
      answer: controlMessagesCall.answer,
    });
  t.deepEqual(
    (await asked()).messages.map((bytes) => Buffer.from(bytes)),
    heard.map((bytes) => Buffer.from(bytes)).sort((a, b) => a.compare(b)),
  );
  const { sent } = await callAs(console_, { ...access, path: controlSentCall.path, answer: controlSentCall.answer });
  t.is(sent.length, 3);
  t.deepEqual(await grid.provider.ask('control'), sent);

  const stranger = await t.throwsAsync(
    callAs(await ca.client('collector'), {
      ...access,
      path: controlSendCall.path,
      body: noCars,
      answer: controlSendCall.answer,
    }),
    { instanceOf: ServiceError },
  );
  t.is(stranger?.code, 'not this role');

  // killed and back: the message is on its disk, and said again to whoever listens
  await grid.provider.kill();
  heard.length = 0;
  await grid.provider.start();
  await grid.advance(NOW + 60_000);
  t.is((await asked()).messages.length, 2);
  await grid.advance(noCars.expiresMs);
  t.is((await asked()).messages.length, 0);
});
