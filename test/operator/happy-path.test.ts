// Readings on their way from gateways to area sums: real processes, a real TLS broker, the conductor's time.
import test from 'ava';
import { AREA, afterSlot, closed, START_MS, START_SLOT, startGrid } from './grid.ts';

test('a morning of three households becomes area sums, each reading counted once', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(START_MS);
  const gateways = grid.households.map(() => grid.gateway());
  const expected: unknown[] = [];
  let importWh = 0;
  let exportWh = 0;
  const slots = 12;
  for (let slot = START_SLOT; slot < START_SLOT + slots; slot++) {
    const readings = grid.households.map((_, h) => ({ slot, importWh: 50 * (h + (slot % 7)), exportWh: 50 * h }));
    const answers = await Promise.all(
      grid.households.map(async (household, h) =>
        gateways[h].submit(await household.submission(readings[h], grid.side.providerPublicKey)),
      ),
    );
    t.deepEqual(
      answers.map(({ verdict }) => verdict),
      ['stored', 'stored', 'stored'],
    );
    const sum = {
      readings: 3,
      importWh: readings.reduce((s, r) => s + r.importWh, 0),
      exportWh: readings.reduce((s, r) => s + r.exportWh, 0),
    };
    importWh += sum.importWh;
    exportWh += sum.exportWh;
    expected.push({ slot, area: AREA, regular: sum, settlement: null });
    await grid.advance(afterSlot(slot));
  }
  t.is(
    ((await grid.provider.ask('totals')) as { readings: number }).readings,
    3 * (slots - 1),
    'the last slot is still open',
  );
  await grid.advance(closed(START_SLOT + slots - 1));

  t.deepEqual(await grid.provider.ask('areaSums'), expected);
  t.deepEqual(await grid.provider.ask('totals'), { readings: 3 * slots, importWh, exportWh, rejected: 0 });
  t.deepEqual(await grid.collector.ask('deliveries'), {
    stored: 3 * slots,
    late: 0,
    settled: 0,
    withheld: 0,
    waiting: 0,
    batches: slots,
    unacknowledged: 0,
    rejected: 0,
  });
});
