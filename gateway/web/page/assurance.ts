/** Whether this meter can be relied on: set up, trusted, its software, its record. Each in words, with a mark of its own shape. */
import { byId, html, inEnglish, nodesOf, type Said, setSaid, setText, svg } from '../../../web/page/dom.ts';
import { formatPlanned } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { LogState, SetupView, SoftwareView, TrustView } from '../household-view.ts';
import { texts } from './texts/texts.ts';

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
  more: Said[];
}

const SHAPES: Record<Kind, string> = {
  good: 'M2.5 8.5 6.5 12.5 13.5 4',
  wait: 'M8 1.5a6.5 6.5 0 1 0 .01 0M8 4.5V8.2l2.6 1.8',
  bad: 'M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5',
};

const said = texts.meter;
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
  setText(open, house.setup?.state === 'ready' ? said.setUpAnew : said.setUp);
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
  words.append(...more.map((sentence) => html('p', { class: 'more' }, ...nodesOf(sentence))));
  return html('li', { 'data-kind': kind }, mark, words);
}

const sentence = (text: string): string =>
  `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
const also = (reason: string | null): Said[] => (reason === null ? [] : [inEnglish(sentence(reason))]);

function setupLine({ state, reason, daysLeft }: SetupView): Line {
  const title = said.setUpTitle;
  if (state === 'ready') {
    return { title, kind: daysLeft > 0 ? 'good' : 'wait', says: said.ready(daysLeft), more: also(reason) };
  }
  if (state === 'waiting') return { title, kind: 'wait', says: said.waiting, more: also(reason) };
  if (state === 'refused') return { title, kind: 'bad', says: said.refused, more: also(reason) };
  return { title, kind: 'wait', says: said.notYet, more: [] };
}

function trustLine({ state, sinceMs, expiresMs, why, warnings, trouble }: TrustView, nowMs: number): Line {
  const title = said.trustTitle;
  const at = (ms: number | null) => (ms === null ? '' : formatPlanned(ms, nowMs));
  const more = [...[...why, ...warnings].map(inEnglish), ...also(trouble)];
  if (state === 'trusted') {
    return { title, kind: 'good', says: said.trusted(at(sinceMs), at(expiresMs)), more };
  }
  if (state === 'failed') {
    return { title, kind: 'bad', says: said.trustFailed(at(sinceMs)), more };
  }
  if (state === 'expired')
    return { title, kind: 'wait', says: said.trustExpired(at(expiresMs ?? sinceMs)), more: also(trouble) };
  const says = state === 'never' ? said.trustNever : said.trustLater;
  return { title, kind: 'wait', says, more };
}

function softwareLine({ version, state, next, reason, progress }: SoftwareView): Line {
  const title = said.softwareTitle;
  const runs = version === 0 ? said.delivered : said.release(version);
  const coming = next === null ? '?' : String(next);
  if (state === 'idle') return { title, kind: reason ? 'wait' : 'good', says: said.upToDate(runs), more: also(reason) };
  if (state === 'failed')
    return {
      title,
      kind: 'bad',
      says: said.notInstalled(runs, coming),
      more: also(reason),
    };
  const share = progress ? `: ${Math.floor((100 * progress.arrived) / Math.max(1, progress.of))} %` : '';
  return { title, kind: 'wait', says: said.installing(runs, coming, said.steps[state], share), more: also(reason) };
}

function logLine({ ok, reason, begunAnew }: LogState, nowMs: number): Line {
  const title = said.recordTitle;
  const before = begunAnew ? [begunAnewLine(begunAnew, nowMs)] : [];
  if (ok) {
    const says = begunAnew ? said.recordWholeAnew : said.recordWhole;
    return { title, kind: 'good', says, more: [...also(reason), ...before] };
  }
  return {
    title,
    kind: 'bad',
    says: said.recordChanged,
    more: [...also(reason), ...before],
  };
}

function begunAnewLine({ times, atMs, why }: NonNullable<LogState['begunAnew']>, nowMs: number): Said {
  const when = atMs === null ? null : formatPlanned(atMs, nowMs);
  const sentence = said.begunAnew(times, when, !!why);
  return why ? { sentence, english: why } : sentence;
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
      .catch((error: Error) => setSaid(byId('record-said'), inEnglish(error.message)));
  });
}
