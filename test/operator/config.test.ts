// What a party is started with: every mistake names its field, and no secret is quoted.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { brokerConfig } from '../../operator/broker/config.ts';
import { collectorConfig } from '../../operator/collector/config.ts';
import { ConfigError, loadConfig, readSecretKey } from '../../operator/shared/config.ts';

const directory = mkdtempSync(join(tmpdir(), 'quietmeter-config-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
function write(content: unknown, mode = 0o600): string {
  const file = join(directory, `${files++}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode });
  return file;
}
const collector = {
  stateDir: 'state',
  broker: { url: 'mqtts://127.0.0.1:8884', caFile: 'ca.crt', certFile: 'collector.crt', keyFile: 'collector.key' },
  trust: {
    pseudonymIssuers: [`02${'ab'.repeat(32)}`],
    revocationFile: '/etc/revocations.bin',
    passMasterKey: 'cd'.repeat(32),
    passKeysFile: 'pass-keys.bin',
  },
  providers: [{ party: 'provider', readingKeys: ['ef'.repeat(32)], macKeyFile: 'mac.key' }],
};

test('defaults are filled in and paths are those beside the file', (t) => {
  const config = loadConfig(write(collector), collectorConfig);
  t.like(config, { k: 3, graceMs: 300_000, settlementDelayDays: 35, clock: 'system' });
  t.is(config.stateDir, join(directory, 'state'));
  t.is(config.broker.keyFile, join(directory, 'collector.key'));
  t.is(config.trust.revocationFile, '/etc/revocations.bin');
});

test('a mistake names its field', (t) => {
  const path = (content: unknown, schema = collectorConfig as never): string =>
    t.throws(() => loadConfig(write(content), schema), { instanceOf: ConfigError })!.path;
  t.is(path({ ...collector, k: 0 }), 'k');
  t.is(path({ ...collector, k: 2.5 }), 'k');
  t.is(path({ ...collector, trust: undefined }), 'trust');
  t.is(path({ ...collector, trust: { ...collector.trust, pseudonymIssuers: [] } }), 'trust.pseudonymIssuers');
  t.is(path({ ...collector, registrationFile: 'registration.json' }), 'registrationFile');
  t.is(path({ ...collector, clock: 'sundial' }), 'clock');
  t.is(path({ ...collector, broker: { ...collector.broker, url: 'mqtt://127.0.0.1' } }), 'broker.url');
  t.is(path({ ...collector, broker: { ...collector.broker, keyFile: undefined } }), 'broker.keyFile');
  t.is(path({ ...collector, grace: 5 }), 'grace');
  t.is(path({ gateways: { port: 99999 } }, brokerConfig as never), 'gateways.port');
  t.is(path('{'), '');
});

test('a secret is read from a file of its owner only, and never quoted', (t) => {
  const secret = 'ab'.repeat(32);
  t.is(Buffer.from(readSecretKey(write(`${secret}\n`), 32)).toString('hex'), secret);
  const message = (file: string): string =>
    t.throws(() => readSecretKey(file, 32), { instanceOf: ConfigError })!.message;
  t.regex(message(write(secret, 0o640)), /chmod 600/);
  for (const wrong of [secret.slice(2), `${secret}00`, secret.toUpperCase(), `${secret.slice(1)}x`])
    t.notRegex(message(write(wrong)), /abab/i);
  t.regex(message(join(directory, 'nowhere')), /is not there/);
});
