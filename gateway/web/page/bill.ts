/** The month's bill as it grows: a line a day, and the total, which is all that leaves the house. */
import { byId, html, setSaid, setText } from '../../../web/page/dom.ts';
import { locale } from '../../../web/page/language.ts';
import { request } from '../../../web/page/request.ts';
import type { BillLine, BillView, PriceRow } from '../household-view.ts';
import { formatCents, formatMoney } from './money.ts';
import { formatEnergy } from './power.ts';
import { texts } from './texts/texts.ts';

const words = texts.bill;
const SHOWN_ROWS = 7;

interface BillAnswer {
  nowMs: number;
  bill: BillView | null;
  price: PriceRow | null;
}

/** Months since January 1970; null: the present one. */
let chosen: number | null = null;
let present = 0;
let shown = '';
/** Days and months of the bill are those of UTC, as the provider counts them. */
const month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' });
const day = new Intl.DateTimeFormat(locale, { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' });
const date = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', timeZone: 'UTC' });
const startOf = (number: number): number => Date.UTC(1970, number);

export function setUpBill(): void {
  const step = (by: -1 | 1) => {
    chosen = (chosen ?? present) + by;
    if (chosen >= present) chosen = null;
    void loadBill();
  };
  byId('bill-before').addEventListener('click', () => step(-1));
  byId('bill-after').addEventListener('click', () => step(1));
  const all = byId('bill-all');
  all.addEventListener('click', () => {
    all.setAttribute('aria-expanded', String(all.getAttribute('aria-expanded') !== 'true'));
    fold();
  });
}

export async function loadBill(): Promise<void> {
  const asked = chosen;
  const answer = await request<BillAnswer>(asked === null ? '/api/bill' : `/api/bill?month=${asked}`);
  if (asked !== chosen) return;
  const now = new Date(answer.nowMs);
  present = (now.getUTCFullYear() - 1970) * 12 + now.getUTCMonth();
  show(answer, asked ?? present);
}

function show({ bill, price }: BillAnswer, number: number): void {
  byId('bill').hidden = bill === null;
  if (bill === null) return;
  const text = JSON.stringify([bill, price?.slot, number]);
  if (text === shown) return;
  shown = text;
  setText(byId('bill-month'), month.format(startOf(number)));
  byId<HTMLButtonElement>('bill-after').disabled = number >= present;
  setText(byId('bill-total'), formatMoney(bill.totalMilliCent, bill.currency));
  setText(byId('bill-says'), bill.totalMilliCent < 0 ? words.credit : words.debit);
  setText(byId('bill-state'), stateOf(bill, number));
  byId('bill-state').dataset.state = bill.state;
  const { waitsFor } = bill;
  setSaid(byId('bill-waits'), waitsFor === null ? '' : { sentence: words.waitsFor, english: waitsFor });
  setText(byId('bill-price'), price ? priceOf(price) : '');
  const unpriced = bill.lines.reduce((sum, line) => sum + line.unpriced, 0);
  setText(byId('bill-unpriced'), unpriced === 0 ? '' : words.unpriced(unpriced));

  const table = byId<HTMLTableElement>('bill-lines');
  const rows = bill.lines.toReversed().map((line) => rowOf(line, bill.currency));
  if (rows.length === 0) rows.push(html('tr', {}, html('td', { colspan: 5 }, words.empty)));
  table.tBodies[0].replaceChildren(...rows);
  const sum = (read: (line: BillLine) => number) => bill.lines.reduce((total, line) => total + read(line), 0);
  const total = { importMwh: sum((l) => l.importMwh), exportMwh: sum((l) => l.exportMwh) };
  const money = { costMilliCent: sum((l) => l.costMilliCent), creditMilliCent: sum((l) => l.creditMilliCent) };
  table.tFoot!.rows[0].replaceChildren(
    html('th', { scope: 'row' }, words.together),
    ...cellsOf({ ...total, ...money }, bill.currency),
  );
  fold();
}

function stateOf({ state, lines }: BillView, number: number): string {
  const end = date.format(startOf(number + 1));
  if (state === 'acknowledged') return words.acknowledged;
  if (state === 'sent') return words.sent;
  return number < present ? words.notSent : words.growing(lines.length, end);
}

function priceOf({ importMilliCentPerKwh, exportMilliCentPerKwh }: PriceRow): string {
  return words.price(formatCents(importMilliCentPerKwh), formatCents(exportMilliCentPerKwh));
}

type Sums = Pick<BillLine, 'importMwh' | 'exportMwh' | 'costMilliCent' | 'creditMilliCent'>;
const cellsOf = ({ importMwh, exportMwh, costMilliCent, creditMilliCent }: Sums, currency: string): HTMLElement[] =>
  [
    formatEnergy(importMwh),
    formatEnergy(exportMwh),
    formatMoney(costMilliCent, currency),
    formatMoney(creditMilliCent, currency),
  ].map((text) => html('td', { class: 'number' }, text));

function rowOf(line: BillLine, currency: string): HTMLElement {
  const row = html(
    'tr',
    {},
    html('th', { scope: 'row', class: 'when' }, day.format(line.startMs)),
    ...cellsOf(line, currency),
  );
  if (line.unpriced > 0) row.classList.add('unpriced');
  return row;
}

/** The newest few, until the reader asks for all. */
function fold(): void {
  const button = byId('bill-all');
  const isOpen = button.getAttribute('aria-expanded') === 'true';
  const rows = [...byId<HTMLTableElement>('bill-lines').tBodies[0].rows];
  rows.forEach((row, index) => {
    row.hidden = !isOpen && index >= SHOWN_ROWS;
  });
  button.hidden = rows.length <= SHOWN_ROWS;
  setText(button, isOpen ? words.newestOnly : words.showAll(rows.length));
}
