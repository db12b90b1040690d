import test from 'ava';
import fc from 'fast-check';
import { MeterLink } from '../../firmware/link/meter-link.ts';
import { WallClock } from '../../firmware/link/wall-clock.ts';
import { Meter } from '../../firmware/meter.ts';
import type { Measurement, Metering } from '../../firmware/metering/meter.ts';
import { EnergyRegisters } from '../../firmware/metering/registers.ts';
import { ReversedClamp } from '../../firmware/metering/reversed-clamp.ts';
import { Relay } from '../../firmware/relay.ts';
import { Journal } from '../../firmware/wallet/journal.ts';
import { slotEndMs, slotOf } from '../../protocol/time/slots.ts';
import { decodeMessage } from '../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../protocol/wire/link-frame.ts';
import {
  FLAG_CLIPPED,
  FLAG_CLOCK_STEP,
  FLAG_NO_CLOCK,
  FLAG_POWER_CUT,
  LINK_LIVE,
  LINK_RECORD,
  type Live,
  type MeterMessage,
  type MeterRecord,
} from '../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../protocol/wire/node-natives.ts';
import { MemoryFlash, natives } from './wallet/memory-flash.ts';

const MS_PER_HOUR = 3_600_000;
const QUARTER_HOUR_MS = 900_000;
/** What the creep gate may hold back where import and export cancel: two spans of 62 windows at 0.77 W. */
const HELD_MWH = 27;
/** 10:00:00 UTC. */
const TEN = Date.UTC(2026, 1, 3, 10);

/** A meter whose windows show a given power: clock, registers, journal and link are the firmware's. */
class Rig {
  readonly flash: MemoryFlash;
  readonly meter: Meter;
  readonly journal: Journal;
  readonly said: MeterMessage[] = [];
  uptimeMs = 0;
  ticks = 0;
  /** Σ power · time since the start, mW ms. */
  energyMwMs = 0;
  powerMw = 3_600_000;
  flags = 0;
  /** How late a timer is. */
  lateMs = () => 0;

  constructor(flash = new MemoryFlash(16)) {
    this.flash = flash;
    this.journal = new Journal(flash, natives);
    this.journal.open();
    const measurement = {
      powerMw: 0,
      apparentMva: 0,
      reactiveMvar: 0,
      voltageMv: 230_000,
      currentMa: 0,
      powerFactorE4: 0,
    };
    const metering = {
      measurement: { ...measurement, frequencyMhz: 50_000, flags: 0 } as Measurement,
      window: () => {
        metering.measurement.powerMw = this.powerMw;
        metering.measurement.flags = this.flags;
        return metering.measurement;
      },
    };
    this.meter = new Meter(
      { raw: new Uint16Array(2), read: () => 0.08 },
      metering as unknown as Metering,
      new EnergyRegisters(this.journal.importMwh, this.journal.exportMwh, 1000),
      new ReversedClamp(1000, false),
      this.journal,
      new WallClock(),
      new Relay(() => {}),
    );
    const reader = new FrameReader(nodeNatives);
    const port = {
      write: (text: string) => this.said.push(...reader.push(text).map((b) => decodeMessage(b) as MeterMessage)),
    };
    const identity = { meterId: '0000000000000001', firmware: '0000000000000000' };
    this.meter.link = new MeterLink(port, nodeNatives, this.journal, identity, this.meter, (what) => {
      throw new Error(what);
    });
    this.meter.start(0);
  }

  runTo(uptimeMs: number) {
    for (;;) {
      const next = this.uptimeMs + this.meter.msToNextTick(this.uptimeMs) + this.lateMs();
      if (next > uptimeMs) break;
      this.#pass(next);
      this.meter.tick(next);
      this.ticks++;
      const newest = this.journal.newestRecord();
      this.meter.link!.sender.acknowledge(newest, newest);
    }
    this.#pass(uptimeMs);
    return this;
  }
  #pass(uptimeMs: number) {
    // what the last window showed holds until the next one
    this.energyMwMs += this.meter.measured.powerMw * (uptimeMs - this.uptimeMs);
    this.uptimeMs = uptimeMs;
  }
  time(unixMs: number) {
    this.meter.setTime(unixMs, this.uptimeMs);
    return this;
  }
  /** Of each record once. */
  records(): MeterRecord[] {
    const records = new Map<number, MeterRecord>();
    for (const message of this.said) if (message.type === LINK_RECORD) records.set(message.number, message);
    return [...records.values()];
  }
  lives(): Live[] {
    return this.said.filter((message) => message.type === LINK_LIVE);
  }
}

