import test from 'ava';
import fc from 'fast-check';
import type { ChannelEvents } from '../../../gateway/meter/channel.ts';
import { ALARMS } from '../../../gateway/meter/intake.ts';
import { MeterLink } from '../../../gateway/meter/link.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { SLOT_MS, slotStartMs } from '../../../protocol/time/slots.ts';
import {
  CLAMP_RIGHT,
  LINK_ACK,
  LINK_READ,
  LINK_RECORD,
  LINK_STATUS,
  LINK_TIME,
} from '../../../protocol/wire/link-messages.ts';
import { BenchLink } from '../support/bench-link.ts';
import { frameOf, METER_ID, ScriptedMeter } from '../support/scripted-meter.ts';

const S = 2_000_000;
const T0 = slotStartMs(S);
const PAST = 500;

/** A meter that was switched on five minutes before slot S, and greeted. */
function startedLink(): BenchLink {
  const bench = new BenchLink(T0 - 300_000);
  bench.meter.powerOn(T0 - 300_000);
  bench.greet();
  bench.step(T0 + PAST);
  return bench;
}
const quarterHours = (bench: BenchLink, from: number, to: number, line?: (bytes: Uint8Array) => Uint8Array): void => {
  for (let k = from; k <= to; k++) bench.step(T0 + k * SLOT_MS + PAST, line);
};
const energies = (bench: BenchLink) =>
  bench.store
    .quarterHours(0, Number.MAX_SAFE_INTEGER)
    .map((s) => [s.slot - S, s.endImportMwh - s.startImportMwh, s.exact]);

test('a meter is greeted, told the time, and its records become quarter hours and reports', (t) => {
  const bench = startedLink();
  t.true(bench.meter.heard.some(({ type }) => type === LINK_TIME));
  bench.meter.powerMw = 3_600_000;
  quarterHours(bench, 1, 2);
  bench.meter.powerMw = 7_200_000;
  quarterHours(bench, 3, 3);
  t.deepEqual(energies(bench), [
    [0, 900_000, true],
    [1, 900_000, true],
    [2, 1_800_000, true],
  ]);
  t.deepEqual(
    bench.store.unsealed(10).map(({ slot, importWh, exportWh }) => [slot - S, importWh, exportWh]),
    [
      [0, 900, 0],
      [1, 900, 0],
      [2, 1800, 0],
    ],
  );
  t.is(bench.meter.acked, bench.meter.records.length);
  t.true(bench.link.connected);
  t.deepEqual(bench.alarms, []);
  t.is(bench.link.counters.linkErrors, 0);
});

test('live values lie on whole seconds once the meter knows the time, and minutes hold their mean', (t) => {
  const bench = startedLink();
  bench.meter.powerMw = 1_800_000;
  bench.step(T0 + 30_500);
  bench.meter.powerMw = -3_600_000;
  bench.step(T0 + 60_500);
  const inMinute = bench.lives.filter(({ unixMs }) => unixMs >= T0 && unixMs < T0 + 60_000);
  t.deepEqual(
    inMinute.map(({ unixMs }) => unixMs),
    Array.from({ length: 60 }, (_, second) => T0 + second * 1000),
  );
  const mean = inMinute.reduce((sum, { powerMw }) => sum + powerMw, 0) / 60 / 1000;
  t.deepEqual(bench.store.minutes(T0, T0 + 60_000), [{ unixMs: T0, powerW: mean }]);
});

test('TIME is said again every quarter hour', (t) => {
  const bench = startedLink();
  const before = bench.meter.heard.length;
  quarterHours(bench, 1, 4);
  t.is(bench.meter.heard.slice(before).filter(({ type }) => type === LINK_TIME).length, 4);
});

test('doubled frames are harmless', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 3, (bytes) => {
    const lines = Buffer.from(bytes)
      .toString('latin1')
      .split(/(?<=\n)/);
    return Buffer.from(lines.map((line) => line + line).join(''), 'latin1');
  });
  t.deepEqual(
    energies(bench).map(([slot]) => slot),
    [0, 1, 2],
  );
  t.is(bench.link.counters.doubled, 3 * 901);
  const [minute] = bench.store.minutes(T0 + SLOT_MS, T0 + SLOT_MS + 60_000);
  t.is(minute.powerW, 3600);
  t.deepEqual(bench.alarms, []);
});

