/**
 * From the mains to the ADC's pins; hardware/circuit.ts has every part. (Espruino dialect: the firmware imports this file.)
 *
 *   current   clamp n : 1 → burden → + bias → pin          volts at the pin = amps / turns × burden + bias
 *   voltage   2 mA : 2 mA transformer, series resistor and burden → + bias → pin
 *   both      a resistor and a capacitor before the pin, alike on both channels (front-end-response.ts)
 *
 * The bias keeps both halves of the wave above the ADC's dead zone and below its bend: ±1.0 V around 1.30 V is the full
 * range; a peak may go to −1.15 V and +1.15 V before it is bent or clipped.
 */
import { type CurrentTransformer, SCT013_000 } from './current-transformers.ts';
import { CIRCUIT_GAIN_TOLERANCE } from './front-end-response.ts';
import { type VoltageTransformer, ZMPT101B } from './voltage-transformers.ts';

export const BIAS_V = 1.3;
/** Peak of a sine of full range, at the pin, around the bias. */
export const FULL_RANGE_PEAK_V = 1.0;

/** What is soldered and clipped on; the tables list others. */
export const CURRENT_TRANSFORMER: CurrentTransformer = SCT013_000;
export const VOLTAGE_TRANSFORMER: VoltageTransformer = ZMPT101B;

/** E96. The rated 60 A RMS through 1 : 2000 are 0.94 V peak, and 120 % of them still end above the ADC's dead zone. */
export const BURDEN_OHM = 22.1;
/** Volts at the pin per ampere on the mains: turns and burden. */
export const PIN_V_PER_A = BURDEN_OHM / CURRENT_TRANSFORMER.turns;
/** RMS amperes of a sine that makes the full range. */
export const FULL_RANGE_A = FULL_RANGE_PEAK_V / PIN_V_PER_A / Math.sqrt(2);

/** RMS volts of a sine that makes the full range: 230 V and more than 20 % above it. */
export const FULL_RANGE_V = 280;
/** Volts at the pin per volt of the mains: series resistor, transformer and burden. */
export const PIN_V_PER_V = FULL_RANGE_PEAK_V / FULL_RANGE_V / Math.sqrt(2);

/** What clamps and voltage sensors may be off before they are calibrated, ±; the circuit adds its own. */
export const SENSOR_GAIN_TOLERANCE = 0.02;
export const GAIN_TOLERANCE = SENSOR_GAIN_TOLERANCE + CIRCUIT_GAIN_TOLERANCE;
/** The sample capacitor keeps so much of the other channel's voltage (assumed: no board was measured). */
export const CROSSTALK = 0.001;
