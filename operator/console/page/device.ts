/** One device: how it is and why, its evidence over time, and revoking it, which is asked twice. */
import type { FleetDevice, FleetEvidence } from '../../../protocol/attestation/fleet.ts';
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatAge, formatDateTime, formatNumber } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import { releasesOf } from './fleet.ts';
import { ageOf, localTimes, mark, stateLine } from './states.ts';

type Severity = NonNullable<FleetDevice['revocation']>['severity'];

let current: FleetDevice | null = null;
let asked = false;
let changed: () => Promise<void> = async () => {};

export function setUpDevice(onChange: () => Promise<void>): void {
  changed = onChange;
  const dialog = byId<HTMLDialogElement>('device');
  const form = byId<HTMLFormElement>('revocation');
  byId('device-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    current = null;
  });
  byId('revoke').addEventListener('click', () => {
    form.reset();
    unfold(true);
    byId('reason').focus();
  });
  byId('revocation-cancel').addEventListener('click', () => unfold(false));
  form.addEventListener('input', () => ask(false));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void submit();
  });
  byId('lift').addEventListener('click', () => void act('/api/reinstate', { device: current?.device }));
}

export function openDevice(device: FleetDevice, atMs: number): void {
  unfold(false);
  byId('timeline').replaceChildren(html('li', { class: 'hint' }, 'Asking the verifier …'));
  show(device, atMs);
  byId<HTMLDialogElement>('device').showModal();
  void load(device.device);
}

/** Which device is looked at; null: none. */
export const openedDevice = (): string | null => current?.device ?? null;

/** The fleet was read again. */
export function refreshDevice(again: FleetDevice | null, atMs: number): void {
  if (!again || again.device !== current?.device) return;
  const grown = again.seenMs !== current?.seenMs;
  show(again, atMs);
  if (grown) void load(again.device);
}

function show(device: FleetDevice, atMs: number): void {
  current = device;
  const { address, area, state, sinceMs, why, warnings, revocation } = device;
  setText(byId('device-title'), address ?? 'In stock');
  const line = stateLine(state);
  if (sinceMs !== null) line.append(html('span', { class: 'sub' }, `for ${formatAge(ageOf(sinceMs, atMs))}`));
  byId('device-state').replaceChildren(line);
  byId('device-why').replaceChildren(
    ...why.map((sentence) => html('li', { class: 'bad' }, localTimes(sentence))),
    ...warnings.map((sentence) => html('li', {}, mark('advisory'), localTimes(sentence))),
  );
  const facts: [string, string][] = [
    ['Serial number', device.device],
    ['Area', area ?? '–'],
    ['Last evidence', device.seenMs === null ? 'none yet' : `${formatAge(ageOf(device.seenMs, atMs))} ago`],
    ['Trusted until', device.expiresMs === null ? '–' : formatDateTime(device.expiresMs)],
    ['Release, gateway / meter', releasesOf(device.gatewayVersion, device.meterVersion)],
    ['Restarts of its TPM', formatNumber(device.restarts, 0)],
    ['Failures in a row', formatNumber(device.failures, 0)],
  ];
  if (revocation)
    facts.push([titleOf(revocation.severity), `${revocation.reason} (${formatDateTime(revocation.atMs)})`]);
  byId('device-facts').replaceChildren(
    ...facts.map(([term, value]) => html('div', {}, html('dt', {}, term), html('dd', {}, value))),
  );
  byId('lift').hidden = revocation === null || state === 'revoked';
  setText(byId('lift'), revocation?.severity === 'advisory' ? 'Lift the advisory' : 'Lift the suspension');
  byId('revoke').hidden = state === 'revoked';
}

async function load(device: string): Promise<void> {
  const place = byId('timeline');
  try {
    const { evidence } = await request<{ evidence: FleetEvidence[] }>(`/api/device?device=${device}`);
    if (current?.device !== device) return;
    place.replaceChildren(...runsOf(evidence).map(runLine));
    if (evidence.length === 0) place.append(html('li', { class: 'hint' }, 'No evidence has ever come from it.'));
    byId('timeline-hint').hidden = evidence.length === 0;
  } catch (error) {
    if (current?.device === device)
      place.replaceChildren(html('li', { class: 'fault' }, `No answer: ${(error as Error).message}`));
  }
}

