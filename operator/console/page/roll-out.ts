/** Releases, newest first: how far each has come. */
import type { FleetRelease } from '../../../protocol/attestation/fleet.ts';
import { byId, html } from '../../../web/page/dom.ts';
import { formatDateTime, formatNumber } from '../../../web/page/format.ts';

let shown = '';

export function showRollOut(releases: FleetRelease[], devices: number, nowMs: number): void {
  const text = JSON.stringify([releases, devices]);
  if (text === shown) return;
  shown = text;
  const place = byId('releases');
  place.replaceChildren(...releases.toReversed().map((release) => section(release, devices, nowMs)));
  if (releases.length === 0) place.append(html('p', { class: 'hint nothing' }, 'Nothing has been released yet.'));
}

function section(release: FleetRelease, devices: number, nowMs: number): HTMLElement {
  const { version, notes, gateways, meters } = release;
  const title = html('h3', {}, `Release ${version}`, html('span', { class: 'sub' }, standingOf(release, nowMs)));
  const made = html('section', { class: 'roll-out' }, title);
  if (notes) made.append(html('p', { class: 'notes' }, notes));
  made.append(bar('Gateways', gateways, devices), bar('Meters', meters, devices));
  return made;
}

function standingOf({ accepted, fromMs, untilMs }: FleetRelease, nowMs: number): string {
  if (accepted) return untilMs === null ? 'accepted' : `accepted until ${formatDateTime(untilMs)}`;
  return fromMs > nowMs ? `from ${formatDateTime(fromMs)}` : 'retired';
}

function bar(label: string, count: number, of: number): HTMLElement {
  const meter = html('progress', { max: Math.max(1, of), value: count, 'aria-label': label });
  return html(
    'p',
    { class: 'bar' },
    html('span', {}, label),
    meter,
    html('b', {}, `${formatNumber(count, 0)} of ${formatNumber(of, 0)}`),
  );
}
