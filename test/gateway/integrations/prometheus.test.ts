import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { startMetrics } from '../../../gateway/integrations/prometheus.ts';
import { HouseSource, point } from './_source.ts';

const LOCAL = { host: '127.0.0.1', port: 0 };

async function started(t: { teardown(f: () => unknown): void }) {
  const source = new HouseSource();
  const server = await startMetrics(source, LOCAL);
  t.teardown(() => server.close());
  return { source, url: server.url, read: async () => (await fetch(server.url)).text() };
}

test('what is measured, in base units, with its names', async (t) => {
  const { source, read } = await started(t);
  source.say(point());
  const text = await read();
  t.regex(text, /^# TYPE meter_energy_import_joules_total counter$/m);
  t.regex(text, /^meter_energy_import_joules_total\{household="Oak Street \\"3\\""\} 444444440\.4$/m);
  t.regex(text, /^meter_energy_export_joules_total\{.*\} 15555603\.6$/m);
  t.regex(text, /^meter_power_watts\{.*\} -1234$/m);
  t.regex(text, /^meter_import_price_per_kilowatt_hour\{.*\} 0\.3125$/m);
  t.regex(text, /^meter_reports_pending\{.*\} 2$/m);
});

test('nothing is said before it is known, and nothing while the meter is silent: no counter dips to zero', async (t) => {
  const { source, read } = await started(t);
  t.notRegex(await read(), /^meter_energy_import_joules_total\{/m);
  t.regex(await read(), /^meter_connected\{.*\} 1$/m);
  source.say(point());
  t.regex(await read(), /^meter_energy_import_joules_total\{/m);
  source.meter = false;
  t.notRegex(await read(), /^meter_(energy|power)_\w+\{/m);
  t.regex(await read(), /^meter_connected\{.*\} 0$/m);
});

test('unknown prices are absent; other paths and methods answer nothing', async (t) => {
  const { source, read, url } = await started(t);
  source.priced = false;
  source.say(point());
  t.notRegex(await read(), /^meter_import_price_per_kilowatt_hour\{/m);
  t.is((await fetch(url.replace('/metrics', '/api/status'))).status, 404);
  t.is((await fetch(url, { method: 'POST', body: 'x' })).status, 404);
});

test('promtool finds nothing to complain about', async (t) => {
  const { source, read } = await started(t);
  source.say(point());
  const text = await read();
  const result = await new Promise<{ code: number | null; output: string } | null>((resolve) => {
    const child = spawn('promtool', ['check', 'metrics']);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece) => {
        output += piece;
      });
    child.on('error', () => resolve(null));
    child.on('close', (code) => resolve({ code, output }));
    child.stdin.on('error', () => {});
    child.stdin.end(text);
  });
  if (result === null) return t.pass('promtool is not installed: the metrics were not checked');
  t.deepEqual(result, { code: 0, output: '' });
});

test('a real Prometheus scrapes it', async (t) => {
  const { source, url } = await started(t);
  source.say(point());
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-prometheus-'));
  const target = new URL(url).host;
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `global: {scrape_interval: 1s}\nscrape_configs: [{job_name: home, static_configs: [{targets: ['${target}']}]}]\n`,
  );
  const port = await freePort();
  const child = spawn('prometheus', [
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const missing = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(false)).once('error', () => resolve(true));
  });
  if (missing) return t.pass('prometheus is not installed: nothing was scraped');
  t.teardown(() => child.kill('SIGKILL'));
  const query = `http://127.0.0.1:${port}/api/v1/query?query=meter_energy_import_joules_total`;
  for (let n = 0; n < 300; n++) {
    const answer = await fetch(query).then(
      (a) => a.text(),
      () => '',
    );
    // not ready yet: words
    const [sample] = answer.startsWith('{') ? JSON.parse(answer).data.result : [];
    if (sample) return t.is(sample.value[1], '444444440.4');
    await sleep(100);
  }
  t.fail('Prometheus has no sample after half a minute');
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
