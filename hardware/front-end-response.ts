/**
 * The front end's filter, tolerances and noise as ngspice has them: made from hardware/circuit.ts by scripts/hardware, not to
 * be edited. (Espruino dialect: the firmware imports this file.)
 */

/** Time constant of the single pole that lags as much at 50 Hz, µs. */
export const FILTER_VOLTAGE_US = 33.71;
export const FILTER_CURRENT_US = 33.75;
/** A board's two time constants may differ from these by so much, ± of the value. */
export const FILTER_TOLERANCE = 0.054;
/** What resistors do to the gain before it is calibrated, ±. */
export const CIRCUIT_GAIN_TOLERANCE = 0.0018;
/** Of the bias, with the regulator's, ±. */
export const BIAS_TOLERANCE = 0.016;
