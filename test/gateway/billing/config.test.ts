import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import * as v from 'valibot';
import { billingConfig, resolveBillingConfig } from '../../../gateway/billing/config.ts';
import { authorizationsText, readAuthorizations } from '../../../gateway/billing/release-file.ts';
import { freshDir } from '../support/bench-link.ts';

const key = `02${'ab'.repeat(32)}`;
const good = {
  tariff: 'flex',
  offlineKey: key,
  provider: { name: 'Quiet Power', url: 'https://provider.example:8443', caFile: 'grid.pem' },
  sealing: { policyKey: key, authorizationsFile: 'states.json' },
};

test('paths become absolute', (t) => {
  const config = resolveBillingConfig(v.parse(billingConfig, good), (path) => `/etc/${path}`);
  t.is(config.provider.caFile, '/etc/grid.pem');
  t.is(config.sealing.authorizationsFile, '/etc/states.json');
});

test('a mistake is named by its field', (t) => {
  const mistakes: [string, object][] = [
    ['tariff', { tariff: 'Flex/1' }],
    ['offlineKey', { offlineKey: 'ab' }],
    ['provider.url', { provider: { ...good.provider, url: 'http://provider.example' } }],
    ['sealing.policyKey', { sealing: { ...good.sealing, policyKey: `04${'ab'.repeat(32)}` } }],
    ['sealing', { sealing: undefined }],
  ];
  for (const [path, change] of mistakes) {
    const { issues } = v.safeParse(billingConfig, { ...good, ...change });
    t.is(issues && v.getDotPath(issues[0]), path);
  }
});

test('released states are read as they were written; a broken one is named; none where there is no file', (t) => {
  const file = join(freshDir(), 'states.json');
  t.deepEqual(readAuthorizations(file), []);
  const state = {
    pcrs: [{ pcr: 8, value: Buffer.alloc(32, 1) }],
    counterIndex: 0x01810100,
    counterMost: 3,
    signature: Buffer.alloc(64, 2),
  };
  writeFileSync(file, authorizationsText([state]));
  t.deepEqual(readAuthorizations(file), [state]);
  writeFileSync(file, authorizationsText([{ ...state, signature: Buffer.alloc(63) }]));
  t.throws(() => readAuthorizations(file), { message: /states\.json: 0\.signature: is not 128 lower-case/ });
});
