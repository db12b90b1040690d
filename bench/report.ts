/** The result of a run: what the meters say, what the provider saw, and how far both are from the simulated truth. */
import { type BilledPart, feesAgree } from './fees.ts';
import type { ControlOutcome } from './happenings.ts';
import { type SoldMonth, salesAgree } from './sold.ts';
import { type ProviderResult, sumsAgree } from './supply.ts';

export interface HouseholdResult {
  id: string;
  name: string;
  importWh: number;
  exportWh: number;
  trueImportWh: number;
  trueExportWh: number;
  /** Of the register against the truth; 0 where both are 0. */
  importErrorPercent: number;
  exportErrorPercent: number;
  /** Whole quarter hours between start and end: what a run without any fault delivers. */
  quarterHoursExpected: number;
  quarterHoursMeasured: number;
  /** Acknowledged by the collector as being on its disk. */
  quarterHoursDelivered: number;
}

export interface RunReport {
  scenario: string;
  seed: number;
  startUtc: string;
  days: number;
  households: HouseholdResult[];
  /** From the providers' own stores, all together. */
  provider: { readings: number; importWh: number; exportWh: number; rejected: number };
  /** Each of them. */
  providers: ProviderResult[];
  /** Whether every provider got the readings of its customers, while they were its customers, and no others. */
  sumsAgree: boolean;
  /** From the collector's own store. `held` came after their slot's batch and wait for the settlement batch. */
  collector: { stored: number; held: number; rejected: number };
  /** Quarter hours that were measured or expected and are not on the collector's disk, or were not passed on. */
  lost: number;
  /** Readings that the provider counted beyond what the households delivered. */
  duplicated: number;
  withinClass: boolean;
  /** On how many gateways and meters each release was attested last; from the verifier's store. */
  releases: { version: number; gateways: number; meters: number }[];
  /** What the provider told the area's appliances. */
  control: ControlOutcome;
  /** Bills that proved their fees and were taken. */
  bills: BilledPart[];
  /** What was sold without a name, and what was paid for it. */
  sold: SoldMonth[];
  simulatedSecondsPerSecond: number;
}

/** The class that the meter states, percent of the energy (metering.md: "class 0.5 limits on the simulated front end"). */
export const CLASS_PERCENT = 0.5;
/**
 * What a register may be off beside the class, Wh: the registers in flash are up to one checkpoint (10 s) old, and where
 * import and export nearly cancel, noise decides in which of the two a 10 s block of a few watts is counted.
 */
export const CLASS_FLOOR_WH = 2;

export const errorPercent = (valueMwh: number, truthMwh: number): number =>
  truthMwh === 0 ? (valueMwh === 0 ? 0 : 100) : (100 * (valueMwh - truthMwh)) / truthMwh;

/** Whether a register agrees with the truth within the stated class; `floorWh` widens it for known outages. */
export function withinClass(valueMwh: number, truthMwh: number, floorWh: number = CLASS_FLOOR_WH): boolean {
  return Math.abs(valueMwh - truthMwh) <= (CLASS_PERCENT / 100) * truthMwh + floorWh * 1000;
}

export interface ReportInput {
  scenario: string;
  seed: number;
  startMs: number;
  days: number;
  kept: { id: string; name: string; expected: number; trueImportMwh: number; trueExportMwh: number; floorWh: number }[];
  /** The gateways' own word, by household. */
  gateways: { importMwh: number; exportMwh: number; quarterHoursMeasured: number; quarterHoursDelivered: number }[];
  providers: ProviderResult[];
  collector: RunReport['collector'];
  releases: RunReport['releases'];
  control: ControlOutcome;
  /** Bills that proved their fees and were taken. */
  bills: BilledPart[];
  /** What was sold without a name, and what was paid for it. */
  sold: SoldMonth[];
  simulatedSecondsPerSecond: number;
}

