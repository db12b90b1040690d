/** The registers table: made once, then only its numbers change. */

import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatMoment, formatNumber } from '../../../web/page/format.ts';
import type { LivePoint } from '../household-view.ts';
import { REGISTERS } from './obis.ts';
import { texts } from './texts/texts.ts';

let cells: HTMLElement[] | null = null;

/** `nowMs` is household time: registers of another day say so. */
export function showRegisters(point: LivePoint, nowMs: number): void {
  setText(byId('registers-at'), texts.registersAt(formatMoment(point.unixMs, nowMs)));
  cells ??= make();
  REGISTERS.forEach(({ read, digits, unit }, index) => {
    setText(cells![index], `${formatNumber(read(point), digits)}${unit && ` ${unit}`}`);
  });
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
