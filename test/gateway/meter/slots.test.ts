import test from 'ava';
import fc from 'fast-check';
import { BootTimes } from '../../../gateway/meter/boot-times.ts';
import {
  addPoint,
  LONGEST_GAP_MS,
  type MeasuredSlot,
  measureSlots,
  NO_PROGRESS,
  type Progress,
  type RegisterPoint,
  type TimedPoint,
} from '../../../gateway/meter/slots.ts';
import { SLOT_MS, slotEndMs, slotStartMs } from '../../../protocol/time/slots.ts';

const S = 2_000_000; // a slot number to count from
const NEVER = Number.MAX_SAFE_INTEGER;
const MINUTE = 60_000;

type NumberedPoint = RegisterPoint & { number: number };
const point = (unixMs: number, importMwh: number, exportMwh = 0, exact = true): TimedPoint => ({
  unixMs,
  importMwh,
  exportMwh,
  exact,
});
const record = (number: number, boot: number, uptimeMs: number, slot: number, importMwh: number): NumberedPoint => ({
  number,
  boot,
  uptimeMs,
  slot,
  importMwh,
  exportMwh: 0,
});
const edge = (boot: number, uptimeMs: number, importMwh: number): RegisterPoint => ({
  boot,
  uptimeMs,
  slot: 0,
  importMwh,
  exportMwh: 0,
});
const run = (points: TimedPoint[]): MeasuredSlot[] => {
  let progress = NO_PROGRESS;
  return points.flatMap((p) => {
    const step = addPoint(progress, p);
    progress = step.progress;
    return step.slots;
  });
};
const energies = (slots: MeasuredSlot[]): [number, number, boolean][] =>
  slots.map((s) => [s.slot - S, s.endImportMwh - s.startImportMwh, s.exact]);

test('records on the boundaries: the energy of a quarter hour is the difference of two registers', (t) => {
  const slots = run([point(slotStartMs(S), 1000), point(slotEndMs(S), 1250, 7), point(slotEndMs(S + 1), 1250, 107)]);
  t.deepEqual(slots, [
    { slot: S, startImportMwh: 1000, endImportMwh: 1250, startExportMwh: 0, endExportMwh: 7, exact: true },
    { slot: S + 1, startImportMwh: 1250, endImportMwh: 1250, startExportMwh: 7, endExportMwh: 107, exact: true },
  ]);
});

test('the partial first quarter hour is not reported', (t) => {
  const slots = run([point(slotStartMs(S) + 7 * MINUTE, 0), point(slotEndMs(S), 800), point(slotEndMs(S + 1), 2000)]);
  t.deepEqual(energies(slots), [[1, 1200, true]]);
});

test('a boundary between two points is interpolated, and said to be', (t) => {
  const slots = run([
    point(slotStartMs(S), 0),
    point(slotEndMs(S) - 5 * MINUTE, 1000, 0, false),
    point(slotEndMs(S) + 10 * MINUTE, 4000, 0, false), // the boundary is a third of the way
    point(slotEndMs(S + 1), 4500),
  ]);
  t.deepEqual(energies(slots), [
    [0, 2000, false],
    [1, 2500, false],
  ]);
});

test('a point that is not later waits: its energy shows with the next', (t) => {
  const slots = run([point(slotStartMs(S), 0), point(slotStartMs(S) - 1, 40), point(slotEndMs(S), 100)]);
  t.deepEqual(energies(slots), [[0, 100, true]]);
});

test('a hole of more than the meter can keep stays a hole', (t) => {
  const after = slotStartMs(S) + LONGEST_GAP_MS + SLOT_MS;
  const slots = run([point(slotStartMs(S), 0), point(after, 999), point(after + SLOT_MS, 1000)]);
  t.deepEqual(energies(slots), [[LONGEST_GAP_MS / SLOT_MS + 1, 1, true]]);
});

test('a clock that was an hour ahead begins a new series when it is right again', (t) => {
  const slots = run([
    point(slotEndMs(S + 4), 0),
    point(slotEndMs(S + 5), 10),
    point(slotEndMs(S + 1), 30),
    point(slotEndMs(S + 2), 60),
  ]);
  t.deepEqual(energies(slots), [
    [5, 10, true],
    [2, 30, true],
  ]);
});

