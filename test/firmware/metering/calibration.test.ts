import test from 'ava';
import { type Calibration, checkCalibration, nominalCalibration } from '../../../firmware/metering/calibration.ts';

test('the board as drawn is a calibration, and survives JSON', (t) => {
  const nominal = nominalCalibration();
  t.deepEqual(checkCalibration(JSON.parse(JSON.stringify(nominal))), nominal);
});

test('the nominal code table is the line of the data sheet', (t) => {
  const { codeTableUv } = nominalCalibration();
  t.is(codeTableUv[0], 142_000);
  t.is(codeTableUv[32], Math.round(142_000 + 2048 * 805.636));
  t.is(codeTableUv[64], 3_134_500);
});

// biome-ignore lint/suspicious/noExplicitAny: what is wrong on purpose has no type
const wrong: [path: string, change: (c: any) => void][] = [
  ['calibration: an object', () => {}],
  ['calibration.format', (c) => (c.format = 2)],
  ['calibration.codeTableUv: a list of 65', (c) => c.codeTableUv.pop()],
  ['calibration.codeTableUv[7]', (c) => (c.codeTableUv[7] = c.codeTableUv[6])],
  ['calibration.codeTableUv[3]', (c) => (c.codeTableUv[3] = null)],
  ['calibration.biasUv', (c) => delete c.biasUv],
  ['calibration.biasUv.voltage', (c) => (c.biasUv.voltage = '1300000')],
  ['calibration.noiseUv.current', (c) => (c.noiseUv.current = -1)],
  ['calibration.skewPpm', (c) => (c.skewPpm = 0.5)],
  ['calibration.sampleClockPpm', (c) => (c.sampleClockPpm = Number.NaN)],
  ['calibration.crosstalk.voltageInCurrentPpm', (c) => (c.crosstalk.voltageInCurrentPpm = [1])],
  ['calibration.crosstalk.currentInVoltagePpm[1]', (c) => (c.crosstalk.currentInVoltagePpm = [1, 1e9])],
  ['calibration.voltage.pinUvPerV', (c) => (c.voltage.pinUvPerV = 0)],
  ['calibration.voltage.points: a list of 1 to 32', (c) => (c.voltage.points = [])],
  ['calibration.current.reversed', (c) => (c.current.reversed = 1)],
  ['calibration.current.points[2]: ', (c) => (c.current.points[2] = 5)],
  [
    'calibration.current.points[1].shownMilli',
    (c) => (c.current.points[1].shownMilli = c.current.points[0].shownMilli),
  ],
  ['calibration.current.points[1].leadUrad', (c) => (c.current.points[1].leadUrad = 1e7)],
];
for (const [path, change] of wrong) {
  test(`an error names the field: ${path}`, (t) => {
    const c = JSON.parse(JSON.stringify(nominalCalibration()));
    change(c);
    const error = t.throws(() => checkCalibration(path === 'calibration: an object' ? [c] : c));
    t.true(error.message.startsWith(path), error.message);
  });
}

test('garbage is refused', (t) => {
  for (const garbage of [null, undefined, 5, 'x', [], {}, { format: 1 }] as unknown as Calibration[]) {
    t.throws(() => checkCalibration(garbage), { message: /^calibration/ });
  }
});