export function makeReport(input: ReportInput): RunReport {
  const round = (value: number): number => Math.round(value * 1000) / 1000;
  const households = input.kept.map((kept, index): HouseholdResult => {
    const gateway = input.gateways[index];
    return {
      id: kept.id,
      name: kept.name,
      importWh: Math.round(gateway.importMwh / 1000),
      exportWh: Math.round(gateway.exportMwh / 1000),
      trueImportWh: Math.round(kept.trueImportMwh / 1000),
      trueExportWh: Math.round(kept.trueExportMwh / 1000),
      importErrorPercent: round(errorPercent(gateway.importMwh, kept.trueImportMwh)),
      exportErrorPercent: round(errorPercent(gateway.exportMwh, kept.trueExportMwh)),
      quarterHoursExpected: kept.expected,
      quarterHoursMeasured: gateway.quarterHoursMeasured,
      quarterHoursDelivered: gateway.quarterHoursDelivered,
    };
  });
  const delivered = households.reduce((sum, household) => sum + household.quarterHoursDelivered, 0);
  const missing = households.reduce(
    (sum, household) =>
      sum +
      Math.max(
        0,
        Math.max(household.quarterHoursExpected, household.quarterHoursMeasured) - household.quarterHoursDelivered,
      ),
    0,
  );
  const total = (of: 'readings' | 'importWh' | 'exportWh' | 'rejected'): number =>
    input.providers.reduce((sum, provider) => sum + provider[of], 0);
  const passedOn = total('readings') + input.collector.held;
  return {
    scenario: input.scenario,
    seed: input.seed,
    startUtc: new Date(input.startMs).toISOString(),
    days: input.days,
    households,
    provider: {
      readings: total('readings'),
      importWh: total('importWh'),
      exportWh: total('exportWh'),
      rejected: total('rejected'),
    },
    providers: input.providers,
    sumsAgree: sumsAgree(input.providers, input.collector.held),
    collector: input.collector,
    lost: missing + Math.max(0, delivered - passedOn),
    duplicated: Math.max(0, passedOn - delivered),
    withinClass: input.kept.every(
      (kept, index) =>
        withinClass(input.gateways[index].importMwh, kept.trueImportMwh, kept.floorWh) &&
        withinClass(input.gateways[index].exportMwh, kept.trueExportMwh, kept.floorWh),
    ),
    releases: input.releases,
    control: input.control,
    bills: input.bills,
    sold: input.sold,
    simulatedSecondsPerSecond: Math.round(input.simulatedSecondsPerSecond),
  };
}

/** True when nothing was lost or counted twice, nothing refused, and every register is within the class. */
export const isGood = (report: RunReport): boolean =>
  report.lost === 0 &&
  report.duplicated === 0 &&
  report.provider.rejected === 0 &&
  report.withinClass &&
  report.sumsAgree &&
  feesAgree(report.bills) &&
  salesAgree(report.sold);

const kwh = (wh: number): string => (wh / 1000).toFixed(3);
const signed = (percent: number): string => `${percent > 0 ? '+' : ''}${percent.toFixed(2)} %`;

