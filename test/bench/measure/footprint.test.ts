// What the firmware takes of a board: the five numbers, and within what the board has.
import test from 'ava';
import { espruinoBinary } from '../../../bench/espruino/process.ts';
import { measureFootprint } from '../../../bench/measure/footprint.ts';
import { IMAGE_MOST_BYTES, JOURNAL_REGION } from '../../../hardware/flash.ts';

test('the footprint has five numbers, which fit the board', async (t) => {
  const footprint = await measureFootprint();
  t.deepEqual(Object.keys(footprint), [
    'bundleBytes',
    'variablesIdle',
    'variablesPeak',
    'flashBytesPerMonth',
    'meteringShare',
  ]);
  t.true(footprint.bundleBytes > 50_000 && footprint.bundleBytes <= IMAGE_MOST_BYTES);
  // a checkpoint of 12 … 16 B every ten seconds; each page may be erased 100,000 times
  const { pageBytes, pageCount } = JOURNAL_REGION;
  t.true(footprint.flashBytesPerMonth > 259_200 * 12 && footprint.flashBytesPerMonth < 100 * pageBytes * pageCount);
  if (!espruinoBinary()) return t.is(footprint.variablesIdle, null, 'not measured: no espruino on the PATH');
  t.true(footprint.variablesIdle! < footprint.variablesPeak! && footprint.variablesPeak! < 16_383);
  t.true(footprint.meteringShare! > 0 && footprint.meteringShare! < 0.1);
});
