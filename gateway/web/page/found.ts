/** Appliances that the house's own power shows, of the time that the chart shows: what each drew, and the rest. The customer names them. */
import { byId, html, setSaid, setText } from '../../../web/page/dom.ts';
import { formatMoment, formatNumber } from '../../../web/page/format.ts';
import { locale } from '../../../web/page/language.ts';
import { request } from '../../../web/page/request.ts';
import type { FoundAppliance, FoundDay } from '../household-view.ts';
import { formatEnergy, powerText } from './power.ts';
import type { Range } from './range.ts';
import { texts } from './texts/texts.ts';

const words = texts.found;
const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });

/** More is for who asks. */
const SHOWN_ROWS = 8;

let shown = '';
let asked = '';
let named: FoundAppliance | null = null;

export async function loadFound({ fromMs, toMs }: Range): Promise<void> {
  const query = `from=${fromMs}&to=${toMs}`;
  asked = query;
  const { nowMs, found } = await request<{ nowMs: number; found: FoundDay | null }>(`/api/appliances/found?${query}`);
  if (query === asked) show(found, nowMs);
}

export function setUpFound(look: () => Promise<void>): void {
  const dialog = byId<HTMLDialogElement>('naming');
  byId('naming-ideas').replaceChildren(...words.ideas.map((value) => html('option', { value })));
  const all = byId('found-all');
  all.addEventListener('click', () => {
    all.setAttribute('aria-expanded', String(all.getAttribute('aria-expanded') !== 'true'));
    fold();
  });
  byId('naming-cancel').addEventListener('click', () => dialog.close());
  byId<HTMLFormElement>('naming-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const label = byId<HTMLInputElement>('naming-label').value.trim();
    void request('/api/appliances/found', 'POST', { id: named?.id, label })
      .then(look)
      .then(() => dialog.close())
      .catch(({ message }: Error) => setSaid(byId('naming-fault'), { sentence: words.notKept, english: message }));
  });
}

function show(found: FoundDay | null, nowMs: number): void {
  byId('found').hidden = found === null;
  const text = JSON.stringify(found);
  if (found === null || text === shown) return;
  shown = text;
  const { drawnMwh, restMwh, appliances } = found;
  const shareOf = (mwh: number): string => (restMwh === null || drawnMwh === 0 ? '' : percent.format(mwh / drawnMwh));
  const number = (value: string) => html('td', { class: 'number' }, value);
  const table = byId<HTMLTableElement>('found-list');
  const rows = appliances.map((one) =>
    html(
      'tr',
      { 'data-found': one.id },
      html('th', { scope: 'row' }, nameOf(one), ...mark(one), buttonFor(one, nowMs)),
      number(powerText(one.powerW)),
      number(formatNumber(one.times, 0)),
      number(formatEnergy(one.energyMwh)),
      number(shareOf(one.energyMwh)),
    ),
  );
  if (rows.length === 0) rows.push(html('tr', {}, html('td', { colspan: 5 }, words.none)));
  table.tBodies[0].replaceChildren(...rows);
  const line = (name: string, mwh: number) =>
    html('tr', {}, html('th', { scope: 'row', colspan: 3 }, name), number(formatEnergy(mwh)), number(shareOf(mwh)));
  table.tFoot!.replaceChildren(
    ...(restMwh === null ? [] : [line(words.rest, restMwh)]),
    line(words.together, drawnMwh),
  );
  fold();
  setText(byId('found-says'), restMwh === null && appliances.length > 0 ? words.noShares : '');
}

function fold(): void {
  const all = byId('found-all');
  const isOpen = all.getAttribute('aria-expanded') === 'true';
  const rows = [...byId<HTMLTableElement>('found-list').tBodies[0].rows];
  rows.forEach((row, index) => {
    row.hidden = !isOpen && index >= SHOWN_ROWS;
  });
  all.hidden = rows.length <= SHOWN_ROWS;
  setText(all, isOpen ? words.largestOnly : words.showAll(rows.length));
}

const nameOf = ({ label, powerW }: FoundAppliance): string => label ?? words.unnamed(powerText(powerW));
const mark = ({ on }: FoundAppliance): Node[] => (on ? [html('span', { class: 'on' }, words.on)] : []);

function buttonFor(one: FoundAppliance, nowMs: number): HTMLElement {
  const button = html(
    'button',
    {
      type: 'button',
      class: 'quiet',
      'aria-label': one.label === null ? words.nameIt(nameOf(one)) : words.renameIt(one.label),
    },
    one.label === null ? words.name : words.rename,
  );
  button.addEventListener('click', () => {
    named = one;
    setText(byId('naming-what'), words.what(powerText(one.powerW), one.times, formatMoment(one.lastMs, nowMs)));
    setText(byId('naming-fault'), '');
    const input = byId<HTMLInputElement>('naming-label');
    input.value = one.label ?? '';
    byId<HTMLDialogElement>('naming').showModal();
    input.select();
  });
  return button;
}
