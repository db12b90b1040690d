/** The month's bill as it grows: a line a day, and the total, which is all that leaves the house. */
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatNumber, plural } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { BillLine, BillView, PriceRow } from '../household-view.ts';
import { formatCents, formatMoney } from './money.ts';
import { formatEnergy } from './power.ts';

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
const month = new Intl.DateTimeFormat(undefined, { month: 'long', year: 'numeric', timeZone: 'UTC' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' });
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', timeZone: 'UTC' });
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
  setText(byId('bill-says'), bill.totalMilliCent < 0 ? 'to be paid to you' : 'to be paid by you');
  setText(byId('bill-state'), stateOf(bill, number));
  byId('bill-state').dataset.state = bill.state;
  const waits = byId('bill-waits');
  setText(waits, bill.waitsFor === null ? '' : `It waits for ${bill.waitsFor}.`);
  setText(byId('bill-price'), price ? priceOf(price) : '');
  const unpriced = bill.lines.reduce((sum, line) => sum + line.unpriced, 0);
  const missing = plural(unpriced, 'quarter hour has', 'quarter hours have');
  setText(
    byId('bill-unpriced'),
    unpriced === 0 ? '' : `${missing} no price yet: its energy is shown, its money is not.`,
  );

  const table = byId<HTMLTableElement>('bill-lines');
  const rows = bill.lines.toReversed().map((line) => rowOf(line, bill.currency));
  if (rows.length === 0)
    rows.push(html('tr', {}, html('td', { colspan: 5 }, 'Nothing has been measured in this month.')));
  table.tBodies[0].replaceChildren(...rows);
  const sum = (read: (line: BillLine) => number) => bill.lines.reduce((total, line) => total + read(line), 0);
  const total = { importMwh: sum((l) => l.importMwh), exportMwh: sum((l) => l.exportMwh) };
  const money = { costMilliCent: sum((l) => l.costMilliCent), creditMilliCent: sum((l) => l.creditMilliCent) };
  table.tFoot!.rows[0].replaceChildren(
    html('th', { scope: 'row' }, 'Together'),
    ...cellsOf({ ...total, ...money }, bill.currency),
  );
  fold();
}

function stateOf({ state, lines }: BillView, number: number): string {
  const end = date.format(startOf(number + 1));
  if (state === 'acknowledged') return 'Your provider has this total, and nothing else of the month.';
  if (state === 'sent') return 'Sent to your provider, who has not confirmed it yet.';
  const days = plural(lines.length, 'day', 'days');
  return number < present
    ? 'Not sent yet.'
    : `After ${days}. On ${end} the total goes to your provider, signed, and nothing else.`;
}

function priceOf({ importMilliCentPerKwh, exportMilliCentPerKwh }: PriceRow): string {
  return `A kWh costs ${formatCents(importMilliCentPerKwh)} now; for one that you feed in you get ${formatCents(exportMilliCentPerKwh)}.`;
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
  setText(button, isOpen ? 'Show the newest days only' : `Show all ${formatNumber(rows.length, 0)} days`);
}
