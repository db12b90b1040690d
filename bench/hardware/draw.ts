/** hardware/circuit.ts and hardware/sheet.ts → the drawing as SVG, and what its lines connect. */
import { type Part, parts } from '../../hardware/circuit.ts';
import {
  type Anchor,
  areas,
  type Flag,
  flags,
  type Placement,
  placements,
  SHEET,
  wires,
} from '../../hardware/sheet.ts';
import { onSheet, type Point, symbolOf } from './symbols.ts';

const placementOf = (ref: string): Placement => {
  const placement = placements[ref];
  if (!placement) throw new Error(`sheet: ${ref} has no place`);
  return placement;
};

const pinPoints = new Map<string, Point>(
  parts.flatMap((part) => {
    const placement = placementOf(part.ref);
    const { pins } = symbolOf(part, placement);
    return Object.keys(part.pins).map((pin): [string, Point] => {
      if (!pins[pin]) throw new Error(`sheet: ${part.ref}.${pin} has no place`);
      return [`${part.ref}.${pin}`, onSheet(pins[pin], placement)];
    });
  }),
);

function pointOf(anchor: Anchor): Point {
  if (typeof anchor !== 'string') return anchor;
  const point = pinPoints.get(anchor);
  if (!point) throw new Error(`sheet: there is no pin ${anchor}`);
  return point;
}

/** Straight pieces of all wires; a wire that is not level or upright is bent once. */
const segments: [Point, Point][] = wires.flatMap((wire) => {
  const points = wire.map(pointOf);
  return points.slice(1).flatMap((to, n): [Point, Point][] => {
    const from = points[n];
    if (from[0] === to[0] || from[1] === to[1]) return [[from, to]];
    const corner: Point = [to[0], from[1]];
    return [
      [from, corner],
      [corner, to],
    ];
  });
});

const lies = ([x, y]: Point, [[ax, ay], [bx, by]]: [Point, Point]): boolean =>
  x >= Math.min(ax, bx) && x <= Math.max(ax, bx) && y >= Math.min(ay, by) && y <= Math.max(ay, by);

/**
 * What is connected on the drawing: groups of pins, found from the lines' geometry and the flags alone. A line's end on
 * another line joins them; lines that cross do not.
 */
export function drawnNets(): string[][] {
  const parent = new Map<string, string>();
  const find = (key: string): string => {
    let root = key;
    while (parent.has(root)) root = parent.get(root)!;
    return root;
  };
  const join = (a: string, b: string): void => {
    const [x, y] = [find(a), find(b)];
    if (x !== y) parent.set(x, y);
  };
  const key = ([x, y]: Point): string => `${x},${y}`;
  const ends = [...segments.flat(), ...pinPoints.values(), ...flags.map(({ at }) => pointOf(at))];
  for (const segment of segments) {
    join(key(segment[0]), key(segment[1]));
    for (const end of ends) if (lies(end, segment)) join(key(end), key(segment[0]));
  }
  for (const { at, net } of flags) join(key(pointOf(at)), `net ${net}`);
  const groups = new Map<string, string[]>();
  for (const [pin, point] of pinPoints) {
    const root = find(key(point));
    groups.set(root, [...(groups.get(root) ?? []), pin]);
  }
  return [...groups.values()];
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function drawPart(part: Part): string {
  const placement = placementOf(part.ref);
  const { body, reach } = symbolOf(part, placement);
  const { x, y, turn = 0 } = placement;
  const upright = turn % 180 !== 0;
  const [half, high] = upright ? [reach[1], reach[0]] : reach;
  const where = placement.text ?? 'above';
  const below = placement.left || placement.right ? -20 : -high;
  const at: Record<string, [number, number, string]> = {
    above: [x, y + below - 16, 'middle'],
    below: [x, y + high + 12, 'middle'],
    right: [x + half + 5, y - 2, 'start'],
    left: [x - half - 5, y - 2, 'end'],
  };
  const [tx, ty, anchor] = at[where];
  return (
    `<g transform="translate(${x} ${y}) rotate(${turn})">${body}</g>` +
    `<text x="${tx}" y="${ty}" text-anchor="${anchor}" class="ref">${part.ref}</text>` +
    `<text x="${tx}" y="${ty + 11}" text-anchor="${anchor}">${escaped(part.value)}</text>`
  );
}

function drawFlag({ at, net, style }: Flag): string {
  const [x, y] = pointOf(at);
  if (style === 'ground') return `<path d="M${x} ${y}v8m-9 0h18m-15 4h12m-9 4h6"/>`;
  if (style === 'supply')
    return `<path d="M${x} ${y}v-10m-6 0h12"/><text x="${x}" y="${y - 13}" text-anchor="middle" class="net">${net}</text>`;
  const [dx, dy, anchor] = style === 'left' ? [-4, 3, 'end'] : style === 'right' ? [4, 3, 'start'] : [0, -5, 'middle'];
  return `<circle cx="${x}" cy="${y}" r="1.6" class="dot"/><text x="${x + dx}" y="${y + dy}" text-anchor="${anchor}" class="net">${net}</text>`;
}

/** Three line ends or more at one point. */
function junctions(): string {
  const count = new Map<string, number>();
  const points = [...segments.flat(), ...pinPoints.values()];
  for (const [x, y] of points) {
    const through = segments.filter((s) => lies([x, y], s) && !s.some(([a, b]) => a === x && b === y)).length;
    const ends = points.filter(([a, b]) => a === x && b === y).length;
    count.set(`${x},${y}`, ends + 2 * through);
  }
  return [...count]
    .filter(([, n]) => n > 2)
    .map(([at]) => `<circle cx="${at.split(',')[0]}" cy="${at.split(',')[1]}" r="2.6" class="dot"/>`)
    .join('');
}

const STYLE =
  'svg{background:#fff;font:9px system-ui,sans-serif;fill:none;stroke:#1d2939;stroke-width:1.3}' +
  'text{fill:#1d2939;stroke:none}.ref{font-weight:700}.pin{font-size:8px;fill:#475467}.net{fill:#175cd3;font-weight:600}' +
  '.dot{fill:#1d2939;stroke:none}.area{fill:#f9fafb;stroke:#d0d5dd;stroke-width:1}.live{fill:#fef3f2;stroke:#f04438}' +
  '.title{font-size:11px;font-weight:700;fill:#475467}h1,.sheet{font-size:16px;font-weight:700}';

/** The sheet as one SVG document. */
export function drawing(): string {
  const { width, height, title } = SHEET;
  const backgrounds = areas.map(
    (a) =>
      `<rect x="${a.x}" y="${a.y}" width="${a.width}" height="${a.height}" rx="6" class="area${a.live ? ' live' : ''}"/>` +
      `<text x="${a.x + 10}" y="${a.y + a.height - 8}" class="title">${escaped(a.title)}</text>`,
  );
  const lines = segments.map(([[ax, ay], [bx, by]]) => `<path d="M${ax} ${ay}L${bx} ${by}"/>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" fill="#fff" stroke="none"/>`,
    `<text x="30" y="34" class="sheet">${title}</text>`,
    ...backgrounds,
    ...lines,
    ...parts.map(drawPart),
    ...flags.map(drawFlag),
    junctions(),
    '</svg>',
    '',
  ].join('\n');
}
