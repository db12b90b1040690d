/** What is sold without a name: how many credentials in each quarter hour, of nobody, and what all were paid together. */
import type { SellingOverview } from '../../../protocol/selling/services.ts';
import { byId, setText } from '../../../web/page/dom.ts';
import { formatDateTime, formatNumber, plural } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';

const SLOT_MS = 900_000;
const BARS = 96;
const HEIGHT = 60;
const EVERY_MS = 10_000;
let askedMs = Number.NEGATIVE_INFINITY;
let shown = '';

/** Asks now and then; where nobody sells nothing is shown. */
export async function showSelling(): Promise<void> {
  if (performance.now() - askedMs < EVERY_MS) return;
  askedMs = performance.now();
  const { selling } = await request<{ selling: SellingOverview | null }>('/api/selling');
  const text = JSON.stringify(selling);
  if (text === shown) return;
  shown = text;
  byId('selling').hidden = selling === null;
  if (selling === null) return;
  const { customers, registered, used, returned, deposited, milliCent, epochs } = selling;
  const number = (n: number): string => formatNumber(n, 0);
  setText(
    byId('selling-summary'),
    `${plural(customers, 'household sells', 'households sell')}: ${number(registered)} credentials registered, ${number(used)} shown, ${number(deposited)} credited, ${number(returned)} given back. Paid in all: ${formatNumber(milliCent / 100_000, 2)}.`,
  );
  byId('sales').replaceChildren(...(epochs.length > 0 ? [chartOf(epochs)] : []));
}

/** A bar for each of the last quarter hours in which something was accepted, on an even axis of time. */
function chartOf(epochs: SellingOverview['epochs']): SVGElement {
  const last = epochs[epochs.length - 1].epoch;
  const most = Math.max(...epochs.map(({ accepted }) => accepted));
  const svg = (name: string, attributes: Record<string, string | number>, text?: string): SVGElement => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const chart = svg('svg', { viewBox: `0 0 ${BARS * 8} ${HEIGHT + 4}`, role: 'img', class: 'sales' });
  chart.append(svg('title', {}, `Credentials accepted in each of the last ${BARS} quarter hours, ${most} at most`));
  for (const { epoch, accepted } of epochs) {
    const column = BARS - 1 - (last - epoch);
    if (column < 0) continue;
    const height = Math.max(2, (accepted / most) * HEIGHT);
    const bar = svg('rect', { x: column * 8, y: HEIGHT - height, width: 6, height });
    bar.append(
      svg('title', {}, `${formatDateTime(epoch * SLOT_MS)}: ${plural(accepted, 'credential', 'credentials')}`),
    );
    chart.append(bar);
  }
  chart.append(svg('path', { d: `M0 ${HEIGHT + 1}H${BARS * 8}` }));
  return chart;
}
