/**
 * From the meter's registers to quarter hours. Pure: no clock, no store.
 *
 *   records and edges (boot, uptime, registers) ─► placed in wall time ─► quarter hours (registers at their two ends)
 *
 * A record that names its slot lies exactly on a boundary. Every other point is placed by time marks; a boot that never
 * met a clock lies between its neighbours, and the unknown pauses around it are taken as equal. Where a boundary is not
 * a point, its registers are interpolated between the two points around it: what is not known is where in the interval
 * the energy flowed, never how much. Quarter hours touch, so their sum is the difference of two register readings to the mWh.
 */
import { SLOT_MS, slotEndMs, slotOf } from '../../protocol/time/slots.ts';
import type { BootTimes } from './boot-times.ts';

/** The registers at an instant that the meter names by boot and uptime. */
export interface RegisterPoint {
  boot: number;
  uptimeMs: number;
  /** The quarter hour that ended at this instant, or 0 where the meter did not know. */
  slot: number;
  importMwh: number;
  exportMwh: number;
}
/** The registers at an instant of wall time. */
export interface TimedPoint {
  unixMs: number;
  importMwh: number;
  exportMwh: number;
  /** False where the instant was placed or the registers interpolated. */
  exact: boolean;
}
/** A quarter hour with the registers at both of its ends, mWh. */
export interface MeasuredSlot {
  slot: number;
  startImportMwh: number;
  startExportMwh: number;
  endImportMwh: number;
  endExportMwh: number;
  exact: boolean;
}
/** How far the sequence has been turned into quarter hours; all that is needed to go on. */
export interface Progress {
  /** Number of the last record that was used. */
  record: number;
  boot: number;
  uptimeMs: number;
  /** The last point; null before the first. */
  point: TimedPoint | null;
  /** The last slot boundary at or before it; null while the first, partial quarter hour lasts. */
  boundary: TimedPoint | null;
}
export const NO_PROGRESS: Progress = { record: 0, boot: 0, uptimeMs: 0, point: null, boundary: null };

/**
 * The meter keeps 35 days of records. A longer hole is no backlog: the meter was off or its clock was wrong for years.
 * It stays a hole; a new series starts after it.
 */
export const LONGEST_GAP_MS = 40 * 86_400_000;
/** A record that says it is later than the gateway's clock by more than this does not know the time. */
export const FUTURE_TOLERANCE_MS = 60_000;

/**
 * Moves a series on to its next point. A point that is not later than the last one says nothing about time: its energy
 * shows with the next. One that is earlier by more than a quarter hour says that the clock was ahead: a new series.
 */
export function addPoint(progress: Progress, point: TimedPoint): { progress: Progress; slots: MeasuredSlot[] } {
  const { point: last } = progress;
  let { boundary } = progress;
  const slots: MeasuredSlot[] = [];
  const passedMs = last === null ? Number.NaN : point.unixMs - last.unixMs;
  if (passedMs <= 0 && passedMs >= -SLOT_MS) return { progress, slots };
  if (last === null || passedMs < 0 || passedMs > LONGEST_GAP_MS) {
    boundary = point.unixMs % SLOT_MS === 0 ? point : null;
    return { progress: { ...progress, point, boundary }, slots };
  }
  for (let slot = slotOf(last.unixMs); slotEndMs(slot) <= point.unixMs; slot++) {
    const end = interpolate(last, point, slotEndMs(slot));
    if (boundary !== null) {
      slots.push({
        slot,
        startImportMwh: boundary.importMwh,
        startExportMwh: boundary.exportMwh,
        endImportMwh: end.importMwh,
        endExportMwh: end.exportMwh,
        exact: boundary.exact && end.exact,
      });
    }
    boundary = end;
  }
  return { progress: { ...progress, point, boundary }, slots };
}

function interpolate(from: TimedPoint, to: TimedPoint, unixMs: number): TimedPoint {
  if (unixMs === to.unixMs) return to;
  const share = (unixMs - from.unixMs) / (to.unixMs - from.unixMs);
  return {
    unixMs,
    importMwh: from.importMwh + Math.floor((to.importMwh - from.importMwh) * share),
    exportMwh: from.exportMwh + Math.floor((to.exportMwh - from.exportMwh) * share),
    exact: false,
  };
}

/**
 * Places points (in the meter's order) in wall time. Stops before a boot that no mark and no later boot can place yet.
 * @param lastMs Unix ms of the last placed point before these, or null
 * @param nowMs the gateway's clock: a slot that ends after it is not believed
 */
export function placePoints(
  points: readonly RegisterPoint[],
  times: BootTimes,
  lastMs: number | null,
  nowMs: number,
): TimedPoint[] {
  const placed: TimedPoint[] = [];
  let at = 0;
  while (at < points.length) {
    const unixMs = times.unixMsOf(points[at].boot, points[at].uptimeMs);
    if (unixMs !== null || believedSlot(points[at], nowMs)) {
      placed.push(timed(points[at], unixMs ?? 0, nowMs));
      at++;
      continue;
    }
    const floating = points.slice(at, at + lengthOfFloating(points, at, times, nowMs));
    const next = points[at + floating.length];
    if (next === undefined) break;
    const before = placed.at(-1)?.unixMs ?? lastMs;
    for (const [i, ms] of placeBetween(floating, before, startOf(next, times, nowMs)).entries()) {
      placed.push(timed(floating[i], ms, nowMs));
    }
    at += floating.length;
  }
  return placed;
}

