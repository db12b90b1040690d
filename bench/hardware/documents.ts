/** Everything under docs/hardware and in hardware/ that is made from the circuit and from ngspice's answers. */

import { parts } from '../../hardware/circuit.ts';
import { FULL_RANGE_A, FULL_RANGE_V } from '../../hardware/front-end.ts';
import { drawing } from './draw.ts';
import { billOfMaterials, kicadNetlist } from './netlist.ts';
import { FREQUENCIES_HZ, PIN_LIMITS_V, RATED_A, RATED_V, type Response } from './response.ts';
import { deck } from './spice.ts';

/** Path from the project's root → contents. */
export type Documents = Record<string, string>;

export const RESPONSE_FILE = 'hardware/front-end-response.ts';

/** What is made from the circuit alone. */
export function circuitDocuments(): Documents {
  return {
    'docs/hardware/schematic.svg': drawing(),
    'docs/hardware/netlist.net': kicadNetlist(),
    'docs/hardware/front-end.cir': deck([{ sensors: 'real' }], {}, ['ac lin 5 45 65', 'print v(adc_v_0) v(adc_i_0)']),
    'docs/hardware/bill-of-materials.csv': billOfMaterials(),
  };
}

/** What is made from the simulation. */
export function responseDocuments(response: Response): Documents {
  return { [RESPONSE_FILE]: responseSource(response), 'docs/hardware/front-end.md': calculations(response) };
}

function responseSource(r: Response): string {
  const us = (value: number): string => value.toFixed(2);
  return `/**
 * The front end's filter, tolerances and noise as ngspice has them: made from hardware/circuit.ts by scripts/hardware, not to
 * be edited. (Espruino dialect: the firmware imports this file.)
 */

/** Time constant of the single pole that lags as much at 50 Hz, µs. */
export const FILTER_VOLTAGE_US = ${us(r.timeConstantUs.voltage)};
export const FILTER_CURRENT_US = ${us(r.timeConstantUs.current)};
/** A board's two time constants may differ from these by so much, ± of the value. */
export const FILTER_TOLERANCE = ${((r.tolerance.lagDifferenceUrad / r.lagUrad.voltage[FREQUENCIES_HZ.indexOf(50)]) * 0.5).toFixed(3)};
/** What resistors do to the gain before it is calibrated, ±. */
export const CIRCUIT_GAIN_TOLERANCE = ${(Math.max(r.tolerance.gainPpm.voltage, r.tolerance.gainPpm.current) / 1e6).toFixed(4)};
/** Of the bias, with the regulator's, ±. */
export const BIAS_TOLERANCE = ${(r.tolerance.biasPpm / 1e6).toFixed(3)};
`;
}

const partValue = (ref: string): string => parts.find((part) => part.ref === ref)!.value;

function calculations(r: Response): string {
  const at50 = FREQUENCIES_HZ.indexOf(50);
  const si = (ref: string): number => parts.find((part) => part.ref === ref)!.si!;
  const degrees = (urad: number): string => ((urad / 1e6) * (180 / Math.PI)).toFixed(3);
  const rows = FREQUENCIES_HZ.map(
    (hz, n) =>
      `| ${hz} Hz | ${(r.gain.voltage[n] * 1e3).toFixed(4)} | ${degrees(r.lagUrad.voltage[n])}° | ${(r.gain.current[n] * 1e3).toFixed(4)} | ${degrees(r.lagUrad.current[n])}° |`,
  );
  const band = (name: string, { lowV, highV }: { lowV: number; highV: number }): string =>
    `| ${name} | ${lowV.toFixed(3)} V | ${highV.toFixed(3)} V | ${((lowV - PIN_LIMITS_V.low) * 1e3).toFixed(0)} mV |`;
  const powerError = (urad: number): string => ((urad / 1e6) * Math.tan(Math.PI / 3) * 100).toFixed(2);
  return `# The front end in numbers

Made by \`scripts/hardware\` from [the circuit](../../hardware/circuit.ts) and ngspice; a test runs ngspice again and compares.

## How the values come about

- **Burden of the clamp.** ${partValue('R5')} behind 2000 : 1. A sine of ${FULL_RANGE_A.toFixed(1)} A is 1.0 V of peak at the pin; the rating is ${RATED_A} A.
- **Voltage.** ${partValue('R1')} and ${partValue('R2')} make the current of a 2 mA : 2 mA transformer (${((RATED_V / (si('R1') + si('R2'))) * 1e3).toFixed(2)} mA at ${RATED_V} V), ${partValue('R3')} its burden: ${FULL_RANGE_V} V are 1.0 V of peak. Two resistors in a row, because one would have to hold off the mains alone.
- **Bias.** 3.3 V × ${partValue('R8')} / (${partValue('R7')} + ${partValue('R8')}) = ${((3.3 * si('R8')) / (si('R7') + si('R8'))).toFixed(3)} V: the wave's feet stay above the ADC's dead zone (142 mV), its tops below the steep part of its bend. A buffer for each channel, because one for both would couple the current into the voltage.
- **Filter.** (R3 + R4) · C1 and (R5 + R6) · C2 are alike on purpose: ${r.timeConstantUs.voltage.toFixed(1)} and ${r.timeConstantUs.current.toFixed(1)} µs. What lags alike on both channels turns no power into the wrong quadrant.
- **Protection.** F1 and RV1 on the mains' side; a suppressor across the burden, because a clamp without one makes hundreds of volts; 1 kΩ and two diodes at each pin.

## Gain and lag, without the sensors' own lead

| | voltage, mV/V | lag | current, mV/A | lag |
|---|---|---|---|---|
${rows.join('\n')}

## How far boards differ before they are calibrated

Every part anywhere within its tolerance: gain ±${(r.tolerance.gainPpm.voltage / 1e4).toFixed(2)} % (voltage), ±${(r.tolerance.gainPpm.current / 1e4).toFixed(2)} % (current); the two lags differ by at most ${degrees(r.tolerance.lagDifferenceUrad)}°, which is ${powerError(r.tolerance.lagDifferenceUrad)} % of the power at power factor 0.5; the bias by ±${(r.tolerance.biasPpm / 1e4).toFixed(1)} % with the regulator's. Calibration removes all of it.

## What calibration does not remove: temperature

From 25 °C to −10 °C and 60 °C the gain moves by ${(r.temperature.gainPpm.current / 1e4).toFixed(3)} % (current) and ${(r.temperature.gainPpm.voltage / 1e4).toFixed(4)} % (voltage). The copper in the clamp moves its lead: the angle between voltage and current moves by up to ${degrees(r.temperature.leadDifferenceUrad)}°, which is ${powerError(r.temperature.leadDifferenceUrad)} % of the power at power factor 0.5 and nothing at 1. So a clamp belongs where it does not freeze, and is calibrated at the temperature of its place. (The windings' resistances are assumed: 100 Ω and 110 Ω.)

## Head room at 120 % of the rating

${(RATED_A * 1.2).toFixed(0)} A and ${(RATED_V * 1.2).toFixed(0)} V, the worst bias:

| | lowest | highest | above the dead zone |
|---|---|---|---|
${band('voltage', r.overload.voltage)}
${band('current', r.overload.current)}

## Noise

${r.noiseUv.voltage.toFixed(1)} µV and ${r.noiseUv.current.toFixed(1)} µV at the pins: a thousandth of the ADC's own (3.2 mV). ${(r.gain.current[at50] * 1e3 * 0.01).toFixed(2)} mV are the smallest current that has to be counted, 10 mA.
`;
}
