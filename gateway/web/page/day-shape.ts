/**
 * The geometry of a day's chart, without a browser: minutes → boxes of a few minutes → areas above (import) and below
 * (export) the axis. A box keeps the means of both directions apart, so that an hour that drew as much as it fed in does
 * not look like an hour of nothing. Steps, not curves: a minute's mean holds for its minute, and nothing is drawn between
 * a value and a gap.
 */
import type { MinutePoint } from '../household-view.ts';

const MINUTE_MS = 60_000;
/** No box narrower than this is worth drawing. */
const BOX_MIN_PX = 1.2;
const BOX_MINUTES = [1, 2, 3, 5, 10, 15];
/** Even a quiet day's axis reaches so far: 100 W of standby must not look like a load. */
const SMALLEST_RANGE_W = 600;

export interface Frame {
  fromMs: number;
  toMs: number;
  /** Household time now: nothing is missing after it. */
  nowMs: number;
  widthPx: number;
  heightPx: number;
}
export interface Box {
  fromMs: number;
  toMs: number;
  importW: number;
  exportW: number;
}
export interface Span {
  fromMs: number;
  toMs: number;
}
export interface DayShape {
  /** Runs of boxes without a gap between them. */
  runs: Box[][];
  /** Spans without data, between the day's first value and now. */
  gaps: Span[];
  /** Watts at the upper and (negative) at the lower edge, both multiples of the step. */
  topW: number;
  bottomW: number;
  ticksW: number[];
  x: (unixMs: number) => number;
  y: (powerW: number) => number;
}

export function shapeOf(minutes: MinutePoint[], frame: Frame): DayShape {
  const boxMs = boxMinutes(frame) * MINUTE_MS;
  const boxes = boxesOf(minutes, frame.fromMs, boxMs);
  const runs: Box[][] = [];
  const gaps: Span[] = [];
  let endMs: number | null = null;
  for (const box of boxes) {
    if (box.fromMs === endMs) runs.at(-1)?.push(box);
    else {
      if (endMs !== null) gaps.push({ fromMs: endMs, toMs: box.fromMs });
      runs.push([box]);
    }
    endMs = box.toMs;
  }
  // The newest minute is still being measured: only what is older than two boxes is missing.
  const untilMs = Math.min(frame.nowMs, frame.toMs);
  if (endMs !== null && untilMs - endMs > 2 * boxMs + MINUTE_MS) gaps.push({ fromMs: endMs, toMs: untilMs });

  const { topW, bottomW, ticksW } = axisOf(boxes, frame.heightPx);
  return {
    runs,
    gaps,
    topW,
    bottomW,
    ticksW,
    x: (unixMs) => ((unixMs - frame.fromMs) / (frame.toMs - frame.fromMs)) * frame.widthPx,
    y: (powerW) => ((topW - powerW) / (topW - bottomW)) * frame.heightPx,
  };
}

function boxMinutes({ fromMs, toMs, widthPx }: Frame): number {
  const minutePx = (widthPx * MINUTE_MS) / (toMs - fromMs);
  return BOX_MINUTES.find((count) => count * minutePx >= BOX_MIN_PX) ?? BOX_MINUTES.at(-1)!;
}

function boxesOf(minutes: MinutePoint[], originMs: number, boxMs: number): Box[] {
  const boxes: (Box & { count: number })[] = [];
  for (const { unixMs, powerW } of minutes) {
    const fromMs = originMs + Math.floor((unixMs - originMs) / boxMs) * boxMs;
    let box = boxes.at(-1);
    if (box?.fromMs !== fromMs) {
      box = { fromMs, toMs: fromMs + boxMs, importW: 0, exportW: 0, count: 0 };
      boxes.push(box);
    }
    if (powerW > 0) box.importW += powerW;
    else box.exportW -= powerW;
    box.count++;
  }
  return boxes.map(({ count, ...box }) => ({ ...box, importW: box.importW / count, exportW: box.exportW / count }));
}

/** Steps of 1, 2 or 5 times a power of ten, as many as have room. */
function axisOf(boxes: Box[], heightPx: number): Pick<DayShape, 'topW' | 'bottomW' | 'ticksW'> {
  let highW = 0;
  let lowW = 0;
  for (const { importW, exportW } of boxes) {
    highW = Math.max(highW, importW);
    lowW = Math.max(lowW, exportW);
  }
  highW = Math.max(highW, SMALLEST_RANGE_W - lowW);
  const rangeW = (highW + lowW) * 1.04;
  const roughW = rangeW / Math.max(2, Math.floor(heightPx / 52));
  const power = 10 ** Math.floor(Math.log10(roughW));
  const stepW = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= roughW)!;
  const stepsUp = Math.max(1, Math.ceil((highW * 1.02) / stepW));
  // What is thinner than a pixel needs no room of its own.
  const stepsDown = lowW * heightPx > rangeW ? Math.ceil((lowW * 1.02) / stepW) : 0;
  const ticksW = Array.from({ length: stepsUp + stepsDown + 1 }, (_, index) => (stepsUp - index) * stepW);
  return { topW: stepsUp * stepW, bottomW: -stepsDown * stepW, ticksW };
}

/** The outline of one run on one side of the axis, as an SVG path closed along the axis. */
export function areaPath(run: Box[], side: 'import' | 'export', { x, y }: DayShape): string {
  const zero = round(y(0));
  let path = `M${round(x(run[0].fromMs))} ${zero}`;
  let at = Number.NaN;
  for (const box of run) {
    const height = round(y(side === 'import' ? box.importW : -box.exportW));
    if (height !== at) path += `H${round(x(box.fromMs))}V${height}`;
    at = height;
  }
  return `${path}H${round(x(run.at(-1)!.toMs))}V${zero}Z`;
}

/** Whole hours of the reader's day that get a label: every third, or every sixth where it is narrow. */
export function hourTicks(frame: Frame): number[] {
  const every = frame.widthPx < 480 ? 6 : 3;
  const day = new Date(frame.fromMs);
  const ticks: number[] = [];
  for (let hour = 0; hour <= 48; hour += every) {
    // Through the calendar: on two days of the year midnight and six o'clock are not six hours apart.
    const tickMs = new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour).getTime();
    if (tickMs >= frame.fromMs && tickMs <= frame.toMs) ticks.push(tickMs);
  }
  return ticks;
}

/** The minute at an instant, or null in a gap. */
export function minuteAt(minutes: MinutePoint[], unixMs: number): MinutePoint | null {
  let low = 0;
  let high = minutes.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const point = minutes[middle];
    if (unixMs < point.unixMs) high = middle - 1;
    else if (unixMs >= point.unixMs + MINUTE_MS) low = middle + 1;
    else return point;
  }
  return null;
}

const round = (px: number): number => Math.round(px * 10) / 10;
