/**
 * How many credentials a slot's export is worth (paper, section 4.C: ⌊T·R/V⌋). (Espruino dialect: the firmware imports this file)
 *
 *   T   mWh that the slot exported for the control centre, as the allocation ledger granted it
 *   R   the slot's weight, credits per kWh, 0 … 65,535
 *   V   credits of one credential
 *
 * T·R is counted in microcredits (mWh × credits/kWh), so nothing is ever rounded: what does not make a whole credential is carried to
 * the next slot.
 */
export const MICROCREDITS = 1000000;
/** Highest weight: with it and 1 GWh in a slot everything is still exact. */
export const WEIGHT_MOST = 65535;

export interface Claim {
  /** Credentials to be shown. */
  count: number;
  /** Left for the next slot; less than one credential where `available` does not limit the count. */
  carriedMicrocredits: number;
}

/** @param available how many credentials there are; what they do not cover stays carried */
export function claimOf(
  soldMwh: number,
  weight: number,
  carriedMicrocredits: number,
  value: number,
  available: number,
): Claim {
  const credential = value * MICROCREDITS;
  const total = soldMwh * weight + carriedMicrocredits;
  const count = Math.min(Math.floor(total / credential), available);
  return { count, carriedMicrocredits: total - count * credential };
}
