import test from 'ava';
import { measureIssuing } from '../../../bench/measure/issuing.ts';

test('rates are numbers of things that were done, ratios are of them', async (t) => {
  const measured = await measureIssuing(1, 60);
  t.deepEqual(Object.keys(measured), [
    'opensslSignPerS',
    'signPerS',
    'signRatio',
    'redeemPerS',
    'redeemRatio',
    'twoWorkersRatio',
  ]);
  for (const [name, value] of Object.entries(measured)) t.true(value > 0, `${name}: ${value}`);
  const { opensslSignPerS, signPerS, signRatio } = measured;
  t.true(Math.abs(signPerS / opensslSignPerS - signRatio) < 0.01);
});
