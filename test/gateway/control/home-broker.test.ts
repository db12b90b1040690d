// What appliances may do, on the home's own broker: a real mosquitto where it is installed, else aedes.
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aedes } from 'aedes';
import test, { type ExecutionContext } from 'ava';
import { connectAsync } from 'mqtt';
import type { ApplianceRow } from '../../../gateway/control/control.ts';
import { HomeBroker } from '../../../gateway/control/home-broker.ts';

const BOILER: ApplianceRow = {
  name: 'boiler',
  label: 'Boiler in the cellar',
  deviceClass: 'boiler',
  relay: true,
  rules: [],
  state: 'off',
  limitW: null,
  reason: 'the provider asks for it',
  source: 'provider',
  untilMs: Date.UTC(2026, 5, 3, 19),
};

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function startBroker(t: ExecutionContext): Promise<string> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-home-'));
  writeFileSync(join(folder, 'm.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`);
  const child = spawn('mosquitto', ['-c', join(folder, 'm.conf')], { stdio: 'ignore' });
  const missing = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(false)).once('error', () => resolve(true));
  });
  if (missing) {
    const broker = await Aedes.createBroker();
    const server = createServer(broker.handle);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    t.teardown(() => server.close());
  } else t.teardown(() => child.kill('SIGKILL'));
  t.log(missing ? 'broker: aedes' : 'broker: mosquitto');
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('error', () => resolve(false));
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
    });
    if (accepted) return `mqtt://127.0.0.1:${port}`;
    await sleep(20);
  }
}

test('an appliance hears its state and until when, once for each change, and that somebody speaks', async (t) => {
  const url = await startBroker(t);
  const said: [topic: string, text: string][] = [];
  const listener = await connectAsync(url);
  listener.on('message', (topic, payload) => void said.push([topic, payload.toString('utf8')]));
  await listener.subscribeAsync('house/#', { qos: 1 });
  const until = async (topic: string, right: (text: string) => boolean): Promise<string> => {
    for (let n = 0; n < 500; n++) {
      const found = said.find(([at, text]) => at === topic && right(text));
      if (found) return found[1];
      await sleep(20);
    }
    throw new Error(`nothing on ${topic}: ${JSON.stringify(said)}`);
  };
  const home = new HomeBroker({ url, prefix: 'house' }, (line) => t.log(line));
  home.say([BOILER]);
  t.deepEqual(JSON.parse(await until('house/appliances/boiler', () => true)), {
    state: 'off',
    limitW: null,
    reason: 'the provider asks for it',
    until: '2026-06-03T19:00:00.000Z',
  });
  await until('house/appliances', (text) => text === 'online');
  home.say([BOILER]);
  home.say([{ ...BOILER, state: 'limit', limitW: 1500 }]);
  await until('house/appliances/boiler', (text) => JSON.parse(text).limitW === 1500);
  t.is(
    said.filter(([topic]) => topic === 'house/appliances/boiler').length,
    2,
    'what has not changed is not said again',
  );

  // retained: an appliance that wakes up later hears it as well
  const late = await connectAsync(url);
  const heard = new Promise<string>((resolve) => late.on('message', (_, payload) => resolve(payload.toString('utf8'))));
  await late.subscribeAsync('house/appliances/boiler');
  t.is(JSON.parse(await heard).state, 'limit');

  await home.close();
  await until('house/appliances', (text) => text === 'offline');
  await Promise.all([listener.endAsync(), late.endAsync()]);
});
