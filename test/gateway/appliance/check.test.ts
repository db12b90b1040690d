import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTls } from 'node:tls';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { checkGateway, describeFindings, type Finding } from '../../../gateway/appliance/check.ts';

const LOCAL = '127.0.0.1';
const NOBODY = 9; // the discard port: nothing listens
const folder = (): string => mkdtempSync(join(tmpdir(), 'quietmeter-check-'));

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, LOCAL, () => resolve((server.address() as AddressInfo).port)));

interface Changes {
  [field: string]: unknown;
}
/** A configuration whose every part points to nobody; `changes` put some of it right. */
async function configure(changes: Changes = {}): Promise<{ file: string; dataDir: string; ca: GridCa }> {
  const home = folder();
  const ca = await GridCa.open(join(home, 'ca'));
  const dataDir = join(home, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const file = join(home, 'gateway.json');
  const config = {
    householdId: 'h',
    householdName: 'House',
    dataDir,
    meterLink: `tcp:${LOCAL}:${NOBODY}`,
    tcti: `swtpm:host=${LOCAL},port=${NOBODY}`,
    area: 'oak-street',
    broker: { url: `mqtts://localhost:${NOBODY}`, caFile: ca.caFile },
    providerPublicKey: '11'.repeat(32),
    web: { port: 0, host: LOCAL },
    ...changes,
  };
  writeFileSync(file, JSON.stringify(config));
  return { file, dataDir, ca };
}
const found = (findings: Finding[], what: string): Finding => {
  const finding = findings.find((f) => f.what === what);
  if (!finding) throw new Error(`nothing was said of ${what}`);
  return finding;
};

test('nobody there: everything that is wrong is said, with what helps', async (t) => {
  const { file } = await configure();
  const findings = await checkGateway(file);
  for (const what of ['TPM', 'meter', 'broker']) {
    t.is(found(findings, what).state, 'wrong', what);
    t.true(found(findings, what).help!.length > 10, what);
  }
  t.is(found(findings, 'data folder').state, 'ok');
  t.is(found(findings, 'Node.js').state, 'ok');
  t.regex(describeFindings(findings), /✘ broker .*nobody listens there\n .*→/);
});

test('a mistake in the configuration names the field, and nothing else is tried', async (t) => {
  const { file } = await configure({ meterLink: 'usb' });
  const findings = await checkGateway(file);
  t.deepEqual(
    findings.map(({ what, state }) => `${what} ${state}`),
    ['Node.js ok', 'configuration wrong'],
  );
  t.regex(findings[1].says, /meterLink/);
});

test('keys that others may read, and a folder that is not there', async (t) => {
  const { file, dataDir } = await configure();
  writeFileSync(join(dataDir, 'server.key'), 'x', { mode: 0o644 });
  chmodSync(join(dataDir, 'server.key'), 0o644);
  t.regex(found(await checkGateway(file), 'data folder').says, /others may read .*server\.key/);
  chmodSync(join(dataDir, 'server.key'), 0o600);
  t.is(found(await checkGateway(file), 'data folder').state, 'ok');
  chmodSync(dataDir, 0o755);
  t.regex(found(await checkGateway(file), 'data folder').says, /others may look/);

  const gone = await configure({ dataDir: '/nowhere/quietmeter' });
  t.regex(found(await checkGateway(gone.file), 'data folder').says, /does not exist/);
});

test('a broker is believed under the grid’s authority only', async (t) => {
  const { ca, file } = await configure();
  const other = await GridCa.open(join(folder(), 'other'));
  const { certFile, keyFile } = await ca.server('broker', [LOCAL, 'localhost']);
  const server = createTls({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  t.teardown(() => server.close());
  const url = `mqtts://localhost:${await listening(server)}`;
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, broker: { url, caFile: ca.caFile } }));
  t.is(found(await checkGateway(file), 'broker').state, 'ok');
  writeFileSync(file, JSON.stringify({ ...config, broker: { url, caFile: other.caFile } }));
  t.is(found(await checkGateway(file), 'broker').state, 'wrong');
});

test('a service with another time than ours: the clock is wrong', async (t) => {
  const { ca, file } = await configure();
  const { certFile, keyFile } = await ca.server('third-party', [LOCAL, 'localhost']);
  let offMs = 0;
  const server = createHttps(
    { cert: readFileSync(certFile), key: readFileSync(keyFile), minVersion: 'TLSv1.3' },
    (_request, answer) => {
      answer.setHeader('date', new Date(Date.now() - offMs).toUTCString());
      answer.end('{}');
    },
  );
  t.teardown(() => server.close());
  const config = JSON.parse(readFileSync(file, 'utf8'));
  const updates = {
    source: { url: `https://localhost:${await listening(server)}`, caFile: ca.caFile },
    releaseKey: '22'.repeat(32),
  };
  writeFileSync(file, JSON.stringify({ ...config, updates }));
  t.is(found(await checkGateway(file), 'updates.source').state, 'ok');
  offMs = 3_600_000;
  const { state, says, help } = found(await checkGateway(file), 'updates.source');
  t.is(state, 'wrong');
  t.regex(says, /this clock is 36\d\d s ahead/);
  t.regex(help!, /timedatectl/);
});

test('a meter and a port: there, not there, taken', async (t) => {
  const server = createServer();
  t.teardown(() => server.close());
  const port = await listening(server);
  const { file } = await configure({ meterLink: `tcp:${LOCAL}:${port}`, web: { port, host: LOCAL } });
  const findings = await checkGateway(file);
  t.is(found(findings, 'meter').state, 'ok');
  t.is(found(findings, 'page').state, 'warning');

  const serial = await configure({ meterLink: 'serial:/dev/no-such-port' });
  t.regex(found(await checkGateway(serial.file), 'meter').says, /is not there/);
});
