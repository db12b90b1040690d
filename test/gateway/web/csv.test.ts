import test from 'ava';
import fc from 'fast-check';
import { csvOf, localTime, wattHours } from '../../../gateway/web/csv.ts';
import type { QuarterHour, ReportRow } from '../../../gateway/web/household-view.ts';
import { slotOf } from '../../../protocol/time/slots.ts';
import { MemoryHousehold } from '../../page/household.ts';

/** Half an hour before Rome's clocks go from 2:00 to 3:00, 29 March 2026. */
const START_MS = Date.UTC(2026, 2, 29, 0, 30);
const SLOT_MS = 900_000;

function household(
  name: string,
  quarters: (Partial<QuarterHour> & { at: number })[],
  reports: (Partial<ReportRow> & { at: number })[],
) {
  const view = new MemoryHousehold(name);
  const within =
    <R extends { startMs: number }>(rows: R[]) =>
    (fromMs: number, toMs: number) =>
      rows.filter(({ startMs }) => startMs >= fromMs && startMs < toMs);
  const time = (at: number) => ({ startMs: START_MS + at * SLOT_MS, slot: slotOf(START_MS) + at });
  view.quarterHours = within(
    quarters.map(({ at, ...row }) => ({ importMwh: 0, exportMwh: 0, exact: true, ...row, ...time(at) })),
  );
  view.reports = within(
    reports.map(({ at, ...row }) => ({
      importWh: 0,
      exportWh: 0,
      state: 'waiting',
      deliveredMs: null,
      ...row,
      ...time(at),
    })),
  );
  return view;
}

test('known answer: units, both times over a change of clocks, a gap as empty cells, quoting', (t) => {
  const view = household(
    'Casa "Blu", 2º piano',
    [
      { at: 0, importMwh: 250_125, exportMwh: 7 },
      { at: 1, importMwh: 1_000_000 },
      { at: 4, exportMwh: 999_999, exact: false },
    ],
    [
      { at: 0, importWh: 250, state: 'delivered', deliveredMs: START_MS + SLOT_MS + 2_500 },
      { at: 1, importWh: 1000, state: 'sent' },
      { at: 4, exportWh: 1000, state: 'waiting' },
    ],
  );
  const name = '"Casa ""Blu"", 2º piano"';
  t.deepEqual(
    [...csvOf(view, { fromMs: START_MS, toMs: START_MS + 86_400_000, zone: 'Europe/Rome' })].join('').split('\r\n'),
    [
      'household,start (UTC),start (local time),end (UTC),import (Wh),export (Wh),reported import (Wh),reported export (Wh),report state,delivered at (UTC),remark',
      `${name},2026-03-29T00:30:00Z,2026-03-29T01:30:00+01:00,2026-03-29T00:45:00Z,250.125,0.007,250,0,delivered,2026-03-29T00:45:02.500Z,`,
      `${name},2026-03-29T00:45:00Z,2026-03-29T01:45:00+01:00,2026-03-29T01:00:00Z,1000.000,0.000,1000,0,sent,,`,
      `${name},2026-03-29T01:00:00Z,2026-03-29T03:00:00+02:00,2026-03-29T01:15:00Z,,,,,,,no data`,
      `${name},2026-03-29T01:15:00Z,2026-03-29T03:15:00+02:00,2026-03-29T01:30:00Z,,,,,,,no data`,
      `${name},2026-03-29T01:30:00Z,2026-03-29T03:30:00+02:00,2026-03-29T01:45:00Z,0.000,999.999,0,1000,waiting,,boundary interpolated: the meter did not know the time`,
      '',
    ],
  );
});

test('a gap over days is filled; nothing stands before the first or after the last quarter hour', (t) => {
  const view = household('H', [{ at: 10 }, { at: 10 + 3 * 96 }], []);
  const rows = [...csvOf(view, { fromMs: START_MS, toMs: START_MS + 5 * 86_400_000, zone: 'UTC' })]
    .join('')
    .split('\r\n');
  t.is(rows.length, 1 + (3 * 96 + 1) + 1);
  t.is(rows.filter((row) => row.endsWith(',no data')).length, 3 * 96 - 1);
});

test('an empty range is a header alone', (t) => {
  const view = household('H', [], []);
  t.is([...csvOf(view, { fromMs: START_MS, toMs: START_MS + 1, zone: 'UTC' })].join('').split('\r\n').length, 2);
});

test('a name that a spreadsheet would run as a formula is text', (t) => {
  const view = household('=HYPERLINK("https://example.org")', [{ at: 0 }], []);
  const [, row] = [...csvOf(view, { fromMs: START_MS, toMs: START_MS + 1, zone: 'UTC' })].join('').split('\r\n');
  t.true(row.startsWith(`"'=HYPERLINK(""https://example.org"")",2026`));
});

test('energy is written exactly', (t) => {
  t.deepEqual([0, 1, 999, 1000, 250_125, 4_218_377_250].map(wattHours), [
    '0.000',
    '0.001',
    '0.999',
    '1.000',
    '250.125',
    '4218377.250',
  ]);
  fc.assert(fc.property(fc.integer({ min: 0 }), (mwh) => BigInt(wattHours(mwh).replace('.', '')) === BigInt(mwh)));
});

test('local time carries its offset and is the same instant', (t) => {
  t.is(localTime('UTC')(0), '1970-01-01T00:00:00+00:00');
  t.is(localTime('Asia/Kathmandu')(0), '1970-01-01T05:30:00+05:30');
  const zone = fc.constantFrom('Europe/Rome', 'America/St_Johns', 'Pacific/Auckland', 'UTC');
  const second = fc.integer({ min: 946_684_800, max: 4_000_000_000 });
  fc.assert(fc.property(zone, second, (name, at) => Date.parse(localTime(name)(at * 1000)) === at * 1000));
});
