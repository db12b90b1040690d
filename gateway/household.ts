/**
 * The household as its customer may see it: the gateway's store and links behind the page's contract
 * (web/household-view.ts).
 */

import type { Clock } from '../protocol/time/clock.ts';
import { SLOT_MS, slotStartMs } from '../protocol/time/slots.ts';
import { MalformedError } from '../protocol/wire/bytes.ts';
import {
  CLAMP_REVERSED,
  CLAMP_RIGHT,
  type Clamp,
  FLAG_CLIPPED,
  FLAG_NO_CLOCK,
  FLAG_NO_VOLTAGE,
  FLAG_POWER_CUT,
  FLAG_REVERSED,
} from '../protocol/wire/link-messages.ts';
import type { FoundAppliances } from './appliances-found/found.ts';
import type { AttestationAgent } from './attestation/agent.ts';
import type { Billing } from './billing/billing.ts';
import type { MeterCalibration } from './calibration/calibration.ts';
import { type Control, PolicyError } from './control/control.ts';
import type { HouseholdIdentity } from './identity/household-identity.ts';
import type { HouseholdLedger } from './ledger/household-ledger.ts';
import type { MeterLink } from './meter/link.ts';
import type { HouseholdSelling } from './selling/selling.ts';
import type { GatewayStore, Report, TimedLive } from './store.ts';
import type { Uplink } from './uplink/uplink.ts';
import type {
  ApplianceRow,
  BillView,
  CalibrationFit,
  CalibrationPage,
  ControlView,
  DisclosureView,
  FoundDay,
  HouseholdView,
  LedgerMonth,
  LivePoint,
  LogState,
  MinutePoint,
  PriceRow,
  QuarterHour,
  ReportRow,
  ReportState,
  SellingView,
  SetupView,
  SoftwareView,
  SupplyView,
  TrustView,
} from './web/household-view.ts';
import type { Supply } from './yearly/supply.ts';

const FLAG_WORDS: [number, string][] = [
  [FLAG_CLIPPED, 'sensor out of range'],
  [FLAG_REVERSED, 'clamp looks reversed'],
  [FLAG_POWER_CUT, 'the meter was without power'],
  [FLAG_NO_CLOCK, 'the meter does not know the time yet'],
  [FLAG_NO_VOLTAGE, 'no mains voltage on the sensor'],
];

export interface HouseholdParts {
  householdName: string;
  clock: Clock;
  store: GatewayStore;
  link: MeterLink;
  ledger: Pick<HouseholdLedger, 'month'>;
  /** Absent or null: this household sells nothing without a name. */
  selling?: Pick<HouseholdSelling, 'view'> | null;
  /** Absent where no meter can be calibrated from here. */
  calibration?: Pick<MeterCalibration, 'view' | 'addPoint' | 'fit' | 'finish' | 'swap' | 'begin'>;
  uplink: Pick<Uplink, 'connected' | 'pending' | 'trouble' | 'isSent'>;
  /** Null where this household is not billed here. */
  billing?: Pick<
    Billing,
    'bill' | 'prices' | 'logState' | 'beginLogAnew' | 'disclosures' | 'disclose' | 'refuseDisclosure' | 'billFile'
  > | null;
  /** Absent where there are no appliances. */
  control?: Pick<Control, 'appliances' | 'messages' | 'refusals' | 'setPolicy' | 'trouble'>;
  /** Absent where nothing is looked for in the house's power. */
  found?: Pick<FoundAppliances, 'day' | 'label'>;
  /** Absent where its pseudonym is registered by hand. */
  identity?: Pick<HouseholdIdentity, 'state' | 'initialise'> | null;
  /** Absent where the household cannot change its supply here. */
  supply?: Pick<Supply, 'view' | 'offers' | 'change' | 'moveOut'> | null;
  /** Absent where nobody attests this gateway. */
  attestation?: Pick<AttestationAgent, 'view'> | null;
  /** Absent where it is updated by hand. */
  updates?: { readonly view: SoftwareView } | null;
}

export class Household implements HouseholdView {
  readonly householdName: string;
  readonly #parts: HouseholdParts;
  readonly #listeners = new Set<(point: LivePoint) => void>();
  #latest: TimedLive | null;

  constructor(parts: HouseholdParts) {
    this.householdName = parts.householdName;
    this.#parts = parts;
    this.#latest = parts.store.lastLive();
  }