test('noise, cut frames and frames without end cost those lines only; what is missing is asked for', (t) => {
  const bench = startedLink();
  let step = 0;
  quarterHours(bench, 1, 6, (bytes) => {
    const text = Buffer.from(bytes).toString('latin1');
    const at = text.length - 40; // inside the record or the live value behind it
    step++;
    if (step === 1) return Buffer.from(`${text.slice(0, at)}\x00\xff\x7fnoise${text.slice(at + 9)}`, 'latin1');
    if (step === 2) return Buffer.from(text.slice(0, at - 100), 'latin1'); // cut before the record
    if (step === 3) return Buffer.from(`${'x'.repeat(100_000)}${text}`, 'latin1');
    if (step === 4) return new Uint8Array(0); // the line was open
    return bytes;
  });
  bench.step(bench.clock.nowMs() + 6000);
  bench.step(bench.clock.nowMs() + 6000);
  t.deepEqual(
    energies(bench),
    [0, 1, 2, 3, 4, 5].map((slot) => [slot, 900_000, true]),
  );
  t.is(bench.meter.acked, bench.meter.records.length);
  t.true(bench.meter.heard.some(({ type }) => type === LINK_READ));
  t.true(bench.link.counters.linkErrors > 0);
  t.deepEqual(bench.alarms, []);
});

test('property: whatever bytes arrive, nothing is believed that no meter said', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
      const bench = new BenchLink(T0);
      for (const chunk of chunks) bench.step(bench.clock.nowMs() + 100, () => chunk);
      const untouched = bench.store.lastRecord() === null && bench.store.lastLive() === null;
      bench.store.close();
      return untouched;
    }),
    { numRuns: 25 },
  );
  t.pass();
});

test('property: with lines lost at random every quarter hour still comes once and right', (t) => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.integer({ min: 0, max: 99 })), fc.integer({ min: 5, max: 95 }), (dice, loss) => {
      const bench = startedLink();
      const lossy = (bytes: Uint8Array): Uint8Array => {
        const lines = Buffer.from(bytes)
          .toString('latin1')
          .split(/(?<=\n)/);
        return Buffer.from(lines.filter(() => dice.next().value >= loss).join(''), 'latin1');
      };
      quarterHours(bench, 1, 8, lossy);
      for (let k = 1; k <= 4; k++) bench.step(bench.clock.nowMs() + 6000);
      t.deepEqual(
        energies(bench),
        [0, 1, 2, 3, 4, 5, 6, 7].map((slot) => [slot, 900_000, true]),
      );
      t.is(bench.link.missingRecords, 0);
      bench.store.close();
    }),
    { numRuns: 10 },
  );
});

test('nobody is believed before HELLO, and nothing is lost by it', (t) => {
  const bench = startedLink();
  bench.restart();
  t.false(bench.link.connected);
  bench.step(T0 + SLOT_MS + PAST);
  t.deepEqual(energies(bench), [], 'a quarter hour was said, but who said it?');
  t.true(bench.link.missingRecords > 0);
  t.true(bench.meter.heard.some(({ type }) => type === LINK_STATUS));
  bench.step(T0 + SLOT_MS + PAST + 100);
  t.deepEqual(energies(bench), [[0, 900_000, true]]);
  t.is(bench.store.minutes(T0, T0 + SLOT_MS).length, 15, 'its live values were kept, too');
});

test('another meter is refused; the household’s own is welcome again', (t) => {
  const bench = startedLink();
  const stranger = new ScriptedMeter('ffffffffffffffff');
  stranger.powerOn(T0);
  stranger.importMwh = 77_000_000;
  stranger.advanceTo(T0 + SLOT_MS);
  const records = bench.store.totals().records;
  bench.step(bench.clock.nowMs() + 1000, () => stranger.take());
  t.deepEqual(bench.alarms, [ALARMS.foreignMeter]);
  t.is(bench.store.totals().records, records);
  t.false(bench.link.connected);
  bench.step(bench.clock.nowMs() + 6000); // STATUS, which the own meter answers
  quarterHours(bench, 1, 2);
  t.deepEqual(bench.alarms, []);
  t.deepEqual(
    energies(bench).map(([, mwh]) => mwh),
    [900_000, 900_000],
  );
  t.is(bench.store.meta('meterId'), METER_ID);
});

