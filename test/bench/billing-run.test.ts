// Roofs at the end of a month, as scripts/run does it: what leaves is the fee with its proof, and it is the fee in the clear.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { formatReport, isGood } from '../../bench/report.ts';
import { runQuietmeter, temporaryFolder, writeScenario } from './run-quietmeter.ts';

const delivered = JSON.parse(readFileSync(join(import.meta.dirname, '../../bench/scenarios/billing.json'), 'utf8'));

test('a month ends: each fee is proved by its tariff, and the same in the clear, to the milli-cent', async (t) => {
  const folder = temporaryFolder(t);
  // two of its four houses, the last three quarter hours of the month and the first of the next
  const households = delivered.households.filter(({ id }: { id: string }) => ['by-the-hour', 'tiered'].includes(id));
  const scenario = writeScenario(folder, { ...delivered, start: '2026-01-31T23:15:00Z', days: 0.0416667, households });
  const { code, report, stdout, stderr } = await runQuietmeter(folder, '--scenario', scenario, '--seed', '9');
  t.is(code, 0, stdout + stderr);
  t.deepEqual(
    report!.bills.map(({ household, tariff, quarterHours }) => [household, tariff, quarterHours]),
    [
      ['by-the-hour', 'time-of-use', 3],
      ['tiered', 'tiers', 3],
    ],
  );
  for (const { feeMilliCent, clearMilliCent } of report!.bills) t.is(feeMilliCent, clearMilliCent!);
  t.true(
    report!.households.every(({ exportWh }) => exportWh > 100),
    'the roofs export',
  );
  t.regex(stdout, /tiered: -?\d+\.\d{5} for 3 quarter hours by tiers, proved; the same in the clear/);
  const wrong = structuredClone(report!);
  wrong.bills[0].clearMilliCent! -= 1;
  t.false(isGood(wrong));
  t.regex(formatReport(wrong, 2), /IN THE CLEAR/);
});
