/** What left this house: one sealed reading per quarter hour, to whom, when, and whether it has arrived. */

import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatMoment, formatNumber, formatTime } from '../../../web/page/format.ts';
import type { ReportRow, ReportState } from '../household-view.ts';
import type { Range } from './range.ts';
import { texts } from './texts/texts.ts';

const words = texts.reports;
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
  if (rows.length === 0) rows.push(html('tr', {}, html('td', { colspan: 4 }, words.none)));
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
  setText(button, isOpen ? words.newestOnly : words.showAll(rows.length));
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
  if (reports.length === 0) return words.nothing(says);
  const missing = [
    count('sent') > 0 ? words.unconfirmed(count('sent')) : '',
    count('waiting') > 0 ? words.waitingHere(count('waiting')) : '',
    count('refused') > 0 ? words.refusedCount(count('refused')) : '',
  ].filter(Boolean);
  const others = missing.length > 0 ? ` (${missing.join(', ')})` : words.allConfirmed;
  return words.summary(says, left, others);
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
  if (report.state !== 'delivered') return words[report.state];
  const { deliveredMs, startMs } = report;
  return words.delivered(deliveredMs === null ? '' : formatMoment(deliveredMs, startMs + SLOT_MS));
}

const wattHours = (wh: number): string => `${formatNumber(wh, 0)} Wh`;
