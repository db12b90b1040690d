import test from 'ava';
import { currentTransformers } from '../../hardware/current-transformers.ts';
import { voltageTransformers } from '../../hardware/voltage-transformers.ts';

test('at least 20 clamps and 8 voltage sensors, each once and with its source', (t) => {
  t.true(currentTransformers.length >= 20);
  t.true(voltageTransformers.length >= 8);
  for (const table of [currentTransformers, voltageTransformers]) {
    t.is(new Set(table.map(({ model }) => model)).size, table.length);
    for (const { model, source } of table) t.true(source.length > 10, model);
  }
});

test('tables are complete, rising, and within what such sensors do', (t) => {
  const rising = (values: number[]): boolean => values.every((v, n) => n === 0 || v > values[n - 1]);
  for (const { model, currentsA, leadDeg, ratioErrorPercent, turns, ratedA, ratedV } of currentTransformers) {
    t.is(leadDeg.length, currentsA.length, model);
    t.is(ratioErrorPercent.length, currentsA.length, model);
    t.true(rising(currentsA), model);
    for (const lead of leadDeg) t.true(lead > 0 && lead < 8, model);
    t.true(ratedA > 0 && ratedV >= 0 && (turns > 0 || ratedV > 0), `${model}: neither turns nor volts`);
  }
  for (const { model, voltagesV, leadDeg, ratioErrorPercent } of voltageTransformers) {
    t.is(leadDeg.length, voltagesV.length, model);
    t.is(ratioErrorPercent.length, voltagesV.length, model);
    t.true(rising(voltagesV), model);
    for (const lead of leadDeg) t.true(lead > 0 && lead < 10, model);
  }
});
