import test from 'ava';
import {
  NOMINAL_VOLTAGE_V,
  type ShapeName,
  shapeNames,
  shapes,
  sine,
  WAVE_POINTS,
} from '../../../bench/loads/shapes.ts';

const voltage = sine().map((value) => value * NOMINAL_VOLTAGE_V * Math.SQRT2);
const mean = (of: (n: number) => number): number => {
  let sum = 0;
  for (let n = 0; n < WAVE_POINTS; n++) sum += of(n);
  return sum / WAVE_POINTS;
};
const shaped = shapeNames.filter((name): name is Exclude<ShapeName, 'resistive'> => name !== 'resistive');

/** Against a pure sine of 230 V: 1 W over 230 V times the RMS current. Figures as the shapes' comments say. */
const powerFactors: Record<Exclude<ShapeName, 'resistive'>, number> = {
  motor: 0.69, // recorded refrigerator: 0.68
  phaseFired: 0.71, // √½: half of a sine's square
  supply: 0.62,
  light: 0.61,
  corrected: 0.99,
  induction: 0.79, // recorded induction cooker: 0.71
  standby: 0.49,
  inverter: 1.0,
};

for (const name of shaped) {
  const current = shapes[name];

  test(`${name}: a unit draws 1 W, with the power factor that it is said to have`, (t) => {
    t.true(Math.abs(mean((n) => voltage[n] * current[n]) - 1) < 1e-12);
    const powerFactor = 1 / (NOMINAL_VOLTAGE_V * Math.sqrt(mean((n) => current[n] ** 2)));
    t.is(Math.round(powerFactor * 100) / 100, powerFactors[name]);
  });

  test(`${name}: both halves of the wave are alike, so there is no direct current`, (t) => {
    for (let n = 0; n < WAVE_POINTS / 2; n++) {
      t.true(Math.abs(current[n] + current[n + WAVE_POINTS / 2]) < 1e-12, `point ${n}`);
    }
  });
}