test('an hour with the clock known: a tick a second, a checkpoint each 10 s, a record each quarter hour', (t) => {
  const rig = new Rig().runTo(237).time(TEN + 60_237);
  const writes = rig.flash.writes;
  rig.runTo(60 * 60_000);
  t.is(rig.ticks, 3600);
  t.is(rig.flash.writes - writes, 360 + 4);
  t.deepEqual(
    rig.records().map(({ number, slot, uptimeMs, importMwh, flags }) => [number, slot, uptimeMs, importMwh, flags]),
    [1, 2, 3, 4].map((n) => {
      const uptimeMs = n * QUARTER_HOUR_MS - 60_000;
      return [n, slotOf(TEN) + n - 1, uptimeMs, uptimeMs, 0]; // 3.6 kW are 1 mWh in a ms
    }),
  );
  const live = rig.lives().at(-1)!;
  t.like(live, { uptimeMs: 3_600_000, powerMw: 3_600_000, importMwh: 3_600_000, exportMwh: 0, flags: 0 });
});

test('nothing leaves before it is in flash: live values carry the last checkpoint', (t) => {
  const rig = new Rig().time(TEN).runTo(2 * MS_PER_HOUR);
  for (const live of rig.lives()) t.is(live.importMwh, Math.floor(live.uptimeMs / 10_000) * 10_000);
});

test('without a clock: a record each 15 min of uptime; TIME aligns the next one, and no energy is lost', (t) => {
  const rig = new Rig().runTo(40 * 60_000 + 123);
  t.deepEqual(
    rig.records().map(({ slot, uptimeMs, flags }) => [slot, uptimeMs, flags]),
    [
      [0, 900_000, FLAG_NO_CLOCK],
      [0, 1_800_000, FLAG_NO_CLOCK],
    ],
  );
  t.is(rig.lives().at(-1)!.flags, FLAG_NO_CLOCK);
  rig.time(TEN + 14 * 60_000 + 500);
  t.is(rig.journal.importMwh, 40 * 60_000 + 123, 'the open block is kept at once');
  rig.runTo(42 * 60_000);
  t.like(rig.records().at(-1), {
    number: 3,
    slot: slotOf(TEN),
    uptimeMs: 40 * 60_000 + 123 + 59_500,
    importMwh: 40 * 60_000 + 123 + 59_500,
    flags: 0,
  });
  t.is(rig.lives().at(-1)!.flags, 0);
});

test('the clock goes forward: the next record says so, and has all the energy', (t) => {
  const rig = new Rig()
    .time(TEN)
    .runTo(20 * 60_000)
    .time(TEN + 3 * MS_PER_HOUR + 7 * 60_000)
    .runTo(40 * 60_000);
  t.deepEqual(
    rig.records().map(({ slot, importMwh, flags }) => [slot - slotOf(TEN), importMwh, flags]),
    [
      [0, 15 * 60_000, 0],
      [12, 28 * 60_000, FLAG_CLOCK_STEP],
    ],
  );
});

test('the clock goes back: slots that were recorded are not recorded again, energy and order stay', (t) => {
  const rig = new Rig()
    .time(TEN)
    .runTo(50 * 60_000)
    .time(TEN + 10 * 60_000)
    .runTo(120 * 60_000);
  t.deepEqual(
    rig.records().map(({ slot, importMwh, flags }) => [slot && slot - slotOf(TEN), importMwh / 60_000, flags]),
    [
      [0, 15, 0],
      [1, 30, 0],
      [2, 45, 0],
      [0, 55, FLAG_CLOCK_STEP | FLAG_NO_CLOCK],
      [0, 70, FLAG_NO_CLOCK],
      [0, 85, FLAG_NO_CLOCK],
      [3, 100, 0],
      [4, 115, 0],
    ],
  );
});

test('drift is made up smoothly: no step, no block without its record', (t) => {
  const rig = new Rig().time(TEN);
  for (let n = 1; n <= 8; n++) rig.runTo(n * QUARTER_HOUR_MS).time(TEN + n * (QUARTER_HOUR_MS + 400));
  t.deepEqual(
    rig.records().map(({ slot, flags }) => [slot - slotOf(TEN), flags]),
    [0, 1, 2, 3, 4, 5, 6, 7].map((n) => [n, 0]),
  );
  for (const { slot, uptimeMs } of rig.records()) {
    const trueMs = TEN + uptimeMs * (1 + 400 / QUARTER_HOUR_MS);
    t.true(Math.abs(trueMs - slotEndMs(slot)) <= 500, `${trueMs - slotEndMs(slot)} ms off the boundary`);
  }
});

