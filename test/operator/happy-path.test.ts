// Readings on their way from gateways to area sums: real processes, a real TLS broker, the conductor's time.
import test from 'ava';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { AREA, afterSlot, closed, START_MS, START_SLOT, startGrid, type TestHousehold } from './grid.ts';

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
    heldBack: 0,
    settled: 0,
    withheld: 0,
    waiting: 0,
    batches: slots,
    unacknowledged: 0,
    rejected: 0,
  });
});

test('what comes late is stored at once, and seen at the settlement only where k are late', async (t) => {
  const grid = await startGrid(t, { households: 7, collector: { settlementDelayDays: 1 } });
  const [one, two] = [START_SLOT, START_SLOT + 1];
  await grid.advance(START_MS);
  const gateway = grid.gateway();
  const report = async (households: TestHousehold[], slot: number, importWh: number): Promise<void> => {
    for (const household of households) {
      const bytes = await household.submission({ slot, importWh, exportWh: 0 }, grid.side.providerPublicKey);
      t.is((await gateway.submit(bytes)).verdict, 'stored');
    }
  };
  const { households } = grid;
  await report(households.slice(0, 4), one, 100);
  await grid.advance(afterSlot(one));
  await report(households.slice(0, 5), two, 100);
  await grid.advance(closed(two));
  // a corrected sum minus the published one would be the reading of the household that was late
  await report(households.slice(4), one, 50);
  await report(households.slice(5), two, 50);
  await grid.advance(closed(two) + DAY_MS);
  const published = [
    { slot: one, area: AREA, regular: { readings: 4, importWh: 400, exportWh: 0 }, settlement: null },
    { slot: two, area: AREA, regular: { readings: 5, importWh: 500, exportWh: 0 }, settlement: null },
  ];
  t.deepEqual(await grid.provider.ask('areaSums'), published);
  t.like(await grid.collector.ask('deliveries'), { stored: 14, late: 5, waiting: 0, unacknowledged: 0 });

  await grid.collector.kill();
  await grid.collector.start();
  const settlementMs = Date.UTC(2026, 3, 2);
  await grid.advance(settlementMs);
  await grid.advance(settlementMs + 300_000);
  published[0].settlement = { readings: 3, importWh: 150, exportWh: 0 } as never;
  t.deepEqual(await grid.provider.ask('areaSums'), published, 'of the other slot only two were late');
  t.like(await grid.collector.ask('deliveries'), { settled: 3, withheld: 2 });
  t.like(await grid.provider.ask('totals'), { readings: 12, importWh: 1050, rejected: 0 });
});
