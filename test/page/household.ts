/**
 * A household in memory for tests of the page: a sunny day with passing clouds until a quarter past seven in the
 * evening (local time), a meter that was silent for twenty-five minutes, an evening peak, and reports of which the last ones
 * still wait. The same every time it is made.
 */
import * as v from 'valibot';
import type {
  ApplianceRow,
  BillView,
  CalibrationFit,
  CalibrationPage,
  ControlView,
  DisclosureView,
  FoundDay,
  HouseholdView,
  LivePoint,
  LogState,
  MinutePoint,
  PhasePoint,
  PriceRow,
  QuarterHour,
  ReportRow,
  ReportState,
  SellingView,
  SetupView,
  SoftwareView,
  SupplyView,
  TrustView,
} from '../../gateway/web/household-view.ts';
import { RULES } from '../../protocol/control/policies.ts';
import { checkPersonalData, type PersonalData } from '../../protocol/identity/initialisation.ts';
import { fitting } from '../../protocol/services/call.ts';
import { SLOT_MS, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { bareHouse, type House } from './house.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Local midnight that the day starts at: Thursday, 18 June 2026 in Rome. */
export const DAY_START_MS = Date.UTC(2026, 5, 17, 22);
export const TIME_ZONE = 'Europe/Rome';
const NOW_MS = DAY_START_MS + 19 * HOUR_MS + 16 * MINUTE_MS + 20_000;
const GAP_FROM_MS = DAY_START_MS + 11 * HOUR_MS + 40 * MINUTE_MS;
const GAP_TO_MS = GAP_FROM_MS + 25 * MINUTE_MS;
const RESOLUTION_WH = 50;

export class MemoryHousehold implements HouseholdView {
  readonly householdName: string;
  /** Set by a test: what the page is to see. */
  state = { meter: true, grid: true, pendingReports: 2 };
  verdict: Awaited<ReturnType<HouseholdView['checkClamp']>> = { verdict: 'right', powerW: 1980, powerFactor: 0.99 };
  warnings: string[] = [];
  /** Empty: one phase is measured. */
  phases: PhasePoint[] = [];
  /** Nothing beside the measurement, unless a test furnishes it (house.ts). */
  house: House = bareHouse();
  /** What was typed to set the meter up. */
  readonly typed: PersonalData[] = [];
  /** Slots that the collector refused. */
  readonly refused = new Set<number>();
  #nowMs = NOW_MS;
  #latest: LivePoint | null;
  readonly #listeners = new Set<(point: LivePoint) => void>();

  constructor(householdName = 'Via del Sole 12') {
    this.householdName = householdName;
    this.#latest = this.#point(householdPowerW(NOW_MS));
  }

  get listeners(): number {
    return this.#listeners.size;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  latest(): LivePoint | null {
    return this.#latest;
  }
  onLive(listener: (point: LivePoint) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  /** A second passes, and the meter sends a value. */
  measure(powerW: number): void {
    this.#nowMs += 1000;
    this.#latest = this.#point(powerW);
    for (const listener of this.#listeners) listener(this.#latest);
  }
  /** Time passes without the meter. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }
  /** A meter that was never heard. */
  forget(): void {
    this.#latest = null;
  }

  minutes(fromMs: number, toMs: number): MinutePoint[] {
    const points: MinutePoint[] = [];
    const first = Math.ceil(Math.max(fromMs, DAY_START_MS - 24 * HOUR_MS) / MINUTE_MS) * MINUTE_MS;
    for (let unixMs = first; unixMs < Math.min(toMs, this.#nowMs - MINUTE_MS); unixMs += MINUTE_MS) {
      if (unixMs >= GAP_FROM_MS && unixMs < GAP_TO_MS) continue;
      points.push({ unixMs, powerW: householdPowerW(unixMs) });
    }
    return points;
  }

  quarterHours(fromMs: number, toMs: number): QuarterHour[] {
    const quarters: QuarterHour[] = [];
    const first = Math.max(fromMs, DAY_START_MS - 24 * HOUR_MS);
    for (let slot = Math.ceil(first / SLOT_MS); slotStartMs(slot) < toMs; slot++) {
      const startMs = slotStartMs(slot);
      if (startMs + SLOT_MS > this.#nowMs) break;
      if (startMs < GAP_TO_MS && startMs + SLOT_MS > GAP_FROM_MS) continue;
      quarters.push({ slot, startMs, ...energyMwh(startMs), exact: startMs !== GAP_TO_MS });
    }
    return quarters;
  }

  reports(fromMs: number, toMs: number): ReportRow[] {
    const round = (mwh: number) => Math.round(mwh / 1000 / RESOLUTION_WH) * RESOLUTION_WH;
    return this.quarterHours(fromMs, toMs).map(({ slot, startMs, importMwh, exportMwh }) => {
      const age = slotOf(this.#nowMs) - slot;
      const { pendingReports } = this.state;
      if (this.refused.has(slot)) {
        return {
          slot,
          startMs,
          state: 'refused',
          deliveredMs: null,
          importWh: round(importMwh),
          exportWh: round(exportMwh),
        };
      }
      const state: ReportState =
        age > pendingReports ? 'delivered' : age === pendingReports && this.state.grid ? 'sent' : 'waiting';
      const deliveredMs = state === 'delivered' ? startMs + SLOT_MS + 2000 + ((slot * 37) % 5000) : null;
      return { slot, startMs, state, deliveredMs, importWh: round(importMwh), exportWh: round(exportMwh) };
    });
  }

  /** What was told and asked, where a test has it. */
  told: DisclosureView | null = null;
  /** What the customer agreed to, or refused; with `refusal` the ledger says no. */
  readonly answers: unknown[] = [];
  refusal: string | null = null;
  disclosures(): DisclosureView | null {
    return this.told;
  }
  async disclose(form: unknown): Promise<DisclosureView> {
    if (this.refusal !== null) throw new MalformedError('disclosure', this.refusal);
    this.answers.push(form);
    return this.told!;
  }
  refuseDisclosure(form: unknown): DisclosureView {
    this.answers.push(form);
    return this.told!;
  }
  async billFile(kind: 'delegation' | 'dispute', month: number): Promise<string> {
    return JSON.stringify({ kind, month });
  }

  supply(): SupplyView | null {
    return this.house.supply;
  }
  async otherProviders(): Promise<string[]> {
    return ['Sunny Power', 'Windy Power'];
  }
  async changeProvider(form: unknown): Promise<SupplyView> {
    const { day, provider, pin } = form as Record<string, string>;
    if (!/^\d{8}$/.test(pin)) throw new MalformedError('letter.pin', 'is not eight digits');
    const supply = this.house.supply!;
    supply.next = { provider, fromMs: Date.parse(day) };
    return supply;
  }
  moveOut(form: unknown): SupplyView {
    const supply = this.house.supply!;
    supply.leaving = { fromMs: Date.parse((form as { day: string }).day), waitsFor: null };
    supply.mayChange = false;
    return supply;
  }
  appliances(): ApplianceRow[] {
    return this.house.appliances;
  }
  setPolicy(appliance: string, rules: unknown): void {
    const row = this.house.appliances.find(({ name }) => name === appliance);
    if (!row) throw Object.assign(new Error('appliance is none of this household'), { path: 'appliance' });
    const read = fitting(v.object({ rules: RULES }), { rules });
    if (!('value' in read)) throw Object.assign(new Error(`${read.path} ${read.problem}`), { path: read.path });
    row.rules = read.value.rules;
  }
  controlMessages(): ControlView {
    return this.house.control;
  }
  foundAppliances(fromMs: number, toMs: number): FoundDay | null {
    const { found } = this.house;
    return found && fromMs <= this.#nowMs && toMs > DAY_START_MS ? found : null;
  }
  nameFound(id: unknown, label: unknown): void {
    const found = this.house.found?.appliances.find((one) => one.id === id);
    if (!found || typeof label !== 'string') throw new MalformedError('found.id', 'is none of what was found here');
    if (label.length > 40) throw new MalformedError('found.label', 'is longer than 40 letters, or no plain text');
    found.label = label || null;
  }
  bill(month: number): BillView | null {
    return this.house.bill?.month === month ? this.house.bill : null;
  }
  prices(fromMs: number, toMs: number): PriceRow[] {
    const rows: PriceRow[] = [];
    if (this.house.bill === null) return rows;
    for (let slot = Math.ceil(fromMs / SLOT_MS); slotStartMs(slot) < toMs; slot++)
      rows.push({
        slot,
        startMs: slotStartMs(slot),
        importMilliCentPerKwh: 24_300,
        exportMilliCentPerKwh: 8_150,
      });
    return rows;
  }
  setup(): SetupView | null {
    return this.house.setup;
  }
  async initialise(personal: unknown): Promise<SetupView> {
    this.typed.push(checkPersonalData(personal));
    this.house.setup = { state: 'waiting', reason: null, daysLeft: 0 };
    return this.house.setup;
  }
  trust(): TrustView | null {
    return this.house.trust;
  }
  software(): SoftwareView | null {
    return this.house.software;
  }
  logState(): LogState | null {
    return this.house.log;
  }
  selling(): SellingView | null {
    return this.house.selling;
  }
  ledger(): null {
    return null;
  }
  async beginLogAnew(): Promise<LogState> {
    const why = this.house.log?.reason ?? null;
    this.house.log = { ok: true, reason: null, begunAnew: { times: 1, atMs: this.nowMs(), why } };
    return this.house.log;
  }
  /** Points that were taken; what they come to is the gateway's own business (test/gateway/calibration). */
  readonly calibrationPoints: { volts: number; watts: number; vars: number; seenWatts: number }[] = [];
  calibrationNumber = 0;
  calibration(): CalibrationPage {
    const { calibrationNumber: number, calibrationPoints: points } = this;
    return { number, known: true, reversed: false, busy: false, points, history: [] };
  }
  async calibrationPoint(real: { volts: number; watts: number; vars: number }): Promise<CalibrationPage> {
    this.calibrationPoints.push({ ...real, seenWatts: 1.02 * real.watts });
    return this.calibration();
  }
  async calibrate(keep: boolean): Promise<CalibrationFit> {
    if (this.calibrationPoints.length === 0)
      throw Object.assign(new Error('at least one known load is needed'), { name: 'ImplausibleCalibration' });
    const points = this.calibrationPoints.map(({ watts }) => ({ watts, beforePercent: 2, afterPercent: 0 }));
    if (keep) this.calibrationNumber++;
    return { reversed: false, points, warnings: [] };
  }
  async swapClamp(): Promise<CalibrationPage> {
    this.calibrationNumber++;
    return this.calibration();
  }
  forgetPoints(): CalibrationPage {
    this.calibrationPoints.length = 0;
    return this.calibration();
  }
  connection() {
    return { ...this.state };
  }
  async checkClamp() {
    return this.verdict;
  }

  #point(powerW: number): LivePoint {
    const rounded = Math.round(powerW);
    return {
      unixMs: this.#nowMs,
      powerW: rounded,
      reactiveVar: Math.round(rounded * 0.21),
      apparentVa: Math.round(Math.abs(rounded) * 1.02),
      voltageV: 231.4 + (rounded % 7) / 10,
      currentA: (Math.sign(rounded) * Math.round((Math.abs(rounded) * 102) / 231.4)) / 100,
      powerFactor: 0.98,
      frequencyHz: 49.99,
      importMwh: 4_218_377_250 + (this.#nowMs - NOW_MS),
      exportMwh: 2_964_018_500,
      warnings: this.warnings,
      ...(this.phases.length > 0 && { phases: this.phases }),
    };
  }
}

/** What the house draws (+) or feeds in (−) at an instant: base load, fridge, meals, an evening peak, and a roof in the sun. */
export function householdPowerW(unixMs: number): number {
  const hour = ((unixMs - DAY_START_MS) / HOUR_MS + 48) % 24;
  const minute = Math.floor(unixMs / MINUTE_MS);
  const bump = (at: number, width: number, watts: number) => watts * Math.exp(-(((hour - at) / width) ** 2));
  const fridge = minute % 47 < 16 ? 95 : 0;
  const kettle = (at: number, minutes: number, watts: number) => (hour >= at && hour < at + minutes / 60 ? watts : 0);
  const oven = hour > 18.6 && hour < 19.7 && minute % 9 < 6 ? 1500 : 0;
  const base = 170 + fridge + 25 * noise(minute);
  const people = bump(7.1, 0.8, 1150) + bump(12.7, 0.6, 600) + bump(19.9, 1.6, 950);
  const devices = kettle(6.9, 6, 1900) + kettle(12.4, 22, 1400) + kettle(14.5, 40, 420) + kettle(20.5, 55, 1900) + oven;
  const sky = hour > 9.4 && hour < 17 ? Math.min(1, 0.62 + 0.9 * Math.abs(noise(Math.floor(minute / 11) + 5))) : 1;
  const sun = hour > 5.8 && hour < 20.2 ? Math.sin((Math.PI * (hour - 5.8)) / 14.4) ** 1.9 * 3300 * sky : 0;
  return base + people + devices - sun + 20 * noise(minute * 3);
}

/** Quarter hour's energy, split by sign minute by minute, integer mWh. */
function energyMwh(startMs: number): { importMwh: number; exportMwh: number } {
  let importMwh = 0;
  let exportMwh = 0;
  for (let ms = startMs; ms < startMs + SLOT_MS; ms += MINUTE_MS) {
    const mwh = Math.round((householdPowerW(ms) * 1000) / 60);
    if (mwh > 0) importMwh += mwh;
    else exportMwh -= mwh;
  }
  return { importMwh, exportMwh };
}

/** −1 … 1, the same for the same n. */
function noise(n: number): number {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}
