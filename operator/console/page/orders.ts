/** What people and provider have ordered: revocations of devices, control messages to areas. */
import type { FleetDevice } from '../../../protocol/attestation/fleet.ts';
import type { SentControl } from '../../../protocol/control/services.ts';
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatDateTime, formatNumber, plural } from '../../../web/page/format.ts';
import { titleOf } from './device.ts';
import { mark } from './states.ts';

const MESSAGES_SHOWN = 20;
let shownRevocations = '';
let shownMessages = '';

/** @param revoked newest first */
export function showRevocations(revoked: FleetDevice[], open: (device: FleetDevice) => void): void {
  const text = JSON.stringify(revoked);
  if (text === shownRevocations) return;
  shownRevocations = text;
  byId('revocations').replaceChildren(...revoked.map((device) => lineOf(device, open)));
  if (revoked.length === 0)
    byId('revocations').append(html('li', { class: 'hint nothing' }, 'No device is revoked, suspended or warned of.'));
}

function lineOf(row: FleetDevice, open: (device: FleetDevice) => void): HTMLElement {
  const { device, address, revocation, why } = row;
  const severity = revocation?.severity ?? 'revoked';
  const name = html('button', { type: 'button', class: 'device' }, address ?? device);
  name.addEventListener('click', () => open(row));
  const when = revocation ? ` · ${formatDateTime(revocation.atMs)}` : '';
  return html(
    'li',
    {},
    html('span', { class: 'mark-line', 'data-state': severity }, mark(severity), titleOf(severity)),
    html('div', {}, name, html('p', { class: 'sub' }, `${revocation?.reason ?? why[0] ?? ''}${when}`)),
  );
}

type Standing = 'in force' | 'to come' | 'over';
function standingOf({ notBeforeMs, expiresMs }: SentControl, nowMs: number): Standing {
  if (nowMs >= expiresMs) return 'over';
  return nowMs < notBeforeMs ? 'to come' : 'in force';
}
const STANDING_WORDS: Record<Standing, string> = { 'in force': 'In force', 'to come': 'To come', over: 'Over' };

/** @param sent null: there is no provider to ask */
export function showControl(sent: SentControl[] | null, nowMs: number): void {
  byId('control').hidden = sent === null;
  if (sent === null) return;
  const rows = sent.map((message) => ({ message, standing: standingOf(message, nowMs) }));
  const text = JSON.stringify(rows);
  if (text === shownMessages) return;
  shownMessages = text;
  const count = (standing: Standing): number => rows.filter((row) => row.standing === standing).length;
  setText(
    byId('control-summary'),
    sent.length === 0
      ? 'Nothing has been said to any area.'
      : `${plural(sent.length, 'message', 'messages')}: ${formatNumber(count('in force'), 0)} in force, ${formatNumber(count('to come'), 0)} to come.`,
  );
  byId('messages').hidden = sent.length === 0;
  byId<HTMLTableElement>('messages').tBodies[0].replaceChildren(
    ...rows
      .slice(0, MESSAGES_SHOWN)
      .map(({ message, standing }) =>
        html(
          'tr',
          {},
          html('td', {}, html('span', { class: 'standing', 'data-standing': standing }, STANDING_WORDS[standing])),
          html('td', {}, message.area),
          html('td', {}, wordsOf(message)),
          html('td', { class: 'when' }, formatDateTime(message.notBeforeMs)),
          html('td', { class: 'when' }, formatDateTime(message.expiresMs)),
        ),
      ),
  );
}

function wordsOf({ deviceClass, command, limitW }: SentControl): string {
  const whom = deviceClass === 'all' ? 'every appliance' : deviceClass;
  if (command === 'off') return `${whom}: off`;
  if (command === 'limit') return `${whom}: at most ${formatNumber(limitW ?? 0, 0)} W`;
  return `${whom}: allowed again`;
}
