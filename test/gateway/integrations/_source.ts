/** A household for the integrations' tests: what it knows is set by the test. */
import type { Source } from '../../../gateway/integrations/source.ts';
import type { BillView, LivePoint } from '../../../gateway/web/household-view.ts';

export const NOON_MS = Date.UTC(2026, 5, 3, 12, 0, 20);

export const point = (changes: Partial<LivePoint> = {}): LivePoint => ({
  unixMs: NOON_MS,
  powerW: -1234,
  reactiveVar: 80,
  apparentVa: 1240,
  voltageV: 231.4,
  currentA: -5.36,
  powerFactor: -0.99,
  frequencyHz: 49.98,
  importMwh: 123_456_789,
  exportMwh: 4_321_001,
  warnings: [],
  ...changes,
});

export class HouseSource implements Source {
  readonly householdName = 'Oak Street "3"';
  now = NOON_MS;
  heard: LivePoint | null = null;
  meter = true;
  priced = true;
  billed = true;
  readonly #listeners = new Set<(point: LivePoint) => void>();

  nowMs(): number {
    return this.now;
  }
  latest(): LivePoint | null {
    return this.heard;
  }
  onLive(listener: (point: LivePoint) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  /** A live value arrives. */
  say(value: LivePoint): void {
    this.heard = value;
    for (const listener of this.#listeners) listener(value);
  }
  connection() {
    return { meter: this.meter, grid: true, pendingReports: 2 };
  }
  prices(fromMs: number) {
    if (!this.priced) return [];
    return [{ slot: 1, startMs: fromMs, importMilliCentPerKwh: 31_250, exportMilliCentPerKwh: 8_100 }];
  }
  bill() {
    if (!this.billed) return null;
    return { totalMilliCent: 1_234_500, currency: 'EUR' } as BillView;
  }
}
