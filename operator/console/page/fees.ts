/** The grid's fees: registers as households told them, once a year and where provider or people change; invoices to providers. */
import type { GridAccounts } from '../../../protocol/grid-fees/services.ts';
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatDateTime, formatNumber, plural } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';

const ROWS_SHOWN = 20;
const SLOT_MS = 900_000;
/** They change a few times a year. */
const EVERY_MS = 15_000;
let askedMs = Number.NEGATIVE_INFINITY;
let shown = '';

/** Asks now and then; where the grid operator keeps no accounts nothing is shown. */
export async function showFees(): Promise<void> {
  if (performance.now() - askedMs < EVERY_MS) return;
  askedMs = performance.now();
  const { accounts } = await request<{ accounts: GridAccounts | null }>('/api/fees');
  const text = JSON.stringify(accounts);
  if (text === shown) return;
  shown = text;
  byId('fees').hidden = accounts === null;
  if (accounts === null) return;
  const { readings, invoices } = accounts;
  setText(
    byId('fees-summary'),
    `${plural(readings.length, 'reading', 'readings')} of registers, ${plural(invoices.length, 'invoice', 'invoices')}.`,
  );
  byId<HTMLTableElement>('invoices').tBodies[0].replaceChildren(
    ...invoices
      .slice(0, ROWS_SHOWN)
      .map(({ number, provider, year, readings: of, importKwh, totalMilliCent }) =>
        row([number, provider, year, of, importKwh], `${formatNumber(totalMilliCent / 100_000, 2)}`),
      ),
  );
  byId('invoices').hidden = invoices.length === 0;
  byId<HTMLTableElement>('registers').tBodies[0].replaceChildren(
    ...readings
      .slice(0, ROWS_SHOWN)
      .map(({ device, slot, reason, importKwh, exportKwh }) =>
        row([device, formatDateTime(slot * SLOT_MS), reason, importKwh], formatNumber(exportKwh, 0)),
      ),
  );
  byId('registers').hidden = readings.length === 0;
}

const row = (cells: (string | number)[], last: string): HTMLElement =>
  html(
    'tr',
    {},
    ...cells.map((cell) =>
      typeof cell === 'number' ? html('td', { class: 'number' }, String(cell)) : html('td', {}, cell),
    ),
    html('td', { class: 'number' }, last),
  );
