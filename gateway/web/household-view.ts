/**
 * What the customer's page may see of the gateway, and all it may see. The gateway's store implements it; tests of the
 * page use a small one in memory. Times are Unix ms (UTC); the browser shows local time. Power: import +, export −.
 */
export interface LivePoint {
  unixMs: number;
  powerW: number;
  reactiveVar: number;
  apparentVa: number;
  voltageV: number;
  currentA: number;
  powerFactor: number;
  frequencyHz: number;
  /** Registers as they are in the meter's flash. */
  importMwh: number;
  exportMwh: number;
  /** Plain words for what the meter flags: `clamp looks reversed`, `sensor out of range` … */
  warnings: string[];
}
export interface MinutePoint {
  unixMs: number;
  /** Mean power over the minute, import +, export −. */
  powerW: number;
}
export interface QuarterHour {
  slot: number;
  startMs: number;
  importMwh: number;
  exportMwh: number;
  /** False where a boundary had to be interpolated: the meter did not know the time. */
  exact: boolean;
}
/** `refused`: the collector will never take it; the gateway's log says why. */
export type ReportState = 'waiting' | 'sent' | 'delivered' | 'refused';
/** One quarter hour that left the house: to whom, when, and what they can read of it. */
export interface ReportRow {
  slot: number;
  startMs: number;
  state: ReportState;
  /** When the collector confirmed that it is on its disk. */
  deliveredMs: number | null;
  /** What the sealed reading says, Wh in steps of the reporting resolution. */
  importWh: number;
  exportWh: number;
}
export interface HouseholdView {
  readonly householdName: string;
  nowMs(): number;
  latest(): LivePoint | null;
  /** Calls back on every live value; returns how to stop. */
  onLive(listener: (point: LivePoint) => void): () => void;
  /** Minutes in [fromMs, toMs); a minute without data is absent, so that a gap shows as a gap. */
  minutes(fromMs: number, toMs: number): MinutePoint[];
  quarterHours(fromMs: number, toMs: number): QuarterHour[];
  reports(fromMs: number, toMs: number): ReportRow[];
  /** Whether the meter, the grid side are reachable now, and how much waits to be delivered. */
  connection(): { meter: boolean; grid: boolean; pendingReports: number };
  /** Asks the meter whether its clamp is the right way round, while a resistive load above 500 W is on. */
  checkClamp(): Promise<{ verdict: 'right' | 'reversed' | 'load too small'; powerW: number; powerFactor: number }>;
}
