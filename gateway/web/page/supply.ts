/**
 * Who supplies the house: the provider, another one from a day on, moving out; and the registers that the grid operator was told.
 * What is typed from the letter goes to the gateway, which seals it; the page forgets it.
 */
import { byId, html, inEnglish, nodesOf, type Said, setSaid, setText } from '../../../web/page/dom.ts';
import { formatNumber } from '../../../web/page/format.ts';
import { locale } from '../../../web/page/language.ts';
import { Refused, request } from '../../../web/page/request.ts';
import type { SupplyView } from '../household-view.ts';
import { texts } from './texts/texts.ts';

const FIELDS = ['provider', 'day', 'customerNumber', 'pin'] as const;
type Field = (typeof FIELDS)[number];
const DAY_MS = 86_400_000;
/** Days of supply are those of UTC, as on the bill. */
const date = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
const words = texts.supply;

let shown = '';

export async function loadSupply(): Promise<void> {
  const { nowMs, supply } = await request<{ nowMs: number; supply: SupplyView | null }>('/api/supply');
  show(supply, nowMs);
}

export function setUpSupply(onChange: () => void): void {
  const change = byId<HTMLDialogElement>('change');
  const moving = byId<HTMLDialogElement>('moving');
  byId('change-open').addEventListener('click', () => {
    change.showModal();
    void offer();
  });
  byId('moving-open').addEventListener('click', () => moving.showModal());
  for (const dialog of [change, moving]) {
    byId(`${dialog.id}-cancel`).addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => {
      byId<HTMLFormElement>(`${dialog.id}-form`).reset();
      setText(byId(`${dialog.id}-fault`), '');
    });
  }
  onSubmit('change', async () => {
    const typed = Object.fromEntries(FIELDS.map((field) => [field, input(field).value.trim()]));
    await request('/api/supply', 'POST', typed);
    onChange();
  });
  onSubmit('moving', async () => {
    await request('/api/moving-out', 'POST', { day: byId<HTMLInputElement>('moving-day').value });
    onChange();
  });
}

function onSubmit(name: 'change' | 'moving', send: () => Promise<void>): void {
  const dialog = byId<HTMLDialogElement>(name);
  const button = byId<HTMLButtonElement>(`${name}-go`);
  byId(`${name}-form`).addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await send();
      dialog.close();
    } catch (error) {
      const field = fieldOf(error);
      const sentence = `${field ? `${labelOf(field)} ` : ''}${words.fault}`;
      setSaid(byId(`${name}-fault`), { sentence, english: (error as Error).message });
      for (const one of FIELDS) input(one).setAttribute('aria-invalid', String(one === field));
      if (field) input(field).focus();
    } finally {
      button.disabled = false;
    }
  });
}

const input = (field: Field) => byId<HTMLInputElement | HTMLSelectElement>(`change-${field}`);
const labelOf = (field: Field): string => input(field).labels?.[0]?.textContent ?? field;
function fieldOf(error: unknown): Field | null {
  const path = error instanceof Refused ? error.path : undefined;
  return FIELDS.find((field) => path === `letter.${field}`) ?? null;
}

async function offer(): Promise<void> {
  const select = input('provider');
  try {
    const { providers } = await request<{ providers: string[] }>('/api/supply/others');
    select.replaceChildren(...providers.map((name) => html('option', { value: name }, name)));
    if (providers.length === 0) setText(byId('change-fault'), words.noOther);
  } catch (error) {
    setSaid(byId('change-fault'), inEnglish(`${(error as Error).message}.`));
  }
}

function show(supply: SupplyView | null, nowMs: number): void {
  byId('supply').hidden = supply === null;
  if (supply === null) return;
  const tomorrow = new Date(nowMs + DAY_MS).toISOString().slice(0, 10);
  for (const id of ['change-day', 'moving-day']) byId<HTMLInputElement>(id).min = tomorrow;
  const text = JSON.stringify(supply);
  if (text === shown) return;
  shown = text;
  setText(byId('supply-provider'), supply.provider ?? words.nobody);
  byId('supply-says').replaceChildren(...sentences(supply).map((sentence) => html('p', {}, ...nodesOf(sentence))));
  byId<HTMLButtonElement>('change-open').disabled = !supply.mayChange;
  byId<HTMLButtonElement>('moving-open').disabled = !supply.mayChange;
  const rows = supply.registers
    .toReversed()
    .map(({ atMs, reason, importKwh, exportKwh, state, refusal }) =>
      html(
        'tr',
        {},
        html('th', { scope: 'row' }, date.format(atMs)),
        html('td', {}, words.reasons[reason] ?? reason),
        html('td', { class: 'number' }, importKwh === null ? '' : formatNumber(importKwh, 0)),
        html('td', { class: 'number' }, exportKwh === null ? '' : formatNumber(exportKwh, 0)),
        html(
          'td',
          {},
          ...nodesOf(refusal === null ? words.states[state] : { sentence: words.refusal, english: refusal }),
        ),
      ),
    );
  byId<HTMLTableElement>('told').tBodies[0].replaceChildren(...rows);
  byId('told').hidden = rows.length === 0;
}

function sentences({ next, asked, leaving }: SupplyView): Said[] {
  const says: Said[] = [];
  if (next) says.push(words.next(date.format(next.fromMs), next.provider));
  if (asked && asked.refusal !== null) says.push({ sentence: words.notChosen(asked.provider), english: asked.refusal });
  else if (asked) says.push(words.asked(date.format(asked.fromMs), asked.provider));
  if (leaving) {
    const first = words.leaving(date.format(leaving.fromMs));
    const { waitsFor } = leaving;
    says.push(waitsFor === null ? first : { sentence: `${first} ${words.leavingWaits}`, english: waitsFor });
  }
  return says;
}
