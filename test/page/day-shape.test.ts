import test from 'ava';
import fc from 'fast-check';
import type { MinutePoint } from '../../gateway/web/household-view.ts';
import { areaPath, type Frame, hourTicks, minuteAt, shapeOf } from '../../gateway/web/page/day-shape.ts';
import { DAY_START_MS, MemoryHousehold } from './household.ts';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const DAY_MS = DAY_MINUTES * MINUTE_MS;

/** A frame in which a minute is a box of 2 px. */
const wide: Frame = { fromMs: 0, toMs: DAY_MS, nowMs: DAY_MS, widthPx: 2 * DAY_MINUTES, heightPx: 208 };
const minutes = (from: number, powers: number[]): MinutePoint[] =>
  powers.map((powerW, index) => ({ unixMs: (from + index) * MINUTE_MS, powerW }));

test('known answer: steps above and below the axis, closed along it', (t) => {
  const shape = shapeOf(minutes(10, [1000, 1000, -500]), { ...wide, nowMs: 13 * MINUTE_MS });
  t.deepEqual([shape.topW, shape.bottomW, shape.ticksW], [1500, -1000, [1500, 1000, 500, 0, -500, -1000]]);
  t.is(shape.runs.length, 1);
  t.is(areaPath(shape.runs[0], 'import', shape), 'M20 124.8H20V41.6H24V124.8H26V124.8Z');
  t.is(areaPath(shape.runs[0], 'export', shape), 'M20 124.8H20V124.8H24V166.4H26V124.8Z');
});

test('a gap parts the runs and is told; before the first value and after now nothing is missing', (t) => {
  const points = [...minutes(10, [1, 1]), ...minutes(40, [1])];
  const shape = shapeOf(points, { ...wide, nowMs: 41 * MINUTE_MS });
  t.deepEqual(
    shape.runs.map((run) => [run[0].fromMs / MINUTE_MS, run.at(-1)!.toMs / MINUTE_MS]),
    [
      [10, 12],
      [40, 41],
    ],
  );
  t.deepEqual(shape.gaps, [{ fromMs: 12 * MINUTE_MS, toMs: 40 * MINUTE_MS }]);
  t.deepEqual(shapeOf([], wide).gaps, []);
});

test('a meter that has fallen silent leaves a gap up to now, but the minute in the making does not', (t) => {
  const gaps = (now: number) => shapeOf(minutes(0, [5, 5, 5]), { ...wide, nowMs: now * MINUTE_MS }).gaps;
  t.deepEqual(gaps(4), []);
  t.deepEqual(gaps(30), [{ fromMs: 3 * MINUTE_MS, toMs: 30 * MINUTE_MS }]);
});

test('where boxes hold several minutes both directions stay apart', (t) => {
  const narrow = { ...wide, widthPx: 350 };
  const [run] = shapeOf(minutes(0, [1000, -1000, 1000, -1000, 500]), narrow).runs;
  t.deepEqual(run, [{ fromMs: 0, toMs: 5 * MINUTE_MS, importW: 500, exportW: 400 }]);
});

test('the whole day stays inside the frame, at any width', (t) => {
  const view = new MemoryHousehold();
  const toMs = DAY_START_MS + DAY_MS;
  const points = view.minutes(DAY_START_MS, toMs);
  const inside = fc.property(
    fc.integer({ min: 200, max: 2000 }),
    fc.integer({ min: 120, max: 600 }),
    (widthPx, heightPx) => {
      const shape = shapeOf(points, { fromMs: DAY_START_MS, toMs, nowMs: view.nowMs(), widthPx, heightPx });
      const boxes = shape.runs.flat();
      return (
        shape.gaps.length === 1 &&
        boxes.every(({ fromMs, toMs: endMs, importW, exportW }) => {
          const isInside = shape.x(fromMs) >= 0 && shape.x(endMs) <= widthPx + 0.001;
          return isInside && importW >= 0 && exportW >= 0 && shape.y(importW) >= 0 && shape.y(-exportW) <= heightPx;
        })
      );
    },
  );
  t.notThrows(() => fc.assert(inside));
});

test('an idle house does not fill the chart: the axis reaches at least 500 W', (t) => {
  const { y } = shapeOf(minutes(0, [60]), wide);
  t.true(y(0) - y(60) <= wide.heightPx * (60 / 500));
});

test('hour labels follow the calendar', (t) => {
  const fromMs = new Date(2026, 2, 29).getTime();
  const toMs = new Date(2026, 2, 30).getTime();
  const ticks = hourTicks({ ...wide, fromMs, toMs });
  t.deepEqual(
    ticks.map((ms) => new Date(ms).getHours()),
    [0, 3, 6, 9, 12, 15, 18, 21, 0],
  );
  t.is(ticks.at(-1), toMs);
  t.is(hourTicks({ ...wide, fromMs, toMs, widthPx: 300 }).length, 5);
});

test('hour labels of the last 24 hours keep to whole hours of both days', (t) => {
  const toMs = new Date(2026, 5, 19, 0, 15).getTime();
  const hours = hourTicks({ ...wide, fromMs: toMs - DAY_MS, toMs }).map((ms) => new Date(ms).getHours());
  t.deepEqual(hours, [3, 6, 9, 12, 15, 18, 21, 0]);
});

test('the minute under the crosshair, or none in a gap', (t) => {
  const points = [...minutes(10, [1, 2]), ...minutes(40, [3])];
  t.is(minuteAt(points, 11.99 * MINUTE_MS)?.powerW, 2);
  t.is(minuteAt(points, 40 * MINUTE_MS)?.powerW, 3);
  for (const at of [0, 9.9, 12, 39.9, 41]) t.is(minuteAt(points, at * MINUTE_MS), null);
});
