import vm from 'node:vm';
import test from 'ava';
import { type AdcChip, createAdcModel, makeChip } from '../../../bench/board/adc-model.ts';
import { calibrateChip } from '../../../bench/board/calibrate-chip.ts';
import { checkCalibration } from '../../../firmware/metering/calibration.ts';
import { BIAS_V } from '../../../hardware/front-end.ts';

const sine = (rms: number, leadDeg = 0): Float64Array =>
  Float64Array.from(
    { length: 512 },
    (_, n) => rms * Math.SQRT2 * Math.sin((2 * Math.PI * n) / 512 + (leadDeg * Math.PI) / 180),
  );

/** A chip without any fault. */
function idealChip() {
  const chip = makeChip(1, { inlLsb: 0, crosstalk: 0, noiseLsb: 0 });
  const none = { jitterS: 0, lateShare: 0, filterS: [0, 0] as [number, number] };
  return { ...chip, ...none, biasV: [BIAS_V, BIAS_V] as [number, number] };
}

test('the model runs in a realm of its own, equal to the one outside', (t) => {
  const chip = makeChip(3);
  const here = createAdcModel(chip, 42);
  const there = vm.runInContext(`(${createAdcModel})`, vm.createContext({}))(JSON.parse(JSON.stringify(chip)), 42);
  for (const model of [here, there]) model.setMains(50, 1, sine(230), sine(10, -30));
  let time = 0;
  for (let n = 0; n < 5000; n++) {
    t.is(there.sample(n & 1, time), here.sample(n & 1, time));
    time += here.lastStepS();
    there.lastStepS();
  }
});

test('dead zone, straight line, bend and top', (t) => {
  const chip = idealChip();
  const model = createAdcModel(chip, 1);
  const codeAt = (volts: number): number => {
    model.setPins(50, 1, new Float64Array(1).fill(volts), new Float64Array(1).fill(volts));
    return model.sample(0, 0);
  };
  t.is(codeAt(0), 0);
  t.is(codeAt(chip.deadZoneV - 0.001), 0);
  t.true(Math.abs(codeAt(1.3) - (1.3 - chip.deadZoneV) / chip.lsbV) <= 1);
  const line = (2.9 - chip.deadZoneV) / chip.lsbV;
  t.true(codeAt(2.9) > line + 50, 'above the bend the codes come faster');
  t.is(codeAt(3.3), 4095);
});

test('noise has its standard deviation, jitter its mean, and a seed is a seed', (t) => {
  const chip = makeChip(2, { inlLsb: 0 });
  const model = createAdcModel(chip, 9);
  const again = createAdcModel(chip, 9);
  const other = createAdcModel(chip, 10);
  const N = 100_000;
  let [sum, squares, seconds, differ] = [0, 0, 0, 0];
  for (let n = 0; n < N; n++) {
    const code = model.sample(1, 0);
    if (code !== again.sample(1, 0)) t.fail();
    if (code !== other.sample(1, 0)) differ++;
    sum += code;
    squares += code * code;
    seconds += model.lastStepS();
  }
  const deviation = Math.sqrt(squares / N - (sum / N) ** 2);
  t.true(Math.abs(deviation - 4) < 0.06, String(deviation)); // 4 LSB and the rounding
  t.true(Math.abs(seconds / N - (chip.stepS[1] + chip.lateShare * chip.lateS)) < 1e-7);
  t.true(differ > N / 2);
});

test('the clamp leads and misreads as its table says', (t) => {
  const chip = { ...idealChip(), clamp: { at: [10], ratio: [0.98], leadRad: [0.05] } };
  const { leadRad, gain } = currentOf(chip, 50);
  t.true(Math.abs(leadRad - 0.05) < 2e-4);
  t.true(Math.abs(gain / chip.pinVPerA - 0.98) < 1e-3);
});

test('the filter is a single pole, at the mains and at a harmonic', (t) => {
  const tau = 34e-6;
  const sensor = { at: [10], ratio: [1], leadRad: [0] };
  const chip = { ...idealChip(), clamp: sensor, filterS: [tau, tau] as [number, number] };
  for (const hz of [45, 50, 65, 350]) {
    const { leadRad, gain } = currentOf(chip, hz);
    const turn = 2 * Math.PI * hz * tau;
    t.true(Math.abs(leadRad + Math.atan(turn)) < 2e-4, `${hz} Hz: ${leadRad}`);
    t.true(Math.abs(gain / chip.pinVPerA - 1 / Math.hypot(1, turn)) < 1e-3, `${hz} Hz: ${gain}`);
  }
});

/** 20 A through the clamp: how far the pin leads, and its volts for one ampere. */
function currentOf(chip: AdcChip, hz: number): { leadRad: number; gain: number } {
  const model = createAdcModel(chip, 1);
  model.setMains(hz, 1, sine(230), sine(20));
  let [cos, sin] = [0, 0];
  const N = 4000;
  for (let n = 0; n < N; n++) {
    const volts = model.sample(1, n / N / hz) * chip.lsbV;
    cos += (volts * Math.sin((2 * Math.PI * n) / N) * 2) / N;
    sin += (volts * Math.cos((2 * Math.PI * n) / N) * 2) / N;
  }
  return { leadRad: Math.atan2(sin, cos), gain: Math.hypot(sin, cos) / (20 * Math.SQRT2) };
}

test('a direct current does not get through a transformer', (t) => {
  const chip = idealChip();
  const model = createAdcModel(chip, 1);
  model.setMains(
    50,
    1,
    sine(230),
    sine(5).map((x) => x + 3),
  );
  let sum = 0;
  for (let n = 0; n < 4000; n++) sum += model.sample(1, (0.02 * n) / 4000);
  t.true(Math.abs((sum / 4000) * chip.lsbV + chip.deadZoneV - BIAS_V) < 1e-3);
});

test('chips differ, and commissioning is repeatable and gives a valid document', (t) => {
  t.notDeepEqual(makeChip(1), makeChip(2));
  t.deepEqual(makeChip(1), makeChip(1));
  const chip = makeChip(4);
  const calibration = calibrateChip(chip, 1, 0.1);
  t.deepEqual(calibrateChip(chip, 1, 0.1), calibration);
  t.deepEqual(checkCalibration(JSON.parse(JSON.stringify(calibration))), calibration);
  // What it found is what the chip hides.
  t.true(Math.abs(calibration.voltage.pinUvPerV / (chip.pinVPerV * 1e6) - 1) < 0.01);
  t.true(Math.abs(calibration.crosstalk.voltageInCurrentPpm[0] - chip.crosstalk[1] * 1e6) < 60);
  t.true(Math.abs(calibration.skewPpm - (1e6 * chip.stepS[0]) / (chip.stepS[0] + chip.stepS[1])) < 12_000);
  t.true(Math.abs(calibration.biasUv.current - chip.biasV[1] * 1e6) < 1000);
});

test('waves of different length are refused', (t) => {
  t.throws(() => createAdcModel(makeChip(1), 1).setMains(50, 1, new Float64Array(4), new Float64Array(5)), {
    message: /different length/,
  });
});
