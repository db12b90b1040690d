/**
 * Quarter hours as comma-separated values (RFC 4180), for a spreadsheet or a script: units in the header, every time
 * twice (UTC, and local with its offset), energy exact to the mWh. A quarter hour without data is a row with empty
 * cells, so that a gap stays a gap and rows stay evenly spaced.
 */
import { DAY_MS, SLOT_MS, slotEndMs, slotStartMs } from '../../protocol/time/slots.ts';
import type { HouseholdView, QuarterHour, ReportRow } from './household-view.ts';
import type { TimeRange } from './queries.ts';

const HEADER = [
  'household',
  'start (UTC)',
  'start (local time)',
  'end (UTC)',
  'import (Wh)',
  'export (Wh)',
  'reported import (Wh)',
  'reported export (Wh)',
  'report state',
  'delivered at (UTC)',
  'remark',
];

/** Text of the file in pieces of a day, so that a year costs no more memory than a day. */
export function* csvOf(view: HouseholdView, range: TimeRange): Generator<string> {
  const local = localTime(range.zone);
  yield line(HEADER);
  let nextSlot: number | null = null;
  for (let fromMs = range.fromMs; fromMs < range.toMs; fromMs += DAY_MS) {
    const toMs = Math.min(fromMs + DAY_MS, range.toMs);
    const reports = new Map(view.reports(fromMs, toMs).map((report) => [report.slot, report]));
    let text = '';
    for (const quarter of view.quarterHours(fromMs, toMs)) {
      // Gaps are filled between what is known: nothing before the first quarter hour, nothing after the last.
      for (let slot = nextSlot ?? quarter.slot; slot < quarter.slot; slot++) text += line(gapRow(view, slot, local));
      text += line(row(view, quarter, reports.get(quarter.slot), local));
      nextSlot = quarter.slot + 1;
    }
    if (text) yield text;
  }
}

type LocalTime = (unixMs: number) => string;

function row(view: HouseholdView, quarter: QuarterHour, report: ReportRow | undefined, local: LocalTime): string[] {
  return [
    view.householdName,
    utc(quarter.startMs),
    local(quarter.startMs),
    utc(quarter.startMs + SLOT_MS),
    wattHours(quarter.importMwh),
    wattHours(quarter.exportMwh),
    report ? String(report.importWh) : '',
    report ? String(report.exportWh) : '',
    report?.state ?? '',
    report?.deliveredMs ? utc(report.deliveredMs) : '',
    quarter.exact ? '' : 'boundary interpolated: the meter did not know the time',
  ];
}

function gapRow(view: HouseholdView, slot: number, local: LocalTime): string[] {
  const startMs = slotStartMs(slot);
  return [view.householdName, utc(startMs), local(startMs), utc(slotEndMs(slot)), '', '', '', '', '', '', 'no data'];
}

/** mWh are integers: their Wh are written exactly, never through a binary fraction. */
export function wattHours(mwh: number): string {
  const sign = mwh < 0 ? '-' : '';
  const digits = String(Math.abs(mwh)).padStart(4, '0');
  return `${sign}${digits.slice(0, -3)}.${digits.slice(-3)}`;
}

const utc = (unixMs: number): string => new Date(unixMs).toISOString().replace('.000Z', 'Z');

/** ISO 8601 with offset, such as `2026-03-29T03:00:00+02:00`. */
export function localTime(zone: string): LocalTime {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  });
  return (unixMs) => {
    const part = Object.fromEntries(format.formatToParts(unixMs).map(({ type, value }) => [type, value]));
    const offset = part.timeZoneName.replace('GMT', '') || '+00:00';
    return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}${offset}`;
  };
}

const line = (cells: string[]): string => `${cells.map(cell).join(',')}\r\n`;

/**
 * Quoted where RFC 4180 asks for it. Text that a spreadsheet would run as a formula (the household's name is free text)
 * gets a leading apostrophe; numbers of ours never start so.
 */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
