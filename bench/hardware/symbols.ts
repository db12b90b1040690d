/**
 * The symbols of the drawing (after IEC 60617): where their pins are, and their lines as SVG. A symbol's centre is its
 * origin; everything lies on a grid of 5.
 */
import type { Kind, Part } from '../../hardware/circuit.ts';
import type { Placement } from '../../hardware/sheet.ts';

export type Point = [x: number, y: number];
export interface Symbol {
  pins: Record<string, Point>;
  /** SVG elements, not turned. */
  body: string;
  /** Half of the height and width that the text keeps clear of. */
  reach: Point;
}

const path = (d: string): string => `<path d="${d}"/>`;
const LEADS = 'M-30 0H-18M18 0H30';
const twoPole = (body: string, reach: Point = [18, 10], names: [string, string] = ['1', '2']): Symbol => ({
  pins: { [names[0]]: [-30, 0], [names[1]]: [30, 0] },
  body,
  reach,
});
const TRIANGLE = 'M-9 -9V9L9 0Z';

const fixed: Partial<Record<Kind, Symbol>> = {
  resistor: twoPole(path(`${LEADS}M-18 -7H18V7H-18Z`)),
  capacitor: twoPole(path('M-30 0H-3M3 0H30M-3 -12V12M3 -12V12'), [6, 14]),
  'polarised capacitor': twoPole(path('M-30 0H-3M3 0H30M-3 -12V12M3 -12V12M-14 -12V-6M-17 -9H-11'), [6, 16]),
  fuse: twoPole(path('M-30 0H30M-18 -7H18V7H-18Z')),
  bead: twoPole(path(`${LEADS}M-18 -7H18V7H-18ZM-10 -7V7M0 -7V7M10 -7V7`)),
  varistor: twoPole(path(`${LEADS}M-18 -7H18V7H-18ZM-22 12H-12L14 -12`), [18, 14]),
  diode: twoPole(path(`M-30 0H-9M9 0H30${TRIANGLE}M9 -9V9`), [12, 12], ['A', 'K']),
  led: twoPole(path(`M-30 0H-9M9 0H30${TRIANGLE}M9 -9V9M-2 -14L6 -22M4 -12L12 -20`), [12, 24], ['A', 'K']),
  suppressor: twoPole(path('M-30 0H-16M16 0H30M-16 -9V9L0 0ZM16 -9V9L0 0ZM-4 -11L0 -9V9L4 11'), [16, 14]),
  // 1 ─|>─ 3 ─|>─ 2, upright: 1 below, 2 above
  'dual diode': {
    pins: { 1: [0, 50], 2: [0, -50], 3: [-40, 0] },
    body: path('M-40 0H0M0 50V36M0 -36V-50M0 -18V18M-9 36H9L0 18ZM-9 18H9M-9 -18H9L0 -36ZM-9 -36H9'),
    reach: [10, 36],
  },
  transformer: {
    pins: { P1: [-30, -30], P2: [-30, 30], S1: [30, -30], S2: [30, 30] },
    body: path(
      'M-30 -30H-14M-30 30H-14M30 -30H14M30 30H14M-3 -32V32M3 -32V32' +
        'M-14 -30a7.5 7.5 0 0 1 0 15a7.5 7.5 0 0 1 0 15a7.5 7.5 0 0 1 0 15a7.5 7.5 0 0 1 0 15' +
        'M14 -30a7.5 7.5 0 0 0 0 15a7.5 7.5 0 0 0 0 15a7.5 7.5 0 0 0 0 15a7.5 7.5 0 0 0 0 15',
    ),
    reach: [24, 36],
  },
  amplifier: {
    pins: { '+': [-50, -20], '-': [-50, 20], OUT: [50, 0] },
    body: path('M-50 -20H-30M-50 20H-30M30 0H50M-30 -40V40L30 0ZM-25 -20H-17M-21 -24V-16M-25 20H-17'),
    reach: [30, 50],
  },
  transistor: {
    pins: { G: [-30, 0], D: [0, -30], S: [0, 30] },
    body: path('M-30 0H-12M-12 -12V12M-6 -15V-7M-6 -4V4M-6 7V15M-6 -11H0V-30M-6 11H0V30M-6 0H0V11M-5 0l5 -3v6z'),
    reach: [6, 20],
  },
  relay: {
    pins: { A1: [-30, -30], A2: [-30, 30], COM: [60, -10], NO: [60, 10] },
    body:
      path('M-30 -30V-14M-30 30V14M-45 -14H-15V14H-45ZM-45 8L-15 -8M60 -10H20M60 10H50L20 -4') +
      '<path d="M-15 0H32" stroke-dasharray="4 3"/>',
    reach: [46, 30],
  },
};

/** @throws Error where a kind has neither a symbol nor a box */
export function symbolOf({ kind, ref }: Part, placement: Placement): Symbol {
  const symbol = fixed[kind];
  if (symbol) return symbol;
  const { left = [], right = [], width = 80, pitch = 20 } = placement;
  const rows = Math.max(left.length, right.length);
  if (rows === 0) throw new Error(`${ref}: a ${kind} needs its pins on the sheet`);
  const half = width / 2;
  const pins: Record<string, Point> = {};
  let body = `<rect x="${-half}" y="-20" width="${width}" height="${(rows - 1) * pitch + 40}"/>`;
  const row = (names: string[], side: -1 | 1): void => {
    for (const [n, name] of names.entries()) {
      const y = n * pitch;
      pins[name] = [side * (half + 10), y];
      body += path(`M${side * half} ${y}h${side * 10}`);
      const anchor = side < 0 ? 'start' : 'end';
      body += `<text x="${side * (half - 4)}" y="${y + 3}" text-anchor="${anchor}" class="pin">${name}</text>`;
    }
  };
  row(left, -1);
  row(right, 1);
  return { pins, body, reach: [half, 20] };
}

/** A symbol's point on the sheet. */
export function onSheet([x, y]: Point, { x: x0, y: y0, turn = 0 }: Placement): Point {
  const quarter = turn / 90;
  let [a, b] = [x, y];
  for (let n = 0; n < quarter; n++) [a, b] = [-b, a];
  return [x0 + a, y0 + b];
}
