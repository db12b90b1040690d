/** The paper's figures 4, 5 and 6 of a simulated day, in both flows, as SVG. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { simulateDay } from './day.ts';
import { PAPER_CHANNEL } from './line.ts';
import { type Pattern, PIECE_MIN } from './load.ts';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [720, 360, 60, 20, 40, 50];
const COLOURS = ['#0b6fa4', '#d1495b', '#66a182'];
const HOURS = 24;

interface Curve {
  name: string;
  /** By periods of ten minutes; null: none. */
  values: (number | null)[];
}
const rounded = (value: number): string => value.toFixed(1);

/** A step towards which the axis is cut: 1, 2 or 5 times a power of ten. */
function stepOf(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => most / step <= 5) ?? 10 * power;
}

export function chart(title: string, unit: string, curves: Curve[]): string {
  const most = Math.max(1e-3, ...curves.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const step = stepOf(most);
  const top = Math.ceil(most / step) * step;
  const x = (hour: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * hour) / HOURS;
  const y = (value: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / top;
  const parts: string[] = [];
  for (let value = 0; value <= top + step / 2; value += step)
    parts.push(
      `<path class="grid" d="M${LEFT} ${rounded(y(value))}H${WIDTH - RIGHT}"/>`,
      `<text x="${LEFT - 6}" y="${rounded(y(value) + 4)}" text-anchor="end">${Number(value.toPrecision(3))}</text>`,
    );
  for (let hour = 0; hour <= HOURS; hour += 3)
    parts.push(`<text x="${rounded(x(hour))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${hour}:00</text>`);
  curves.forEach(({ name, values }, i) => {
    let path = '';
    let pen = 'M';
    values.forEach((value, period) => {
      if (value === null) {
        pen = 'M';
        return;
      }
      path += `${pen}${rounded(x(((period + 0.5) * PIECE_MIN) / 60))} ${rounded(y(value))}`;
      pen = 'L';
    });
    const colour = COLOURS[i % COLOURS.length];
    parts.push(
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
      `<text x="${LEFT + i * 200}" y="${HEIGHT - 8}" fill="${colour}">${name}</text>`,
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title><style>.grid{stroke:#ddd}</style><rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="15">${title}</text>`,
    `<text x="${WIDTH - RIGHT}" y="22" text-anchor="end">${unit}</text>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** @returns the files' names */
export function drawFigures(directory: string, consumption: Pattern, seed: number): string[] {
  mkdirSync(directory, { recursive: true });
  const files: string[] = [];
  const draw = (name: string, ...what: Parameters<typeof chart>): void => {
    files.push(name);
    writeFileSync(join(directory, name), chart(...what));
  };
  for (const flow of ['paper', 'merged'] as const) {
    const day = (a: number, b: number) => simulateDay({ a, b, channel: PAPER_CHANNEL, flow, consumption, seed });
    const offers = day(6, 4);
    draw(`figure-4-offers-${flow}.svg`, `Offers in ten minutes, 6 + 4 meters, ${flow} flow`, 'offers', [
      { name: 'by meters', values: offers.meterOffers },
      { name: 'by the DSO', values: offers.dsoOffers },
    ]);
    draw(`figure-5-queue-${flow}.svg`, `Longest queue in ten minutes, 4 + 8 meters, ${flow} flow`, 'messages', [
      { name: 'waiting', values: day(4, 8).queue },
    ]);
    const cells: [number, number][] = [
      [4, 8],
      [6, 12],
      [8, 16],
    ];
    draw(
      ...([`figure-6-time-${flow}.svg`, `Transaction time, ${flow} flow`, 's'] as const),
      cells.map(([a, b]) => ({ name: `${a} + ${b} meters`, values: day(a, b).seconds })),
    );
  }
  return files;
}
