// The same parties over a real mosquitto, with the configuration and the access lists of operator/broker/mosquitto.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { controlTopic } from '../../protocol/control/topics.ts';
import { TOPICS } from '../../protocol/readings/topics.ts';
import { AREA, afterSlot, closed, START_MS, START_SLOT, startGrid, type TestGrid } from './grid.ts';

const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', 'mosquitto'].find(runs);
function runs(path: string): boolean {
  try {
    execFileSync(path, ['-h'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    // it prints its help and ends with an error code; where it is not there, there is no code
    return typeof (error as { status?: unknown }).status === 'number';
  }
}

const sources = join(import.meta.dirname, '../../operator/broker/mosquitto');
async function startMosquitto(t: ExecutionContext, grid: TestGrid): Promise<ChildProcess> {
  const { ca, ports } = grid.side;
  const directory = join(grid.directory, 'grid-ca');
  const files: Record<string, string> = {
    'ca.crt': ca.caFile,
    'broker.crt': join(directory, 'broker.crt'),
    'broker.key': join(directory, 'broker.key'),
    'gateways.acl': join(grid.directory, 'gateways.acl'),
    'parties.acl': join(grid.directory, 'parties.acl'),
  };
  for (const name of ['gateways.acl', 'parties.acl']) copyFileSync(join(sources, name), files[name]);
  let text = readFileSync(join(sources, 'mosquitto.conf'), 'utf8')
    .replace('listener 8883', `listener ${ports.gateways} 127.0.0.1`)
    .replace('listener 8884', `listener ${ports.parties} 127.0.0.1`);
  for (const [name, path] of Object.entries(files))
    text = text.replaceAll(new RegExp(`file ${name}$`, 'gm'), `file ${path}`);
  const config = join(grid.directory, 'mosquitto.conf');
  writeFileSync(config, text);
  // run by root it would give up its rights, and with them the keys of mode 0600
  const user = process.getuid?.() === 0 ? 'user root\n' : '';
  writeFileSync(config, user + text);
  const child = spawn(MOSQUITTO!, ['-c', config], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  t.teardown(() => {
    child.kill('SIGKILL');
    if (!t.passed) t.log(`mosquitto:\n${output}`);
  });
  while (!(await listens(ports.parties))) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended: ${output}`);
    await sleep(20);
  }
  return child;
}
const listens = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => done(true)).on('error', () => done(false));
    socket.on('connect', () => socket.destroy());
  });

const run = MOSQUITTO ? test : test.skip;

run(
  `mosquitto carries readings and batches, and forgets them when killed${MOSQUITTO ? '' : ' (skipped: no mosquitto here)'}`,
  async (t) => {
    const grid = await startGrid(t, { withoutBroker: true });
    let mosquitto = await startMosquitto(t, grid);
    await grid.advance(START_MS);
    const gateways = grid.households.map(() => grid.gateway());
    const slots = 6;
    for (let slot = START_SLOT; slot < START_SLOT + slots; slot++) {
      const submissions = await Promise.all(
        grid.households.map((household, h) =>
          household.submission({ slot, importWh: 50 * h, exportWh: 0 }, grid.side.providerPublicKey),
        ),
      );
      const answers = Promise.all(submissions.map((bytes, h) => gateways[h].submit(bytes)));
      if (slot === START_SLOT + 3) {
        mosquitto.kill('SIGKILL');
        mosquitto = await startMosquitto(t, grid);
      }
      t.deepEqual(
        (await answers).map(({ verdict }) => verdict),
        ['stored', 'stored', 'stored'],
      );
      await grid.advance(afterSlot(slot));
    }
    await grid.advance(closed(START_SLOT + slots - 1));
    t.deepEqual(await grid.provider.ask('totals'), {
      readings: 3 * slots,
      importWh: 150 * slots,
      exportWh: 0,
      rejected: 0,
    });

    // the access lists say what the embedded broker's table says
    const [one, two] = gateways;
    for (const topic of [
      TOPICS.answer(two.address),
      TOPICS.everySubmit,
      TOPICS.batches('provider'),
      controlTopic(AREA, new Uint8Array(32)),
      '#',
      '$SYS/#',
    ]) {
      const heard: string[] = [];
      one.onMessage((at) => heard.push(at));
      await one.subscribe(topic);
      two.publish(TOPICS.answer(two.address), new Uint8Array(3));
      two.publish(TOPICS.submit(AREA, one.address), new Uint8Array(3));
      two.publish(controlTopic(AREA, new Uint8Array(32)), new Uint8Array(3));
      const bytes = await grid.households[0].submission(
        { slot: START_SLOT + slots, importWh: 0, exportWh: 0 },
        grid.side.providerPublicKey,
      );
      await two.submit(bytes);
      t.deepEqual(
        heard.filter((at) => at !== TOPICS.listening),
        [],
        topic,
      );
    }
    const { malformed = 0 } = (await grid.collector.ask('health')) as { malformed?: number };
    t.is(malformed, 0, 'nothing that was published in the name of another got through');
  },
);
