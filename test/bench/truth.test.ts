import test from 'ava';
import fc from 'fast-check';
import { Truth } from '../../bench/truth.ts';
import { slotOf } from '../../protocol/time/slots.ts';

const NOON = Date.UTC(2024, 5, 18, 12);

const truthOf = (startMs: number, powersW: number[]): Truth => {
  const truth = new Truth();
  powersW.forEach((powerW, n) => {
    truth.add(startMs + n * 1000, powerW);
  });
  return truth;
};

test('3600 W for an hour are 3.6 kWh imported, in four quarter hours of 0.9 kWh', (t) => {
  const truth = truthOf(NOON, new Array(3600).fill(3600));
  t.deepEqual(truth.total(), { importMwh: 3_600_000, exportMwh: 0 });
  t.deepEqual(
    truth.quarterHours(),
    [0, 1, 2, 3].map((n) => ({ slot: slotOf(NOON) + n, importMwh: 900_000, exportMwh: 0, seconds: 900 })),
  );
});

test('import and export within ten seconds of the clock cancel; in two blocks they do not', (t) => {
  const turns = [...new Array(5).fill(720), ...new Array(5).fill(-720)]; // 1000 mWh to and fro
  t.deepEqual(truthOf(NOON, turns).total(), { importMwh: 0, exportMwh: 0 });
  t.deepEqual(truthOf(NOON + 5000, turns).total(), { importMwh: 1000, exportMwh: 1000 });
  t.deepEqual(truthOf(NOON + 4000, turns).total(), { importMwh: 800, exportMwh: 800 }); // one second of import is netted
});

test('a block in the making counts, split as it stands', (t) => {
  t.deepEqual(truthOf(NOON, [3600, 3600]).total(), { importMwh: 2000, exportMwh: 0 });
  t.deepEqual(truthOf(NOON, [3600, 3600, -7200, -3600]).quarterHour(slotOf(NOON)), {
    slot: slotOf(NOON),
    importMwh: 0,
    exportMwh: 1000,
    seconds: 4,
  });
  t.deepEqual(new Truth().total(), { importMwh: 0, exportMwh: 0 });
});

test('seconds that are left out count nothing, and the quarter hour says that they are missing', (t) => {
  const truth = new Truth();
  truth.add(NOON, 3600);
  truth.add(NOON + 7000, 3600); // the same block
  truth.add(NOON + 600_000, -3600);
  truth.add(NOON + 86_400_000, 3600);
  t.deepEqual(truth.quarterHours(), [
    { slot: slotOf(NOON), importMwh: 2000, exportMwh: 1000, seconds: 3 },
    { slot: slotOf(NOON) + 96, importMwh: 1000, exportMwh: 0, seconds: 1 },
  ]);
});

test('the total of some slots leaves the others out', (t) => {
  const truth = truthOf(NOON, new Array(3 * 900).fill(-3600));
  const slot = slotOf(NOON);
  t.deepEqual(truth.total(slot + 1, slot + 1), { importMwh: 0, exportMwh: 900_000 });
  t.deepEqual(truth.total(slot + 1), { importMwh: 0, exportMwh: 1_800_000 });
  t.deepEqual(truth.total(slot, slot + 1), { importMwh: 0, exportMwh: 1_800_000 });
});

test('the same second twice, an earlier one and half a second are refused', (t) => {
  const truth = truthOf(NOON, [1]);
  for (const atMs of [NOON, NOON - 1000, NOON + 1500]) t.throws(() => truth.add(atMs, 1), { instanceOf: RangeError });
  t.is(truth.quarterHour(slotOf(NOON)).seconds, 1);
});

test('splitting conserves energy: import − export is the net, and the quarter hours are the total', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2000 }),
      fc.array(fc.integer({ min: -10_000, max: 10_000 }), { minLength: 1, maxLength: 3000, size: 'max' }),
      (offsetS, powersW) => {
        const truth = truthOf(NOON + offsetS * 1000, powersW);
        const { importMwh, exportMwh } = truth.total();
        const netMwh = powersW.reduce((sum, powerW) => sum + powerW, 0) / 3.6;
        const slots = truth.quarterHours();
        return (
          importMwh >= 0 &&
          exportMwh >= 0 &&
          Math.abs(importMwh - exportMwh - netMwh) <= 1 + 1e-6 && // each was rounded once
          Math.abs(slots.reduce((sum, slot) => sum + slot.importMwh, 0) - importMwh) <= 0.5 * (slots.length + 1) &&
          Math.abs(slots.reduce((sum, slot) => sum + slot.exportMwh, 0) - exportMwh) <= 0.5 * (slots.length + 1) &&
          slots.reduce((sum, slot) => sum + slot.seconds, 0) === powersW.length
        );
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});
