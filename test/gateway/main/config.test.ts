import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ConfigError, loadConfig } from '../../../gateway/config.ts';
import { freshDir } from '../support/bench-link.ts';

const good = {
  householdId: 'house-1',
  householdName: 'A house',
  dataDir: 'data',
  meterLink: 'serial:/dev/ttyUSB0',
  tcti: 'device:/dev/tpmrm0',
  area: 'north-1',
  broker: { url: 'mqtts://grid.example:8883', caFile: '/etc/grid.pem' },
  providerPublicKey: 'ab'.repeat(32),
  web: { port: 8443, host: '::' },
};
const identity = {
  url: 'https://ttp.example:8444',
  caFile: 'grid.pem',
  publicKey: 'ab'.repeat(32),
  issuingKey: `02${'ab'.repeat(32)}`,
  authorityFile: 'ttp.pem',
};
const dir = freshDir();
const load = (value: unknown) => {
  const file = join(dir, `${Math.random()}.json`);
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return loadConfig(file);
};

test('what is not said has its default; paths are relative to the file', (t) => {
  const config = load(good);
  t.is(config.clock, 'system');
  t.is(config.resolutionWh, 50);
  t.is(config.dataDir, join(dir, 'data'));
  t.is(config.broker.caFile, '/etc/grid.pem');
  t.is(config.identity, undefined);
  t.like(load({ ...good, identity }).identity, { caFile: join(dir, 'grid.pem'), authorityFile: join(dir, 'ttp.pem') });
  t.notThrows(() => load({ ...good, web: null, meterLink: 'tcp:192.168.1.7:3333' }));
});

const mistakes: [string, object][] = [
  ['householdId', { householdId: '' }],
  ['householdName', { householdName: 7 }],
  ['dataDir', { dataDir: '' }],
  ['meterLink', { meterLink: '/dev/ttyUSB0' }],
  ['meterLink', { meterLink: 'tcp:host' }],
  ['meterLink', { meterLink: 'conductor' }],
  ['tcti', { tcti: undefined }],
  ['area', { area: 'North/1' }],
  ['resolutionWh', { resolutionWh: 0.5 }],
  ['resolutionWh', { resolutionWh: 0 }],
  ['broker.url', { broker: { ...good.broker, url: 'mqtt://grid.example' } }],
  ['broker.caFile', { broker: { url: good.broker.url } }],
  ['providerPublicKey', { providerPublicKey: 'AB'.repeat(32) }],
  ['providerPublicKey', { providerPublicKey: 'ab'.repeat(31) }],
  ['web.port', { web: { port: 70_000, host: '::' } }],
  ['web', { web: undefined }],
  ['identity.url', { identity: { ...identity, url: 'http://ttp.example' } }],
  ['identity.issuingKey', { identity: { ...identity, issuingKey: 'ab'.repeat(32) } }],
  ['identity.authorityFile', { identity: { ...identity, authorityFile: undefined } }],
  ['clock', { clock: 'sundial' }],
  ['broker.password', { broker: { ...good.broker, password: 'x' } }],
];
for (const [path, change] of mistakes) {
  test(`a mistake in ${path} is named: ${JSON.stringify(change)}`, (t) => {
    const error = t.throws(() => load({ ...good, ...change }), { instanceOf: ConfigError });
    t.is(error.path, path);
    t.regex(error.message, new RegExp(`\\.json: ${path.replace('.', '\\.')}: `));
  });
}

test('a file that is no JSON, or not there, is an error that names the file', (t) => {
  t.throws(() => load('{"householdId": '), { message: /\.json: .*JSON/ });
  t.throws(() => loadConfig(join(dir, 'nothing.json')), { message: /nothing\.json: ENOENT/ });
});