/** Whether a point names the slot that it ends, and that slot is over. */
export const believedSlot = (point: RegisterPoint, nowMs: number): boolean =>
  point.slot > 0 && slotEndMs(point.slot) <= nowMs + FUTURE_TOLERANCE_MS;

function timed(point: RegisterPoint, unixMs: number, nowMs: number): TimedPoint {
  const exact = believedSlot(point, nowMs);
  return {
    unixMs: exact ? slotEndMs(point.slot) : unixMs,
    importMwh: point.importMwh,
    exportMwh: point.exportMwh,
    exact,
  };
}

function lengthOfFloating(points: readonly RegisterPoint[], from: number, times: BootTimes, nowMs: number): number {
  let to = from;
  while (to < points.length && !times.knows(points[to].boot) && !believedSlot(points[to], nowMs)) to++;
  return to - from;
}

/** When the boot of a placed point began, Unix ms. */
function startOf(point: RegisterPoint, times: BootTimes, nowMs: number): number {
  const start = times.unixMsOf(point.boot, 0);
  if (start !== null) return start;
  return timed(point, 0, nowMs).unixMs - point.uptimeMs;
}

/** Unix ms of points of boots without a clock, with equal pauses between the boots. */
function placeBetween(points: readonly RegisterPoint[], fromMs: number | null, toMs: number): number[] {
  const durationsMs = new Map<number, number>();
  for (const point of points) durationsMs.set(point.boot, point.uptimeMs);
  let runMs = 0;
  for (const duration of durationsMs.values()) runMs += duration;
  const spareMs = fromMs === null ? 0 : Math.max(0, toMs - fromMs - runMs);
  const pauseMs = spareMs / (durationsMs.size + 1);
  const startsMs = new Map<number, number>();
  let atMs = toMs - runMs - spareMs;
  for (const [boot, duration] of durationsMs) {
    atMs += pauseMs;
    startsMs.set(boot, atMs);
    atMs += duration;
  }
  return points.map((point) => Math.max(Math.round(startsMs.get(point.boot)! + point.uptimeMs), fromMs ?? 0));
}

/**
 * Goes on from `progress` over the records that follow it.
 * @param records in order of their numbers, the first one after `progress.record`
 * @param edges what live values tell of a boot's beginning and end; they keep an outage from smearing energy over it
 */
export function measureSlots(
  progress: Progress,
  records: readonly (RegisterPoint & { number: number })[],
  edges: readonly RegisterPoint[],
  times: BootTimes,
  nowMs: number,
): { progress: Progress; slots: MeasuredSlot[] } {
  const points = withEdges(progress, records, edges);
  const placed = placePoints(points, times, progress.point?.unixMs ?? null, nowMs);
  const slots: MeasuredSlot[] = [];
  let current = progress;
  for (const [i, point] of placed.entries()) {
    const step = addPoint(current, point);
    slots.push(...step.slots);
    const { boot, uptimeMs, number } = points[i];
    current = { ...step.progress, boot, uptimeMs, record: number ?? step.progress.record };
  }
  return { progress: current, slots };
}

/** Puts edges between the records they lie between; an edge whose registers do not fit there is left out. */
function withEdges(
  progress: Progress,
  records: readonly (RegisterPoint & { number: number })[],
  edges: readonly RegisterPoint[],
): (RegisterPoint & { number?: number })[] {
  const points: (RegisterPoint & { number?: number })[] = [];
  const inOrder = edges.filter((edge) => isLater(edge, progress)).sort(byMeterTime);
  let at = 0;
  let { importMwh, exportMwh } = progress.point ?? { importMwh: 0, exportMwh: 0 };
  for (const record of records) {
    for (; at < inOrder.length && isLater(record, inOrder[at]); at++) {
      const edge = inOrder[at];
      const fits =
        edge.importMwh >= importMwh &&
        edge.exportMwh >= exportMwh &&
        edge.importMwh <= record.importMwh &&
        edge.exportMwh <= record.exportMwh;
      if (!fits) continue;
      points.push(edge);
      ({ importMwh, exportMwh } = edge);
    }
    points.push(record);
    ({ importMwh, exportMwh } = record);
  }
  return points;
}

interface MeterTime {
  boot: number;
  uptimeMs: number;
}
/** Order of two instants on the meter's own scale. */
export const byMeterTime = (a: MeterTime, b: MeterTime): number => a.boot - b.boot || a.uptimeMs - b.uptimeMs;
export const isLater = (a: MeterTime, b: MeterTime): boolean => byMeterTime(a, b) > 0;