test('an outage: live values at its two ends keep the energy where it was used', (t) => {
  // Boot 1 until 10 minutes into slot 1, boot 2 from 5 minutes into slot 4 on.
  const t0 = slotStartMs(S);
  const start2 = slotStartMs(S + 4) + 5 * MINUTE;
  const times = new BootTimes([
    { boot: 1, uptimeMs: SLOT_MS, unixMs: t0 + SLOT_MS, exact: true },
    { boot: 2, uptimeMs: 0, unixMs: start2, exact: false },
  ]);
  const records = [record(1, 1, 0, S - 1, 0), record(2, 1, SLOT_MS, S, 900), record(3, 2, 10 * MINUTE, S + 4, 2000)];
  const edges = [edge(2, 0, 1500), edge(1, SLOT_MS + 10 * MINUTE, 1500)];
  const { slots } = measureSlots(NO_PROGRESS, records, edges, times, NEVER);
  t.deepEqual(energies(slots), [
    [0, 900, true],
    [1, 600, false],
    [2, 0, false],
    [3, 0, false],
    [4, 500, false],
  ]);
  const smeared = measureSlots(NO_PROGRESS, records, [], times, NEVER);
  t.not(energies(smeared.slots)[2][1], 0, 'without the edges the outage would have used energy');
});

test('edges whose registers do not fit between their records are left out', (t) => {
  const times = new BootTimes([{ boot: 1, uptimeMs: 0, unixMs: slotStartMs(S), exact: true }]);
  const records = [record(1, 1, 0, S - 1, 100), record(2, 1, 2 * SLOT_MS, S + 1, 300)];
  for (const foreign of [99, 301]) {
    const { slots } = measureSlots(NO_PROGRESS, records, [edge(1, SLOT_MS, foreign)], times, NEVER);
    t.deepEqual(energies(slots), [
      [0, 100, false],
      [1, 100, false],
    ]);
  }
});

test('a boot that never met a clock lies between its neighbours, with equal pauses', (t) => {
  const t0 = slotStartMs(S);
  const times = new BootTimes([
    { boot: 1, uptimeMs: 0, unixMs: t0, exact: true },
    { boot: 4, uptimeMs: 0, unixMs: t0 + 8 * SLOT_MS, exact: false },
  ]);
  const records = [
    record(1, 1, 0, S - 1, 0),
    record(2, 1, SLOT_MS, S, 100),
    // 7 quarter hours between: boots 2 and 3 ran 2 each, so three pauses of one quarter hour
    record(3, 2, SLOT_MS, 0, 200),
    record(4, 2, 2 * SLOT_MS, 0, 300),
    record(5, 3, 2 * SLOT_MS, 0, 400),
  ];
  const waiting = measureSlots(NO_PROGRESS, records, [], times, NEVER);
  t.is(waiting.progress.record, 2, 'nothing says yet how long boot 3 ran');

  const { slots, progress } = measureSlots(
    NO_PROGRESS,
    [...records, record(6, 4, SLOT_MS, S + 8, 600)],
    [],
    times,
    NEVER,
  );
  t.is(progress.record, 6);
  t.deepEqual(energies(slots), [
    [0, 100, true],
    [1, 50, false], // pause of the interpolated kind: 100 mWh over two quarter hours
    [2, 50, false],
    [3, 100, false],
    [4, 33, false],
    [5, 33, false],
    [6, 34, false],
    [7, 100, false],
    [8, 100, false],
  ]);
});

test('a first boot without a clock ends when the next one begins', (t) => {
  const start2 = slotStartMs(S + 10);
  const times = new BootTimes([{ boot: 2, uptimeMs: 0, unixMs: start2, exact: false }]);
  const records = [record(1, 1, SLOT_MS, 0, 50), record(2, 1, 3 * SLOT_MS, 0, 150), record(3, 2, SLOT_MS, S + 10, 170)];
  const { slots } = measureSlots(NO_PROGRESS, records, [], times, NEVER);
  t.deepEqual(energies(slots), [
    [8, 50, false],
    [9, 50, false],
    [10, 20, false],
  ]);
});

test('a slot that is not over yet by the gateway’s clock is not believed', (t) => {
  const times = new BootTimes([{ boot: 1, uptimeMs: 0, unixMs: slotStartMs(S), exact: false }]);
  const records = [record(1, 1, 0, 0, 0), record(2, 1, SLOT_MS, S + 5000, 60)];
  const { slots } = measureSlots(NO_PROGRESS, records, [], times, slotEndMs(S));
  t.deepEqual(energies(slots), [[0, 60, false]]);
});

// ── properties ──