/** Evidence in a row that says the same is one line. */
function runsOf(evidence: FleetEvidence[]): FleetEvidence[][] {
  const runs: FleetEvidence[][] = [];
  const saysSame = (a: FleetEvidence, b: FleetEvidence): boolean =>
    a.trusted === b.trusted && a.why.join() === b.why.join() && a.warnings.join() === b.warnings.join();
  for (const one of evidence) {
    const run = runs.at(-1);
    if (run && saysSame(run[0], one)) run.push(one);
    else runs.push([one]);
  }
  return runs;
}

function runLine(run: FleetEvidence[]): HTMLElement {
  const [newest, oldest] = [run[0], run.at(-1)!];
  const { trusted, why, warnings, digest } = newest;
  const times =
    run.length > 1 ? `, ${formatNumber(run.length, 0)} times since ${formatDateTime(oldest.receivedMs)}` : '';
  return html(
    'li',
    {},
    mark(trusted ? 'trusted' : 'failed'),
    html(
      'div',
      {},
      html('p', {}, html('b', {}, trusted ? 'Trusted' : 'Failed'), ` ${formatDateTime(newest.receivedMs)}${times}`),
      ...[...why, ...warnings].map((sentence) => html('p', { class: 'sentence' }, localTimes(sentence))),
      html('code', {}, digest.slice(0, 16)),
    ),
  );
}

// Revoking

function unfold(isOpen: boolean): void {
  byId('revocation').hidden = !isOpen;
  byId('device-actions').hidden = isOpen;
  byId('device-story').hidden = isOpen; // the question stands alone, with its buttons in sight
  setText(byId('revocation-fault'), '');
  byId('reason').setAttribute('aria-invalid', 'false');
  ask(false);
}

const chosen = (): { severity: Severity; reason: string } => {
  const form = new FormData(byId<HTMLFormElement>('revocation'));
  return { severity: form.get('severity') as Severity, reason: String(form.get('reason')).trim() };
};

/** The second question: what will happen, to which device. */
function ask(isAsked: boolean): void {
  asked = isAsked;
  const { severity } = chosen();
  const where = current?.address ?? current?.device ?? '';
  const words: Record<Severity, string> = {
    advisory: `${where} stays trusted, with this warning.`,
    suspended: `${where} gets no new passes: its readings are held back until somebody lifts it.`,
    revoked: `${where} is revoked for ever. Its certificates are withdrawn, and nobody can take this back.`,
  };
  const sentence = severity === 'advisory' ? 'There is an advisory on this device' : `The device is ${severity}`;
  setText(byId('reason-label'), `Why? It ends the sentence “${sentence}: …”`);
  setText(byId('confirmation'), isAsked ? words[severity] : '');
  byId('confirmation').dataset.kind = isAsked && severity !== 'advisory' ? 'bad' : '';
  const go: Record<Severity, string> = {
    advisory: 'Yes, say so',
    suspended: 'Yes, suspend it',
    revoked: 'Yes, revoke it for ever',
  };
  setText(byId('revocation-go'), isAsked ? go[severity] : 'Continue');
}

async function submit(): Promise<void> {
  const { severity, reason } = chosen();
  const isMissing = reason === '';
  byId('reason').setAttribute('aria-invalid', String(isMissing));
  setText(byId('revocation-fault'), isMissing ? 'Give a reason: it is kept, and shown to whoever asks why.' : '');
  if (isMissing) byId('reason').focus();
  else if (!asked) ask(true);
  else await act('/api/revoke', { device: current?.device, severity, reason });
}

async function act(path: string, body: object): Promise<void> {
  const buttons = ['revocation-go', 'lift'].map((id) => byId<HTMLButtonElement>(id));
  for (const button of buttons) button.disabled = true;
  try {
    await request(path, 'POST', body);
    unfold(false);
    await changed();
    byId('device-close').focus();
  } catch (error) {
    unfold(true);
    setText(byId('revocation-fault'), `Nothing is certain: ${(error as Error).message}. Do it again.`);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

export const titleOf = (severity: Severity): string =>
  ({ advisory: 'Advisory', suspended: 'Suspended', revoked: 'Revoked' })[severity];
