/**
 * How the meter is run. (Espruino dialect: the firmware imports this file.)
 */

/**
 * Pairs of voltage and current in one window: 82 ms, four cycles at 50 Hz. The meter takes one window a second. Noise falls
 * with the root of their number: small currents need many (bench/measure/accuracy says how many it measured with).
 */
export const PAIRS_PER_WINDOW = 512;
/** Import and export cancel within such a block and are split after it. */
export const NETTING_BLOCK_MS = 10000;
export const NOMINAL_V = 230;
export const NOMINAL_HZ = 50;
/** Basic current I_b of the meter's rating plate, "5 (60) A". */
export const BASIC_CURRENT_A = 5;
/** The meter has to count from 0.2 % of the basic current on (metering/registers.ts). */
export const START_CURRENT_A = 0.01;
