import test, { type ExecutionContext } from 'ava';
import { Household } from '../../../gateway/household.ts';
import { ALARMS } from '../../../gateway/meter/intake.ts';
import type { LivePoint } from '../../../gateway/web/household-view.ts';
import { SLOT_MS, slotStartMs } from '../../../protocol/time/slots.ts';
import { BenchLink } from '../support/bench-link.ts';

const S = 2_000_000;
const T0 = slotStartMs(S);

/** A household after `quarters` quarter hours of 3.6 kW; the uplink is what the test says. */
function householdAfter(t: ExecutionContext, quarters: number) {
  const bench = new BenchLink(T0 - 60_000);
  t.teardown(() => bench.store.close());
  const uplink = {
    connected: true,
    pending: 0,
    trouble: null as string | null,
    isSent: (slot: number) => slot === S + 1,
  };
  const { clock, store, link } = bench;
  const household = new Household({
    householdName: 'A house',
    clock,
    store,
    link,
    uplink,
    ledger: { month: () => null },
  });
  const step = (toMs: number): void => {
    const before = bench.lives.length;
    bench.step(toMs);
    const lives = bench.lives.slice(before);
    if (lives.length > 0) household.addLives(lives);
  };
  bench.meter.powerOn(T0 - 60_000);
  bench.greet();
  step(T0 + 500);
  for (let k = 1; k <= quarters; k++) step(T0 + k * SLOT_MS + 500);
  return { bench, uplink, household, step };
}

test('units of the page: watts, volts and amps; energy stays in mWh', (t) => {
  const { household, bench } = householdAfter(t, 1);
  t.is(household.nowMs(), T0 + SLOT_MS + 500);
  t.deepEqual(household.latest(), {
    unixMs: T0 + SLOT_MS,
    powerW: 3600,
    reactiveVar: 0,
    apparentVa: 3600,
    voltageV: 230,
    currentA: 15.652,
    powerFactor: 1,
    frequencyHz: 50,
    importMwh: bench.meter.importMwh,
    exportMwh: 0,
    warnings: [],
  });
  t.deepEqual(household.quarterHours(T0, T0 + SLOT_MS), [
    { slot: S, startMs: T0, importMwh: 900_000, exportMwh: 0, exact: true },
  ]);
  t.deepEqual(household.quarterHours(T0 + 1, T0 + SLOT_MS), [], 'those that begin in the range');
  t.is(household.minutes(T0, T0 + SLOT_MS).length, 15);
});

test('a report is waiting, sent, delivered or refused', (t) => {
  const { household, bench } = householdAfter(t, 4);
  bench.store.deliver([S], T0 + 5 * SLOT_MS);
  bench.store.refuse(S + 2, 'conflict');
  t.deepEqual(
    household
      .reports(T0, T0 + 4 * SLOT_MS)
      .map(({ slot, state, deliveredMs, importWh }) => [slot - S, state, deliveredMs, importWh]),
    [
      [0, 'delivered', T0 + 5 * SLOT_MS, 900],
      [1, 'sent', null, 900],
      [2, 'refused', null, 900],
      [3, 'waiting', null, 900],
    ],
  );
});

test('listeners hear new values until they stop', (t) => {
  const { household, bench, step } = householdAfter(t, 0);
  const heard: LivePoint[] = [];
  const stop = household.onLive((point) => heard.push(point));
  for (let second = 1; second <= 3; second++) step(T0 + second * 1000 + 500);
  stop();
  step(T0 + 4500);
  t.deepEqual(
    heard.map(({ unixMs }) => unixMs - T0),
    [1000, 2000, 3000],
  );
  t.is(household.latest()!.unixMs, T0 + 4000);
  t.is(bench.lives.at(-1)!.unixMs, T0 + 4000);
});

test('what is wrong is said in words', (t) => {
  const { household, bench, uplink, step } = householdAfter(t, 0);
  uplink.trouble = 'the TPM went away';
  bench.meter.importMwh -= 30_000;
  step(T0 + 5500);
  const { warnings } = household.latest()!;
  t.deepEqual(warnings, [ALARMS.registersFell, 'the security chip does not answer: readings wait here']);
});

test('the meter is shown as gone when it is silent', (t) => {
  const { household, bench } = householdAfter(t, 0);
  t.deepEqual(household.connection(), { meter: true, grid: true, pendingReports: 0 });
  bench.meter.powerOff();
  bench.step(T0 + 20_000);
  t.false(household.connection().meter);
});

test('the clamp’s verdict is plain', async (t) => {
  const { household, bench, step } = householdAfter(t, 0);
  const verdict = household.checkClamp();
  step(bench.clock.nowMs() + 100);
  step(bench.clock.nowMs() + 100);
  t.deepEqual(await verdict, { verdict: 'right', powerW: 3600, powerFactor: 0.999 });
});
