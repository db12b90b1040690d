import test from 'ava';
import fc from 'fast-check';
import { BootTimes } from '../../../gateway/meter/boot-times.ts';

const T = 1_800_000_000_000;
const exact = (boot: number, uptimeMs: number, unixMs: number) => ({ boot, uptimeMs, unixMs, exact: true });
const arrival = (boot: number, uptimeMs: number, unixMs: number) => ({ boot, uptimeMs, unixMs, exact: false });

test('a boot without marks has no wall time', (t) => {
  const times = new BootTimes([exact(1, 0, T)]);
  t.is(times.unixMsOf(2, 0), null);
  t.false(times.knows(2));
});

test('one mark places the whole boot', (t) => {
  const times = new BootTimes([arrival(3, 5000, T)]);
  t.is(times.unixMsOf(3, 0), T - 5000);
  t.is(times.unixMsOf(3, 7000), T + 2000);
});

test('the meter’s own word counts more than an arrival', (t) => {
  const times = new BootTimes([arrival(1, 1000, T + 400), exact(1, 2000, T + 1000)]);
  t.is(times.unixMsOf(1, 1000), T);
});

test('between two exact marks the drift is known', (t) => {
  const times = new BootTimes([exact(1, 0, T), exact(1, 900_000, T + 900_090)]);
  t.is(times.unixMsOf(1, 450_000), T + 450_045);
  t.is(times.unixMsOf(1, 901_000), T + 901_090);
});

test('of the arrivals of a quarter hour the least delayed one is kept', (t) => {
  const times = new BootTimes();
  t.true(times.add(arrival(1, 1000, T + 1000 + 700)));
  t.true(times.add(arrival(1, 2000, T + 2000 + 20)), 'much better');
  t.false(times.add(arrival(1, 3000, T + 3000 + 300)), 'worse');
  t.false(times.add(arrival(1, 4000, T + 4000)), 'not worth a write');
  t.is(times.unixMsOf(1, 10_000), T + 10_020);
  t.true(times.add(arrival(1, 1_000_000, T + 1_000_050)), 'a quarter hour later one more is kept');
});

test('a doubled exact mark is nothing new', (t) => {
  const times = new BootTimes([exact(1, 900_000, T)]);
  t.false(times.add(exact(1, 900_000, T)));
});

test('property: pruning changes no answer from there on', (t) => {
  const mark = fc.record({
    boot: fc.integer({ min: 1, max: 3 }),
    uptimeMs: fc.integer({ min: 0, max: 10_000_000 }),
    unixMs: fc.integer({ min: T, max: T + 10_000_000 }),
    exact: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(mark, { maxLength: 30 }), mark, mark, (marks, from, asked) => {
      const times = new BootTimes(marks);
      const later = asked.boot > from.boot || (asked.boot === from.boot && asked.uptimeMs >= from.uptimeMs);
      const before = times.unixMsOf(asked.boot, asked.uptimeMs);
      times.prune(from.boot, from.uptimeMs);
      return !later || times.unixMsOf(asked.boot, asked.uptimeMs) === before;
    }),
    { numRuns: 500 },
  );
  t.pass();
});
