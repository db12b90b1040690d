import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { startTpm } from '../../../bench/software-tpm.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';
import { AREA, expectedReadings, FIRST_SLOT, House, T0 } from '../support/house.ts';

test('led by a conductor: it settles when everything is delivered, and answers what it holds', async (t) => {
  const house = await House.build(t);
  const ready = await house.gateway.start();
  t.deepEqual(ready, { type: 'ready' });
  await house.greet();
  for (let k = 0; k < 4; k++) {
    await house.step();
    t.is(house.grid.stored.size, k === 0 ? 1 : k + 1, 'settled means: the collector has it');
  }
  t.deepEqual(await house.grid.readings(AREA), expectedReadings(house));
  const totals = await house.totals();
  const [first, last] = [house.meter.records[0], house.meter.records.at(-1)!];
  t.like(totals, {
    householdId: 'house-1',
    importMwh: last.importMwh - first.importMwh,
    exportMwh: last.exportMwh - first.exportMwh,
    quarterHoursMeasured: 4,
    quarterHoursDelivered: 4,
    records: 5,
    pending: 0,
    linkErrors: 0,
    trouble: null,
  });
  const quarterHours = (await house.gateway.ask('quarterHours')) as { slot: number; exact: boolean }[];
  t.deepEqual(
    quarterHours.map(({ slot, exact }) => [slot - FIRST_SLOT, exact]),
    [0, 1, 2, 3].map((k) => [k, true]),
  );
  const reports = (await house.gateway.ask('reports')) as { state: string; deliveredMs: number }[];
  t.deepEqual(
    reports.map(({ state }) => state),
    Array(4).fill('delivered'),
  );
  t.is(reports[3].deliveredMs, T0 + 4 * SLOT_MS + 500, 'in protocol time');
  t.is(await house.gateway.ask('anything else'), null);
  t.is(await house.gateway.stop(), 0);
  t.is(house.gateway.log, '');
});

test('everything in its folder is its owner’s only', async (t) => {
  const house = await House.build(t);
  await house.gateway.start();
  await house.greet();
  await house.step();
  const dataDir = join(house.directory, 'gateway');
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  t.true(files.length > 1);
  for (const { parentPath, name } of files) t.is(statSync(join(parentPath, name)).mode & 0o077, 0, name);
});

test('where delivery cannot be waited for it settles at once, and says what is pending', async (t) => {
  const house = await House.build(t);
  await house.gateway.start();
  await house.greet();
  await house.step();
  await house.grid.stopBroker();
  for (let k = 0; k < 3; k++) await house.step(false);
  t.is((await house.totals()).pending, 3);
  await house.grid.startBroker();
  await house.step();
  t.deepEqual(await house.grid.readings(AREA), expectedReadings(house));
});

test('a second word of the conductor takes the place of the first: a peer is down, do not wait', async (t) => {
  const house = await House.build(t);
  await house.gateway.start();
  await house.greet();
  house.grid.stopCollector();
  house.meter.advanceTo(T0 + SLOT_MS + 500);
  const toMs = T0 + SLOT_MS + 500;
  const first = house.gateway.advance(toMs, house.meter.take(), true);
  const second = house.gateway.advance(toMs, undefined, false);
  const [settled] = await Promise.all([second, first]);
  t.is(settled.pending, 1);
  t.true(settled.serial!.length > 0, 'the meter is acknowledged all the same');
});

test('a TPM that goes away in the middle of the day: readings wait, and leave when it is back', async (t) => {
  const house = await House.build(t);
  await house.gateway.start();
  await house.greet();
  for (let k = 0; k < 2; k++) await house.step();
  await house.gateway.stop(); // a new start needs the TPM for its reading key
  await house.tpm.kill();
  await house.gateway.start();
  await house.greet();
  for (let k = 0; k < 2; k++) await house.step(false);
  const without = await house.totals();
  t.is(without.quarterHoursMeasured, 4);
  t.is(without.pending, 2);
  t.regex(without.trouble!, /TPM/);
  house.tpm = await startTpm(join(house.directory, 'tpm'), { port: house.tpm.port });
  await house.step();
  t.is((await house.totals()).trouble, null);
  t.deepEqual(await house.grid.readings(AREA), expectedReadings(house));
});

test('without a third party that certifies its names it measures and keeps, and not one reading leaves the house', async (t) => {
  const house = await House.build(t);
  house.gateway.certified = false;
  await house.gateway.start();
  await house.greet();
  for (let k = 0; k < 3; k++) await house.step(false);
  t.like(await house.totals(), { quarterHoursMeasured: 3, quarterHoursDelivered: 0, pending: 3 });
  t.regex((await house.totals()).trouble!, /no trusted third party/);
  t.deepEqual(house.grid.arrived, []);
  await house.gateway.stop();
  house.gateway.certified = true;
  await house.gateway.start();
  await house.settle();
  t.deepEqual(await house.grid.readings(AREA), expectedReadings(house), 'nothing was lost meanwhile');
});

test('it carries its page, whose address it says when it is ready', async (t) => {
  const house = await House.build(t);
  Object.assign(house.gateway.config, { web: { port: 0, host: '127.0.0.1' } });
  const { url, firstPassword } = await house.gateway.start();
  t.regex(url!, /^https:\/\//);
  t.truthy(firstPassword);
  await house.gateway.stop();
  const again = await house.gateway.start();
  t.is(again.firstPassword, undefined);
  t.false(house.gateway.log.includes(firstPassword!));
});

test('no secret is logged, and a wrong configuration is one sentence with the path of the field', async (t) => {
  const house = await House.build(t);
  Object.assign(house.gateway.config, { broker: { url: 'mqtt://plain:1883', caFile: 'ca.pem' } });
  await t.throwsAsync(() => house.gateway.start(), { message: /gateway\.json: broker\.url: is not of the form mqtts/ });
  t.is(house.gateway.log.trim().split('\n').length, 1);
  Object.assign(house.gateway.config, { broker: { url: house.grid.url, caFile: 'nowhere.pem' } });
  await t.throwsAsync(() => house.gateway.start(), { message: /nowhere\.pem/ });
  t.truthy(readFileSync(join(house.directory, 'gateway.json')));
});
