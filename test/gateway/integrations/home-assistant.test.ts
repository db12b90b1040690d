// Against a real mosquitto where it is installed, else against aedes.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aedes } from 'aedes';
import test, { type ExecutionContext } from 'ava';
import { connectAsync, type MqttClient } from 'mqtt';
import { HomeAssistant, SENSORS } from '../../../gateway/integrations/home-assistant.ts';
import { HouseSource, NOON_MS, point } from './_source.ts';

const AVAILABILITY = 'quietmeter/house-1/availability';
const STATE = 'quietmeter/house-1/state';
const CONFIG = 'homeassistant/device/quietmeter_house-1/config';

interface Broker {
  url: string;
  kind: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

async function startBroker(t: ExecutionContext): Promise<Broker> {
  const port = await new Promise<number>((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-broker-'));
  writeFileSync(join(folder, 'm.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`);
  let child: ChildProcess | null = null;
  let aedes: Server | null = null;
  let kind = 'mosquitto';
  const begin = async (): Promise<void> => {
    child = spawn('mosquitto', ['-c', join(folder, 'm.conf')], { stdio: 'ignore' });
    const missing = await new Promise<boolean>((resolve) => {
      child!.once('spawn', () => resolve(false)).once('error', () => resolve(true));
    });
    if (!missing) return listens(port);
    kind = 'aedes';
    const broker = await Aedes.createBroker();
    aedes = createServer(broker.handle);
    await new Promise<void>((resolve) => aedes!.listen(port, '127.0.0.1', resolve));
  };
  const end = async (): Promise<void> => {
    child?.kill('SIGKILL');
    if (aedes) await new Promise((resolve) => aedes!.close(resolve));
    await sleep(50);
  };
  await begin();
  t.teardown(end);
  return { url: `mqtt://127.0.0.1:${port}`, kind, stop: end, start: begin };
}

/** Until somebody accepts. */
async function listens(port: number): Promise<void> {
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (accepted) return;
    await sleep(20);
  }
}

/** Everything that was said, and a way to wait for it. */
class Listener {
  readonly said: [topic: string, text: string][] = [];
  constructor(client: MqttClient) {
    client.on('message', (topic, payload) => void this.said.push([topic, payload.toString('utf8')]));
  }
  async until(topic: string, right: (text: string) => boolean = () => true): Promise<string> {
    for (let n = 0; n < 1000; n++) {
      const found = this.said.find(([at, text]) => at === topic && right(text));
      if (found) return found[1];
      await sleep(20);
    }
    throw new Error(`nothing was said on ${topic}; heard ${JSON.stringify(this.said).slice(0, 500)}`);
  }
}

async function listen(t: ExecutionContext, url: string): Promise<{ client: MqttClient; listener: Listener }> {
  const client = await connectAsync(url, { reconnectPeriod: 200 });
  const listener = new Listener(client);
  await client.subscribeAsync('#', { qos: 1 });
  t.teardown(() => client.endAsync(true));
  return { client, listener };
}

async function start(t: ExecutionContext) {
  const broker = await startBroker(t);
  t.log(`broker: ${broker.kind}`);
  const { client, listener } = await listen(t, broker.url);
  const source = new HouseSource();
  const home = new HomeAssistant({
    settings: { url: broker.url, discoveryPrefix: 'homeassistant', everySeconds: 10 },
    id: 'house-1',
    version: 7,
    source,
    log: () => {},
  });
  t.teardown(() => home.close());
  return { broker, client, listener, source, home };
}

test('announced with the right classes, and only once something is known', async (t) => {
  const { listener, source } = await start(t);
  t.is(await listener.until(AVAILABILITY), 'offline');
  t.false(listener.said.some(([topic]) => topic === CONFIG || topic === STATE));

  source.say(point());
  const config = JSON.parse(await listener.until(CONFIG));
  t.is(config.dev.ids, 'quietmeter_house-1');
  t.is(config.avty_t, AVAILABILITY);
  t.deepEqual(
    Object.keys(config.cmps),
    SENSORS.map(({ key }) => key),
  );
  const { import_energy, export_energy, power, import_price, cost } = config.cmps;
  for (const energy of [import_energy, export_energy]) {
    t.is(energy.dev_cla, 'energy');
    t.is(energy.stat_cla, 'total_increasing');
    t.is(energy.unit_of_meas, 'kWh');
  }
  t.is(power.dev_cla, 'power');
  t.is(power.stat_cla, 'measurement');
  t.is(import_price.unit_of_meas, 'EUR/kWh');
  t.is(import_price.dev_cla, undefined);
  t.is(cost.dev_cla, 'monetary');
  t.is(cost.stat_cla, 'total');
  t.is(cost.unit_of_meas, 'EUR');
  const ids = Object.values<{ uniq_id: string }>(config.cmps).map(({ uniq_id }) => uniq_id);
  t.is(new Set(ids).size, ids.length);

  t.is(await listener.until(AVAILABILITY, (text) => text === 'online'), 'online');
  const state = JSON.parse(await listener.until(STATE));
  t.like(state, { import_energy: 123.457, export_energy: 4.321, power: -1234, import_price: 0.3125, cost: 12.345 });
  t.is(state.month_start, '2026-06-01T00:00:00.000Z');
});

test('what is not known is not in the state; a household that is not billed has no sensors for money', async (t) => {
  const { listener, source } = await start(t);
  source.priced = false;
  source.billed = false;
  source.say(point({ reactiveVar: Number.NaN }));
  const config = JSON.parse(await listener.until(CONFIG));
  t.false('cost' in config.cmps || 'import_price' in config.cmps);
  const state = JSON.parse(await listener.until(STATE));
  t.false('import_price' in state || 'cost' in state || 'reactive_power' in state);
});

test('states come as often as is configured; a silent meter is unavailable, not zero', async (t) => {
  const { listener, source, home } = await start(t);
  source.say(point());
  await listener.until(STATE);
  for (let second = 1; second < 10; second++) {
    source.now = NOON_MS + second * 1000;
    source.say(point({ powerW: second }));
  }
  source.now = NOON_MS + 10_000;
  source.say(point({ powerW: 500 }));
  await listener.until(STATE, (text) => JSON.parse(text).power === 500);
  t.is(listener.said.filter(([topic]) => topic === STATE).length, 2);

  listener.said.length = 0;
  source.meter = false;
  home.tick();
  t.is(await listener.until(AVAILABILITY), 'offline');
  t.false(listener.said.some(([topic]) => topic === STATE));
});

test('announced again when Home Assistant comes up, and when the broker has forgotten everything', async (t) => {
  const { broker, client, listener, source } = await start(t);
  source.say(point());
  await listener.until(STATE);
  listener.said.length = 0;
  await client.publishAsync('homeassistant/status', 'online', { qos: 1 });
  await listener.until(CONFIG);
  await listener.until(STATE);

  await broker.stop();
  await broker.start();
  const after = await listen(t, broker.url);
  await after.listener.until(CONFIG); // after the client's pause of five seconds
  t.is(await after.listener.until(AVAILABILITY, (text) => text === 'online'), 'online');
});
