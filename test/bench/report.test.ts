import test from 'ava';
import { formatReport, isGood, makeReport, type ReportInput, withinClass } from '../../bench/report.ts';

const good: ReportInput = {
  scenario: 'default',
  seed: 7,
  startMs: Date.UTC(2026, 5, 20),
  days: 1,
  kept: [
    { id: 'a', name: 'Flat', expected: 96, trueImportMwh: 8_000_000, trueExportMwh: 0, floorWh: 2 },
    { id: 'b', name: 'House', expected: 96, trueImportMwh: 4_000_000, trueExportMwh: 9_000_000, floorWh: 2 },
  ],
  gateways: [
    { importMwh: 8_004_000, exportMwh: 0, quarterHoursMeasured: 96, quarterHoursDelivered: 96 },
    { importMwh: 3_999_000, exportMwh: 9_010_400, quarterHoursMeasured: 96, quarterHoursDelivered: 96 },
  ],
  providers: [
    {
      name: 'quiet',
      ...{ readings: 192, importWh: 12_000, exportWh: 9_000, rejected: 0, bills: 0, invoices: 0 },
      expected: { readings: 192, importWh: 12_000, exportWh: 9_000 },
    },
  ],
  collector: { stored: 192, held: 0, rejected: 0 },
  releases: [{ version: 1, gateways: 2, meters: 2 }],
  control: { sent: 0, heard: 0, relaysOff: 0 },
  bills: [],
  sold: [],
  simulatedSecondsPerSecond: 5123.4,
};

test('a day without faults is good, in Wh and percent', (t) => {
  const report = makeReport(good);
  t.true(isGood(report));
  t.deepEqual(
    report.households.map((h) => [h.importWh, h.exportWh, h.importErrorPercent, h.exportErrorPercent]),
    [
      [8004, 0, 0.05, 0],
      [3999, 9010, -0.025, 0.116],
    ],
  );
  t.is(report.simulatedSecondsPerSecond, 5123);
});

test('a quarter hour that never arrived is lost, wherever it got stuck', (t) => {
  const atGateway = structuredClone(good);
  atGateway.gateways[0].quarterHoursDelivered = 95;
  atGateway.providers[0].readings = 191;
  t.is(makeReport(atGateway).lost, 1);
  const neverMeasured = structuredClone(good);
  Object.assign(neverMeasured.gateways[1], { quarterHoursMeasured: 90, quarterHoursDelivered: 90 });
  neverMeasured.providers[0].readings = 186;
  t.is(makeReport(neverMeasured).lost, 6);
  const atCollector = structuredClone(good);
  atCollector.providers[0].readings = 190;
  t.is(makeReport(atCollector).lost, 2);
  t.false(isGood(makeReport(atCollector)));
});

test('late readings that wait for the settlement are not lost', (t) => {
  const late = structuredClone(good);
  late.providers[0].readings = 180;
  late.collector.held = 12;
  t.true(isGood(makeReport(late)));
});

test('a reading counted twice shows', (t) => {
  const twice = structuredClone(good);
  twice.providers[0].readings = 193;
  t.is(makeReport(twice).duplicated, 1);
  t.false(isGood(makeReport(twice)));
});

test('the class holds at its limit and not beyond', (t) => {
  t.true(withinClass(10_050_000, 10_000_000, 0));
  t.false(withinClass(10_050_001, 10_000_000, 0));
  t.false(withinClass(2001, 0, 2));
  const off = structuredClone(good);
  off.gateways[0].importMwh = 8_100_000;
  t.false(isGood(makeReport(off)));
});

test('the table hides the area sum of fewer than k', (t) => {
  t.regex(formatReport(makeReport(good), 3), /shows no area sum/);
  t.regex(formatReport(makeReport(good), 2), /area sum 12\.000 kWh import, 9\.000 kWh export/);
});

test('two providers: a reading that went to the wrong one shows, though nothing is lost', (t) => {
  const two = structuredClone(good);
  const [first] = two.providers;
  const half = { readings: 96, importWh: 6_000, exportWh: 4_500 };
  two.providers = ['quiet', 'sun'].map((name) => ({ ...first, ...half, name, expected: half }));
  t.true(isGood(makeReport(two)));
  t.regex(formatReport(makeReport(two), 2), /sun: 96 of 96 readings.*\n.*own customers’ sums/s);
  const wrong = structuredClone(two);
  wrong.providers[0].readings--;
  wrong.providers[1].readings++;
  t.like(makeReport(wrong), { lost: 0, duplicated: 0, sumsAgree: false });
  t.false(isGood(makeReport(wrong)));
  const swapped = structuredClone(two);
  swapped.providers[0].importWh += 50;
  swapped.providers[1].importWh -= 50;
  t.false(isGood(makeReport(swapped)));
});
