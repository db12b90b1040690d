// Over a real broker: what is malformed, oversized, replayed, foreign, forged or out of order is refused and counted, and
// changes nothing.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import mqtt, { type MqttClient } from 'mqtt';
import { type Batch, decodeBatchAnswer, encodeBatch } from '../../protocol/readings/batch.ts';
import { sealReading } from '../../protocol/readings/reading.ts';
import { SUBMISSION_MOST_BYTES } from '../../protocol/readings/submission.ts';
import { TOPICS } from '../../protocol/readings/topics.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { TestAuthority } from '../support/authority.ts';
import { AREA, afterSlot, closed, START_MS, START_SLOT, startGrid, type TestGrid, TestHousehold } from './grid.ts';

/** Waits until something is so; polls, because the broker gives no answer to what it throws away. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((done) => setTimeout(done, 10));
}
const deliveries = (grid: TestGrid): Promise<Record<string, number>> => grid.collector.ask('deliveries') as never;
const health = (party: TestGrid['broker']): Promise<Record<string, number>> => party.ask('health') as never;

test('submissions that are not to be believed are answered, counted and leave no trace', async (t) => {
  const stranger = new TestHousehold(AREA, await TestAuthority.create());
  const elsewhere = new TestHousehold('south-2');
  const grid = await startGrid(t);
  const { households } = grid;
  await grid.advance(afterSlot(START_SLOT));
  const gateway = grid.gateway();
  const key = grid.side.providerPublicKey;
  const reading = { slot: START_SLOT, importWh: 500, exportWh: 0 };
  const good = await Promise.all(households.map((household) => household.submission(reading, key)));
  const verdict = async (bytes: Uint8Array, area = AREA): Promise<string> =>
    (await gateway.submit(bytes, area)).verdict;
  const altered = Uint8Array.from(good[0]);
  altered[altered.length - 70] ^= 1;

  t.is(await verdict(randomBytes(700)), 'malformed');
  t.is(await verdict(new Uint8Array()), 'malformed');
  t.is(await verdict(randomBytes(SUBMISSION_MOST_BYTES + 100)), 'malformed');
  t.is(await verdict(altered), 'badSignature');
  t.is(await verdict(await stranger.submission(reading, key)), 'badPseudonym');
  t.is(await verdict(await elsewhere.submission(reading, key)), 'wrongArea');
  t.is(await verdict(good[0], 'south-2'), 'wrongArea');
  t.is(await verdict(await households[0].submission({ ...reading, slot: START_SLOT + 9 }, key)), 'tooEarly');
  t.like(await deliveries(grid), { stored: 0, waiting: 0, rejected: 7 });

  for (const bytes of good) t.is(await verdict(bytes), 'stored');
  t.is(await verdict(good[0]), 'stored', 'a replay gets the answer it got');
  t.is(await verdict(await households[0].submission({ ...reading, importWh: 0 }, key)), 'conflict');
  // later slots first: order does not matter to the collector
  await grid.advance(afterSlot(START_SLOT + 1));
  for (const slot of [START_SLOT + 2, START_SLOT + 1])
    t.is(await verdict(await households[0].submission({ ...reading, slot }, key)), 'stored');
  await grid.advance(closed(START_SLOT + 2));
  t.is(await verdict(good[0]), 'stored', 'a replay after the slot was closed changes nothing');
  await grid.advance(closed(START_SLOT + 2) + 1);
  t.like(await deliveries(grid), { stored: 5, late: 0, batches: 3, unacknowledged: 0 });
  t.deepEqual(await grid.provider.ask('totals'), { readings: 5, importWh: 2500, exportWh: 0, rejected: 0 });
});

test('a flood of noise is counted, its sender muted, and the next household served', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(afterSlot(START_SLOT));
  const noisy = grid.gateway();
  const honest = grid.gateway();
  await until(() => noisy.connected && honest.connected);
  const flood = 2000;
  for (let i = 0; i < flood; i++) noisy.publish(TOPICS.submit(AREA, noisy.address), randomBytes(1 + (i % 350)));
  const submission = await grid.households[0].submission(
    { slot: START_SLOT, importWh: 50, exportWh: 0 },
    grid.side.providerPublicKey,
  );
  t.is((await honest.submit(submission)).verdict, 'stored');
  await until(async () => {
    const { malformed = 0, muted = 0 } = await health(grid.collector);
    return malformed + muted === flood;
  });
  const { malformed, muted } = await health(grid.collector);
  t.true(malformed >= 100 && malformed <= 1300, 'until its poison was noticed, a queue long');
  t.is(malformed + muted, flood);
  t.like(await deliveries(grid), { stored: 1 });
});

test('what is too big, too fast or not theirs ends at the broker', async (t) => {
  const grid = await startGrid(t, { broker: { limits: { gatewayPacketBurst: 50, gatewayPacketsPerSecond: 1 } } });
  await grid.advance(afterSlot(START_SLOT));
  const [victim, bystander] = [grid.gateway(), grid.gateway()];
  await until(() => victim.connected && bystander.connected);
  const refused = async (act: () => void, count: string): Promise<void> => {
    const gateway = grid.gateway();
    await until(() => gateway.connected);
    attacker = gateway;
    act();
    await until(() => gateway.disconnects > 0);
    t.is((await health(grid.broker))[count], ++expected[count], count);
  };
  let attacker = victim;
  const expected: Record<string, number> = { oversize: 0, flood: 0, publishRefused: 0 };
  const nothing = new Uint8Array(1);
  // at quality 0, or the client itself would send it again after the break
  const once = { qos: 0 as const };
  await refused(() => attacker.publish(TOPICS.submit(AREA, attacker.address), new Uint8Array(5000), once), 'oversize');
  await refused(
    () => attacker.publish(TOPICS.submit(AREA, attacker.address), new Uint8Array(3_000_000), once),
    'oversize',
  );
  await refused(() => attacker.publish(TOPICS.submit(AREA, victim.address), nothing, once), 'publishRefused');
  await refused(() => attacker.publish(TOPICS.answer(victim.address), nothing, once), 'publishRefused');
  await refused(() => attacker.publish(TOPICS.listening, nothing, once), 'publishRefused');
  await refused(() => attacker.publish(TOPICS.batches('provider'), nothing, once), 'publishRefused');
  await refused(() => attacker.publish(TOPICS.batchAnswers('provider'), nothing, once), 'publishRefused');
  await refused(
    () => attacker.publish(TOPICS.submit(AREA, attacker.address), nothing, { qos: 0, retain: true }),
    'publishRefused',
  );
  await refused(() => attacker.publish(TOPICS.submit(AREA, attacker.address), nothing, { qos: 2 }), 'publishRefused');
  await refused(() => {
    for (let i = 0; i < 60; i++) attacker.publish(TOPICS.submit(AREA, attacker.address), nothing, once);
  }, 'flood');
  for (const topic of [
    '#',
    TOPICS.everySubmit,
    TOPICS.answer(victim.address),
    TOPICS.batches('provider'),
    '$SYS/#',
    'quietmeter/#',
  ])
    t.is(await bystander.subscribe(topic), 128, topic);
  t.true(bystander.connected, 'asking is no crime');
  t.is(victim.disconnects, 0, 'the others did not notice');
});

test('nobody reads the answer of another gateway', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(afterSlot(START_SLOT));
  const [one, two] = [grid.gateway(), grid.gateway()];
  await until(() => one.connected && two.connected);
  const seen: string[] = [];
  two.onMessage((topic) => seen.push(topic));
  t.is(await two.subscribe('quietmeter/readings/answer/+'), 128);
  const submission = await grid.households[0].submission(
    { slot: START_SLOT, importWh: 50, exportWh: 0 },
    grid.side.providerPublicKey,
  );
  t.is((await one.submit(submission)).verdict, 'stored');
  t.is((await two.submit(submission)).verdict, 'stored');
  t.deepEqual(new Set(seen.filter((topic) => topic !== TOPICS.listening)), new Set([TOPICS.answer(two.address)]));
});

test('the door for parties opens to certificates of the grid only, and only to roles', async (t) => {
  const grid = await startGrid(t, { households: 1 });
  const { ca, ports } = grid.side;
  const stranger = await ca.client('mallory');
  const gets = (port: number, files?: { certFile: string; keyFile: string }): Promise<string> =>
    new Promise((done) => {
      const client = mqtt.connect(`mqtts://127.0.0.1:${port}`, {
        protocolVersion: 4,
        clientId: 'collector',
        reconnectPeriod: 0,
        ca: readFileSync(ca.caFile),
        ...(files && { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) }),
      });
      let result = 'closed';
      client.on('connect', () => {
        result = 'in';
        client.end(true);
      });
      client.on('error', () => client.end(true));
      client.on('close', () => done(result));
    });
  t.is(await gets(ports.parties), 'closed', 'no certificate');
  t.is(await gets(ports.parties, stranger), 'closed', 'a name that is no role');
  t.is(await gets(ports.gateways, await ca.client('other')), 'closed', 'a role is no name for a gateway');
  const provider = {
    certFile: join(grid.directory, 'grid-ca/provider.crt'),
    keyFile: join(grid.directory, 'grid-ca/provider.key'),
  };
  t.is(await gets(ports.parties, provider), 'closed', 'the provider is not the collector');
  await t.throwsAsync(
    new Promise((done, failed) => {
      const socket = connect({
        port: ports.gateways,
        host: '127.0.0.1',
        ca: readFileSync(ca.caFile),
        maxVersion: 'TLSv1.2',
      });
      socket.on('secureConnect', done).on('error', failed);
    }),
    undefined,
    'nothing below TLS 1.3',
  );
});

/** Someone who got at the collector's certificate, or the collector itself, with or without the MAC key. */
async function actAsCollector(
  t: ExecutionContext,
  grid: TestGrid,
): Promise<{ client: MqttClient; answers: Uint8Array[] }> {
  const files = join(grid.directory, 'grid-ca');
  const client = mqtt.connect(`mqtts://127.0.0.1:${grid.side.ports.parties}`, {
    protocolVersion: 4,
    clientId: 'collector',
    ca: readFileSync(grid.side.ca.caFile),
    cert: readFileSync(join(files, 'collector.crt')),
    key: readFileSync(join(files, 'collector.key')),
  });
  t.teardown(() => client.endAsync(true));
  const answers: Uint8Array[] = [];
  client.on('message', (_topic, payload) => answers.push(payload));
  await new Promise((done) => client.once('connect', done));
  await client.subscribeAsync(TOPICS.everyBatchAnswer, { qos: 1 });
  return { client, answers };
}