test('TIME right before and right after a boundary records it once', (t) => {
  for (const [atMs, saysMs] of [
    [899_990, 900_300],
    [900_010, 899_700],
    [899_400, 899_600],
    [900_000, 900_000],
  ]) {
    const rig = new Rig()
      .time(TEN)
      .runTo(atMs)
      .time(TEN + saysMs)
      .runTo(1_000_000);
    t.deepEqual(
      rig.records().map(({ slot }) => slot - slotOf(TEN)),
      [0],
      `${atMs} ${saysMs}`,
    );
  }
});

test('flags of any window within the quarter hour are in its record, and only there', (t) => {
  const rig = new Rig().time(TEN).runTo(600_000);
  rig.flags = FLAG_CLIPPED;
  rig.runTo(601_000);
  rig.flags = 0;
  rig.runTo(2 * QUARTER_HOUR_MS);
  t.deepEqual(
    rig.records().map(({ flags }) => flags),
    [FLAG_CLIPPED, 0],
  );
});

test('a power cut: the record after it says so, the boot before is closed where it ended', (t) => {
  const before = new Rig().time(TEN).runTo(607_000);
  const after = new Rig(before.flash).time(TEN + 700_000).runTo(1_200_000);
  t.like(after.journal.record(1), { boot: 1, slot: 0, uptimeMs: 600_000, importMwh: 600_000, flags: FLAG_NO_CLOCK });
  t.like(after.records()[0], {
    number: 2,
    boot: 2,
    slot: slotOf(TEN),
    uptimeMs: 200_000,
    importMwh: 800_000,
    flags: FLAG_POWER_CUT,
  });
  t.like(after.records()[1], { number: 3, boot: 2, slot: slotOf(TEN) + 1, flags: 0 });
});

test('property: late timers and any TIME: energy is whole, records go forward, no slot comes twice', (t) => {
  const step = fc.record({
    runMs: fc.integer({ min: 1, max: 3_000_000 }),
    late: fc.constantFrom(0, 3, 45, 400, 2500),
    // above what a meter has to start at: less is held, or not counted at all
    powerMw: fc.integer({ min: -9_000_000, max: 9_000_000 }).map((p) => (p < 0 ? p - 3000 : p + 3000)),
    jumpMs: fc.oneof(
      fc.constant(null),
      fc.integer({ min: -50, max: 50 }),
      fc.integer({ min: -3000, max: 3000 }),
      fc.integer({ min: -20_000_000, max: 20_000_000 }),
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const rig = new Rig();
      let toMs = 0;
      let wallOffset = TEN;
      for (const { runMs, late, powerMw, jumpMs } of steps) {
        rig.powerMw = powerMw;
        rig.lateMs = () => (rig.ticks % 3 === 0 ? late : 0);
        toMs = Math.max(toMs, rig.uptimeMs) + runMs;
        rig.runTo(toMs);
        if (jumpMs !== null) {
          wallOffset += jumpMs;
          rig.time(wallOffset + rig.uptimeMs);
        }
      }
      rig.time(TEN + 86_400_000 + rig.uptimeMs); // a step closes the block
      const netMwh = rig.journal.importMwh - rig.journal.exportMwh;
      t.true(
        Math.abs(netMwh - rig.energyMwMs / MS_PER_HOUR) <= HELD_MWH,
        `${netMwh - rig.energyMwMs / MS_PER_HOUR} mWh`,
      );
      let slot = 0;
      let before = { number: 0, uptimeMs: -1, importMwh: 0, exportMwh: 0 };
      for (const record of rig.records()) {
        t.is(record.number, before.number + 1);
        t.true(record.uptimeMs > before.uptimeMs);
        t.true(record.uptimeMs - before.uptimeMs < (steps.length + 1) * QUARTER_HOUR_MS + 5000);
        t.true(record.importMwh >= before.importMwh && record.exportMwh >= before.exportMwh);
        t.is(record.slot === 0, (record.flags & FLAG_NO_CLOCK) !== 0);
        if (record.slot > 0) {
          t.true(record.slot > slot);
          slot = record.slot;
        }
        before = record;
      }
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
