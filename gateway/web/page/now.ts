/** The large figure: what flows at this second, in words, and honestly old when it is old. */
import type { LiveEvent } from '../live-events.ts';
import { byId, setText } from './dom.ts';
import { type Direction, directionOf, formatAge, formatMoment, formatPower, sentenceOf } from './format.ts';

/** A value per second: after five without one it no longer is the present. */
const STALE_MS = 5_000;
/** How often, at most, a screen reader is told something without being asked. */
const SPEAK_EVERY_MS = 20_000;

const SAYS: Record<Direction, [string, string]> = {
  import: ['You are drawing', 'from the grid'],
  export: ['You are feeding', 'into the grid'],
  none: ['Almost nothing flows', 'between you and the grid'],
};
const SAID: Record<Direction, [string, string]> = {
  import: ['You were drawing', 'from the grid'],
  export: ['You were feeding', 'into the grid'],
  none: ['Almost nothing flowed', 'between you and the grid'],
};

export class Now {
  readonly #householdName: string;
  #value: LiveEvent | null = null;
  #arrivedMs = 0;
  #spokenState = '';
  #spokenMs = Number.NEGATIVE_INFINITY;

  constructor(householdName: string) {
    this.#householdName = householdName;
  }

  /** A value came. */
  set(value: LiveEvent): void {
    this.#value = value;
    this.#arrivedMs = performance.now();
    this.draw();
  }

  /** Once a second, value or not: a value ages. */
  draw(): void {
    const value = this.#value;
    if (!value) return;
    const ageMs = value.ageMs + performance.now() - this.#arrivedMs;
    const isStale = ageMs > STALE_MS;
    const direction = directionOf(value.powerW);
    const { value: number, unit } = formatPower(value.powerW);
    const [says, where] = (isStale ? SAID : SAYS)[direction];

    const section = byId('now');
    section.dataset.flow = isStale ? 'stale' : direction;
    setText(byId('now-says'), says);
    setText(byId('now-value'), number);
    setText(byId('now-unit'), unit);
    setText(byId('now-where'), where);
    const fresh = isStale
      ? `Not current: ${formatAge(ageMs)} old, from ${formatMoment(value.unixMs, value.unixMs + ageMs)}`
      : 'Live, one value per second';
    setText(byId('now-fresh'), fresh);
    document.title = isStale
      ? `No live value · ${this.#householdName}`
      : `${direction === 'export' ? '−' : ''}${number} ${unit} · ${this.#householdName}`;
    this.#speak(
      isStale ? 'stale' : direction,
      isStale ? 'The value shown is no longer current' : sentenceOf(value.powerW),
    );
  }

  /** Only when the direction turns or values stop or come again: a number each second would be noise. */
  #speak(state: string, sentence: string): void {
    const nowMs = performance.now();
    if (state === this.#spokenState || nowMs - this.#spokenMs < SPEAK_EVERY_MS) return;
    this.#spokenState = state;
    this.#spokenMs = nowMs;
    setText(byId('spoken'), sentence);
  }
}
