/** States as words, and as marks that differ by shape: colour only says the same again. */
import type { FleetDevice } from '../../../protocol/attestation/fleet.ts';
import { html, svg } from '../../../web/page/dom.ts';
import { formatDateTime } from '../../../web/page/format.ts';

export type State = FleetDevice['state'];

/** The gravest first: what wants a person stands on top; as in URGENCY of protocol/attestation/fleet.ts, which no browser loads. */
export const STATES: State[] = ['failed', 'expired', 'suspended', 'revoked', 'never seen', 'trusted'];
export const WORDS: Record<State, string> = {
  failed: 'Failed',
  expired: 'Expired',
  suspended: 'Suspended',
  revoked: 'Revoked',
  'never seen': 'Never seen',
  trusted: 'Trusted',
};

/** On a field of 16 × 16. */
const SHAPES: Record<State | 'advisory', string> = {
  trusted: 'M2.5 8.5 6.5 12.5 13.5 4',
  failed: 'M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5',
  expired: 'M8 1.5a6.5 6.5 0 1 0 .01 0M8 4.5V8.2l2.6 1.8',
  suspended: 'M5.5 3v10M10.5 3v10',
  revoked: 'M8 1.5a6.5 6.5 0 1 0 .01 0M3.6 12.4 12.4 3.6',
  'never seen': 'M8 2.5a5.5 5.5 0 1 0 .01 0',
  advisory: 'M8 2.5v7M8 12.8v.4',
};

export function mark(state: State | 'advisory'): SVGElement {
  const shape = svg('svg', { class: 'mark', viewBox: '0 0 16 16', 'aria-hidden': 'true', 'data-state': state });
  shape.append(svg('path', { d: SHAPES[state] }));
  return shape;
}

export const stateLine = (state: State): HTMLElement =>
  html('span', { class: 'mark-line', 'data-state': state }, mark(state), WORDS[state]);

/** Milliseconds; clocks of two parties may differ a little. */
export const ageOf = (unixMs: number, nowMs: number): number => Math.max(0, nowMs - unixMs);

/** A sentence of a party, with its instants as the reader's clock has them. */
export const localTimes = (sentence: string): string =>
  sentence.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (instant) => formatDateTime(Date.parse(instant)));
