import test from 'ava';
import fc from 'fast-check';
import { hostDsp } from '../../../bench/board/metered-chip.ts';
import { nominalCalibration } from '../../../firmware/metering/calibration.ts';
import { type Measurement, Metering, meteringConfig } from '../../../firmware/metering/meter.ts';
import { ADC_DEAD_ZONE_V, ADC_LSB_V } from '../../../hardware/adc.ts';
import { BIAS_V, PIN_V_PER_A, PIN_V_PER_V } from '../../../hardware/front-end.ts';
import { FLAG_CLIPPED, FLAG_NO_VOLTAGE } from '../../../protocol/wire/link-messages.ts';

/** A board without any error: straight ADC, no noise, sensors without lead. */
function perfectCalibration() {
  const c = nominalCalibration();
  c.noiseUv = { voltage: 0, current: 0 };
  c.voltage.points = [{ shownMilli: 1, ratioPpm: 0, leadUrad: 0 }];
  c.current.points = [{ shownMilli: 1, ratioPpm: 0, leadUrad: 0 }];
  return c;
}

const WINDOW_S = 0.0817;

interface Load {
  voltageV: number;
  currentA: number;
  lagDeg: number;
  hz?: number;
  phase?: number;
  biasV?: number;
}

/** What a perfect board's ADC reads. */
function codes({ voltageV, currentA, lagDeg, hz = 50, phase = 0.3, biasV = BIAS_V }: Load): Uint16Array {
  const raw = new Uint16Array(1024);
  for (let n = 0; n < raw.length; n++) {
    const theta = 2 * Math.PI * hz * ((n * WINDOW_S) / raw.length) + phase;
    const pinV =
      n % 2 === 0
        ? voltageV * Math.SQRT2 * Math.sin(theta) * PIN_V_PER_V
        : currentA * Math.SQRT2 * Math.sin(theta - (lagDeg * Math.PI) / 180) * PIN_V_PER_A;
    raw[n] = Math.max(0, Math.min(4095, Math.round((biasV + pinV - ADC_DEAD_ZONE_V) / ADC_LSB_V)));
  }
  return raw;
}

/** After some windows, when frequency and offsets have settled. */
function measure(load: Load, calibration = perfectCalibration()): Measurement {
  const metering = new Metering(hostDsp, calibration, meteringConfig());
  for (let n = 0; n < 12; n++) metering.window(codes({ ...load, phase: (load.phase ?? 0) + n }), WINDOW_S);
  return metering.measurement;
}

const near = (actual: number, expected: number, tolerance: number): boolean => Math.abs(actual - expected) <= tolerance;

test('a resistive load', (t) => {
  const m = measure({ voltageV: 230, currentA: 10, lagDeg: 0 });
  t.true(near(m.powerMw, 2_300_000, 1500), String(m.powerMw));
  t.true(near(m.reactiveMvar, 0, 3000), String(m.reactiveMvar));
  t.true(near(m.apparentMva, 2_300_000, 1500));
  t.true(near(m.voltageMv, 230_000, 60));
  t.true(near(m.currentMa, 10_000, 5));
  t.true(m.powerFactorE4 >= 9998 && m.powerFactorE4 <= 10_000);
  t.true(near(m.frequencyMhz, 50_000, 3), String(m.frequencyMhz));
  t.is(m.flags, 0);
});

test('an inductive load: reactive power +, power factor 0.5', (t) => {
  const m = measure({ voltageV: 230, currentA: 20, lagDeg: 60 });
  t.true(near(m.powerMw, 2_300_000, 3000), String(m.powerMw));
  t.true(near(m.reactiveMvar, 3_983_717, 4000), String(m.reactiveMvar));
  t.true(near(m.powerFactorE4, 5000, 5), String(m.powerFactorE4));
});

test('a capacitive load: reactive power −', (t) => {
  const m = measure({ voltageV: 230, currentA: 20, lagDeg: -36.8699 });
  t.true(near(m.powerFactorE4, 8000, 5), String(m.powerFactorE4));
  t.true(near(m.reactiveMvar, -2_760_000, 4000), String(m.reactiveMvar));
});

test('export is negative, power factor too', (t) => {
  const m = measure({ voltageV: 230, currentA: 10, lagDeg: 180 });
  t.true(near(m.powerMw, -2_300_000, 1500));
  t.true(m.powerFactorE4 <= -9998);
  t.true(m.apparentMva > 0);
});

test('a clamp that commissioning has marked as reversed is turned', (t) => {
  const calibration = perfectCalibration();
  calibration.current.reversed = true;
  const m = measure({ voltageV: 230, currentA: 10, lagDeg: 180 + 60 }, calibration);
  t.true(near(m.powerMw, 1_150_000, 1500), String(m.powerMw));
  t.true(m.reactiveMvar > 0);
});