test('registers that fall are refused and shown', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 1);
  const before = bench.store.lastLive()!;
  bench.meter.importMwh -= 1_000_000; // more than the next quarter hour will add
  quarterHours(bench, 2, 2);
  t.deepEqual(bench.alarms, [ALARMS.registersFell, ALARMS.recordContradicts]);
  t.deepEqual(
    energies(bench).map(([slot]) => slot),
    [0],
  );
  t.is(bench.store.lastLive()!.uptimeMs, before.uptimeMs);
  t.true(bench.link.counters.linkErrors >= 900);
  t.regex(bench.log.join('\n'), /lower register/);
});

test('a record that contradicts its neighbours is refused, and the alarm stays while live values are right', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 1);
  const last = bench.meter.records.at(-1)!;
  bench.step(bench.clock.nowMs() + 5000);
  const bad = { ...last, number: last.number + 1, slot: last.slot + 1, uptimeMs: last.uptimeMs + 1000 };
  bench.meter.say({ ...bad, importMwh: last.importMwh + 5_000_000 }); // more than a later live value
  bench.step(bench.clock.nowMs() + 2000);
  bench.step(bench.clock.nowMs() + 2000);
  t.deepEqual(bench.alarms, [ALARMS.recordContradicts]);
  t.deepEqual(bench.store.lastRecord(), last);
  quarterHours(bench, 2, 2);
  t.deepEqual(bench.alarms, []);
});

test('a meter that forgot its records or counts its starts backwards is refused', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 2);
  const forgetful = new ScriptedMeter();
  forgetful.boot = 1;
  forgetful.importMwh = 99_000_000;
  forgetful.powerOn(bench.clock.nowMs());
  bench.step(bench.clock.nowMs() + 1000, () => forgetful.take());
  t.deepEqual(bench.alarms, [ALARMS.recordsForgotten]);

  const backwards = new ScriptedMeter();
  backwards.records.push(...bench.meter.records);
  bench.meter.powerOff();
  bench.meter.powerOn(bench.clock.nowMs()); // boot 2
  bench.step(bench.clock.nowMs() + 2000);
  backwards.powerOn(bench.clock.nowMs()); // boot 1
  bench.step(bench.clock.nowMs() + 1000, () => backwards.take());
  t.deepEqual(bench.alarms, [ALARMS.bootFell]);
});

test('a record with a number that was had changes nothing, whatever it says', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 2);
  const had = bench.store.lastRecord()!;
  bench.meter.say({ ...had, importMwh: had.importMwh + 5_000_000 });
  bench.step(bench.clock.nowMs() + 1000);
  t.deepEqual(bench.store.lastRecord(), had);
});

test('records that the meter overwrote before they were read are passed over, and that is shown', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 1);
  bench.link.tick();
  quarterHours(bench, 2, 6, () => new Uint8Array(0));
  bench.meter.records.splice(0, 5); // the ring went round
  for (let k = 1; k <= 5; k++) bench.step(bench.clock.nowMs() + 6000); // READ, refused, STATUS, HELLO, READ
  t.deepEqual(bench.alarms, [ALARMS.recordsLost]);
  t.deepEqual(
    energies(bench),
    [0, 1, 2, 3, 4, 5].map((slot) => [slot, 900_000, slot === 0 || slot === 5]),
    'the energy is there, where exactly it was used is interpolated',
  );
});

test('a day without the gateway comes back from the meter, with the hours at which it was measured', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 2);
  const away = T0 + 98 * SLOT_MS;
  bench.step(away, () => new Uint8Array(0));
  bench.restart();
  bench.step(away + 100);
  bench.step(away + 200);
  bench.step(away + 300);
  t.is(energies(bench).length, 98);
  t.true(energies(bench).every(([, mwh, exact]) => mwh === 900_000 && exact));
  t.is(bench.meter.acked, bench.meter.records.length);
});

