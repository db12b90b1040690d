import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { readWaveforms } from '../../../bench/loads/waveform.ts';
import { controls } from '../../../bench/measure/accuracy/controls.ts';
import { registersAfter } from '../../../bench/measure/accuracy/register-rows.ts';
import { type Case, cases } from '../../../bench/measure/accuracy/rows.ts';
import { measureCase, run, Specimens } from '../../../bench/measure/accuracy.ts';

// A small part of `npm run -s measure -- accuracy`: two boards, one of them a bad one.
const specimens = new Specimens([6, 12]);
const folder = fileURLToPath(new URL('../../../../shared/data/waveforms', import.meta.url));
const recordings = existsSync(folder) ? readWaveforms(folder).filter((_, n) => n % 4 === 1) : [];
const list = cases(recordings);

test(`every row is within its limit${recordings.length > 0 ? ', recordings too' : ' (recordings absent)'}`, (t) => {
  for (const c of list) {
    const result = measureCase(specimens.all(c.crosstalk), c, [11]);
    const name = `${c.row}, ${c.source}, ${c.rangePercent} %: ${result.errorPercent} %`;
    t.true(result.errorPercent <= c.limitPercent, name);
    t.true(result.errorPercent > 0, name);
  }
});

test('it is better than the plain calculation where currents are small', (t) => {
  for (const c of list.filter((each: Case) => each.rangePercent <= 5 && !each.weighted)) {
    const { errorPercent, plainErrorPercent } = measureCase(specimens.all(c.crosstalk), c, [12]);
    t.true(errorPercent < plainErrorPercent / 3, `${c.row}: ${errorPercent} against ${plainErrorPercent} %`);
  }
});

test('with a stage switched off its row fails', (t) => {
  const results = controls(specimens, list);
  t.deepEqual(
    results.map(({ stage }) => stage),
    ['skew', 'stagger', 'crosstalk', 'table'],
  );
  for (const { stage, row, errorPercent, fails } of results)
    t.true(fails, `without ${stage}, ${row}: ${errorPercent} %`);
});

test('an open clamp with noise counts 0 mWh in 24 hours', (t) => {
  for (const [n, specimen] of specimens.all().entries()) {
    const { importMwh, exportMwh } = registersAfter(specimen, n + 1, 24 * 60, 230, 0);
    t.deepEqual([importMwh, exportMwh], [0, 0]);
  }
});

test('no load at 1.15 U counts nothing either', (t) => {
  for (const [n, specimen] of specimens.all().entries()) {
    const { importMwh, exportMwh } = registersAfter(specimen, n + 1, 190, 264.5, 0);
    t.deepEqual([importMwh, exportMwh], [0, 0]);
  }
});

test('0.2 % of 5 A is counted, in its direction', (t) => {
  for (const [n, specimen] of specimens.all().entries()) {
    const there = registersAfter(specimen, n + 1, 60, 230, 0.01);
    t.true(there.importMwh > 1700 && there.importMwh < 2900, `${there.importMwh} of 2300 mWh`);
    t.is(there.exportMwh, 0);
    const back = registersAfter(specimen, n + 1, 60, 230, -0.01);
    t.true(back.exportMwh > 1700 && back.exportMwh < 2900, `${back.exportMwh} of 2300 mWh`);
    t.is(back.importMwh, 0);
  }
});

test.serial('a wrong option or folder is refused', async (t) => {
  const silent = console.error;
  const said: string[] = [];
  console.error = (text: string) => said.push(text);
  try {
    t.is(await run({ json: true, args: ['--waveform', 'x'] }), 2);
    t.is(await run({ json: true, args: ['--waveforms', '/nowhere'] }), 2);
  } finally {
    console.error = silent;
  }
  t.regex(said[0], /usage/);
  t.regex(said[1], /nowhere/);
});
