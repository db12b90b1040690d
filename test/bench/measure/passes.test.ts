import test from 'ava';
import { measurePasses } from '../../../bench/measure/passes.ts';

test('each rate is a number of things that were done', async (t) => {
  const { ratio, ...rates } = await measurePasses(40);
  for (const [name, rate] of Object.entries(rates)) t.true(Number.isInteger(rate) && rate > 0, `${name}: ${rate}`);
  t.true(ratio > 0);
});
