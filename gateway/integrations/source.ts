/**
 * What the integrations read of the household: its newest values, and nothing of it while they are not known. A value of 0
 * that only means "not known yet" would be counted as consumption by everything downstream once the real one comes.
 */
import { monthOf } from '../../protocol/time/months.ts';
import { SLOT_MS, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import type { HouseholdView, LivePoint } from '../web/household-view.ts';

export type Source = Pick<
  HouseholdView,
  'householdName' | 'nowMs' | 'latest' | 'onLive' | 'connection' | 'prices' | 'bill'
>;

export interface Now {
  point: LivePoint;
  /** Per kWh in the currency's unit (not in cents); null while no price is known. */
  importPrice: number | null;
  exportPrice: number | null;
  /** What the growing bill of the month comes to, in the currency's unit; null where the household is not billed here. */
  cost: number | null;
  /** ISO 4217; empty where there is none. */
  currency: string;
  /** When the month of the bill began. */
  monthStartMs: number;
}

const MILLI_CENT = 100_000;

/** Null while the meter is not heard: nothing is known, then. */
export function readNow(source: Source): Now | null {
  const point = source.latest();
  if (point === null || !source.connection().meter) return null;
  const nowMs = source.nowMs();
  const fromMs = slotStartMs(slotOf(nowMs));
  const price = source.prices(fromMs, fromMs + SLOT_MS)[0];
  const bill = source.bill(monthOf(nowMs));
  const of = (milliCent: number | undefined): number | null =>
    milliCent === undefined ? null : milliCent / MILLI_CENT;
  const start = new Date(nowMs);
  return {
    point,
    importPrice: of(price?.importMilliCentPerKwh),
    exportPrice: of(price?.exportMilliCentPerKwh),
    cost: of(bill?.totalMilliCent),
    currency: bill?.currency ?? '',
    monthStartMs: Date.UTC(start.getUTCFullYear(), start.getUTCMonth(), 1),
  };
}
