// A meter with the board as drawn is calibrated with known loads, through its line, as on a bench or in a house.
import { createHash } from 'node:crypto';
import test from 'ava';
import { nominalCalibration } from '../../../hardware/calibration.ts';
import { LABELS, labelled } from '../../../protocol/crypto/labels.ts';
import { CalibrationBench, MAINS_V } from './bench.ts';

const HALF = Math.acos(0.5);
const percent = (watts: number, amps: number, lagRad: number) =>
  (100 * (watts - MAINS_V * amps * Math.cos(lagRad))) / (MAINS_V * amps * Math.cos(lagRad));

test('several known loads: errors out of the class become tenths of it, at power factor 1 and 0.5; signed, kept, and in force', async (t) => {
  const bench = await CalibrationBench.start();
  t.like(bench.calibration.view(), { digest: '0'.repeat(64), known: true, number: 0 });
  const errors = () =>
    [
      [5, 0],
      [20, 0],
      [-10, 0],
      [10, HALF],
    ].map(([amps, lag]) => percent(bench.watts(amps, lag, 60), amps, lag));
  const before = errors();
  await bench.point(0, 120);
  for (const [amps, windows] of [
    [3, 120],
    [10, 60],
    [30, 40],
  ])
    await bench.point(amps, windows);
  const fit = await bench.until(bench.calibration.finish());
  t.false(fit.reversed);
  bench.seconds(30);
  t.like(bench.calibration.view(), { known: true, number: 1 });
  const [entry] = bench.calibration.history();
  const stored = bench.board.storage['calibration.a'];
  t.is(stored, entry.document);
  t.deepEqual(Buffer.from(entry.digest), createHash('sha256').update(stored).digest());
  t.is(bench.calibration.view().digest, Buffer.from(entry.digest).toString('hex'));
  t.deepEqual(
    bench.signed.map((message) => Buffer.from(message)),
    [Buffer.from(labelled(LABELS.calibration, entry.digest))],
  );
  const after = errors();
  t.log(`error in percent, before: ${before.map((x) => x.toFixed(2))}; after: ${after.map((x) => x.toFixed(2))}`);
  t.true(Math.max(...before.map(Math.abs)) > 0.5);
  // class 0.5: 0.5 % at power factor 1, 0.6 % at 0.5
  t.true(after.slice(0, 3).every((error) => Math.abs(error) < 0.5));
  t.true(Math.abs(after[3]) < 0.6);
  // what was promised is what came
  t.true(fit.points.every(({ afterPercent }) => afterPercent === null || Math.abs(afterPercent) < 0.1));
  t.deepEqual(bench.link.alarms, []);
});

test('a clamp that is the wrong way round is found, and turned in software; a swap by hand turns it back', async (t) => {
  const bench = await CalibrationBench.start(5);
  await bench.point(20, 40, { clamp: -1 });
  t.true(bench.calibration.fit().reversed);
  await bench.until(bench.calibration.finish());
  bench.seconds(30);
  t.true(bench.calibration.view().reversed);
  t.true(Math.abs(percent(bench.watts(20, 0, 30, -1), 20, 0)) < 0.5);
  await bench.until(bench.calibration.swap());
  bench.seconds(30);
  t.like(bench.calibration.view(), { reversed: false, number: 2 });
  t.deepEqual(Object.keys(bench.board.storage).sort(), ['calibration.a', 'calibration.b']);
  t.true(bench.watts(20, 0, 10, -1) < -4000);
});

test('what cannot be is refused in words, and nothing is written', async (t) => {
  const bench = await CalibrationBench.start();
  const { calibration } = bench;
  const refused = (message: RegExp) => {
    t.throws(() => calibration.fit(), { name: 'ImplausibleCalibration', message });
    calibration.begin();
  };
  refused(/at least one known load/);
  bench.load(20);
  bench.seconds(3);
  const seen = await bench.until(calibration.addPoint({ volts: 230, watts: 2300, vars: 0 }, 10));
  t.true(seen.watts > 4000);
  refused(/the current is \d+\.\d % off, more than parts can be: is the right clamp/);
  await bench.point(20, 10, { lagRad: 0.5 });
  calibration.begin();
  bench.load(20, 0.5);
  await bench.until(calibration.addPoint({ volts: 230, watts: 4600, vars: 0 }, 10));
  refused(/° from where it should be: are clamp and voltage sensor on the same phase/);
  await bench.until(calibration.addPoint({ volts: 115, watts: 4600 * Math.cos(0.5), vars: 4600 * Math.sin(0.5) }, 10));
  refused(/the voltage is \d+\.\d % off/);
  await bench.point(20, 10);
  await bench.point(10, 10, { clamp: -1 });
  refused(/some loads are seen the right way round and some the other/);
  bench.load(0);
  bench.seconds(3);
  await bench.until(calibration.addPoint({ volts: 230, watts: 1000, vars: 0 }, 10));
  refused(/the meter sees \d+ VA where 1000 VA should be: is the load on/);
  await t.throwsAsync(calibration.addPoint({ volts: 230, watts: 1000, vars: 0 }, 0), { message: /windows: from 1/ });
  await t.throwsAsync(calibration.addPoint({ volts: Number.NaN, watts: 1, vars: 0 }), { message: /volts: a number/ });
  t.deepEqual(bench.board.storage, {});
  t.is(calibration.history().length, 1, 'as it was found');
});

test('files of which one is damaged: the one before is in force; one that nobody here wrote is told of', async (t) => {
  const document = { ...nominalCalibration(), number: 4 };
  const bench = await CalibrationBench.start(3, {
    calibration: JSON.stringify(nominalCalibration()),
    'calibration.a': JSON.stringify(document),
    'calibration.b': '{"format":1,"number":5',
  });
  t.is(bench.calibration.view().number, 4);
  await bench.point(20, 10);
  await bench.until(bench.calibration.finish());
  bench.seconds(30);
  t.like(bench.calibration.view(), { number: 5, known: true });
  t.deepEqual(bench.link.alarms, []);
  // somebody with the console puts another one in its place
  bench.board.cut();
  bench.board.putFile('calibration.a', JSON.stringify({ ...document, number: 9 }));
  bench.board.start();
  bench.seconds(20);
  t.like(bench.calibration.view(), { number: 9, known: false });
  t.deepEqual(bench.link.alarms, ['the meter works with a calibration that this gateway did not write']);
});
