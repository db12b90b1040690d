/**
 * Which keys the substation has when (protocols.md, sections 0 and 4). For a month M of pieces:
 *
 *   loading opens        M begins                                  M ends      exchange ends        deposits end
 *        ├───────────────────────────── coin ─────────────────────────┼────────────┤                       │
 *        ├───────────────────────── sealing, announcement ────────────┼────────────┼───────────────────────┤
 *
 * A piece belongs to the month in which it starts, and is paid with that month's coins.
 */

import { monthOf, monthStartMs } from '../../protocol/time/months.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { COIN_KEY, TRADE_ANNOUNCEMENT_KEY, TRADE_SEALING_KEY } from '../../protocol/trading/coins.ts';
import type { KeyPlan } from '../shared/keyset-store.ts';

export interface CalendarSettings {
  /** V: Wh of a piece, and of the coin that pays it. */
  value: number;
  bits: 2048 | 3072;
  /** Wallets are loaded from so many days before the month on. */
  loadingDays: number;
  /** After the month coins are exchanged for so long … */
  exchangeDays: number;
  /** … and deposited for so long after that. */
  depositDays: number;
}

export function keysNow(nowMs: number, settings: CalendarSettings): KeyPlan[] {
  const month = monthOf(nowMs);
  return [month, month + 1].flatMap((one) => keysOfMonth(one, settings));
}
export function keysOfMonth(month: number, settings: CalendarSettings): KeyPlan[] {
  const { value, bits, loadingDays, exchangeDays, depositDays } = settings;
  const opensMs = monthStartMs(month) - loadingDays * DAY_MS;
  const closesMs = monthStartMs(month + 1) + exchangeDays * DAY_MS;
  const deadlineMs = closesMs + depositDays * DAY_MS;
  const whole = { month, value: 0, opensMs, closesMs: deadlineMs, deadlineMs };
  return [
    { kind: 'blind', purpose: COIN_KEY, month, value, bits, opensMs, closesMs, deadlineMs },
    { kind: 'sealing', purpose: TRADE_SEALING_KEY, bits, ...whole },
    { kind: 'signing', purpose: TRADE_ANNOUNCEMENT_KEY, ...whole },
  ];
}
