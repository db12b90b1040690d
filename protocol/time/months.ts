/**
 * Keys and bills live a month: a calendar month of UTC, counted from January 1970 (= 0), so that a month's number is the
 * same for every party.
 */
import { SLOT_MS } from './slots.ts';

/** The month that contains the instant `unixMs`. */
export function monthOf(unixMs: number): number {
  const date = new Date(unixMs);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** The first instant of a month, Unix ms. */
export const monthStartMs = (month: number): number => Date.UTC(1970, month);

/** The first slot of a month. Months begin on a slot's border. */
export const monthFirstSlot = (month: number): number => monthStartMs(month) / SLOT_MS;
