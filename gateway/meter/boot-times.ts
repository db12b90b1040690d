/**
 * When was it? A meter that lost its power has no clock: it says (boot, uptime). A *time mark* says which wall-clock
 * instant an uptime of a boot was; this table turns every (boot, uptime) of a marked boot into wall time.
 *
 * Two kinds of mark: an exact one comes from the meter itself, once it knows the time (a record at the end of a quarter
 * hour); an arrival mark is the gateway's clock when a message came in, late by what the line took, never early.
 * Pure: no clock, no store.
 */
export interface TimeMark {
  boot: number;
  uptimeMs: number;
  /** Unix ms. */
  unixMs: number;
  /** True: the meter's own word. False: when its message arrived. */
  exact: boolean;
}

/** Arrival marks are kept once per so much uptime; the least delayed one wins. A free-running ESP32 drifts 50 ms in it. */
const ARRIVAL_INTERVAL_MS = 900_000;
/** An arrival mark is only worth a write to the disk when it is better by this much. */
const ARRIVAL_GAIN_MS = 100;

export class BootTimes {
  /** Per boot: exact and arrival marks, each in order of uptime. */
  readonly #boots = new Map<number, { exact: TimeMark[]; arrival: TimeMark[] }>();

  constructor(marks: Iterable<TimeMark> = []) {
    for (const mark of marks) this.add(mark);
  }

  /** Takes a mark in; false where it says nothing new (and need not be kept). */
  add(mark: TimeMark): boolean {
    let boot = this.#boots.get(mark.boot);
    if (boot === undefined) {
      boot = { exact: [], arrival: [] };
      this.#boots.set(mark.boot, boot);
    }
    const list = mark.exact ? boot.exact : boot.arrival;
    const at = firstAfter(list, mark.uptimeMs);
    const before = list[at - 1];
    if (mark.exact) {
      if (before?.uptimeMs === mark.uptimeMs) return false;
    } else if (before !== undefined && mark.uptimeMs - before.uptimeMs < ARRIVAL_INTERVAL_MS) {
      if (offset(before) - offset(mark) < ARRIVAL_GAIN_MS) return false;
      list[at - 1] = mark;
      return true;
    }
    list.splice(at, 0, mark);
    return true;
  }

  /** Whether anything is known of when this boot was. */
  knows(boot: number): boolean {
    return this.#boots.has(boot);
  }

  /** Unix ms of an uptime of a marked boot, to the ms; null for a boot without marks. */
  unixMsOf(boot: number, uptimeMs: number): number | null {
    const marks = this.#boots.get(boot);
    if (marks === undefined) return null;
    const list = marks.exact.length > 0 ? marks.exact : marks.arrival;
    const at = firstAfter(list, uptimeMs);
    const before = list[at - 1];
    const after = list[at];
    if (before === undefined) return after.unixMs - (after.uptimeMs - uptimeMs);
    if (after === undefined || !before.exact) {
      const nearest = after !== undefined && after.uptimeMs - uptimeMs < uptimeMs - before.uptimeMs ? after : before;
      return nearest.unixMs + (uptimeMs - nearest.uptimeMs);
    }
    // Between two exact marks the meter's drift is known.
    const share = (uptimeMs - before.uptimeMs) / (after.uptimeMs - before.uptimeMs);
    return Math.round(before.unixMs + (after.unixMs - before.unixMs) * share);
  }

  /** Forgets what lies before the last mark at or before (boot, uptime): nothing older will be asked for. */
  prune(boot: number, uptimeMs: number): void {
    for (const [number, marks] of this.#boots) {
      if (number < boot) this.#boots.delete(number);
      if (number !== boot) continue;
      for (const list of [marks.exact, marks.arrival]) {
        const at = firstAfter(list, uptimeMs);
        if (at > 1) list.splice(0, at - 1);
      }
    }
  }
}

/** Index of the first mark later than `uptimeMs`. */
function firstAfter(list: readonly TimeMark[], uptimeMs: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].uptimeMs <= uptimeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

const offset = (mark: TimeMark): number => mark.unixMs - mark.uptimeMs;
