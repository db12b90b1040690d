/** The large figure: what flows at this second, in words, and honestly old when it is old. */

import { byId, setText } from '../../../web/page/dom.ts';
import { formatAge, formatMoment } from '../../../web/page/format.ts';
import type { LiveEvent } from '../live-events.ts';
import { directionOf, formatPower, sentenceOf } from './power.ts';
import { texts } from './texts/texts.ts';

/** A value per second: after five without one it no longer is the present. */
const STALE_MS = 5_000;
/** How often, at most, a screen reader is told that the direction turned: clouds turn it often. */
const SPEAK_EVERY_MS = 20_000;

const words = texts.now;

export class Now {
  readonly #householdName: string;
  #value: LiveEvent | null = null;
  #spokenState = '';
  #spokenMs = Number.NEGATIVE_INFINITY;

  constructor(householdName: string) {
    this.#householdName = householdName;
  }

  /** A value came. */
  set(value: LiveEvent): void {
    this.#value = value;
    this.draw(value.nowMs);
  }

  /** Once a second, value or not: a value ages. `nowMs` is household time. */
  draw(nowMs: number): void {
    const value = this.#value;
    if (!value) return;
    const ageMs = nowMs - value.unixMs;
    const isStale = ageMs > STALE_MS;
    const direction = directionOf(value.powerW);
    const { value: number, unit } = formatPower(value.powerW);
    const [says, where] = (isStale ? words.said : words.says)[direction];

    const section = byId('now');
    section.dataset.flow = isStale ? 'stale' : direction;
    setText(byId('now-says'), says);
    setText(byId('now-value'), number);
    setText(byId('now-unit'), unit);
    setText(byId('now-where'), where);
    const fresh = isStale ? words.stale(formatAge(ageMs), formatMoment(value.unixMs, nowMs)) : words.live;
    setText(byId('now-fresh'), fresh);
    document.title = isStale
      ? `${words.staleTitle} · ${this.#householdName}`
      : `${direction === 'export' ? '−' : ''}${number} ${unit} · ${this.#householdName}`;
    this.#speak(isStale ? 'stale' : direction, isStale ? words.staleSpoken : sentenceOf(value.powerW));
  }

  /** Only when the direction turns or values stop or come again: a number each second would be noise. */
  #speak(state: string, sentence: string): void {
    const nowMs = performance.now();
    const isTurn = state !== 'stale' && this.#spokenState !== 'stale';
    if (state === this.#spokenState || (isTurn && nowMs - this.#spokenMs < SPEAK_EVERY_MS)) return;
    this.#spokenState = state;
    this.#spokenMs = nowMs;
    setText(byId('spoken'), sentence);
  }
}