test('a power cut while the gateway is away: the records of the boot without a clock are bounded, and said not to be exact', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 2);
  const { meter } = bench;
  meter.powerOff();
  bench.step(T0 + 3 * SLOT_MS);
  const nobody = (): Uint8Array => new Uint8Array(0);
  meter.powerOn(T0 + 3 * SLOT_MS); // boot 2: nobody tells it the time
  meter.advanceTo(T0 + 10 * SLOT_MS);
  meter.powerOff();
  bench.step(T0 + 10 * SLOT_MS, nobody);
  meter.powerOn(T0 + 11 * SLOT_MS); // boot 3
  bench.step(T0 + 11 * SLOT_MS + 200);
  bench.step(T0 + 11 * SLOT_MS + 400);
  quarterHours(bench, 12, 13);
  const found = energies(bench);
  t.deepEqual(
    found.map(([slot]) => slot),
    Array.from({ length: 13 }, (_, slot) => slot),
  );
  t.is(
    found.reduce((sum, [, mwh]) => sum + (mwh as number), 0),
    meter.records.at(-1)!.importMwh - meter.records[0].importMwh,
  );
  t.deepEqual(
    found.slice(2, 11).filter(([, , exact]) => exact),
    [],
  );
  t.deepEqual(found.at(-1), [12, 900_000, true]);
});

test('a gateway that does not know the time yet tells the meter none', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 2);
  bench.store.close();
  const behind = new BenchLink(T0 - 365 * 86_400_000, bench.meter, bench.dataDir);
  const heard = bench.meter.heard.length;
  behind.meter.hello();
  behind.channel.deliver(behind.meter.take());
  behind.meter.receive(behind.channel.take());
  t.false(bench.meter.heard.slice(heard).some(({ type }) => type === LINK_TIME));
  t.deepEqual(behind.alarms, [ALARMS.clockBehind]);
  t.deepEqual(
    behind.store.marks().filter(({ unixMs }) => unixMs < T0 - SLOT_MS),
    [],
  );
});

test('a record from the future does not know the time', (t) => {
  const bench = startedLink();
  quarterHours(bench, 1, 1);
  const last = bench.meter.records.at(-1)!;
  bench.meter.say({
    ...last,
    type: LINK_RECORD,
    number: last.number + 1,
    uptimeMs: last.uptimeMs + 1000,
    slot: S + 50_000,
    importMwh: last.importMwh + 1,
  });
  bench.step(bench.clock.nowMs() + 1000);
  t.is(bench.store.lastRecord()!.number, last.number + 1);
  t.deepEqual(bench.slots, [S]);
});

test('the clamp is asked after, and the answer comes back', async (t) => {
  const bench = startedLink();
  const answer = bench.link.checkClamp();
  bench.step(bench.clock.nowMs() + 1000);
  bench.step(bench.clock.nowMs() + 1000);
  const { verdict, powerMw } = await answer;
  t.deepEqual([verdict, powerMw], [CLAMP_RIGHT, 3_600_000]);
});

test('a gateway that hears commands hears itself, and does not obey', (t) => {
  const bench = startedLink();
  const errors = bench.link.counters.linkErrors;
  const echo = Buffer.from(frameOf({ type: LINK_TIME, unixMs: T0 }) + frameOf({ type: LINK_ACK, number: 9 }), 'latin1');
  bench.step(bench.clock.nowMs() + 1000, () => echo);
  t.is(bench.link.counters.linkErrors, errors + 2);
});

test('a line that stays broken is told of once, and again when the reason is another or it has been there', (t) => {
  const log: string[] = [];
  const { store } = new BenchLink(T0);
  let events: ChannelEvents | null = null;
  const link = new MeterLink({
    channel: {
      start: (told) => {
        events = told;
      },
      write: () => {},
      close: async () => {},
    },
    store,
    clock: new DrivenClock(T0),
    resolutionWh: 50,
    onLives: () => {},
    onReports: () => {},
    log: (line) => log.push(line),
  });
  link.start();
  const refused = () => events!.broken('connect ECONNREFUSED');
  refused();
  refused();
  events!.broken('no such device');
  events!.opened();
  refused();
  refused();
  t.deepEqual(log, [
    'meter link: connect ECONNREFUSED',
    'meter link: no such device',
    'meter link: the line is there again',
    'meter link: connect ECONNREFUSED',
  ]);
});
