/** Whether this meter can be relied on: set up, trusted, its software, its record. Each in words, with a mark of its own shape. */
import { byId, html, setText, svg } from '../../../web/page/dom.ts';
import { formatPlanned, plural } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { LogState, SetupView, SoftwareView, TrustView } from '../household-view.ts';

export interface House {
  nowMs: number;
  setup: SetupView | null;
  trust: TrustView | null;
  software: SoftwareView | null;
  log: LogState | null;
}

type Kind = 'good' | 'wait' | 'bad';
interface Line {
  title: string;
  kind: Kind;
  says: string;
  more: string[];
}

const SHAPES: Record<Kind, string> = {
  good: 'M2.5 8.5 6.5 12.5 13.5 4',
  wait: 'M8 1.5a6.5 6.5 0 1 0 .01 0M8 4.5V8.2l2.6 1.8',
  bad: 'M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5',
};

let shown = '';

export function showHouse(house: House): void {
  const lines = [
    house.setup && setupLine(house.setup),
    house.trust && trustLine(house.trust, house.nowMs),
    house.software && softwareLine(house.software),
    house.log && logLine(house.log, house.nowMs),
  ].filter((line) => line !== null);
  byId('meter').hidden = lines.length === 0;
  const open = byId('setup-open');
  open.hidden = house.setup === null;
  setText(open, house.setup?.state === 'ready' ? 'Set up anew …' : 'Set up this meter …');
  byId('record-open').hidden = house.log?.ok !== false;
  const text = JSON.stringify(lines);
  if (text === shown) return; // Written again it would be read aloud again.
  shown = text;
  byId('assurances').replaceChildren(...lines.map(itemOf));
}

function itemOf({ title, kind, says, more }: Line): HTMLElement {
  const mark = svg(
    'svg',
    { class: 'mark', viewBox: '0 0 16 16', 'aria-hidden': 'true' },
    svg('path', { d: SHAPES[kind] }),
  );
  const words = html('div', {}, html('h3', {}, title), html('p', {}, says));
  words.append(...more.map((sentence) => html('p', { class: 'more' }, sentence)));
  return html('li', { 'data-kind': kind }, mark, words);
}

const sentence = (text: string): string =>
  `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
const also = (reason: string | null): string[] => (reason === null ? [] : [sentence(reason)]);

function setupLine({ state, reason, daysLeft }: SetupView): Line {
  const title = 'Set up';
  if (state === 'ready') {
    const says = `Done. Pseudonyms for ${plural(daysLeft, 'more day', 'more days')}; new ones come by themselves.`;
    return { title, kind: daysLeft > 0 ? 'good' : 'wait', says, more: also(reason) };
  }
  if (state === 'waiting')
    return {
      title,
      kind: 'wait',
      says: 'What you typed is sealed and on its way. This takes a minute.',
      more: also(reason),
    };
  if (state === 'refused')
    return { title, kind: 'bad', says: 'It came to nothing. Correct what is wrong and try again.', more: also(reason) };
  return { title, kind: 'wait', says: 'Not yet. Have your provider’s letter with the PIN at hand.', more: [] };
}

function trustLine({ state, sinceMs, expiresMs, why, warnings, trouble }: TrustView, nowMs: number): Line {
  const title = 'Trusted';
  const at = (ms: number | null) => (ms === null ? '' : formatPlanned(ms, nowMs));
  const more = [...why, ...warnings, ...also(trouble)];
  if (state === 'trusted') {
    const says = `Since ${at(sinceMs)}, until ${at(expiresMs)}; it is asked again before that.`;
    return { title, kind: 'good', says, more };
  }
  if (state === 'failed') {
    const says = `Not since ${at(sinceMs)}. Readings are held back and counted later; you lose nothing.`;
    return { title, kind: 'bad', says, more };
  }
  if (state === 'expired')
    return { title, kind: 'wait', says: `The last proof ended ${at(expiresMs ?? sinceMs)}.`, more: also(trouble) };
  const says = state === 'never' ? 'The first proof is on its way.' : 'Comes once the meter is set up.';
  return { title, kind: 'wait', says, more };
}

const STEPS: Record<Exclude<SoftwareView['state'], 'idle' | 'failed'>, string> = {
  fetching: 'is being fetched and checked',
  measuring: 'is being measured, before the meter gets it',
  flashing: 'is on its way to the meter',
  proving: 'is being proved: the meter is asked what it runs',
  switching: 'is being started on the gateway',
  committing: 'is being made permanent',
};

function softwareLine({ version, state, next, reason, progress }: SoftwareView): Line {
  const title = 'Software';
  const runs = version === 0 ? 'As delivered' : `Release ${version}`;
  if (state === 'idle')
    return { title, kind: reason ? 'wait' : 'good', says: `${runs}, up to date.`, more: also(reason) };
  if (state === 'failed')
    return {
      title,
      kind: 'bad',
      says: `${runs} runs on. Release ${next ?? '?'} was not installed.`,
      more: also(reason),
    };
  const share = progress ? `: ${Math.floor((100 * progress.arrived) / Math.max(1, progress.of))} %` : '';
  return { title, kind: 'wait', says: `${runs} runs; release ${next} ${STEPS[state]}${share}.`, more: also(reason) };
}

function logLine({ ok, reason, begunAnew }: LogState, nowMs: number): Line {
  const title = 'Record';
  const before = begunAnew ? [begunAnewLine(begunAnew, nowMs)] : [];
  if (ok) {
    const says = begunAnew
      ? 'Nothing was changed since it was begun anew, and nothing is missing.'
      : 'Everything the meter said is kept unchanged, and nothing is missing.';
    return { title, kind: 'good', says, more: [...also(reason), ...before] };
  }
  return {
    title,
    kind: 'bad',
    says: 'It is not what the meter said. Bills wait until this is cleared up.',
    more: [...also(reason), ...before],
  };
}

function begunAnewLine({ times, atMs, why }: NonNullable<LogState['begunAnew']>, nowMs: number): string {
  const when = atMs === null ? '' : `, last ${formatPlanned(atMs, nowMs)}`;
  return `Begun anew ${times === 1 ? 'once' : `${times} times`}${when}${why ? ` (${why})` : ''}; the old record is kept. The grid operator sees that it was.`;
}

/** Asked twice: what is stored now is what will be billed. */
export function setUpRecord(look: () => Promise<void>): void {
  const dialog = byId<HTMLDialogElement>('record');
  byId('record-open').addEventListener('click', () => {
    setText(byId('record-said'), '');
    dialog.showModal();
  });
  byId('record-cancel').addEventListener('click', () => dialog.close());
  byId<HTMLFormElement>('record-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void request('/api/log/begin-anew', 'POST', {})
      .then(look)
      .then(() => dialog.close())
      .catch((error: Error) => setText(byId('record-said'), error.message));
  });
}
