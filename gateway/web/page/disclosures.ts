/**
 * What the provider was told beyond the readings without a name, and the customer's consent: questions to answer, things to tell, and
 * everything that was told. The section is made here, behind the bill.
 */
import { byId, html, inEnglish, nodesOf, setSaid, setText } from '../../../web/page/dom.ts';
import { language, locale } from '../../../web/page/language.ts';
import { request } from '../../../web/page/request.ts';
import type { DisclosureRow, DisclosureView } from '../household-view.ts';
import { formatEnergy } from './power.ts';
import { disclosures as de } from './texts/de/disclosures.ts';
import { disclosures as en } from './texts/en/disclosures.ts';

type Question = DisclosureView['questions'][number];
interface Answer {
  nowMs: number;
  disclosures: DisclosureView | null;
}

const words = language === 'de' ? de : en;
const SLOT_MS = 900_000;
const DAY_SLOTS = 96;
const DAY_MS = DAY_SLOTS * SLOT_MS;
const KINDS = ['day', 'reading', 'total', 'peak'] as const;
/** Days of what is told are those of UTC, as on the bill. */
const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });
let nowMs = 0;
let shown = '';

export async function loadDisclosures(): Promise<void> {
  const answer = await request<Answer>('/api/disclosures');
  nowMs = answer.nowMs;
  show(answer.disclosures);
}

export function setUpDisclosures(): void {
  const options = (names: Record<string, string>, keys: readonly string[]) =>
    keys.map((key) => html('option', { value: key }, names[key]));
  const kinds = { ...words.kinds, ...words.wholes };
  const field = (id: string, label: string, input: HTMLElement) =>
    html('p', {}, html('label', { for: id }, label), ' ', input);
  const form = html(
    'form',
    { id: 'disclose-form' },
    field('disclose-kind', words.what, html('select', { id: 'disclose-kind' }, ...options(kinds, KINDS))),
    field(
      'disclose-register',
      words.register,
      html('select', { id: 'disclose-register' }, ...options(words.registers, ['import', 'export'])),
    ),
    field('disclose-when', words.when, html('input', { id: 'disclose-when', type: 'datetime-local', step: 900 })),
    html('button', { type: 'submit', class: 'quiet' }, words.go),
  );
  const head = [words.thing, words.value, words.to, words.at].map((text, i) =>
    html('th', i === 1 ? { scope: 'col', class: 'number' } : { scope: 'col' }, text),
  );
  const button = (kind: string, text: string) =>
    html('button', { type: 'button', class: 'quiet', 'data-file': kind }, text);
  byId('bill').after(
    html(
      'section',
      { class: 'card', id: 'disclosures', 'aria-labelledby': 'disclosures-title', hidden: '' },
      html('div', { class: 'card-head' }, html('h2', { id: 'disclosures-title' }, words.title)),
      html('p', { class: 'lead' }, words.lead),
      html('div', { id: 'disclosures-asked', role: 'status' }),
      html(
        'section',
        { class: 'wide', 'aria-label': words.list, tabindex: 0 },
        html(
          'table',
          { id: 'disclosures-told', 'aria-label': words.list },
          html('thead', {}, html('tr', {}, ...head)),
          html('tbody'),
        ),
      ),
      html('details', {}, html('summary', {}, words.tell), form),
      html('p', { class: 'fault', id: 'disclose-fault', role: 'alert' }),
      html(
        'p',
        { class: 'hint' },
        words.files,
        ' ',
        button('delegation', words.delegation),
        ' ',
        button('dispute', words.dispute),
      ),
      html('p', { class: 'hint' }, words.delegationWarns),
    ),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void answered(() => request('/api/disclosures', 'POST', { ...chosen(), request: null }));
  });
  byId('disclosures').addEventListener('click', ({ target }) => {
    const kind = (target as HTMLElement).dataset.file;
    if (kind) void answered(() => download(kind));
  });
}

