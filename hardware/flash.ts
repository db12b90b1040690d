/**
 * The part of the flash chip that the meter's journal owns, as data. (Espruino dialect: the firmware imports this file.)
 */
export interface FlashRegion {
  /** First byte, as Espruino's Flash module counts. */
  address: number;
  /** The smallest unit that can be erased. */
  pageBytes: number;
  pageCount: number;
  /** What is written is whole words; a write only clears bits. */
  wordBytes: number;
}

/**
 * Lies outside Storage, nvs and the program in both partition layouts of Espruino 2v29 for the ESP32. What the port's own
 * `getFree()` answers is wrong: one of its ranges lies inside Storage, another overlaps nvs. A build with a larger free range
 * states it here; from 64 pages on the registers are kept every second instead of every ten.
 */
export const JOURNAL_REGION: FlashRegion = { address: 0x310000, pageBytes: 4096, pageCount: 16, wordBytes: 4 };

/** Erases that a page is good for (serial NOR flash on the usual modules: 100,000). */
export const PAGE_ENDURANCE_ERASES = 100000;
/** How long the chip is busy with one erase, during which nothing runs: typical, and the data sheet's worst case. */
export const ERASE_TYPICAL_MS = 45;
export const ERASE_WORST_MS = 400;
