/** The table of devices: the verifier filters by state and by what is typed, and puts first what wants a person first. */
import type { FleetDevice, FleetPage } from '../../../protocol/attestation/fleet.ts';
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatAge, formatNumber, plural } from '../../../web/page/format.ts';
import { ageOf, localTimes, mark, STATES, type State, stateLine, WORDS } from './states.ts';

const ROWS_FIRST = 20;
const ROWS_MORE = 200;
/** After the last key, before the verifier is asked. */
const TYPED_MS = 250;

export interface FleetData extends FleetPage {
  more: boolean;
}

let only: State | null = null;
let rowsMost = ROWS_FIRST;
let shown = '';
let open: (device: FleetDevice) => void = () => {};
let changed: () => void = () => {};

export function setUpFleet(onOpen: (device: FleetDevice) => void, onChange: () => void): void {
  open = onOpen;
  changed = onChange;
  let typing = 0;
  byId('search').addEventListener('input', () => {
    rowsMost = ROWS_FIRST;
    clearTimeout(typing);
    typing = window.setTimeout(changed, TYPED_MS);
  });
  byId('more').addEventListener('click', () => {
    rowsMost += ROWS_MORE;
    changed();
  });
}

/** What is looked at, as operator/console/api.ts takes it. */
export const wantedRows = (): Record<string, string> => ({
  state: only ?? '',
  text: byId<HTMLInputElement>('search').value.trim(),
  most: String(rowsMost),
});

export function showFleet({ nowMs, devices, counts, all, more }: FleetData): void {
  drawFilters(counts);
  setText(byId('fleet-summary'), summaryOf(all));
  byId('more').hidden = !more;
  const text = JSON.stringify([devices, Math.floor(nowMs / 60_000)]);
  if (text === shown) return; // a row that has the focus keeps it
  shown = text;
  const focused = document.activeElement?.getAttribute('data-device');
  const body = byId<HTMLTableElement>('devices').tBodies[0];
  body.replaceChildren(...devices.map((row) => rowOf(row, nowMs)));
  if (devices.length === 0)
    body.append(html('tr', {}, html('td', { colspan: 5, class: 'nothing' }, 'No device like this.')));
  if (focused) body.querySelector<HTMLElement>(`[data-device="${CSS.escape(focused)}"]`)?.focus();
}

function drawFilters(counts: FleetPage['counts']): void {
  const place = byId('filters');
  if (place.querySelector('button') === null) {
    for (const state of [null, ...STATES]) {
      const button = html('button', { type: 'button', 'data-filter': state ?? 'all' });
      if (state) button.append(mark(state));
      button.append(html('span', {}, state ? WORDS[state] : 'All'), html('b', {}, '0'));
      button.addEventListener('click', () => {
        only = state;
        rowsMost = ROWS_FIRST;
        changed();
      });
      place.append(button);
    }
  }
  for (const button of place.querySelectorAll('button')) {
    const state = button.dataset.filter;
    const every = Object.values(counts).reduce((sum, one) => sum + one, 0);
    const count = state === 'all' ? every : counts[state as State];
    setText(button.querySelector('b')!, formatNumber(count, 0));
    button.setAttribute('aria-pressed', String((only ?? 'all') === state));
    button.classList.toggle('none', count === 0);
  }
}

function rowOf(row: FleetDevice, nowMs: number): HTMLElement {
  const { device, address, area, why, warnings, seenMs, gatewayVersion, meterVersion } = row;
  const name = html('button', { type: 'button', class: 'device', 'data-device': device }, address ?? 'In stock');
  name.addEventListener('click', () => open(row));
  const said = why.length > 0 ? why : warnings;
  const words = html('td', { class: 'why' }, localTimes(said[0] ?? ''));
  if (said.length > 1)
    words.append(html('span', { class: 'others' }, ` and ${plural(said.length - 1, 'more', 'more')}`));
  return html(
    'tr',
    { 'data-state': row.state },
    html('td', {}, stateLine(row.state)),
    html('td', {}, name, html('span', { class: 'sub' }, [area, device].filter(Boolean).join(' · '))),
    words,
    html('td', { class: 'number age' }, seenMs === null ? '–' : `${formatAge(ageOf(seenMs, nowMs))} ago`),
    html('td', { class: 'number release' }, releasesOf(gatewayVersion, meterVersion)),
  );
}

/** One number where gateway and meter run the same. */
export function releasesOf(gateway: number | null, meter: number | null): string {
  if (gateway === null && meter === null) return '–';
  return gateway === meter ? `${gateway}` : `${gateway ?? '–'} / ${meter ?? '–'}`;
}

function summaryOf({ devices, trusted, troubled }: FleetPage['all']): string {
  if (devices === 0) return 'No device is registered yet.';
  if (trusted === devices) return `All ${plural(devices, 'device is', 'devices are')} trusted.`;
  const trouble =
    troubled === 0 ? 'Nothing is wrong with the others.' : `${plural(troubled, 'wants', 'want')} somebody to look at.`;
  return `${formatNumber(trusted, 0)} of ${plural(devices, 'device is', 'devices are')} trusted. ${trouble}`;
}
