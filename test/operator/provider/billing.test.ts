// The provider as a process with billing: prices over a real broker, and what its configuration must say.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { prepareBilling } from '../../../bench/billing.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import { Broadcasts } from '../../../gateway/services/broadcasts.ts';
import { mayPublish, maySubscribe } from '../../../operator/broker/permissions.ts';
import { billingConfig, startBilling } from '../../../operator/provider/billing.ts';
import { plannedPrices } from '../../../operator/provider/price-plan.ts';
import { openPrices, openTariff } from '../../../protocol/billing/prices.ts';
import { pricesTopic } from '../../../protocol/billing/topics.ts';
import { IdentifierIssuer, PROVIDER } from '../../gateway/billing/identifiers.ts';
import { START_MS, startGrid } from '../grid.ts';

const DAY_MS = 86_400_000;
function temporary(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-provider-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function prepare(directory: string, plan?: object) {
  const ca = await GridCa.open(join(directory, 'ca'));
  const { issuerFile } = await IdentifierIssuer.open(directory);
  const [port] = await freePorts(1);
  return prepareBilling({ directory, ca, issuerFile, port, providerName: PROVIDER, plan });
}

test('prices are published once for everybody who listens, again for who comes back, and through a kill', async (t) => {
  const directory = temporary(t);
  const prepared = await prepare(directory);
  const grid = await startGrid(t, { caDirectory: join(directory, 'ca'), provider: { billing: prepared.provider } });
  const heard: Uint8Array[] = [];
  let wake = (): void => {};
  const { url, caFile } = grid.side.gatewayAccess;
  await new Promise<void>((listening) => {
    const broadcasts = new Broadcasts({
      url,
      ca: readFileSync(caFile, 'utf8'),
      broadcasts: [
        {
          topic: pricesTopic('flex'),
          heard: (payload) => {
            heard.push(payload);
            wake();
          },
        },
      ],
      listening,
      log: (line) => t.log(line),
    });
    t.teardown(() => broadcasts.close());
    broadcasts.start();
  });
  const until = async (howMany: number): Promise<void> => {
    while (heard.length < howMany) {
      await new Promise<void>((next) => {
        wake = next;
      });
    }
  };
  await grid.provider.advance(START_MS, true);
  await until(1);
  const { tariffs } = prepared.provider as { tariffs: { tariffFile: string }[] };
  const tariff = openTariff(readFileSync(tariffs[0].tariffFile), Buffer.from(prepared.gateway.offlineKey, 'hex'));
  const first = openPrices(heard[0], tariff);
  t.is(first.number, 1);
  t.like(first.prices[18 * 4], { importMilliCentPerKwh: 40_000, exportMilliCentPerKwh: 13_333 });
  await grid.provider.kill();
  await grid.provider.start();
  await until(2);
  t.deepEqual(heard[1], heard[0], 'said again on its new connection');
  await grid.provider.advance(START_MS + DAY_MS, true);
  await until(3);
  t.is(openPrices(heard[2], tariff).number, 2);
  t.deepEqual(
    ((await grid.provider.ask('prices')) as { number: number }[]).map(({ number }) => number >= 2),
    [true],
  );
  t.deepEqual(await grid.provider.ask('bills'), []);
  for (const store of ['prices.sqlite', 'bills.sqlite'])
    t.is(statSync(join(grid.directory, 'provider', store)).mode & 0o777, 0o600);
});

test('who may publish and who may listen', (t) => {
  const topic = pricesTopic('flex');
  const said = { topic, qos: 1, retain: false };
  t.true(mayPublish('provider', 'provider', said));
  t.false(mayPublish('provider', 'provider', { ...said, retain: true }));
  for (const role of ['collector', 'gateway'] as const) t.false(mayPublish(role, '0123456789abcdef0123', said));
  t.true(maySubscribe('gateway', '0123456789abcdef0123', topic));
  for (const filter of ['quietmeter/prices/+', 'quietmeter/prices/#'])
    t.false(maySubscribe('gateway', '0123456789abcdef0123', filter));
});

test('the price key is its owner’s only; a tariff is signed by the offline key', async (t) => {
  const directory = temporary(t);
  const prepared = await prepare(directory);
  const config = v.parse(billingConfig, prepared.provider);
  t.is(statSync(config.priceKeyFile).mode & 0o777, 0o600);
  chmodSync(config.priceKeyFile, 0o640);
  await t.throwsAsync(
    startBilling(config, join(directory, 'state'), () => {}),
    {
      message: /price\.key: others than its owner may read it/,
    },
  );
  chmodSync(config.priceKeyFile, 0o600);
  const other = await prepare(temporary(t));
  const offlineKey = other.gateway.offlineKey;
  await t.throwsAsync(
    startBilling({ ...config, offlineKey }, join(directory, 'state'), () => {}),
    {
      message: /flex\.tariff: tariff\.signature: was not made by the provider's offline key/,
    },
  );
});

test('a plan has 1, 24 or 96 prices for a day; a mistake is named', (t) => {
  const file = join(temporary(t), 'plan.json');
  const write = (plan: object): void => writeFileSync(file, JSON.stringify(plan));
  const hours = Array.from({ length: 24 }, (_, hour) => 1000 + hour);
  write({ default: { import: hours, export: [7] }, days: { '1970-01-03': { import: [5], export: [0] } } });
  const always = plannedPrices(file, 1)!;
  t.is(always.length, 96);
  t.deepEqual(always[23], { importMilliCentPerKwh: 1005, exportMilliCentPerKwh: 7 });
  t.is(plannedPrices(file, 2)![50].importMilliCentPerKwh, 5);
  write({ days: {} });
  t.is(plannedPrices(file, 1), undefined);
  write({ default: { import: [1, 2], export: [7] } });
  t.throws(() => plannedPrices(file, 1), { message: /plan\.json: default\.import: has not 1, 24 or 96 prices/ });
  write({ default: { import: [1.5], export: [7] } });
  t.throws(() => plannedPrices(file, 1), { message: /default\.import\.0: is no whole number/ });
});
