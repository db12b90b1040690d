// The main job, as scripts/run does it: metered, reported, summed, and compared with the truth.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { runQuietmeter, temporaryFolder, writeScenario } from './run-quietmeter.ts';

/** From half past ten on: the roof exports, the houses draw. */
const afternoon = {
  name: 'Three hours in June',
  seed: 5,
  start: '2024-06-18T10:30:00Z',
  days: 0.125,
  area: 'oak-street',
  households: [
    { id: 'roof', preset: 'family', pv: { peakW: 5000, sky: 'changing' } },
    { id: 'flat', preset: 'flat' },
    { id: 'shop', preset: 'shop' },
  ],
};

test('three households: everything is reported, once, within the class; and again the same for the same seed', async (t) => {
  const folder = temporaryFolder(t);
  const scenario = writeScenario(folder, afternoon);
  const first = await runQuietmeter(folder, '--scenario', scenario);
  t.is(first.code, 0, first.stderr + first.stdout);
  const report = first.report!;
  t.like(report, { lost: 0, duplicated: 0, withinClass: true, seed: 5 });
  t.deepEqual(
    report.households.map((h) => [h.id, h.quarterHoursMeasured, h.quarterHoursDelivered]),
    [
      ['roof', 12, 12],
      ['flat', 12, 12],
      ['shop', 12, 12],
    ],
  );
  t.true(report.households[0].exportWh > 500, 'the roof exports');
  t.is(report.provider.readings, 36);
  // readings are in steps of 50 Wh with carry, so that the sum over all is off by half a step per household at most
  for (const register of ['importWh', 'exportWh'] as const) {
    const metered = report.households.reduce((sum, household) => sum + household[register], 0);
    t.true(
      Math.abs(report.provider[register] - metered) <= 3 * 25 + 3,
      `${register}: ${report.provider[register]} of ${metered}`,
    );
    t.is(report.provider[register] % 50, 0);
  }
  t.regex(first.stdout, /Three hours in June/);
  t.regex(first.stdout, /lost 0, counted twice 0/);

  const again = await runQuietmeter(folder, '--scenario', scenario);
  t.deepEqual({ ...again.report, simulatedSecondsPerSecond: 0 }, { ...report, simulatedSecondsPerSecond: 0 });
});

/** Two hours and a half of a recording that begins at 17:24, a minute a row. */
function recording(row: (minute: number) => string): string {
  const rows = [
    'Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;Sub_metering_2;Sub_metering_3',
  ];
  for (let minute = 0; minute < 150; minute++) {
    const at = new Date(Date.UTC(2006, 11, 16, 17, 24 + minute)).toISOString();
    rows.push(`16/12/2006;${at.slice(11, 19)};${row(minute)}`);
  }
  return `${rows.join('\n')}\n`;
}

test('a recording drives the first house, from its first row on; a gap is a gap', async (t) => {
  const folder = temporaryFolder(t);
  const scenario = writeScenario(folder, { ...afternoon, days: 0.1, households: afternoon.households.slice(0, 1) });
  const trace = join(folder, 'recording.txt');
  writeFileSync(
    trace,
    recording((minute) => (minute >= 60 && minute < 75 ? '?;?;?;?;?;?;?' : '1.200;0.100;230.000;5.200;0;0;0')),
  );
  const { code, report, stdout, stderr } = await runQuietmeter(folder, '--scenario', scenario, '--trace', trace);
  t.is(code, 0, stderr + stdout);
  t.is(report!.startUtc, '2006-12-16T17:24:00.000Z');
  // 144 minutes, 15 of them missing, at 1.2 kW; 17:30 to 19:45 are nine whole quarter hours
  const [house] = report!.households;
  t.is(house.trueImportWh, 2580);
  t.true(Math.abs(house.importWh - 2580) <= 3, String(house.importWh));
  t.is(house.quarterHoursMeasured, 9);
  t.is(house.quarterHoursDelivered, 9);
  t.regex(stdout, /shows no area sum/);
  t.regex(stdout + stderr, /gap.*18:24/i);
});

test('a recording with letters where numbers belong is refused with line and column', async (t) => {
  const folder = temporaryFolder(t);
  const trace = join(folder, 'broken.txt');
  writeFileSync(
    trace,
    recording((minute) => (minute === 7 ? '1.200;0.1O0;230.000;5.200;0;0;0' : '1.200;0.100;230.000;5.200;0;0;0')),
  );
  const { code, report, stderr } = await runQuietmeter(folder, '--trace', trace);
  t.is(code, 2);
  t.is(report, null);
  t.regex(stderr, /broken\.txt:9:\d+: /);
});

test('options are checked before anything starts', async (t) => {
  const folder = temporaryFolder(t);
  const wrong: [string[], RegExp][] = [
    [['--households', 'many'], /--households: expected a whole number from 1 to 1000, got "many"/],
    [['--days', '0'], /--days: expected a whole number/],
    [['--speed', 'fast'], /--speed: expected max or a number above 0/],
    [['--nonsense'], /--nonsense/],
    [['--scenario', join(folder, 'none.json')], /none\.json/],
  ];
  for (const [args, message] of wrong) {
    const { code, stderr } = await runQuietmeter(folder, ...args);
    t.is(code, 2);
    t.regex(stderr, message);
  }
});
