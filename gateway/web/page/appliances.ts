/** Appliances: what each may do now and why, the customer's rules, and what the provider said to the area. */
import { byId, html, nodesOf, setSaid, setText } from '../../../web/page/dom.ts';
import { formatPlanned } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { ApplianceRow, ApplianceRule, ControlView } from '../household-view.ts';
import { texts } from './texts/texts.ts';

interface AppliancesAnswer {
  nowMs: number;
  appliances: ApplianceRow[];
  control: ControlView;
}
type Message = ControlView['messages'][number];

const words = texts.appliances;
const MESSAGES_SHOWN = 5;
let shown = '';
let edited: ApplianceRow | null = null;

export async function loadAppliances(): Promise<void> {
  const answer = await request<AppliancesAnswer>('/api/appliances');
  const { appliances, control, nowMs } = answer;
  const isEmpty = appliances.length === 0 && control.messages.length === 0 && control.refusals.length === 0;
  byId('appliances').hidden = isEmpty;
  const text = JSON.stringify([appliances, control]);
  if (text === shown) return;
  shown = text;
  byId('appliance-list').replaceChildren(...appliances.map((row) => itemOf(row)));
  byId('control-messages').replaceChildren(
    ...control.messages.slice(0, MESSAGES_SHOWN).map((message) => messageLine(message, nowMs)),
  );
  if (control.messages.length === 0) byId('control-messages').append(html('li', { class: 'hint' }, words.nothingSaid));
  byId('control-refused').replaceChildren(
    ...control.refusals.map(({ reason, times, lastMs }) =>
      html(
        'li',
        {},
        ...nodesOf({
          sentence: words.notObeyed(times, formatPlanned(lastMs, nowMs)),
          english: reason.replace(/^control\.(\w+): /, 'its $1 '),
        }),
      ),
    ),
  );
  const { trouble } = control;
  setSaid(byId('control-trouble'), trouble === null ? '' : { sentence: words.trouble, english: trouble });
}

function stateWords({ state, limitW }: ApplianceRow): string {
  if (state === 'limit') return words.atMost(limitW ?? 0);
  return state === 'on' ? words.mayRun : words.heldOff;
}

function itemOf(row: ApplianceRow): HTMLElement {
  const change = html(
    'button',
    { type: 'button', class: 'quiet', 'aria-label': words.rulesFor(row.label) },
    words.rules,
  );
  change.addEventListener('click', () => openRules(row));
  return html(
    'li',
    { 'data-appliance': row.name },
    html(
      'div',
      {},
      html('h3', {}, row.label),
      html('p', { class: 'may', 'data-state': row.state }, stateWords(row)),
      html('p', { class: 'more', lang: 'en' }, `${row.reason}.`),
    ),
    change,
  );
}

function messageLine(
  { deviceClass, command, limitW, notBeforeMs, expiresMs, state }: Message,
  nowMs: number,
): HTMLElement {
  const whom = deviceClass === 'all' ? words.all : (words.classes[deviceClass] ?? deviceClass);
  const what = command === 'off' ? words.off : command === 'on' ? words.allowed : words.limited(limitW ?? 0);
  const times = words.span(formatPlanned(notBeforeMs, nowMs), formatPlanned(expiresMs, nowMs));
  return html(
    'li',
    { 'data-state': state },
    html('span', {}, `${whom}: ${what}`),
    html('span', { class: 'more' }, `${times}, ${words.states[state]}`),
  );
}

// Rules

export function setUpAppliances(): void {
  const dialog = byId<HTMLDialogElement>('rules');
  byId('rules-cancel').addEventListener('click', () => dialog.close());
  byId('rule-price').addEventListener('click', () => addRule({ kind: 'price', belowMilliCentPerKwh: 20_000 }, true));
  byId('rule-hours').addEventListener('click', () =>
    addRule({ kind: 'hours', fromMinute: 22 * 60, toMinute: 6 * 60 }, true),
  );
  byId('rules-form').addEventListener('input', () => setText(byId('rules-fault'), ''));
  byId<HTMLFormElement>('rules-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void save();
  });
}

function openRules(row: ApplianceRow): void {
  edited = row;
  setText(byId('rules-title'), words.rulesFor(row.label));
  setText(byId('rules-fault'), '');
  byId('rule-list').replaceChildren();
  for (const rule of row.rules) addRule(rule, false);
  sayNone();
  byId<HTMLDialogElement>('rules').showModal();
}

const two = (value: number): string => String(value).padStart(2, '0');
const timeOf = (minute: number): string => `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
const minuteOf = (time: string): number => {
  const [hour, minute] = time.split(':').map(Number);
  return hour * 60 + minute;
};

function addRule(rule: ApplianceRule, isNew: boolean): void {
  const remove = html('button', { type: 'button', class: 'quiet', 'aria-label': words.removeThis }, words.remove);
  const item = html('li', { 'data-kind': rule.kind });
  if (rule.kind === 'price') {
    const value = rule.belowMilliCentPerKwh / 1000;
    const field = html('input', { type: 'number', step: 'any', value, name: 'below', 'aria-label': words.priceLabel });
    item.append(html('span', {}, words.priceBefore), field, html('span', {}, words.priceAfter));
  } else {
    const time = (name: string, minute: number, label: string) =>
      html('input', { type: 'time', name, value: timeOf(minute), 'aria-label': label });
    item.append(
      html('span', {}, words.hoursBefore),
      time('from', rule.fromMinute, words.from),
      html('span', {}, words.hoursMiddle),
      time('to', rule.toMinute, words.until),
      html('span', {}, words.hoursAfter),
    );
  }
  remove.addEventListener('click', () => {
    item.remove();
    sayNone();
    byId('rule-price').focus();
  });
  item.append(remove);
  byId('rule-list').append(item);
  sayNone();
  if (isNew) item.querySelector('input')?.focus();
}

const sayNone = (): void => {
  byId('rules-none').hidden = byId('rule-list').childElementCount > 0;
};

function typedRules(): ApplianceRule[] {
  return [...byId('rule-list').children].map((item) => {
    const value = (name: string): string => item.querySelector<HTMLInputElement>(`[name="${name}"]`)?.value ?? '';
    if ((item as HTMLElement).dataset.kind === 'price')
      return { kind: 'price', belowMilliCentPerKwh: Math.round(Number(value('below') || Number.NaN) * 1000) };
    return { kind: 'hours', fromMinute: minuteOf(value('from')), toMinute: minuteOf(value('to')) };
  });
}

async function save(): Promise<void> {
  const button = byId<HTMLButtonElement>('rules-save');
  button.disabled = true;
  try {
    await request('/api/appliances', 'POST', { name: edited?.name, rules: typedRules() });
    byId<HTMLDialogElement>('rules').close();
    await loadAppliances();
  } catch (error) {
    const said = (error as Error).message.replace(/^rules\.(\d+)\S*/, (_, index) => `rule ${Number(index) + 1}`);
    setSaid(byId('rules-fault'), { sentence: words.notKept, english: said });
  } finally {
    button.disabled = false;
  }
}
