// kill -9 of broker, collector and provider at random moments while readings flow: nothing is lost, nothing counts twice.
import { execFile, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { type Party, PartyGone } from '../../bench/party.ts';
import { AREA, afterSlot, closed, mainOf, START_MS, START_SLOT, startGrid } from './grid.ts';

const SLOTS = 18;
/** A kill falls this many ms into the work of a slot, at most: submissions, closing and delivery take about as long. */
const WITHIN_MS = 40;

test('nothing is lost or counted twice, whoever is killed when', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(START_MS);
  const gateways = grid.households.map(() => grid.gateway());
  const parties: Party[] = [grid.broker, grid.collector, grid.provider];
  const expected: unknown[] = [];
  const moments: string[] = [];

  const killAndRestart = async (party: Party): Promise<void> => {
    const ms = randomInt(WITHIN_MS);
    await sleep(ms);
    await party.kill();
    moments.push(`${party.name} after ${ms} ms`);
    await party.start();
  };
  const advanceOver = async (toMs: number): Promise<void> => {
    await sleep(randomInt(WITHIN_MS));
    await grid.collector.advance(toMs, true).catch((error) => {
      if (!(error instanceof PartyGone)) throw error;
    });
  };
  for (let i = 0; i < SLOTS; i++) {
    const slot = START_SLOT + i;
    const readings = grid.households.map((_, h) => ({ slot, importWh: 50 * (1 + h + i), exportWh: 50 * h }));
    const submissions = await Promise.all(
      grid.households.map((household, h) => household.submission(readings[h], grid.side.providerPublicKey)),
    );
    const answered = Promise.all(submissions.map((bytes, h) => gateways[h].submit(bytes)));
    // in the last third two of them at once
    const victims = [parties[i % 3], ...(i >= SLOTS - SLOTS / 3 ? [parties[(i + 1) % 3]] : [])];
    await Promise.all([...victims.map(killAndRestart), advanceOver(afterSlot(slot))]);
    t.deepEqual(
      (await answered).map(({ verdict }) => verdict),
      ['stored', 'stored', 'stored'],
      moments.at(-1),
    );
    await grid.advance(afterSlot(slot) + 1000);
    expected.push({
      slot,
      area: AREA,
      regular: {
        readings: 3,
        importWh: readings.reduce((sum, { importWh }) => sum + importWh, 0),
        exportWh: readings.reduce((sum, { exportWh }) => sum + exportWh, 0),
      },
      settlement: null,
    });
  }
  await grid.advance(closed(START_SLOT + SLOTS - 1));
  await grid.advance(closed(START_SLOT + SLOTS));
  t.log(`killed: ${moments.join(', ')}`);
  t.deepEqual(await grid.provider.ask('areaSums'), expected);
  t.like(await grid.provider.ask('totals'), { readings: 3 * SLOTS, rejected: 0 });
  t.like(await grid.collector.ask('deliveries'), {
    stored: 3 * SLOTS,
    late: 0,
    waiting: 0,
    unacknowledged: 0,
    rejected: 0,
  });
});

test('a provider that was away for a day gets everything in order when it comes back', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(START_MS);
  const gateway = grid.gateway();
  await grid.provider.kill();
  const slots = 96;
  for (let slot = START_SLOT; slot < START_SLOT + slots; slot++) {
    const submissions = await Promise.all(
      grid.households.map((household) =>
        household.submission({ slot, importWh: 100, exportWh: 0 }, grid.side.providerPublicKey),
      ),
    );
    await Promise.all(submissions.map((bytes) => gateway.submit(bytes)));
    await grid.collector.advance(afterSlot(slot), false);
  }
  const { pending } = await grid.collector.advance(closed(START_SLOT + slots), false);
  t.is(pending, slots, 'a batch for each');
  await grid.provider.start();
  await grid.advance(closed(START_SLOT + slots) + 1);
  t.deepEqual(await grid.provider.ask('totals'), {
    readings: 3 * slots,
    importWh: 300 * slots,
    exportWh: 0,
    rejected: 0,
  });
});

test('a party ends when it is told to, and when its conductor is gone', async (t) => {
  const grid = await startGrid(t, { households: 1 });
  await grid.collector.stop();
  await grid.provider.stop();
  await grid.broker.stop();
  t.false(grid.collector.running || grid.provider.running || grid.broker.running);
  for (const name of ['broker', 'collector', 'provider'] as const) {
    const orphan = fork(mainOf(name), [grid.side.configs[name]], { serialization: 'advanced', stdio: 'ignore' });
    await once(orphan, 'message');
    orphan.disconnect();
    t.deepEqual(await once(orphan, 'exit'), [0, null], name);
  }
});

test('a party that cannot start says in one sentence which field is wrong', async (t) => {
  const grid = await startGrid(t, { households: 1 });
  const configs = grid.side.configs;
  const output = (name: keyof typeof configs, change: object): Promise<string> => {
    const file = join(grid.directory, `wrong-${name}.json`);
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(configs[name], 'utf8')), ...change }));
    return new Promise((done) => {
      execFile(process.execPath, [mainOf(name), file], (error, _stdout, stderr) =>
        done(`${error?.code} ${stderr.trim()}`),
      );
    });
  };
  t.regex(
    await output('broker', { gateways: { host: '127.0.0.1' } }),
    /^1 broker: .*wrong-broker\.json: gateways\.port: [^\n]*$/,
  );
  t.regex(await output('collector', { k: 'three' }), /^1 collector: .*: k: [^\n]*$/);
  t.regex(await output('provider', { privateKeyFile: 'nowhere' }), /^1 provider: .*nowhere: is not there$/);
  t.regex(await output('provider', {}), /^1 provider: clock: .*no conductor[^\n]*$/);
});
