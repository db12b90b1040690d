/** A run from start to report: brings the neighbourhood up, lets the days pass, asks every party for its own figures. */

import { basename } from 'node:path';
import type { QuarterHour, ReportRow, SellingView } from '../gateway/web/household-view.ts';
import type { ReceivedBill } from '../operator/provider/bills.ts';
import { DAY_MS, SLOTS_PER_DAY, slotOf } from '../protocol/time/slots.ts';
import { type Conductor, wholeSlotsBetween } from './conductor.ts';
import { type BilledPart, billedParts } from './fees.ts';
import type { GatewayTotals, Neighbourhood } from './neighbourhood.ts';
import type { RunOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { CLASS_FLOOR_WH, makeReport, type RunReport } from './report.ts';
import { defaultScenarioFile, extendScenario, readScenario, type Scenario } from './scenario.ts';
import { type SoldMonth, soldMonths } from './sold.ts';
import { expectedSums, type ProviderResult } from './supply.ts';
import { readTrace, type TraceGap } from './trace.ts';

export interface PlannedRun {
  scenario: Scenario;
  title: string;
  startMs: number;
  endMs: number;
  /** Where the recording has no data during the run: the house draws nothing there. */
  gaps: TraceGap[];
}

/** The scenario with the command line's changes. @throws ScenarioError, TraceError */
export async function planRun(options: RunOptions): Promise<PlannedRun> {
  const file = options.scenario ?? defaultScenarioFile;
  let scenario = await readScenario(file);
  if (options.seed !== null) scenario = { ...scenario, seed: options.seed };
  if (options.days !== null) scenario = { ...scenario, days: options.days };
  if (options.households !== null) scenario = extendScenario(scenario, options.households, scenario.seed);
  let startMs = scenario.startMs;
  let recorded: TraceGap[] = [];
  if (options.trace !== null) {
    const [first, ...others] = scenario.households;
    const trace = await readTrace(options.trace);
    startMs = trace.startMs;
    recorded = trace.gaps;
    scenario = {
      ...scenario,
      startMs,
      households: [
        {
          ...first,
          name: 'House of the recording',
          preset: undefined,
          appliances: [],
          pv: undefined,
          trace: options.trace,
        },
        ...others,
      ],
    };
  }
  const endMs = startMs + scenario.days * DAY_MS;
  const gaps = recorded.filter(({ fromMs }) => fromMs < endMs);
  return { scenario, title: scenario.name || basename(file, '.json'), startMs, endMs, gaps };
}

/** Lets the days pass and reports. The neighbourhood goes on running. */
export async function runDays(
  neighbourhood: Neighbourhood,
  { scenario, title, startMs, endMs }: PlannedRun,
  speed: number,
  progress: Progress,
): Promise<RunReport> {
  const { conductor } = neighbourhood;
  progress.task(`${scenario.days === 1 ? 'one day' : `${scenario.days} days`}, simulated`);
  const started = performance.now();
  await conductor.runTo(endMs, speed, (nowMs) => {
    const rate = (nowMs - startMs) / (performance.now() - started);
    const clock = new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ');
    progress.at(
      (nowMs - startMs) / (endMs - startMs),
      `${clock}  ${Math.round(rate).toLocaleString('en-US')} × real time`,
    );
  });
  const seconds = (performance.now() - started) / 1000;
  await conductor.drain();
  progress.done();

  const gateways = await Promise.all(
    conductor.connected.map(({ gateway }) => gateway.ask('totals') as Promise<GatewayTotals>),
  );
  const collected = (await conductor.grid.collector.ask('deliveries')) as Record<string, number>;
  const providers = await providerResults(scenario, conductor);
  const releases = (await conductor.grid.verifier.ask('releases')) as RunReport['releases'];
  return makeReport({
    scenario: title,
    seed: scenario.seed,
    startMs,
    days: scenario.days,
    kept: conductor.connected.map(({ household: { id, name, truth, floorWh } }) => {
      const { importMwh, exportMwh } = truth.total();
      const expected = wholeSlotsBetween(startMs, endMs);
      return {
        id,
        name,
        expected,
        trueImportMwh: importMwh,
        trueExportMwh: exportMwh,
        floorWh: CLASS_FLOOR_WH + floorWh,
      };
    }),
    gateways: gateways.map(({ registers, ...counts }) => ({
      ...counts,
      ...(registers ?? { importMwh: 0, exportMwh: 0 }),
    })),
    providers,
    collector: {
      stored: collected.stored,
      held: collected.late + collected.heldBack + collected.withheld,
      rejected: collected.rejected,
    },
    releases: releases.map(({ version, gateways, meters }) => ({ version, gateways, meters })),
    control: neighbourhood.control,
    bills: await billsOf(scenario, conductor),
    sold: await soldOf(scenario, conductor, endMs),
    simulatedSecondsPerSecond: (endMs - startMs) / 1000 / seconds,
  });
}

/** What each household sold without a name, by its own gateway. */
async function soldOf({ selling }: Scenario, { connected }: Conductor, endMs: number): Promise<SoldMonth[]> {
  if (!selling) return [];
  const { windowSlots = SLOTS_PER_DAY, value } = selling;
  const months = await Promise.all(
    connected.map(async ({ household, gateway }) =>
      soldMonths(household.id, (await gateway.ask('selling')) as SellingView | null, {
        endSlot: slotOf(endMs),
        windowSlots,
        value,
      }),
    ),
  );
  return months.flat();
}

/** What the providers were paid, each beside the same fee in the clear. */
async function billsOf({ providers }: Scenario, { grid, connected }: Conductor): Promise<BilledPart[]> {
  const measured = new Map<string, { rows: QuarterHour[]; allBilled: boolean }>();
  for (const { household, gateway } of connected)
    measured.set(household.id, {
      rows: (await gateway.ask('quarterHours')) as QuarterHour[],
      allBilled: ((await gateway.ask('ledger')) as { lines: number }).lines === 0,
    });
  const parties = [grid.provider, ...grid.otherProviders];
  const parts = await Promise.all(
    providers.map(async (provider, n) =>
      billedParts((await parties[n].ask('bills')) as ReceivedBill[], provider, n, (id) => measured.get(id)),
    ),
  );
  return parts.flat();
}

async function providerResults(scenario: Scenario, { grid, connected }: Conductor): Promise<ProviderResult[]> {
  const reports = new Map<string, ReportRow[]>();
  for (const { household, gateway } of connected)
    reports.set(household.id, (await gateway.ask('reports')) as ReportRow[]);
  const expected = expectedSums(scenario, reports);
  const parties = [grid.provider, ...grid.otherProviders];
  return Promise.all(
    scenario.providers.map(async ({ name }, n) => {
      const totals = (await parties[n].ask('totals')) as Omit<
        ProviderResult,
        'name' | 'expected' | 'bills' | 'invoices'
      >;
      const bills = ((await parties[n].ask('bills')) as object[]).length;
      const invoices = ((await parties[n].ask('invoices')) as object[]).length;
      return { name, ...totals, expected: expected.get(name)!, bills, invoices };
    }),
  );
}