/** The summary for people. `k` is the provider's smallest group. */
export function formatReport(report: RunReport, k: number): string {
  const rows = [
    ['household', 'import kWh', 'truth', 'error', 'export kWh', 'truth', 'error', 'quarter hours'],
    ...report.households.map((household) => [
      household.name,
      kwh(household.importWh),
      kwh(household.trueImportWh),
      household.trueImportWh === 0 ? '' : signed(household.importErrorPercent),
      kwh(household.exportWh),
      kwh(household.trueExportWh),
      household.trueExportWh === 0 ? '' : signed(household.exportErrorPercent),
      `${household.quarterHoursDelivered} of ${household.quarterHoursExpected} reported`,
    ]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: string[]): string =>
    row
      .map((cell, column) =>
        column === 0 || column === 7 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join('  ');
  const hidden = report.households.length < k;
  const { provider } = report;
  return [
    line(rows[0]),
    widths.map((width) => '─'.repeat(width)).join('  '),
    ...rows.slice(1).map(line),
    '',
    hidden
      ? `provider: ${provider.readings} readings; shows no area sum, for it would be of fewer than ${k} households`
      : `provider: ${provider.readings} readings, area sum ${kwh(provider.importWh)} kWh import, ${kwh(provider.exportWh)} kWh export`,
    `lost ${report.lost}, counted twice ${report.duplicated}, refused ${provider.rejected + report.collector.rejected}` +
      `${report.collector.held ? `, late and held for the settlement ${report.collector.held}` : ''}; ` +
      `registers ${report.withinClass ? 'within' : 'NOT within'} class ${CLASS_PERCENT}; ` +
      `${report.simulatedSecondsPerSecond.toLocaleString('en-US')} × real time`,
    ...releaseLine(report),
    ...controlLine(report),
    ...billLines(report),
    ...soldLines(report),
    ...supplyLines(report),
  ].join('\n');
}

/** Where there was a roll-out. */
function releaseLine({ releases }: RunReport): string[] {
  if (releases.length < 2) return [];
  const each = releases.map(({ version, gateways, meters }) => `release ${version} on ${gateways} and ${meters}`);
  return [`attested, gateways and meters: ${each.join(', ')}`];
}
/** Where there are several providers. */
function supplyLines({ providers, sumsAgree }: RunReport): string[] {
  if (providers.length < 2) return [];
  const each = providers.map(({ name, readings, expected, bills }) => {
    const billed = bills === 1 ? 'one bill' : `${bills} bills`;
    return `${name}: ${readings} of ${expected.readings} readings of its customers, ${billed}`;
  });
  return [...each, sumsAgree ? 'each provider has its own customers’ sums' : 'the sums of the providers DO NOT agree'];
}
/** Where something was sold without a name. */
function soldLines({ sold, households }: RunReport): string[] {
  const lines = sold
    .filter(({ soldMwh }) => soldMwh > 0)
    .map(({ id, soldMwh, sold: count, credits, milliCent, agrees }) => {
      const name = households.find((one) => one.id === id)!.name;
      const paid = credits === null ? 'not paid yet' : `${credits} credits, ${(milliCent! / 100_000).toFixed(2)} paid`;
      return `${name}: sold ${kwh(soldMwh / 1000)} kWh without a name, ${count} credentials, ${paid}${agrees ? '' : ': DOES NOT AGREE'}`;
    });
  if (lines.length === 0) return [];
  return [...lines, salesAgree(sold) ? 'what was sold is paid, to the credit' : 'what was sold is NOT what was paid'];
}
/** Where a month, or a contract, has ended. */
function billLines({ bills }: RunReport): string[] {
  if (bills.length === 0) return [];
  const each = bills.map(({ household, tariff, quarterHours, feeMilliCent, clearMilliCent }) => {
    const agrees =
      clearMilliCent === null
        ? 'parts of it were sold to others'
        : clearMilliCent === feeMilliCent
          ? 'the same in the clear'
          : `IN THE CLEAR ${money(clearMilliCent)}`;
    return `${household}: ${money(feeMilliCent)} for ${quarterHours} quarter hours by ${tariff}, proved; ${agrees}`;
  });
  return ['bills, of which the providers saw the fee and no reading:', ...each.map((line) => `  ${line}`)];
}
const money = (milliCent: number): string => (milliCent / 100_000).toFixed(5);
function controlLine({ control: { sent, heard, relaysOff }, households }: RunReport): string[] {
  if (sent === 0) return [];
  const messages = sent === 1 ? 'one message' : `${sent} messages`;
  return [
    `control: ${messages} to the area, heard ${heard} times by ${households.length} gateways; ${relaysOff} relays were off`,
  ];
}