/** A household's history: boots with and without a clock, pauses, records each quarter hour of the clock or of uptime. */
interface Boot {
  minutes: number;
  pauseMinutes: number;
  clock: boolean;
  watts: number;
}
const history = fc.array(
  fc.record({
    minutes: fc.integer({ min: 1, max: 200 }),
    pauseMinutes: fc.integer({ min: 0, max: 300 }),
    clock: fc.boolean(),
    watts: fc.integer({ min: -5000, max: 9000 }),
  }),
  { minLength: 1, maxLength: 8 },
);

function recordsOf(boots: Boot[]): { records: NumberedPoint[]; times: BootTimes } {
  const times = new BootTimes();
  const records: NumberedPoint[] = [];
  let startMs = slotStartMs(S) + 123_456;
  let importMwh = 0;
  let exportMwh = 0;
  boots.forEach(({ minutes, pauseMinutes, clock, watts }, index) => {
    const boot = index + 1;
    for (let minute = 1; minute <= minutes; minute++) {
      if (watts > 0) importMwh += Math.floor((watts * 1000) / 60);
      else exportMwh += Math.floor((-watts * 1000) / 60);
      const uptimeMs = minute * MINUTE;
      const atMs = clock ? startMs + uptimeMs : uptimeMs;
      const boundary = Math.floor(atMs / SLOT_MS) > Math.floor((atMs - MINUTE) / SLOT_MS);
      if (!boundary) continue;
      const slot = clock ? Math.floor(atMs / SLOT_MS) - 1 : 0;
      const late = clock ? atMs % SLOT_MS : 0;
      records.push({ number: records.length + 1, boot, uptimeMs: uptimeMs - late, slot, importMwh, exportMwh });
      if (clock) times.add({ boot, uptimeMs: uptimeMs - late, unixMs: slotEndMs(slot), exact: true });
    }
    startMs += (minutes + pauseMinutes) * MINUTE;
  });
  return { records, times };
}

test('property: quarter hours touch, none comes twice, and they sum to the difference of two registers', (t) => {
  fc.assert(
    fc.property(history, (boots) => {
      const { records, times } = recordsOf(boots);
      const { slots } = measureSlots(NO_PROGRESS, records, [], times, NEVER);
      for (const [i, slot] of slots.entries()) {
        if (slot.endImportMwh < slot.startImportMwh || slot.endExportMwh < slot.startExportMwh) return false;
        if (i === 0) continue;
        const before = slots[i - 1];
        if (slot.slot !== before.slot + 1) return false;
        if (slot.startImportMwh !== before.endImportMwh || slot.startExportMwh !== before.endExportMwh) return false;
      }
      const exactEnds = records.filter(({ slot }) => slot > 0);
      const [first, last] = [exactEnds[0], exactEnds.at(-1)];
      if (first === undefined || last === undefined || last.slot === first.slot) return true;
      const within = slots.filter(({ slot }) => slot > first.slot && slot <= last.slot);
      const sum = within.reduce((total, s) => total + s.endImportMwh - s.startImportMwh, 0);
      return within.length === last.slot - first.slot && sum === last.importMwh - first.importMwh;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('property: it does not matter in what portions the records arrive', (t) => {
  fc.assert(
    fc.property(history, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 40, maxLength: 40 }), (boots, sizes) => {
      const { records, times } = recordsOf(boots);
      const whole = measureSlots(NO_PROGRESS, records, [], times, NEVER);
      let progress: Progress = NO_PROGRESS;
      const slots: MeasuredSlot[] = [];
      for (let to = 0, i = 0; to < records.length; i++) {
        to += sizes[i % sizes.length];
        const waiting = records.slice(0, to).filter(({ number }) => number > progress.record);
        const step = measureSlots(progress, waiting, [], times, NEVER);
        slots.push(...step.slots);
        progress = JSON.parse(JSON.stringify(step.progress)); // as a restart would find it
      }
      t.deepEqual(slots, whole.slots);
    }),
    { numRuns: 200 },
  );
});

test('property: at constant power every quarter hour has its share to the mWh, wherever the points lie', (t) => {
  const instants = fc.uniqueArray(fc.integer({ min: 0, max: 20 * SLOT_MS }), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(instants, fc.integer({ min: 0, max: 20_000 }), (offsets, watts) => {
      const points = offsets
        .sort((a, b) => a - b)
        .map((offset) => point(slotStartMs(S) + offset, Math.floor((watts * offset) / 3600), 0, false));
      const share = watts * 250;
      return run(points).every((s) => Math.abs(s.endImportMwh - s.startImportMwh - share) <= 2);
    }),
    { numRuns: 500 },
  );
  t.pass();
});