  /** What the meter link has just stored. Listeners get the newest: in real time that is every one. */
  addLives(lives: readonly TimedLive[]): void {
    this.#latest = lives[lives.length - 1];
    if (this.#listeners.size === 0) return;
    const point = this.latest()!;
    for (const listener of this.#listeners) listener(point);
  }

  nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  latest(): LivePoint | null {
    const live = this.#latest;
    if (live === null) return null;
    const phases = this.#parts.link.phasesOf(live);
    const warnings = [...flagWords(live.flags), ...this.#warnings()];
    return { ...toPoint(live), warnings, ...(phases.length > 0 && { phases }) };
  }

  onLive(listener: (point: LivePoint) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  minutes(fromMs: number, toMs: number): MinutePoint[] {
    return this.#parts.store.minutes(fromMs, toMs);
  }

  quarterHours(fromMs: number, toMs: number): QuarterHour[] {
    return this.#parts.store.quarterHours(...slotRange(fromMs, toMs)).map((measured) => ({
      slot: measured.slot,
      startMs: slotStartMs(measured.slot),
      importMwh: measured.endImportMwh - measured.startImportMwh,
      exportMwh: measured.endExportMwh - measured.startExportMwh,
      exact: measured.exact,
    }));
  }

  reports(fromMs: number, toMs: number): ReportRow[] {
    return this.#parts.store.reports(...slotRange(fromMs, toMs)).map((report) => ({
      slot: report.slot,
      startMs: slotStartMs(report.slot),
      state: this.#stateOf(report),
      deliveredMs: report.deliveredMs,
      importWh: report.importWh,
      exportWh: report.exportWh,
    }));
  }

  disclosures(): DisclosureView | null {
    return this.#parts.billing?.disclosures.view() ?? null;
  }
  async disclose(form: unknown): Promise<DisclosureView> {
    return this.#billing.disclose(form);
  }
  refuseDisclosure(form: unknown): DisclosureView {
    return this.#billing.refuseDisclosure(form);
  }
  async billFile(kind: 'delegation' | 'dispute', month: number): Promise<string> {
    return this.#billing.billFile(kind, month);
  }
  get #billing() {
    const { billing } = this.#parts;
    if (!billing) throw new MalformedError('bill', 'is not made here');
    return billing;
  }

  bill(month: number): BillView | null {
    return this.#parts.billing?.bill(month) ?? null;
  }

  prices(fromMs: number, toMs: number): PriceRow[] {
    return this.#parts.billing?.prices(...slotRange(fromMs, toMs)) ?? [];
  }

  appliances(): ApplianceRow[] {
    return this.#parts.control?.appliances() ?? [];
  }

  setPolicy(appliance: string, rules: unknown): void {
    if (!this.#parts.control) throw new PolicyError('appliance', 'is none of this household');
    this.#parts.control.setPolicy(appliance, rules);
  }

  controlMessages(): ControlView {
    const { control, clock } = this.#parts;
    if (!control) return { messages: [], refusals: [], trouble: null };
    const nowMs = clock.nowMs();
    return {
      messages: control.messages().map(({ id, area: _, notBeforeMs, expiresMs, ...message }) => ({
        ...message,
        id: Buffer.from(id).toString('hex'),
        notBeforeMs,
        expiresMs,
        state: nowMs < notBeforeMs ? 'to come' : nowMs < expiresMs ? 'in force' : 'over',
      })),
      refusals: control.refusals(),
      trouble: control.trouble,
    };
  }

  foundAppliances(fromMs: number, toMs: number): FoundDay | null {
    const { found } = this.#parts;
    if (!found) return null;
    let drawnMwh = 0;
    let fedMwh = 0;
    for (const { powerW } of this.minutes(fromMs, toMs)) {
      const mwh = (powerW * 1000) / 60;
      if (mwh > 0) drawnMwh += mwh;
      else fedMwh -= mwh;
    }
    return found.day(fromMs, toMs, Math.round(drawnMwh), Math.round(fedMwh));
  }

  nameFound(id: unknown, label: unknown): void {
    if (!this.#parts.found) throw new MalformedError('found.id', 'is none of what was found here');
    this.#parts.found.label(id, label);
  }

  setup(): SetupView | null {
    return this.#parts.identity?.state ?? null;
  }

  initialise(personal: unknown): Promise<SetupView> {
    if (!this.#parts.identity) throw new MalformedError('personal', 'is not asked for by this gateway');
    return this.#parts.identity.initialise(personal);
  }

  supply(): SupplyView | null {
    return this.#parts.supply?.view ?? null;
  }
  async otherProviders(): Promise<string[]> {
    return ((await this.#parts.supply?.offers()) ?? []).map(({ name }) => name);
  }
  async changeProvider(form: unknown): Promise<SupplyView> {
    const supply = this.#supply();
    await supply.change(form);
    return supply.view;
  }
  moveOut(form: unknown): SupplyView {
    const supply = this.#supply();
    supply.moveOut(form);
    return supply.view;
  }
  #supply(): NonNullable<HouseholdParts['supply']> {
    if (!this.#parts.supply) throw new MalformedError('supply', 'cannot be changed on this gateway');
    return this.#parts.supply;
  }

  trust(): TrustView | null {
    if (!this.#parts.attestation) return null;
    const { state, sinceMs, expiresMs, why, warnings, trouble } = this.#parts.attestation.view();
    return { state, sinceMs, expiresMs, why, warnings, trouble };
  }

  software(): SoftwareView | null {
    return this.#parts.updates?.view ?? null;
  }

  logState(): LogState | null {
    return this.#parts.billing?.logState ?? null;
  }

  selling(): SellingView | null {
    return this.#parts.selling?.view() ?? null;
  }
  calibration(): CalibrationPage | null {
    return this.#parts.calibration?.view() ?? null;
  }
  async calibrationPoint(
    real: { volts: number; watts: number; vars: number },
    windows?: number,
  ): Promise<CalibrationPage> {
    await this.#calibration().addPoint(real, windows);
    return this.#calibration().view();
  }
  async calibrate(keep: boolean): Promise<CalibrationFit> {
    const { reversed, points, warnings } = keep ? await this.#calibration().finish() : this.#calibration().fit();
    return { reversed, points, warnings };
  }
  async swapClamp(): Promise<CalibrationPage> {
    await this.#calibration().swap();
    return this.#calibration().view();
  }
  forgetPoints(): CalibrationPage {
    this.#calibration().begin();
    return this.#calibration().view();
  }
  #calibration(): NonNullable<HouseholdParts['calibration']> {
    const { calibration } = this.#parts;
    if (!calibration) throw new Error('no meter can be calibrated from here');
    return calibration;
  }
  ledger(month: number): LedgerMonth | null {
    return this.#parts.ledger.month(month);
  }
  async beginLogAnew(): Promise<LogState> {
    const { billing } = this.#parts;
    if (!billing) throw new Error('no record is kept here');
    return billing.beginLogAnew();
  }

  /** Milli-cent per kWh, undefined where it is not known. */
  importPrice(slot: number): number | undefined {
    return this.#parts.billing?.prices(slot, slot + 1)[0]?.importMilliCentPerKwh;
  }

  connection(): { meter: boolean; grid: boolean; pendingReports: number } {
    const { link, uplink } = this.#parts;
    return { meter: link.connected, grid: uplink.connected, pendingReports: uplink.pending };
  }

  async checkClamp(): ReturnType<HouseholdView['checkClamp']> {
    const clamp = await this.#parts.link.checkClamp();
    return { verdict: verdictOf(clamp), powerW: clamp.powerMw / 1000, powerFactor: clamp.powerFactorE4 / 10_000 };
  }

  #stateOf({ slot, deliveredMs, refusal }: Report): ReportState {
    if (deliveredMs !== null) return 'delivered';
    if (refusal !== null) return 'refused';
    return this.#parts.uplink.isSent(slot) ? 'sent' : 'waiting';
  }

  /** What is wrong beside the measurement. */
  #warnings(): string[] {
    const { link, uplink, billing } = this.#parts;
    const log =
      billing && !billing.logState.ok ? [`the record of your meter was changed: ${billing.logState.reason}`] : [];
    const chip = uplink.trouble === null ? [] : ['the security chip does not answer: readings wait here'];
    return [...link.alarms, ...chip, ...log];
  }
}

/** The slots that begin in [fromMs, toMs), as [from, to). */
const slotRange = (fromMs: number, toMs: number): [number, number] => [
  Math.ceil(fromMs / SLOT_MS),
  Math.ceil(toMs / SLOT_MS),
];

const flagWords = (flags: number): string[] =>
  FLAG_WORDS.filter(([flag]) => (flags & flag) !== 0).map(([, words]) => words);

const toPoint = (live: TimedLive): Omit<LivePoint, 'warnings' | 'phases'> => ({
  unixMs: live.unixMs,
  powerW: live.powerMw / 1000,
  reactiveVar: live.reactiveMvar / 1000,
  apparentVa: live.apparentMva / 1000,
  voltageV: live.voltageMv / 1000,
  currentA: live.currentMa / 1000,
  powerFactor: live.powerFactorE4 / 10_000,
  frequencyHz: live.frequencyMhz / 1000,
  importMwh: live.importMwh,
  exportMwh: live.exportMwh,
});

function verdictOf({ verdict }: Clamp): 'right' | 'reversed' | 'load too small' {
  if (verdict === CLAMP_RIGHT) return 'right';
  return verdict === CLAMP_REVERSED ? 'reversed' : 'load too small';
}
