// What a party is started with: every mistake names its field, and no secret is quoted.
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { writeRegistration } from '../../bench/registration.ts';
import { brokerConfig } from '../../operator/broker/config.ts';
import { collectorConfig } from '../../operator/collector/config.ts';
import { RegistrationFile } from '../../operator/collector/registration.ts';
import { ConfigError, loadConfig, readSecretKey } from '../../operator/shared/config.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';

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
  registrationFile: '/etc/registration.json',
  macKeyFile: 'mac.key',
};

test('defaults are filled in and paths are those beside the file', (t) => {
  const config = loadConfig(write(collector), collectorConfig);
  t.like(config, { k: 3, graceMs: 300_000, settlementDelayDays: 35, clock: 'system' });
  t.is(config.stateDir, join(directory, 'state'));
  t.is(config.broker.keyFile, join(directory, 'collector.key'));
  t.is(config.registrationFile, '/etc/registration.json');
});

test('a mistake names its field', (t) => {
  const path = (content: unknown, schema = collectorConfig as never): string =>
    t.throws(() => loadConfig(write(content), schema), { instanceOf: ConfigError })!.path;
  t.is(path({ ...collector, k: 0 }), 'k');
  t.is(path({ ...collector, k: 2.5 }), 'k');
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

test('the registration tells the area of a pseudonym, and is read again when it was written', (t) => {
  const [one, two] = [generateSigningKey().publicKey, generateSigningKey().publicKey];
  const file = join(directory, 'registration.json');
  writeRegistration(file, [{ publicKey: one, area: 'north-1' }]);
  utimesSync(file, 1, 1);
  const registration = new RegistrationFile(file);
  t.deepEqual([registration.areaOf(one), registration.areaOf(two)], ['north-1', undefined]);
  writeRegistration(file, [{ publicKey: two, area: 'south-2' }]);
  t.deepEqual([registration.areaOf(one), registration.areaOf(two)], ['north-1', undefined]);
  registration.refresh();
  t.deepEqual([registration.areaOf(one), registration.areaOf(two)], [undefined, 'south-2']);
  writeFileSync(file, '{"version": 1, "pseudonyms": [{"publicKey": "02", "area": "south-2"}]}');
  const error = t.throws(() => registration.refresh(), { instanceOf: ConfigError })!;
  t.is(error.path, 'pseudonyms.0.publicKey');
  t.is(registration.areaOf(two), 'south-2', 'what was read before still holds');
});

test('a registration that contradicts itself is refused by field', (t) => {
  const publicKey = Buffer.from(generateSigningKey().publicKey).toString('hex');
  const path = (pseudonyms: unknown): string =>
    t.throws(() => new RegistrationFile(write({ version: 1, pseudonyms })), { instanceOf: ConfigError })!.path;
  t.is(
    path([
      { publicKey, area: 'a' },
      { publicKey, area: 'b' },
    ]),
    'pseudonyms.1.publicKey',
  );
  t.is(path([{ publicKey, area: 'A/b' }]), 'pseudonyms.0.area');
  t.is(path([{ publicKey: publicKey.toUpperCase(), area: 'a' }]), 'pseudonyms.0.publicKey');
});
