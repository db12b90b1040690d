/** Which stretch of time the chart and the list show: a local day, or the last 24 hours, which right after midnight say more. */
import { formatDay } from '../../../web/page/format.ts';
import { texts } from './texts/texts.ts';

/** A number is the (local) midnight that a past day starts at. */
export type Choice = 'today' | 'last-24-hours' | number;

export interface Range {
  fromMs: number;
  toMs: number;
  title: string;
  /** How a sentence about it begins. */
  says: string;
  /** What its CSV file is called in a link. */
  link: string;
}

const words = texts.day;
const SLOT_MS = 900_000;
const DAY_MS = 86_400_000;
/** A day younger than this has little to show yet. */
const YOUNG_MS = 3 * 3_600_000;

/** Local midnight of the day of an instant, or of one some days after it; through the calendar, for days of 23 and 25 hours. */
export function midnight(unixMs: number, days = 0): number {
  const day = new Date(unixMs);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + days).getTime();
}

/** What a reader who has not chosen wants to see. */
export const firstChoice = (nowMs: number): Choice => (nowMs - midnight(nowMs) < YOUNG_MS ? 'last-24-hours' : 'today');

export function rangeOf(choice: Choice, nowMs: number): Range {
  if (choice === 'last-24-hours') {
    const toMs = Math.ceil(nowMs / SLOT_MS) * SLOT_MS;
    return {
      fromMs: toMs - DAY_MS,
      toMs,
      title: words.last24,
      says: words.saysLast24,
      link: words.linkLast24,
    };
  }
  const fromMs = choice === 'today' ? midnight(nowMs) : choice;
  const toMs = midnight(fromMs, 1);
  const day = formatDay(fromMs);
  const isToday = choice === 'today';
  const says = isToday ? words.saysToday : words.saysDay;
  return { fromMs, toMs, title: isToday ? words.today(day) : day, says, link: words.linkDay };
}

/** The choice one day earlier or later; today is the last. */
export function neighbour(choice: Choice, days: -1 | 1, nowMs: number): Choice {
  const fromMs = typeof choice === 'number' ? choice : midnight(nowMs);
  const dayMs = midnight(fromMs, days);
  return dayMs >= midnight(nowMs) ? 'today' : dayMs;
}
