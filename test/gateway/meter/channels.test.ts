import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { GatewayConfig } from '../../../gateway/config.ts';
import { openChannel } from '../../../gateway/meter/channel.ts';
import { MeterLink } from '../../../gateway/meter/link.ts';
import { GatewayStore } from '../../../gateway/store.ts';
import { systemClock } from '../../../protocol/time/clock.ts';
import { LINK_STATUS, LINK_TIME } from '../../../protocol/wire/link-messages.ts';
import { freshDir } from '../support/bench-link.ts';
import { ScriptedMeter } from '../support/scripted-meter.ts';

const MAIN = new URL('../../../gateway/main.ts', import.meta.url).pathname;
const hasSocat = spawnSync('socat', ['-V']).status === 0;

/** A link in real time, and when it first holds what `wanted` asks for. */
function linkOver(address: string): {
  link: MeterLink;
  store: GatewayStore;
  until(wanted: () => boolean): Promise<void>;
} {
  const store = new GatewayStore(freshDir());
  const link = new MeterLink({
    channel: openChannel(address),
    store,
    clock: systemClock,
    resolutionWh: 50,
    onLives: () => {},
    onReports: () => {},
    log: () => {},
  });
  link.start();
  const until = async (wanted: () => boolean): Promise<void> => {
    while (!wanted()) {
      link.tick();
      await sleep(20);
    }
  };
  return { link, store, until };
}

/** A meter that was switched on some time ago and lives in real time from now on; `write` is its end of the line. */
function realTimeMeter(write: (bytes: Uint8Array) => void): { meter: ScriptedMeter; stop(): void } {
  const meter = new ScriptedMeter();
  meter.powerOn(Date.now() - 2_000_000);
  meter.advanceTo(Date.now());
  meter.take(); // nobody listened
  const timer = setInterval(() => {
    meter.advanceTo(Date.now());
    const bytes = meter.take();
    if (bytes.length > 0) write(bytes);
  }, 20);
  return { meter, stop: () => clearInterval(timer) };
}

test('tcp: a meter behind a serial server; the line breaks and comes back', async (t) => {
  let socket: Socket | null = null;
  const { meter, stop } = realTimeMeter((bytes) => socket?.write(bytes));
  const server = createServer((connection) => {
    socket = connection;
    connection.on('data', (bytes) => meter.receive(bytes));
    connection.on('error', () => {});
    connection.on('close', () => {
      socket = null;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { link, store, until } = linkOver(`tcp:127.0.0.1:${(server.address() as { port: number }).port}`);
  await until(() => link.connected && store.totals().records === 2 && meter.acked === 2);
  (socket as Socket | null)?.destroy();
  await until(() => !link.connected || socket === null);
  const frames = link.counters.frames;
  await until(() => link.counters.frames > frames + 1 && link.connected);
  t.is(link.counters.linkErrors, 0);
  t.is(store.totals().records, 2, 'the records were had before');
  await link.close();
  stop();
  server.close();
  store.close();
});

/** A cable of two pseudo-terminals; the meter's end is served here. */
async function plugIn(ends: string[], meter: ScriptedMeter) {
  const cable = spawn(
    'socat',
    ends.map((end) => `pty,raw,echo=0,link=${end}`),
    { stdio: 'ignore' },
  );
  while (!ends.every((end) => existsSync(end))) await sleep(10);
  const file = await open(ends[1], 'r+');
  const reading = file.createReadStream({ autoClose: false });
  reading.on('data', (bytes) => meter.receive(bytes as Buffer));
  reading.on('error', () => {});
  return {
    write: (bytes: Uint8Array) => void file.write(bytes).catch(() => {}),
    async unplug() {
      cable.kill();
      await once(cable, 'exit');
      reading.destroy();
      await file.close().catch(() => {});
    },
  };
}

// The serial port's native part serves a process's main thread only, and tests run in workers: hence a process of its own,
// which is also the gateway as it runs on a Raspberry Pi: on the system's clock, here with neither TPM nor grid in reach.
(hasSocat ? test : test.skip)(
  'serial: a gateway on a pty, unplugged and plugged in again (skipped without socat)',
  async (t) => {
    const dir = freshDir();
    const ends = [join(dir, 'gateway-end'), join(dir, 'meter-end')];
    let write = (_bytes: Uint8Array): void => {};
    const { meter, stop } = realTimeMeter((bytes) => write(bytes));
    let cable = await plugIn(ends, meter);
    write = cable.write;
    writeFileSync(join(dir, 'ca.pem'), '');
    const config: GatewayConfig = {
      householdId: 'house-1',
      householdName: 'A house',
      dataDir: 'data',
      meterLink: `serial:${ends[0]}`,
      tcti: 'swtpm:host=127.0.0.1,port=1',
      area: 'north-1',
      resolutionWh: 50,
      broker: { url: 'mqtts://127.0.0.1:1', caFile: 'ca.pem' },
      providerPublicKey: '09'.repeat(32),
      web: null,
      clock: 'system',
    };
    writeFileSync(join(dir, 'gateway.json'), JSON.stringify(config));
    const gateway = spawn(process.execPath, [MAIN, join(dir, 'gateway.json')], { stdio: ['ignore', 'ignore', 'pipe'] });
    t.teardown(() => gateway.kill('SIGKILL'));
    const ended = once(gateway, 'exit');
    const said = (type: number): number => meter.heard.filter((command) => command.type === type).length;
    while (said(LINK_TIME) === 0 || meter.acked < 2) await sleep(20);
    const store = new GatewayStore(join(dir, 'data')); // its files may be read while it runs
    const heardUptimeMs = (): number => store.lastLive()?.uptimeMs ?? 0;
    while (heardUptimeMs() === 0) await sleep(20);
    await cable.unplug();
    const [asked, heardMs] = [said(LINK_STATUS), heardUptimeMs()];
    cable = await plugIn(ends, meter);
    write = cable.write;
    while (heardUptimeMs() === heardMs) await sleep(20);
    t.true(said(LINK_STATUS) > asked, 'who is at the end of this line now?');
    gateway.kill('SIGTERM');
    t.deepEqual(await ended, [0, null]);
    stop();
    await cable.unplug();
    t.is(store.totals().records, 2);
    t.is(store.meta('meterId'), meter.meterId);
    store.close();
  },
);
