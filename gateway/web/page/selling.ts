/** What is sold without a name: the wallet, each month as this household sees it, and what the control centre could see of it. */
import { byId, html, setSaid, setText } from '../../../web/page/dom.ts';
import { formatNumber } from '../../../web/page/format.ts';
import { locale } from '../../../web/page/language.ts';
import { request } from '../../../web/page/request.ts';
import type { SellingMonthView, SellingView } from '../household-view.ts';
import { formatMoney } from './money.ts';
import { formatEnergy } from './power.ts';
import { texts } from './texts/texts.ts';

const words = texts.selling;
/** Months are those of UTC, as the control centre counts them. */
const month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' });

let shown = '';

export async function loadSelling(): Promise<void> {
  const { selling } = await request<{ selling: SellingView | null }>('/api/selling');
  byId('selling').hidden = selling === null;
  const text = JSON.stringify(selling);
  if (selling === null || text === shown) return;
  shown = text;
  const { enabled, trouble, months, seen } = selling;
  setText(byId('selling-says'), enabled ? '' : words.off);
  setSaid(byId('selling-trouble'), trouble === null ? '' : { sentence: words.trouble, english: trouble });
  const number = (value: string) => html('td', { class: 'number' }, value);
  const rows = months
    .toReversed()
    .map((one) =>
      html(
        'tr',
        {},
        html('th', { scope: 'row' }, month.format(Date.UTC(1970, one.month))),
        number(formatEnergy(one.soldMwh)),
        number(formatNumber(one.unused, 0)),
        number(formatNumber(one.waiting, 0)),
        number(formatNumber(one.payment?.count ?? one.sold, 0)),
        html('td', {}, stateOf(one)),
      ),
    );
  if (rows.length === 0) rows.push(html('tr', {}, html('td', { colspan: 6 }, words.none)));
  byId<HTMLTableElement>('selling-months').tBodies[0].replaceChildren(...rows);
  const [newest] = months.filter(({ registered, payment }) => registered > 0 || payment).slice(-1);
  setText(byId('selling-named'), newest ? words.named(newest.amount, newest.payment?.count ?? null) : '');
  const sales = seen.reduce((sum, one) => sum + one.sales, 0);
  setText(byId('selling-unnamed'), sales === 0 ? words.nothingSeen : words.seen(sales, seen.length));
}

function stateOf({ payment, stage, trouble, registered, amount }: SellingMonthView): string {
  if (payment) return words.paid(formatMoney(payment.milliCent, ''));
  if (stage === 'refused') return words.refused;
  if (trouble !== null) return words.waits;
  if (stage !== null) return words.settling;
  return registered < amount ? words.registering(registered, amount) : words.ready;
}
