import test from 'ava';
import { measureAggregation, measureAuthorisation } from '../../../bench/measure/aggregation.ts';

test('what aggregation costs is measured for both panels, with and without range proof, beside Prio3', async (t) => {
  const { rows, prio3 } = await measureAggregation({ meters: 12, sample: 4, rounds: 1 });
  t.deepEqual(
    rows.map(({ servers, threshold, rangeProof, bytes }) => [servers, threshold, rangeProof, bytes]),
    [
      [5, 3, false, 1220],
      [5, 3, true, 2440],
      [10, 6, false, 2436],
      [10, 6, true, 3656],
    ],
  );
  for (const row of rows) {
    t.deepEqual(Object.keys(row), [
      'scheme',
      'servers',
      'threshold',
      'rangeProof',
      'clientMs',
      'serverMsPerMeter',
      'recoverMs',
      'bytes',
    ]);
    t.true(row.clientMs > 0 && row.serverMsPerMeter > 0 && row.recoverMs > 0);
  }
  // sizes are no matter of the machine
  t.true(rows[0].bytes <= prio3.bytes && rows[1].bytes <= 2 * prio3.bytes);
  t.true(prio3.clientMs > 0 && prio3.serverMs > 0);
});

test('report token and ring signature', async (t) => {
  for (const [name, ms] of Object.entries(await measureAuthorisation(1))) t.true(ms > 0, name);
});
