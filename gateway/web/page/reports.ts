/** What left this house: one sealed reading per quarter hour, to whom, when, and whether it has arrived. */

import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatMoment, formatNumber, formatTime, plural } from '../../../web/page/format.ts';
import type { ReportRow, ReportState } from '../household-view.ts';
import type { Range } from './range.ts';

const SLOT_MS = 900_000;
const SHOWN_ROWS = 6;

export interface ReportsData extends Range {
  nowMs: number;
  reports: ReportRow[];
}

export function showReports({ fromMs, toMs, says, nowMs, reports }: ReportsData): void {
  setText(byId('left-summary'), summaryOf(reports, says));
  byId('legend-refused').hidden = !reports.some(({ state }) => state === 'refused');
  const strip = byId('strip');
  strip.replaceChildren(...cells(fromMs, toMs, nowMs, reports));
  strip.setAttribute('aria-label', summaryOf(reports, says));
  const rows = reports.toReversed().map(rowOf);
  if (rows.length === 0) rows.push(html('tr', {}, html('td', { colspan: 4 }, 'Nothing yet.')));
  byId<HTMLTableElement>('reports').tBodies[0].replaceChildren(...rows);
  fold();
}

/** The newest few, until the reader asks for all. */
export function setUpReports(): void {
  const button = byId('reports-all');
  button.addEventListener('click', () => {
    button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true'));
    fold();
  });
}

function fold(): void {
  const button = byId('reports-all');
  const isOpen = button.getAttribute('aria-expanded') === 'true';
  const rows = [...byId<HTMLTableElement>('reports').tBodies[0].rows];
  rows.forEach((row, index) => {
    row.hidden = !isOpen && index >= SHOWN_ROWS;
  });
  button.hidden = rows.length <= SHOWN_ROWS;
  setText(button, isOpen ? 'Show the newest only' : `Show all ${formatNumber(rows.length, 0)}`);
}

function rowOf(report: ReportRow): HTMLTableRowElement {
  return html(
    'tr',
    {},
    html(
      'th',
      { scope: 'row', class: 'when' },
      `${formatTime(report.startMs)}–${formatTime(report.startMs + SLOT_MS)}`,
    ),
    html('td', { class: 'number' }, wattHours(report.importWh)),
    html('td', { class: 'number' }, wattHours(report.exportWh)),
    html('td', { class: `state ${report.state}` }, stateOf(report)),
  );
}

function summaryOf(reports: ReportRow[], says: string): string {
  const count = (state: ReportState) => reports.filter((report) => report.state === state).length;
  const left = count('sent') + count('delivered') + count('refused');
  if (reports.length === 0) return `${says} nothing left this house.`;
  const missing = [
    count('sent') > 0 ? `${formatNumber(count('sent'), 0)} not yet confirmed` : '',
    count('waiting') > 0 ? `${formatNumber(count('waiting'), 0)} still waiting here` : '',
    count('refused') > 0 ? `${formatNumber(count('refused'), 0)} refused by the collector` : '',
  ].filter(Boolean);
  const others = missing.length > 0 ? ` (${missing.join(', ')})` : ', all confirmed';
  return `${says} ${plural(left, 'sealed reading', 'sealed readings')} left this house${others}. One quarter hour each, and nothing else.`;
}

/** One cell per quarter hour of the day, so that a hole is seen as a hole. */
function cells(fromMs: number, toMs: number, nowMs: number, reports: ReportRow[]): HTMLElement[] {
  const byStart = new Map(reports.map((report) => [report.startMs, report]));
  const found: HTMLElement[] = [];
  for (let startMs = fromMs; startMs < toMs; startMs += SLOT_MS) {
    const report = byStart.get(startMs);
    const state = report?.state ?? (startMs + SLOT_MS > nowMs ? 'future' : 'none');
    const title = report ? `${formatTime(startMs)}: ${stateOf(report)}` : formatTime(startMs);
    found.push(html('i', { class: state, title }));
  }
  return found;
}

function stateOf(report: ReportRow): string {
  if (report.state === 'waiting') return 'Waiting here';
  if (report.state === 'sent') return 'Sent, unconfirmed';
  if (report.state === 'refused') return 'Refused';
  if (report.deliveredMs === null) return 'Delivered';
  return `Delivered ${formatMoment(report.deliveredMs, report.startMs + SLOT_MS)}`;
}

const wattHours = (wh: number): string => `${formatNumber(wh, 0)} Wh`;
