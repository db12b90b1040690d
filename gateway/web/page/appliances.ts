/** Appliances: what each may do now and why, the customer's rules, and what the provider said to the area. */
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatNumber, formatPlanned, plural } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { ApplianceRow, ApplianceRule, ControlView } from '../household-view.ts';

interface AppliancesAnswer {
  nowMs: number;
  appliances: ApplianceRow[];
  control: ControlView;
}
type Message = ControlView['messages'][number];

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
  if (control.messages.length === 0)
    byId('control-messages').append(html('li', { class: 'hint' }, 'Nothing has been said to your area.'));
  byId('control-refused').replaceChildren(
    ...control.refusals.map(({ reason, times, lastMs }) =>
      html(
        'li',
        {},
        `Not obeyed ${plural(times, 'time', 'times')}, last ${formatPlanned(lastMs, nowMs)}: ${reason.replace(/^control\.(\w+): /, 'its $1 ')}.`,
      ),
    ),
  );
  setText(byId('control-trouble'), control.trouble === null ? '' : `The provider cannot be asked: ${control.trouble}.`);
}

function stateWords({ state, limitW }: ApplianceRow): string {
  if (state === 'limit') return `At most ${formatNumber(limitW ?? 0, 0)} W`;
  return state === 'on' ? 'May run' : 'Held off';
}

function itemOf(row: ApplianceRow): HTMLElement {
  const change = html('button', { type: 'button', class: 'quiet', 'aria-label': `Rules for ${row.label}` }, 'Rules …');
  change.addEventListener('click', () => openRules(row));
  return html(
    'li',
    { 'data-appliance': row.name },
    html(
      'div',
      {},
      html('h3', {}, row.label),
      html('p', { class: 'may', 'data-state': row.state }, stateWords(row)),
      html('p', { class: 'more' }, `${row.reason}.`),
    ),
    change,
  );
}

function messageLine(
  { deviceClass, command, limitW, notBeforeMs, expiresMs, state }: Message,
  nowMs: number,
): HTMLElement {
  const whom = deviceClass === 'all' ? 'Every appliance' : deviceClass;
  const what =
    command === 'off' ? 'off' : command === 'on' ? 'allowed again' : `at most ${formatNumber(limitW ?? 0, 0)} W`;
  const words = { 'to come': 'to come', 'in force': 'in force', over: 'over' }[state];
  const times = `${formatPlanned(notBeforeMs, nowMs)} until ${formatPlanned(expiresMs, nowMs)}`;
  return html(
    'li',
    { 'data-state': state },
    html('span', {}, `${whom}: ${what}`),
    html('span', { class: 'more' }, `${times}, ${words}`),
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
  setText(byId('rules-title'), `Rules for ${row.label}`);
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
  const remove = html('button', { type: 'button', class: 'quiet', 'aria-label': 'Remove this rule' }, 'Remove');
  const item = html('li', { 'data-kind': rule.kind });
  if (rule.kind === 'price') {
    const value = rule.belowMilliCentPerKwh / 1000;
    const field = html('input', { type: 'number', step: 'any', value, name: 'below', 'aria-label': 'cents per kWh' });
    item.append(html('span', {}, 'Only while a kWh costs less than '), field, html('span', {}, ' ct'));
  } else {
    const time = (name: string, minute: number, label: string) =>
      html('input', { type: 'time', name, value: timeOf(minute), 'aria-label': label });
    item.append(
      html('span', {}, 'Only between '),
      time('from', rule.fromMinute, 'from'),
      html('span', {}, ' and '),
      time('to', rule.toMinute, 'until'),
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
    setText(byId('rules-fault'), `Not kept: ${said}.`);
  } finally {
    button.disabled = false;
  }
}
