import test from 'ava';
import fc from 'fast-check';
import { STEP_MS, WallClock } from '../../../firmware/link/wall-clock.ts';

const NOW = 1_700_000_000_000;

test('before TIME wall time is uptime; the first TIME sets it at once', (t) => {
  const clock = new WallClock();
  t.false(clock.known);
  t.is(clock.unixMs(5000), 5000);
  t.true(clock.set(NOW, 5000));
  t.true(clock.known);
  t.is(clock.unixMs(5000), NOW);
  t.is(clock.unixMs(6500), NOW + 1500);
});

test('a small difference is made up at 1 ms a tick, a large one at once', (t) => {
  const clock = new WallClock();
  clock.set(NOW, 0);
  t.false(clock.set(NOW + 900_000 + 30, 900_000));
  t.is(clock.unixMs(900_000), NOW + 900_000);
  for (let i = 0; i < 100; i++) clock.tick();
  t.is(clock.unixMs(1_000_000), NOW + 1_000_030);
  t.false(clock.set(NOW + 1_000_000 - STEP_MS + 30, 1_000_000));
  clock.tick();
  t.is(clock.unixMs(1_001_000), NOW + 1_001_029);
  t.true(clock.set(NOW, 1_001_000), 'back by a quarter of an hour');
  clock.tick();
  t.is(clock.unixMs(1_001_000), NOW);
});

test('property: without a step time never goes back and never runs off by more than a thousandth', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -STEP_MS, max: STEP_MS }), { maxLength: 30 }), (errors) => {
      const clock = new WallClock();
      clock.set(NOW, 0);
      let uptimeMs = 0;
      let before = clock.unixMs(0);
      for (const errorMs of errors) {
        if (clock.set(clock.unixMs(uptimeMs) + errorMs, uptimeMs)) return false;
        for (let tick = 0; tick < 50; tick++) {
          uptimeMs += 1000;
          clock.tick();
          const now = clock.unixMs(uptimeMs);
          if (now - before < 999 || now - before > 1001) return false;
          before = now;
        }
      }
      return true;
    }),
  );
  t.pass();
});
