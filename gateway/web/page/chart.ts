/** The day's course as SVG: import above, export below the axis; a crosshair for mouse, finger and arrow keys. */

import { byId, setText, svg } from '../../../web/page/dom.ts';
import { formatNumber, formatTime } from '../../../web/page/format.ts';
import type { MinutePoint } from '../household-view.ts';
import { areaPath, type DayShape, type Frame, hourTicks, minuteAt, shapeOf } from './day-shape.ts';
import { directionOf, powerText } from './power.ts';
import { texts } from './texts/texts.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MARGIN = { top: 22, right: 8, bottom: 24, left: 44 };

export interface DayData {
  fromMs: number;
  toMs: number;
  nowMs: number;
  minutes: MinutePoint[];
}

export class DayChart {
  readonly #host = byId('chart');
  readonly #readout = byId('readout');
  #data: DayData | null = null;
  #frame: Frame | null = null;
  #shape: DayShape | null = null;
  #cursor: SVGGElement | null = null;
  /** Where the reader points; null: nowhere. */
  #atMs: number | null = null;

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#host);
    this.#host.addEventListener('pointermove', (event) => this.#point(event));
    this.#host.addEventListener('pointerdown', (event) => this.#point(event));
    this.#host.addEventListener('pointerleave', () => this.#moveTo(null));
    this.#host.addEventListener('blur', () => this.#moveTo(null));
    this.#host.addEventListener('keydown', (event) => this.#key(event));
  }

  show(data: DayData): void {
    if (this.#data?.fromMs !== data.fromMs) this.#atMs = null;
    this.#data = data;
    this.#draw();
  }

  #draw(): void {
    const data = this.#data;
    const { clientWidth, clientHeight } = this.#host;
    if (!data || clientWidth < 100) return;
    const frame: Frame = {
      fromMs: data.fromMs,
      toMs: data.toMs,
      nowMs: data.nowMs,
      widthPx: clientWidth - MARGIN.left - MARGIN.right,
      heightPx: clientHeight - MARGIN.top - MARGIN.bottom,
    };
    const shape = shapeOf(data.minutes, frame);
    this.#frame = frame;
    this.#shape = shape;
    this.#cursor = svg('g', { class: 'cursor' });
    const plot = svg('g', { transform: `translate(${MARGIN.left} ${MARGIN.top})` });
    plot.append(...grid(frame, shape), ...areas(shape), ...marks(frame, shape, data), this.#cursor);
    const hatch = svg(
      'pattern',
      { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      svg('path', { d: 'M0 0V6', class: 'hatch' }),
    );
    const picture = svg(
      'svg',
      { width: clientWidth, height: clientHeight, 'aria-hidden': 'true' },
      svg('defs', {}, hatch),
      plot,
    );
    this.#host.replaceChildren(picture);
    this.#host.setAttribute('aria-valuemax', String((data.toMs - data.fromMs) / MINUTE_MS - 1));
    this.#moveTo(this.#atMs);
  }

  #point(event: PointerEvent): void {
    if (!this.#frame) return;
    const { fromMs, toMs, widthPx } = this.#frame;
    const px = event.clientX - this.#host.getBoundingClientRect().left - MARGIN.left;
    const share = Math.min(1, Math.max(0, px / widthPx));
    this.#moveTo(fromMs + share * (toMs - fromMs));
  }

  #key(event: KeyboardEvent): void {
    const data = this.#data;
    if (!data) return;
    const newestMs = data.minutes.at(-1)?.unixMs ?? data.fromMs;
    const atMs = this.#atMs ?? newestMs;
    const target: Record<string, number> = {
      ArrowLeft: atMs - 5 * MINUTE_MS,
      ArrowDown: atMs - 5 * MINUTE_MS,
      ArrowRight: atMs + 5 * MINUTE_MS,
      ArrowUp: atMs + 5 * MINUTE_MS,
      PageDown: atMs - HOUR_MS,
      PageUp: atMs + HOUR_MS,
      Home: data.fromMs,
      End: newestMs,
    };
    if (event.key === 'Escape') this.#moveTo(null);
    if (!(event.key in target) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#moveTo(target[event.key]);
  }

  #moveTo(unixMs: number | null): void {
    const data = this.#data;
    if (!data || !this.#shape || !this.#frame || !this.#cursor) return;
    this.#cursor.replaceChildren();
    this.#atMs = null;
    if (unixMs === null) {
      setText(this.#readout, '\u00a0');
      return;
    }
    const atMs = Math.floor(Math.min(data.toMs - 1, Math.max(data.fromMs, unixMs)) / MINUTE_MS) * MINUTE_MS;
    this.#atMs = atMs;
    const minute = minuteAt(data.minutes, atMs);
    const words = `${formatTime(atMs)} · ${minute ? describe(minute.powerW) : atMs > data.nowMs ? texts.chart.toCome : texts.chart.noData}`;
    setText(this.#readout, words);
    this.#host.setAttribute('aria-valuenow', String((atMs - data.fromMs) / MINUTE_MS));
    this.#host.setAttribute('aria-valuetext', words);
    const x = this.#shape.x(atMs + MINUTE_MS / 2);
    this.#cursor.append(svg('path', { d: `M${x} 0V${this.#frame.heightPx}` }));
    if (minute) {
      this.#cursor.append(
        svg('circle', { cx: x, cy: this.#shape.y(minute.powerW), r: 4.5, class: directionOf(minute.powerW) }),
      );
    }
  }
}

function describe(powerW: number): string {
  const direction = directionOf(powerW);
  if (direction === 'none') return texts.chart.nothing;
  return direction === 'import' ? texts.chart.drew(powerText(powerW)) : texts.chart.fed(powerText(powerW));
}

function grid(frame: Frame, shape: DayShape): SVGElement[] {
  const parts: SVGElement[] = [];
  // Less than 1 kW between lines needs a digit after the point, less than 100 W two.
  const stepW = shape.ticksW[0] - shape.ticksW[1];
  const digits = stepW % 1000 === 0 ? 0 : stepW % 100 === 0 ? 1 : 2;
  for (const tickW of shape.ticksW) {
    const y = shape.y(tickW);
    parts.push(svg('path', { d: `M0 ${y}H${frame.widthPx}`, class: 'line' }));
    parts.push(
      svg(
        'text',
        { x: -8, y: y + 4, class: 'tick end' },
        formatNumber(Math.abs(tickW) / 1000, tickW === 0 ? 0 : digits),
      ),
    );
  }
  for (const tickMs of hourTicks(frame)) {
    const x = shape.x(tickMs);
    const edge = x < 20 ? 'start' : x > frame.widthPx - 20 ? 'end' : 'middle';
    parts.push(svg('path', { d: `M${x} 0V${frame.heightPx}`, class: 'line' }));
    parts.push(svg('text', { x, y: frame.heightPx + 18, class: `tick ${edge}` }, formatTime(tickMs)));
  }
  return parts;
}

function areas(shape: DayShape): SVGElement[] {
  return shape.runs.flatMap((run) => [
    svg('path', { d: areaPath(run, 'import', shape), class: 'area import' }),
    svg('path', { d: areaPath(run, 'export', shape), class: 'area export' }),
  ]);
}

function marks(frame: Frame, shape: DayShape, data: DayData): SVGElement[] {
  const parts: SVGElement[] = shape.gaps.map(({ fromMs, toMs }) => {
    const x = shape.x(fromMs);
    return svg('rect', { x, y: 0, width: shape.x(toMs) - x, height: frame.heightPx, class: 'gap' });
  });
  parts.push(svg('path', { d: `M0 ${shape.y(0)}H${frame.widthPx}`, class: 'axis' }));
  parts.push(svg('text', { x: -8, y: -12, class: 'tick end' }, 'kW'));
  if (data.minutes.length === 0) {
    const middle = { x: frame.widthPx / 2, y: frame.heightPx / 2 };
    parts.push(svg('text', { ...middle, class: 'empty middle' }, texts.chart.empty));
  }
  if (data.nowMs > data.fromMs && data.nowMs < data.toMs) {
    const x = shape.x(data.nowMs);
    parts.push(svg('path', { d: `M${x} 0V${frame.heightPx}`, class: 'present' }));
  }
  return parts;
}
