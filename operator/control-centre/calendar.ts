/**
 * Which keys the control centre has when (protocols.md, section 1). For a month M of sales:
 *
 *   registration opens      registration closes, M begins          M ends     + D slots      deposits end
 *        │   credentials are signed  │  credentials are shown, receipts signed    │  deposits      │
 *        ├────── credential ─────────┤                                            │                │
 *        │                           ├────────────── receipt ─────────────────────┤                │
 *        ├────────────────────────────── sealing, announcement ───────────────────────────────────┤
 *
 * Registration closes for everybody before anybody may show a credential, so that no first sale follows upon a registration. A centre
 * that begins in the middle of a month makes up for its registration at once.
 */
import { monthOf, monthStartMs } from '../../protocol/time/months.ts';
import { DAY_MS, SLOT_MS } from '../../protocol/time/slots.ts';
import type { KeyPlan } from '../shared/keyset-store.ts';

export const CREDENTIAL_PURPOSE = 'selling-credential';
export const RECEIPT_PURPOSE = 'selling-receipt';
export const SEALING_PURPOSE = 'selling-sealing';
export const ANNOUNCEMENT_PURPOSE = 'selling-announcement';
export const PARTY = 'control-centre';

export interface CalendarSettings {
  /** V, credits. */
  value: number;
  bits: 2048 | 3072 | 4096;
  /** D. */
  windowSlots: number;
  /** Registration opens so long before its month. */
  registrationDays: number;
  /** How long registration lasts for the month in which the centre begins. */
  lateRegistrationMs: number;
  /** After the last sale, for deposits, reconciliation and payment. */
  settlementDays: number;
}

/** The keys of a month. @param firstMonthMs when the centre began: registration of that month is made up for */
export function keysOfMonth(month: number, beganMs: number, settings: CalendarSettings): KeyPlan[] {
  const { value, bits, windowSlots, registrationDays, lateRegistrationMs, settlementDays } = settings;
  const beginsMs = monthStartMs(month);
  const late = beganMs >= beginsMs;
  const opensMs = late ? beganMs : beginsMs - registrationDays * DAY_MS;
  const usableMs = late ? beganMs + lateRegistrationMs : beginsMs;
  const soldMs = monthStartMs(month + 1) + windowSlots * SLOT_MS;
  const deadlineMs = soldMs + settlementDays * DAY_MS;
  const whole = { month, value: 0, opensMs, closesMs: deadlineMs, deadlineMs };
  return [
    { kind: 'blind', purpose: CREDENTIAL_PURPOSE, month, value, bits, opensMs, closesMs: usableMs, deadlineMs },
    { kind: 'blind', purpose: RECEIPT_PURPOSE, month, value, bits, opensMs: usableMs, closesMs: soldMs, deadlineMs },
    { kind: 'sealing', purpose: SEALING_PURPOSE, bits, ...whole },
    { kind: 'signing', purpose: ANNOUNCEMENT_PURPOSE, ...whole },
  ];
}

/** All that there should be now: the running month's, and the next one's ahead of its registration. */
export function keysNow(nowMs: number, beganMs: number, settings: CalendarSettings): KeyPlan[] {
  const month = monthOf(nowMs);
  return [month, month + 1].flatMap((one) => keysOfMonth(one, beganMs, settings));
}
