import test from 'ava';
import fc from 'fast-check';
import { quantiseReading, roundRegister } from '../../../protocol/readings/quantise.ts';

test('a register is rounded to the nearest step, halves up', (t) => {
  t.is(roundRegister(0, 50), 0);
  t.is(roundRegister(24_999, 50), 0);
  t.is(roundRegister(25_000, 50), 50);
  t.is(roundRegister(74_999, 50), 50);
  t.is(roundRegister(1_499, 1), 1);
  t.is(roundRegister(1_500, 1), 2);
  t.is(roundRegister(4_500_000_000_024_999, 50), 4_500_000_000_000, 'exact where a float division would not be');
});

test('what one slot was rounded off is carried into the next', (t) => {
  const registers = [0, 20_000, 40_000, 60_000, 80_000, 100_000];
  const values = registers.slice(1).map((end, i) => {
    const at = (importMwh: number) => ({ importMwh, exportMwh: 0 });
    return quantiseReading(i, at(registers[i]), at(end), 50).importWh;
  });
  t.deepEqual(values, [0, 50, 0, 50, 0], '20 Wh a slot, reported at 50 Wh: 100 Wh in all');
});

test('every value is a step from 0 on, within one step of the truth, and so is the sum of any run', (t) => {
  const growth = fc.array(fc.tuple(fc.nat(15_000_000), fc.nat(15_000_000)), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.nat(2 ** 48), fc.constantFrom(1, 10, 50, 100, 333), growth, (startMwh, resolutionWh, growths) => {
      let at = { importMwh: startMwh, exportMwh: Math.floor(startMwh / 8) };
      const trueMwh = { importMwh: 0, exportMwh: 0 };
      const reported = { importWh: 0, exportWh: 0 };
      growths.forEach(([importMwh, exportMwh], slot) => {
        const end = { importMwh: at.importMwh + importMwh, exportMwh: at.exportMwh + exportMwh };
        const reading = quantiseReading(slot, at, end, resolutionWh);
        for (const valueWh of [reading.importWh, reading.exportWh]) {
          t.true(valueWh >= 0);
          t.is(valueWh % resolutionWh, 0);
        }
        t.true(Math.abs(reading.importWh * 1000 - importMwh) <= resolutionWh * 1000);
        trueMwh.importMwh += importMwh;
        trueMwh.exportMwh += exportMwh;
        reported.importWh += reading.importWh;
        reported.exportWh += reading.exportWh;
        t.true(Math.abs(reported.importWh * 1000 - trueMwh.importMwh) <= resolutionWh * 1000);
        t.true(Math.abs(reported.exportWh * 1000 - trueMwh.exportMwh) <= resolutionWh * 1000);
        at = end;
      });
    }),
  );
});

test('a register that fell, or is no integer, is refused by name', (t) => {
  const zero = { importMwh: 0, exportMwh: 0 };
  const message = (work: () => unknown): string => t.throws(work, { instanceOf: RangeError })!.message;
  t.regex(
    message(() => quantiseReading(1, { ...zero, exportMwh: 5 }, { ...zero, exportMwh: 4 }, 50)),
    /^end\.exportMwh/,
  );
  t.regex(
    message(() => quantiseReading(1, { ...zero, importMwh: -1 }, zero, 50)),
    /^start\.importMwh/,
  );
  t.regex(
    message(() => quantiseReading(1, zero, { ...zero, importMwh: 0.5 }, 50)),
    /^end\.importMwh/,
  );
  t.regex(
    message(() => quantiseReading(1, zero, zero, 0)),
    /^resolutionWh/,
  );
});
