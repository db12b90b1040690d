/** Decodes what a browser asks for. What is malformed is refused with the field's path and a sentence that says what is right. */
import * as v from 'valibot';
import { monthOf } from '../../protocol/time/months.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { BadInput } from '../../web/forms.ts';

/** Year 2000 to 2100: an instant outside is a mistake, such as seconds for milliseconds. */
const EARLIEST_MS = Date.UTC(2000, 0, 1);
const LATEST_MS = Date.UTC(2100, 0, 1);

const MISSING = 'is missing: give Unix time in milliseconds';
const instant = v.pipe(
  v.string('is given twice'),
  v.regex(/^\d{1,15}$/, 'is not a whole number: give Unix time in milliseconds'),
  v.transform(Number),
  v.minValue(EARLIEST_MS, 'lies before the year 2000: give Unix time in milliseconds'),
  v.maxValue(LATEST_MS, 'lies after the year 2100: give Unix time in milliseconds'),
);
const timeZone = v.pipe(
  v.string('is given twice'),
  v.maxLength(64, 'is no time zone of the IANA list, such as Europe/Rome'),
  v.check(isTimeZone, 'is no time zone of the IANA list, such as Europe/Rome'),
);
const monthNumber = v.pipe(
  v.string('is given twice'),
  v.regex(/^\d{1,4}$/, 'is no month: give whole months since January 1970'),
  v.transform(Number),
);
const Range = v.object({ from: instant, to: instant, zone: v.optional(timeZone) }, MISSING);

export interface TimeRange {
  fromMs: number;
  toMs: number;
  /** IANA name of the reader's time zone. */
  zone: string;
}

/** `?from=…&to=…[&zone=…]`, [from, to) of at most `maxDays`. */
export function decodeRange(query: unknown, maxDays: number): TimeRange {
  const result = v.safeParse(Range, query);
  if (!result.success) {
    const issue = result.issues[0];
    throw new BadInput(`query.${v.getDotPath(issue) ?? ''} ${issue.message}`);
  }
  const { from, to, zone } = result.output;
  if (to <= from) throw new BadInput('query.to must lie after query.from');
  if (to - from > maxDays * DAY_MS)
    throw new BadInput(`query.to lies too far from query.from: at most ${maxDays} days at once`);
  return { fromMs: from, toMs: to, zone: zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone };
}

/** `?month=…`, months since January 1970; the one of `nowMs` where none is asked for. */
export function decodeMonth(query: unknown, nowMs: number): number {
  const result = v.safeParse(v.object({ month: v.optional(monthNumber) }), query);
  if (!result.success) throw new BadInput(`query.month ${result.issues[0].message}`, 'query.month');
  return result.output.month ?? monthOf(nowMs);
}

function isTimeZone(name: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