test('the lead and ratio of the clamp are undone', (t) => {
  const calibration = perfectCalibration();
  calibration.current.points = [
    { shownMilli: 5_000, ratioPpm: 10_000, leadUrad: 52_360 }, // 3°, and 1 % too much
    { shownMilli: 15_000, ratioPpm: -10_000, leadUrad: 34_907 }, // 2°
  ];
  // At 10 A half-way: what arrives leads by 2.5°.
  const m = measure({ voltageV: 230, currentA: 10, lagDeg: 60 - 2.5 }, calibration);
  t.true(near(m.powerMw, 1_150_000, 1500), String(m.powerMw));
  t.true(near(m.currentMa, 10_000, 5));
});

test('any frequency from 45 to 55 Hz, at any phase, from the first window on', (t) => {
  fc.assert(
    fc.property(
      fc.double({ min: 45, max: 55, noNaN: true }),
      fc.double({ min: 0, max: 6.3, noNaN: true }),
      fc.constantFrom(0, 60, 180, 240),
      (hz, phase, lagDeg) => {
        const metering = new Metering(hostDsp, perfectCalibration(), meteringConfig());
        const load = { voltageV: 230, currentA: 20, lagDeg, hz };
        const expected = 4_600_000 * Math.cos((lagDeg * Math.PI) / 180);
        const first = metering.window(codes({ ...load, phase }), WINDOW_S);
        const firstOff = Math.abs(first.powerMw - expected) / 4_600_000;
        for (let n = 0; n < 30; n++) metering.window(codes({ ...load, phase: phase + n }), WINDOW_S);
        const m = metering.measurement;
        return (
          firstOff < 0.02 &&
          Math.abs(m.powerMw - expected) / 4_600_000 < 0.0015 &&
          Math.abs(m.frequencyMhz - 1000 * hz) < 30
        );
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

test('a bias that is off is tracked', (t) => {
  const m = measure({ voltageV: 230, currentA: 0.6, lagDeg: 0, biasV: BIAS_V + 0.02 });
  t.true(near(m.powerMw, 138_000, 700), String(m.powerMw));
});

test('crosstalk is taken out: the current is what the voltage leaks, and nothing else', (t) => {
  const calibration = perfectCalibration();
  calibration.crosstalk.voltageInCurrentPpm = [20_000, 0];
  const leakedA = (0.02 * 230 * PIN_V_PER_V) / PIN_V_PER_A;
  const m = measure({ voltageV: 230, currentA: leakedA, lagDeg: 0 }, calibration);
  t.true(Math.abs(m.powerMw) < 500, `${m.powerMw} of ${Math.round(230_000 * leakedA)} mW`);
});

test('a clipped window repeats the last good one and says so; a lasting overload is counted', (t) => {
  const metering = new Metering(hostDsp, perfectCalibration(), meteringConfig());
  const good = codes({ voltageV: 230, currentA: 10, lagDeg: 0 });
  const overload = codes({ voltageV: 230, currentA: 120, lagDeg: 0 });
  const spike = good.slice();
  spike[301] = 4095;
  for (let n = 0; n < 5; n++) metering.window(good, WINDOW_S);
  const before = { ...metering.measurement };
  t.deepEqual({ ...metering.window(spike, WINDOW_S) }, { ...before, flags: FLAG_CLIPPED });
  t.is(metering.window(good, WINDOW_S).flags, 0);
  for (let n = 0; n < 10; n++) t.is(metering.window(overload, WINDOW_S).powerMw, metering.measurement.powerMw);
  t.true(metering.measurement.powerMw < 2_400_000);
  const lasting = metering.window(overload, WINDOW_S);
  t.is(lasting.flags, FLAG_CLIPPED);
  t.true(lasting.powerMw > 15_000_000, String(lasting.powerMw));
});

test('without mains voltage there is no power, and it is said', (t) => {
  const m = measure({ voltageV: 20, currentA: 10, lagDeg: 0 });
  t.is(m.flags, FLAG_NO_VOLTAGE);
  t.deepEqual([m.powerMw, m.reactiveMvar, m.apparentMva, m.voltageMv, m.frequencyMhz], [0, 0, 0, 0, 0]);
});

test('voltage comes back after an interruption', (t) => {
  const metering = new Metering(hostDsp, perfectCalibration(), meteringConfig());
  for (let n = 0; n < 20; n++) metering.window(codes({ voltageV: 0, currentA: 0, lagDeg: 0 }), WINDOW_S);
  for (let n = 0; n < 3; n++) metering.window(codes({ voltageV: 230, currentA: 10, lagDeg: 0, phase: n }), WINDOW_S);
  t.true(near(metering.measurement.powerMw, 2_300_000, 3000), String(metering.measurement.powerMw));
});

test('every result is an integer, whatever the samples', (t) => {
  fc.assert(
    fc.property(
      fc.infiniteStream(fc.integer({ min: 0, max: 4095 })),
      fc.double({ min: 0.04, max: 0.2, noNaN: true }),
      (stream, windowS) => {
        const metering = new Metering(hostDsp, nominalCalibration(), meteringConfig());
        for (let n = 0; n < 12; n++) {
          const raw = Uint16Array.from({ length: 1024 }, () => stream.next().value);
          const m = metering.window(raw, windowS);
          if (!Object.values(m).every((x) => Number.isInteger(x))) return false;
        }
        return true;
      },
    ),
    { numRuns: 20 },
  );
  t.pass();
});
