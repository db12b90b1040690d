/**
 * How the meter is run. (Espruino dialect: the firmware imports this file.)
 */

/** Pairs of voltage and current in one window: 82 ms, four cycles at 50 Hz. */
export const PAIRS_PER_WINDOW = 512;
/**
 * Windows in a second. One is what the bench simulates. Noise falls with the root of it: what is claimed for small
 * currents holds at ten (metering.md), and a board should run as many as its interpreter manages.
 */
export const WINDOWS_PER_SECOND = 1;
/** Import and export cancel within such a block and are split after it. */
export const NETTING_BLOCK_MS = 10000;
/** At the end of each block the registers go to flash. */
export const CHECKPOINT_MS = 10000;

export const NOMINAL_V = 230;
export const NOMINAL_HZ = 50;
/** Basic current I_b of the meter's rating plate, "5 (60) A". */
export const BASIC_CURRENT_A = 5;
/** The meter has to count from 0.2 % of the basic current on; half of that power still does not open the gate. */
export const START_CURRENT_A = 0.01;