test('forged, reordered and doubled batches do not move the provider', async (t) => {
  const grid = await startGrid(t);
  await grid.collector.kill();
  const { client, answers } = await actAsCollector(t, grid);
  const key = Buffer.from(readFileSync(join(grid.directory, 'collector-provider.key'), 'utf8').trim(), 'hex');
  const epoch = monthOf(START_MS);
  const batch = async (counter: number, macKey: Uint8Array): Promise<Uint8Array> => {
    const slot = START_SLOT + counter;
    const items = await Promise.all(
      [50, 100, 150].map((importWh) => sealReading({ slot, importWh, exportWh: 0 }, AREA, grid.side.providerPublicKey)),
    );
    const content: Batch = { kind: 'regular', epoch, counter, slot, area: AREA, items };
    return encodeBatch(content, macKey);
  };
  const send = (bytes: Uint8Array) => client.publishAsync(TOPICS.batches('provider'), bytes as Buffer, { qos: 1 });
  const heard = () =>
    answers.map((bytes) => decodeBatchAnswer(bytes, key)).map(({ status, counter }) => `${status} ${counter}`);
  const [first, second, third] = await Promise.all([1, 2, 3].map((counter) => batch(counter, key)));
  const flipped = Uint8Array.from(first);
  flipped[20] ^= 1;

  await send(await batch(1, randomBytes(32)));
  await send(flipped);
  await send(randomBytes(100));
  await send(new Uint8Array(5));
  await send(third);
  await until(async () => (await health(grid.provider)).gap === 1);
  t.deepEqual(heard(), [], 'it has said that it waits for batch 1 when it connected');
  t.like(await grid.provider.ask('totals'), { readings: 0, rejected: 0 });
  t.like(await health(grid.provider), { batchForged: 3, batchMalformed: 1, gap: 1 });

  await send(first);
  await send(first);
  await send(third);
  await send(second);
  await send(third);
  await send(await batch(2, key));
  await until(() => answers.length === 6);
  t.deepEqual(heard(), ['stored 1', 'stored 1', 'expect 2', 'stored 2', 'stored 3', 'refused 2']);
  t.deepEqual(await grid.provider.ask('totals'), { readings: 9, importWh: 900, exportWh: 0, rejected: 0 });
});

test('one network address cannot take all connections', async (t) => {
  // two parties are there already
  const grid = await startGrid(t, { households: 1, broker: { limits: { connectionsPerAddress: 4 } } });
  await until(async () => (await health(grid.broker)).connections === 2);
  const admitted = [grid.gateway(), grid.gateway()];
  await until(() => admitted.every((gateway) => gateway.connected));
  const refused = grid.gateway();
  await until(async () => ((await health(grid.broker)).tooManyConnections ?? 0) >= 3);
  t.false(refused.connected, 'and it has tried again');
  await admitted[0].close();
  await until(() => refused.connected);
  t.true(admitted[1].connected);
});