/** What the form says. @throws Error in words */
function chosen(): { kind: string; register: string; firstSlot: number; endSlot: number } {
  const kind = byId<HTMLSelectElement>('disclose-kind').value;
  const register = byId<HTMLSelectElement>('disclose-register').value;
  if (kind === 'total' || kind === 'peak') {
    const now = new Date(nowMs);
    const firstSlot = Date.UTC(now.getUTCFullYear(), now.getUTCMonth()) / SLOT_MS;
    return { kind, register, firstSlot, endSlot: Math.floor(nowMs / DAY_MS) * DAY_SLOTS };
  }
  const fromMs = Date.parse(`${byId<HTMLInputElement>('disclose-when').value}Z`);
  if (Number.isNaN(fromMs)) throw new Error(words.noDate);
  if (kind === 'reading') {
    const slot = Math.floor(fromMs / SLOT_MS);
    return { kind, register, firstSlot: slot, endSlot: slot + 1 };
  }
  const first = Math.floor(fromMs / DAY_MS) * DAY_SLOTS;
  return { kind, register, firstSlot: first, endSlot: first + DAY_SLOTS };
}

/** Does it, and shows what came of it. */
async function answered(act: () => Promise<unknown>): Promise<void> {
  setText(byId('disclose-fault'), '');
  try {
    await act();
    await loadDisclosures();
  } catch (error) {
    setSaid(byId('disclose-fault'), { sentence: words.fault, english: (error as Error).message });
  }
}

async function download(kind: string): Promise<void> {
  const now = new Date(nowMs);
  const month = (now.getUTCFullYear() - 1970) * 12 + now.getUTCMonth() - 1;
  const { file } = await request<{ file: string }>('/api/bill/file', 'POST', { kind, month });
  const href = URL.createObjectURL(new Blob([file], { type: 'application/json' }));
  html('a', { href, download: `${kind}-${month}.json` }).click();
  URL.revokeObjectURL(href);
}

function show(view: DisclosureView | null): void {
  byId('disclosures').hidden = view === null;
  const text = JSON.stringify(view);
  if (view === null || text === shown) return;
  shown = text;
  byId('disclosures-asked').replaceChildren(...view.questions.map(questionOf));
  const rows = view.told.map(rowOf);
  if (rows.length === 0) rows.push(html('tr', {}, html('td', { colspan: 4 }, words.nothing)));
  byId<HTMLTableElement>('disclosures-told').tBodies[0].replaceChildren(...rows);
}

function questionOf({ id, kind, register, firstSlot, endSlot, fromMs, toMs, why }: Question): HTMLElement {
  const [from, to] = [fromMs, toMs].map((ms) => moment.format(ms));
  const agree = html('button', { type: 'button' }, words.agree);
  const refuse = html('button', { type: 'button', class: 'quiet' }, words.refuse);
  agree.addEventListener('click', () => {
    const form = { kind, register, firstSlot, endSlot, request: id };
    void answered(() => request('/api/disclosures', 'POST', form));
  });
  refuse.addEventListener(
    'click',
    () => void answered(() => request('/api/disclosures/refuse', 'POST', { request: id })),
  );
  return html(
    'div',
    { 'data-question': id },
    html(
      'p',
      {},
      html('strong', {}, words.asks),
      ` ${words.question(words.kinds[kind], words.registers[register], from, to)}. `,
      // whatever language the provider's people write in
      ...(why === '' ? [] : nodesOf({ sentence: words.because, english: why })),
    ),
    html('p', {}, agree, ' ', refuse),
  );
}

function rowOf({ name, party, kind, valueMwh, madeMs, told }: DisclosureRow): HTMLElement {
  return html(
    'tr',
    {},
    html('th', { scope: 'row' }, `${words.kinds[kind]}: `, ...nodesOf(inEnglish(name))),
    html('td', { class: 'number' }, valueMwh === null ? words.onBill : formatEnergy(valueMwh)),
    html('td', {}, party),
    html('td', {}, told ? moment.format(madeMs) : words.onItsWay),
  );
}
