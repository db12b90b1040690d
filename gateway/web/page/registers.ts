/** The registers table: made once, then only its numbers change. */

import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatMoment, formatNumber } from '../../../web/page/format.ts';
import type { LivePoint, PhasePoint } from '../household-view.ts';
import { REGISTERS } from './obis.ts';
import { texts } from './texts/texts.ts';

let cells: HTMLElement[] | null = null;

/** `nowMs` is household time: registers of another day say so. */
export function showRegisters(point: LivePoint, nowMs: number): void {
  setText(byId('registers-at'), texts.registersAt(formatMoment(point.unixMs, nowMs)));
  cells ??= make();
  showPhases(point.phases ?? []);
  REGISTERS.forEach(({ read, digits, unit }, index) => {
    setText(cells![index], `${formatNumber(read(point), digits)}${unit && ` ${unit}`}`);
  });
}

/** L1, L2, L3 below the sum, under the codes that meters have for each. */
function showPhases(phases: PhasePoint[]): void {
  const rows = phases.map(({ powerW, voltageV, currentA }, phase) => {
    const name = html('th', { scope: 'row' }, texts.phase(phase + 1), html('code', {}, `1-0:${36 + 20 * phase}.7.0`));
    const words = `${formatNumber(powerW, 0)} W · ${formatNumber(voltageV, 1)} V · ${formatNumber(currentA, 2)} A`;
    return html('tr', { 'data-phase': phase + 1 }, name, html('td', { class: 'number' }, words));
  });
  byId<HTMLTableElement>('registers').tBodies[1].replaceChildren(...rows);
}

function make(): HTMLElement[] {
  const rows = REGISTERS.map(({ code }) => {
    const value = html('td', { class: 'number', 'data-code': code }, '–');
    const name = html('th', { scope: 'row' }, texts.registers[code], html('code', {}, code));
    return { row: html('tr', {}, name, value), value };
  });
  byId<HTMLTableElement>('registers').tBodies[0].replaceChildren(...rows.map(({ row }) => row));
  return rows.map(({ value }) => value);
}
