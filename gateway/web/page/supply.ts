/**
 * Who supplies the house: the provider, another one from a day on, moving out; and the registers that the grid operator was told.
 * What is typed from the letter goes to the gateway, which seals it; the page forgets it.
 */
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatNumber } from '../../../web/page/format.ts';
import { Refused, request } from '../../../web/page/request.ts';
import type { SupplyView } from '../household-view.ts';

const FIELDS = ['provider', 'day', 'customerNumber', 'pin'] as const;
type Field = (typeof FIELDS)[number];
const DAY_MS = 86_400_000;
/** Days of supply are those of UTC, as on the bill. */
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
const REASONS: Record<string, string> = {
  first: 'First reading',
  year: 'End of the year',
  'change of provider': 'Change of provider',
  'moving out': 'Moving out',
};
const STATES = { waiting: 'on its way', acknowledged: 'told', refused: 'refused' } as const;

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
      setText(byId(`${name}-fault`), `${field ? `${labelOf(field)} ` : ''}${(error as Error).message}.`);
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
    if (providers.length === 0) setText(byId('change-fault'), 'No other provider supplies here.');
  } catch (error) {
    setText(byId('change-fault'), `${(error as Error).message}.`);
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
  setText(byId('supply-provider'), supply.provider ?? 'Nobody: the house is empty');
  byId('supply-says').replaceChildren(...sentences(supply).map((sentence) => html('p', {}, sentence)));
  byId<HTMLButtonElement>('change-open').disabled = !supply.mayChange;
  byId<HTMLButtonElement>('moving-open').disabled = !supply.mayChange;
  const rows = supply.registers
    .toReversed()
    .map(({ atMs, reason, importKwh, exportKwh, state, refusal }) =>
      html(
        'tr',
        {},
        html('th', { scope: 'row' }, date.format(atMs)),
        html('td', {}, REASONS[reason] ?? reason),
        html('td', { class: 'number' }, importKwh === null ? '' : formatNumber(importKwh, 0)),
        html('td', { class: 'number' }, exportKwh === null ? '' : formatNumber(exportKwh, 0)),
        html('td', {}, refusal === null ? STATES[state] : `refused: ${refusal}`),
      ),
    );
  byId<HTMLTableElement>('told').tBodies[0].replaceChildren(...rows);
  byId('told').hidden = rows.length === 0;
}

function sentences({ next, asked, leaving }: SupplyView): string[] {
  const says: string[] = [];
  if (next) says.push(`From ${date.format(next.fromMs)} on it is ${next.provider}.`);
  if (asked && asked.refusal !== null) says.push(`${asked.provider} was not chosen: ${asked.refusal}.`);
  else if (asked) says.push(`${asked.provider}, from ${date.format(asked.fromMs)} on: it is being arranged.`);
  if (leaving)
    says.push(
      `You move out: ${date.format(leaving.fromMs)} is the first day that is no longer yours.${
        leaving.waitsFor === null ? '' : ` It waits for ${leaving.waitsFor}.`
      }`,
    );
  return says;
}
