/** The table of devices: filtered by state and by what is typed, what wants a person first. */
import type { FleetDevice } from '../../../protocol/attestation/fleet.ts';
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatAge, formatNumber, plural } from '../../../web/page/format.ts';
import { ageOf, localTimes, mark, STATES, type State, stateLine, WORDS } from './states.ts';

const ROWS_FIRST = 20;
const ROWS_MORE = 200;

export interface FleetData {
  nowMs: number;
  devices: FleetDevice[];
}

let data: FleetData = { nowMs: 0, devices: [] };
let only: State | null = null;
let rowsMost = ROWS_FIRST;
let shown = '';
let open: (device: FleetDevice) => void = () => {};

export function setUpFleet(onOpen: (device: FleetDevice) => void): void {
  open = onOpen;
  byId('search').addEventListener('input', () => draw());
  byId('more').addEventListener('click', () => {
    rowsMost += ROWS_MORE;
    draw();
  });
}

export function showFleet(next: FleetData): void {
  data = next;
  draw();
}

function draw(): void {
  const typed = byId<HTMLInputElement>('search').value.trim().toLowerCase();
  const found = data.devices.filter((row) => matches(row, typed));
  drawFilters(found);
  const rows = found.filter(({ state }) => only === null || state === only).sort(byUrgency);
  setText(byId('fleet-summary'), summaryOf(data.devices));
  byId('more').hidden = rows.length <= rowsMost;
  const text = JSON.stringify([rows.slice(0, rowsMost), Math.floor(data.nowMs / 60_000), rowsMost]);
  if (text === shown) return; // a row that has the focus keeps it
  shown = text;
  const focused = document.activeElement?.getAttribute('data-device');
  const body = byId<HTMLTableElement>('devices').tBodies[0];
  body.replaceChildren(...rows.slice(0, rowsMost).map(rowOf));
  if (rows.length === 0)
    body.append(html('tr', {}, html('td', { colspan: 5, class: 'nothing' }, 'No device like this.')));
  if (focused) body.querySelector<HTMLElement>(`[data-device="${CSS.escape(focused)}"]`)?.focus();
}

function drawFilters(found: FleetDevice[]): void {
  const place = byId('filters');
  if (place.querySelector('button') === null) {
    for (const state of [null, ...STATES]) {
      const button = html('button', { type: 'button', 'data-filter': state ?? 'all' });
      if (state) button.append(mark(state));
      button.append(html('span', {}, state ? WORDS[state] : 'All'), html('b', {}, '0'));
      button.addEventListener('click', () => {
        only = state;
        rowsMost = ROWS_FIRST;
        draw();
      });
      place.append(button);
    }
  }
  for (const button of place.querySelectorAll('button')) {
    const state = button.dataset.filter;
    const count = state === 'all' ? found.length : found.filter((row) => row.state === state).length;
    setText(button.querySelector('b')!, formatNumber(count, 0));
    button.setAttribute('aria-pressed', String((only ?? 'all') === state));
    button.classList.toggle('none', count === 0);
  }
}

function rowOf(row: FleetDevice): HTMLElement {
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
    html('td', { class: 'number age' }, seenMs === null ? '–' : `${formatAge(ageOf(seenMs, data.nowMs))} ago`),
    html('td', { class: 'number release' }, releasesOf(gatewayVersion, meterVersion)),
  );
}

/** One number where gateway and meter run the same. */
export function releasesOf(gateway: number | null, meter: number | null): string {
  if (gateway === null && meter === null) return '–';
  return gateway === meter ? `${gateway}` : `${gateway ?? '–'} / ${meter ?? '–'}`;
}

function summaryOf(devices: FleetDevice[]): string {
  if (devices.length === 0) return 'No device is registered yet.';
  const trusted = devices.filter(({ state }) => state === 'trusted').length;
  const troubled = devices.filter(({ state }) => state === 'failed' || state === 'expired').length;
  const all = trusted === devices.length;
  if (all) return `All ${plural(devices.length, 'device is', 'devices are')} trusted.`;
  const trouble =
    troubled === 0 ? 'Nothing is wrong with the others.' : `${plural(troubled, 'wants', 'want')} somebody to look at.`;
  return `${formatNumber(trusted, 0)} of ${plural(devices.length, 'device is', 'devices are')} trusted. ${trouble}`;
}

const matches = ({ address, area, device }: FleetDevice, typed: string): boolean =>
  [address, area, device].some((text) => text?.toLowerCase().includes(typed));

const byUrgency = (a: FleetDevice, b: FleetDevice): number =>
  STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
  (a.address ?? '~').localeCompare(b.address ?? '~', undefined, { numeric: true }) ||
  (a.device < b.device ? -1 : 1);
