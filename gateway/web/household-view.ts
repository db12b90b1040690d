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
  /** Where the meter measures three: L1, L2, L3, whose sum the power above is. Absent: one. */
  phases?: PhasePoint[];
}
/** One phase of three, live; registers, bills and reports know the sum only. */
export interface PhasePoint {
  powerW: number;
  voltageV: number;
  currentA: number;
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
/** One day of UTC on the bill. Lines add up to the bill exactly. */
export interface BillLine {
  /** Days since 1 January 1970. */
  day: number;
  startMs: number;
  importMwh: number;
  exportMwh: number;
  /** Thousandths of a cent. What is drawn costs, what is fed in is credited; either may be negative where its price is. */
  costMilliCent: number;
  creditMilliCent: number;
  /** Quarter hours of the day whose price is not known yet: their energy is in the line, their money is not. */
  unpriced: number;
}
/** Whether what the meter said is kept unchanged. */
export interface LogState {
  /** False: it was changed; `reason` says what and where. */
  ok: boolean;
  /** In plain words; also set where nothing was changed but something waits, such as for the security chip. */
  reason: string | null;
  /** Where it was changed before, and a new chain was begun: how often, and what had been found last. Absent: never. */
  begunAnew?: { times: number; atMs: number | null; why: string | null };
}
/** The bill of a calendar month of UTC, computed in the house; its total is all that the provider learns. */
export interface BillView {
  /** Months since January 1970. */
  month: number;
  lines: BillLine[];
  /** To be paid; negative where the credit is more. */
  totalMilliCent: number;
  /** ISO 4217; empty while no tariff is known. */
  currency: string;
  /** The newest price list in it; 0 where there is none. */
  priceVersion: number;
  /** `growing`: not over yet, or not sent yet. */
  state: 'growing' | 'sent' | 'acknowledged';
  /** In plain words why it has not been sent, or not acknowledged; null where nothing is wrong. */
  waitsFor: string | null;
  /** One for each contract of the month: with one provider all month long it is one. */
  parts: BillPartView[];
  logState: LogState;
}
/** What of a month one provider is told: its number, for its part of the month. */
export interface BillPartView {
  provider: string;
  fromMs: number;
  toMs: number;
  totalMilliCent: number;
  state: 'growing' | 'sent' | 'acknowledged';
  waitsFor: string | null;
}
/** What a kWh costs, and what is paid for one, in a quarter hour. */
export interface PriceRow {
  slot: number;
  startMs: number;
  importMilliCentPerKwh: number;
  exportMilliCentPerKwh: number;
}
/** One rule of the customer: all of an appliance's must hold. Minutes after midnight in the household's zone. */
export type ApplianceRule =
  | { kind: 'price'; belowMilliCentPerKwh: number }
  | { kind: 'hours'; fromMinute: number; toMinute: number };
/** An appliance as it is now. */
export interface ApplianceRow {
  /** In addresses: `boiler`. */
  name: string;
  label: string;
  /** `ev-charger`, `heat-pump`, `boiler` … */
  deviceClass: string;
  /** Whether it hangs on the meter's relay. */
  relay: boolean;
  rules: ApplianceRule[];
  state: 'on' | 'off' | 'limit';
  /** W, for `limit`. */
  limitW: number | null;
  /** In plain words. */
  reason: string;
  source: 'provider' | 'customer' | 'nobody';
  /** It is as it is until then at least. */
  untilMs: number;
}
/** What the provider has said to the appliances of the area, newest first, and what was not obeyed. */
export interface ControlView {
  messages: {
    id: string;
    /** `all`: every one. */
    deviceClass: string;
    command: 'on' | 'off' | 'limit';
    limitW: number | null;
    issuedMs: number;
    notBeforeMs: number;
    expiresMs: number;
    receivedMs: number;
    state: 'to come' | 'in force' | 'over';
  }[];
  /** Each reason once, in plain words. */
  refusals: { reason: string; times: number; lastMs: number }[];
  /** Why the provider cannot be asked, in words; null where it can. */
  trouble: string | null;
}
/** Who supplies the household, and what was decided about it. */
export interface SupplyView {
  /** The present provider; null where nobody lives here. */
  provider: string | null;
  /** The one that follows: it is settled. */
  next: { provider: string; fromMs: number } | null;
  /** A change that was asked for: on its way, or `refusal` says why it came to nothing. */
  asked: { provider: string; fromMs: number; refusal: string | null } | null;
  /** The people move out; `waitsFor` what keeps their names from ending. */
  leaving: { fromMs: number; waitsFor: string | null } | null;
  /** Whether another provider may be chosen now. */
  mayChange: boolean;
  /** What the grid operator was told of the registers, oldest first. */
  registers: {
    atMs: number;
    reason: string;
    importKwh: number | null;
    exportKwh: number | null;
    state: 'waiting' | 'acknowledged' | 'refused';
    refusal: string | null;
  }[];
}
/** Whether the gateway has its names (protocol/identity/initialisation.ts). */
export interface SetupView {
  /**
   *   uninitialised  nobody has typed anything yet
   *   waiting        under way; `reason` says for what, where something keeps it
   *   ready          set up; `reason` says why a newer attempt came to nothing, where one did
   *   refused        the last attempt came to nothing: `reason`
   */
  state: 'uninitialised' | 'waiting' | 'ready' | 'refused';
  reason: string | null;
  /** Days from today on that have a pseudonym. */
  daysLeft: number;
}
/** What the verifier found of this gateway and its meter. */
export interface TrustView {
  state: 'not initialised' | 'never' | 'trusted' | 'failed' | 'expired';
  sinceMs: number | null;
  expiresMs: number | null;
  /** Sentences. */
  why: string[];
  warnings: string[];
  /** What keeps the next attempt from succeeding; null where nothing does. */
  trouble: string | null;
}
export interface SoftwareView {
  /** The release that runs, 0 before the first one. */
  version: number;
  state: 'idle' | 'fetching' | 'measuring' | 'flashing' | 'proving' | 'switching' | 'committing' | 'failed';
  /** The release that is being installed, or was not; null where there is none. */
  next: number | null;
  /** Why it failed, or what it waits for; null where nothing is wrong. */
  reason: string | null;
  /** Bytes that have reached the meter, and of how many; null but while flashing. */
  progress: { arrived: number; of: number } | null;
}
/** An appliance that the house shows by how its power jumps. Found in this gateway, and told to nobody. */
export interface FoundAppliance {
  id: number;
  /** The customer's name for it; null until there is one. */
  label: string | null;
  /** What it draws when it runs. */
  powerW: number;
  /** Runs in the time that was asked for, and what they drew of it. */
  times: number;
  energyMwh: number;
  /** It seems to run now. */
  on: boolean;
  /** The end of its newest run. */
  lastMs: number;
}
export interface FoundDay {
  /** What the house drew from the grid in that time. */
  drawnMwh: number;
  /** Everything else; null where the house fed in too, so that nobody knows what it used in all. */
  restMwh: number | null;
  /** The largest first. */
  appliances: FoundAppliance[];
}
/** One thing that was told beyond the readings without a name: by consent, or with a bill. */
export interface DisclosureRow {
  /** `the total of the day of import, 2026-02-03`, `the bill of 2026-02`. */
  name: string;
  /** Who learned it. */
  party: string;
  kind: 'bill' | 'total' | 'day' | 'reading' | 'peak';
  /** Null for a bill: its fee stands on the bill. */
  valueMwh: number | null;
  /** When a peak's quarter hour began. */
  atMs: number | null;
  madeMs: number;
  /** False: on its way. */
  told: boolean;
}
/** What was told, newest first, and what the provider would like to be told. */
export interface DisclosureView {
  told: DisclosureRow[];
  questions: {
    id: number;
    kind: 'total' | 'day' | 'reading' | 'peak';
    register: 'import' | 'export';
    firstSlot: number;
    endSlot: number;
    fromMs: number;
    toMs: number;
    /** In the provider's words. */
    why: string;
  }[];
}
/** What energy was for: `rest` is what is billed. */
export type LedgerPurpose = 'rest' | 'ownUse' | 'centre' | 'bus' | 'providerTrade' | 'prepaid';
/** A month's energy by purpose, as the meter's ledger says; it sums to what was measured. */
export interface LedgerMonth {
  /** Months since January 1970. */
  month: number;
  importMwh: Record<LedgerPurpose, number>;
  exportMwh: Record<LedgerPurpose, number>;
}
/** A month of selling without a name, as this household sees it. */
export interface SellingMonthView {
  /** Months since January 1970. */
  month: number;
  mode: 'receipts' | 'm of n';
  /** Credits of a credential, and what a credit is paid, 1/1000 cent. */
  value: number;
  creditMilliCent: number;
  /** Credentials that everybody registers, and those of this wallet. */
  amount: number;
  registered: number;
  /** Not used yet; in a sale that has no answer; sold; shown and refused. */
  unused: number;
  waiting: number;
  sold: number;
  lapsed: number;
  /** Sales that have left the meter, and those of them that were accepted. */
  shown: number;
  accepted: number;
  /** Collected for the deposit. */
  receipts: number;
  /** What was exported for it. */
  soldMwh: number;
  /** How far the month's settlement has come (gateway/selling/store.ts); null while it is sold. */
  stage: string | null;
  trouble: string | null;
  payment: { count: number; credits: number; milliCent: number; carriedMicrocredits: number } | null;
}
export interface SellingView {
  /** The customer's choice. */
  enabled: boolean;
  trouble: string | null;
  months: SellingMonthView[];
  /** What the control centre saw of this household's sales, from nobody: so many in these slots, among those of all others. */
  seen: { slot: number; sales: number }[];
}
/** How the meter is calibrated, and what was ever written into it here. */
export interface CalibrationPage {
  /** Counts what was written into this meter; 0: as it was commissioned. */
  number: number;
  /** False: the meter works with a document that this gateway did not write. */
  known: boolean;
  reversed: boolean;
  /** The meter is looking, or is keeping a document. */
  busy: boolean;
  /** Points that were taken, not written yet. */
  points: { volts: number; watts: number; vars: number; seenWatts: number }[];
  /** Newest first. */
  history: { n: number; atMs: number; digest: string; reversed: boolean; signed: boolean; points: PointError[] }[];
}
/** Of a known load: by how much of its apparent power the meter was off, and is. Null where nothing was on. */
export interface PointError {
  watts: number;
  beforePercent: number | null;
  afterPercent: number | null;
}
/** What the points come to. */
export interface CalibrationFit {
  reversed: boolean;
  points: PointError[];
  /** In plain words. */
  warnings: string[];
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
  /** The bill of a month (months since January 1970), growing or sent; null where this household is not billed here. */
  bill(month: number): BillView | null;
  /** What was told beyond the bill, and what is asked; null where this household is not billed here. */
  disclosures(): DisclosureView | null;
  /** The customer agrees to tell something. @throws MalformedError whose sentence says why it must not be told, where it must not */
  disclose(form: unknown): Promise<DisclosureView>;
  /** The customer says no to a question. @throws MalformedError */
  refuseDisclosure(form: unknown): DisclosureView;
  /**
   * A month's files (protocol/billing/public-data.ts): by `delegation`, which is secret, anybody can compute the payment; by
   * `dispute` anybody can judge it. @throws MalformedError in words where there is none
   */
  billFile(kind: 'delegation' | 'dispute', month: number): Promise<string>;
  /** Known prices of the quarter hours that begin in [fromMs, toMs). */
  prices(fromMs: number, toMs: number): PriceRow[];
  /** Null where this household sells nothing without a name. */
  selling(): SellingView | null;
  /** Empty where the household has none. */
  appliances(): ApplianceRow[];
  /** Replaces an appliance's rules with what the form says. @throws PolicyError whose `path` names what is wrong with them */
  setPolicy(appliance: string, rules: unknown): void;
  controlMessages(): ControlView;
  /** What was found in [fromMs, toMs); null where nothing is looked for. */
  foundAppliances(fromMs: number, toMs: number): FoundDay | null;
  /** Names what was found; an empty label takes the name away. @throws MalformedError that names the field (`found.label`) */
  nameFound(id: unknown, label: unknown): void;
  /** Null where this household needs no setting up. */
  setup(): SetupView | null;
  /**
   * Begins to set the meter up with what the customer typed, which is sealed and forgotten.
   * @throws MalformedError that names the field (`personal.pin`), TpmError
   */
  initialise(personal: unknown): Promise<SetupView>;
  /** Null where this household cannot change its supply here. */
  supply(): SupplyView | null;
  /** Names of the other providers that supply here. @throws Error while the grid operator cannot be asked */
  otherProviders(): Promise<string[]>;
  /** @throws MalformedError that names the field (`letter.day`), ServiceError, TpmError */
  changeProvider(form: unknown): Promise<SupplyView>;
  /** @throws MalformedError that names the field */
  moveOut(form: unknown): SupplyView;
  /** Null where nobody attests this gateway. */
  trust(): TrustView | null;
  /** Null where it is updated by hand. */
  software(): SoftwareView | null;
  /** Of everything that the meter ever said; null where no record is kept. */
  logState(): LogState | null;
  /** What a month's energy was for; null where nothing was measured in it. */
  ledger(month: number): LedgerMonth | null;
  /** A log that was changed is closed and kept, and a new one begun: what is stored now counts as it is, marked as late. @throws Error in words */
  beginLogAnew(): Promise<LogState>;
  /** Null where no meter can be calibrated from here. */
  calibration(): CalibrationPage | null;
  /** Has the meter look while this is really on its mains, a window a second. @throws Error in plain words */
  calibrationPoint(real: { volts: number; watts: number; vars: number }, windows?: number): Promise<CalibrationPage>;
  /** What the points come to; with `keep` it is signed and kept in the meter. @throws Error in plain words */
  calibrate(keep: boolean): Promise<CalibrationFit>;
  /** Turns the clamp round in software, or forgets the points that were taken. @throws Error in plain words */
  swapClamp(): Promise<CalibrationPage>;
  forgetPoints(): CalibrationPage;
  /** Whether the meter, the grid side are reachable now, and how much waits to be delivered. */
  connection(): { meter: boolean; grid: boolean; pendingReports: number };
  /** Asks the meter whether its clamp is the right way round, while a resistive load above 500 W is on. */
  checkClamp(): Promise<{ verdict: 'right' | 'reversed' | 'load too small'; powerW: number; powerFactor: number }>;
}
