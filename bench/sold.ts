/** What households sold without a name, each month held against what their meters exported for it, to the credit. */
import type { SellingView } from '../gateway/web/household-view.ts';
import { MICROCREDITS } from '../protocol/selling/amount.ts';
import { monthFirstSlot } from '../protocol/time/months.ts';

/** As the control centre weighs all slots where a scenario says nothing else. */
const CREDITS_PER_KWH = 100;
/** After the last sale: until the last slots are final, and all is collected, deposited and opened. */
const SETTLED_WITHIN_SLOTS = 24;

/** A household's month. */
export interface SoldMonth {
  /** The household's. */
  id: string;
  /** Since January 1970. */
  month: number;
  registered: number;
  soldMwh: number;
  /** Credentials that were accepted, and those that lapsed. */
  sold: number;
  lapsed: number;
  /** Null: not paid yet. */
  credits: number | null;
  milliCent: number | null;
  /** Nothing is missing: what was exported is paid but for less than a credential, or it is too early. */
  agrees: boolean;
}

/** @param endSlot the run's end @param windowSlots D */
export function soldMonths(
  id: string,
  view: SellingView | null,
  { endSlot, windowSlots, value }: { endSlot: number; windowSlots: number; value: number },
): SoldMonth[] {
  let carried = 0;
  return (view?.months ?? []).map(({ month, registered, soldMwh, sold, lapsed, payment }) => {
    const isDue = endSlot >= monthFirstSlot(month + 1) + windowSlots + SETTLED_WITHIN_SLOTS;
    const left = soldMwh * CREDITS_PER_KWH + carried - (payment?.credits ?? 0) * MICROCREDITS;
    const agrees = payment ? left === payment.carriedMicrocredits && left < value * MICROCREDITS : !isDue;
    carried = payment?.carriedMicrocredits ?? 0;
    return {
      ...{ id, month, registered, soldMwh, lapsed, agrees },
      sold: payment?.count ?? sold,
      credits: payment?.credits ?? null,
      milliCent: payment?.milliCent ?? null,
    };
  });
}

export const salesAgree = (sold: readonly SoldMonth[]): boolean => sold.every(({ agrees }) => agrees);
