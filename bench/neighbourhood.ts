/**
 * Brings a neighbourhood up on this machine: keys and certificates, software TPMs, the grid's parties and the gateways as
 * processes of their own, and the households' virtual boards in this one.
 *
 *   <state>/grid-ca, tpm-ca            kept: the bench's authorities
 *   <state>/households/<id>/tpm        kept: the household's TPM as it was delivered
 *   <state>/households/<id>/gateway    kept: the page's login and certificates; what was simulated before is removed
 *   <state>/run                        made anew for every run: configuration, logs, the grid's stores, the TPMs in use
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttestationView } from '../gateway/attestation/agent.ts';
import type { IdentityState } from '../gateway/identity/household-identity.ts';
import { UPDATE_LAYOUT } from '../hardware/flash.ts';
import type { PersonalData } from '../protocol/identity/initialisation.ts';
import { buildFirmware, buildLoader } from '../scripts/build.mjs';
import type { BenchTariff } from './billing.ts';
import { makeChip } from './board/adc-model.ts';
import { calibrateChip } from './board/calibrate-chip.ts';
import { VirtualBoard } from './board/virtual-board.ts';
import { Conductor, type Connected } from './conductor.ts';
import { type ControlOutcome, happeningsOf } from './happenings.ts';
import { HOUSE_AFTER_METER_MS, Household } from './household.ts';
import { gatewayMain, installGateway, unpackDelivered } from './installation.ts';
import { type Installation, type Operators, prepareOperators } from './operators.ts';
import { Party } from './party.ts';
import type { Progress } from './progress.ts';
import { Random, seedOf } from './random.ts';
import { faultEvents, loadsOf, type Scenario, type ScenarioHousehold } from './scenario.ts';
import { cloneTpm, type RunningTpm, setUpTpms, startTpm } from './software-tpm.ts';
import { Truth } from './truth.ts';

/** Real time: 35 days' keys are made and certified in a TPM. */
const INITIALISED_WITHIN_MS = 120_000;
/** What an ordinary crystal is off, millionths. */
const CRYSTAL_PPM = 15;

export interface NeighbourhoodOptions {
  scenario: Scenario;
  startMs: number;
  endMs: number;
  stateDir: string;
  /** Port of the first household's page, the next ones follow; 0: any. Null: no pages. */
  port: number | null;
  progress: Progress;
}

/** What a gateway answers to `totals`. */
export interface GatewayTotals {
  /** The last that the meter said; null where it never spoke. */
  registers: { importMwh: number; exportMwh: number } | null;
  quarterHoursMeasured: number;
  quarterHoursDelivered: number;
  alarms: string[];
  trouble: string | null;
}

export interface PageAddress {
  name: string;
  url: string;
  /** Only at the very first start. */
  firstPassword?: string;
  /** Its hash; without it the next start makes a new one. */
  passwordFile: string;
  authorityFingerprint?: string;
}

export class Neighbourhood {
  readonly conductor: Conductor;
  readonly pages: PageAddress[];
  /** Grows while the days run. */
  readonly control: ControlOutcome;
  readonly #tpms: RunningTpm[];
  readonly #operators: Operators;

  private constructor(
    conductor: Conductor,
    pages: PageAddress[],
    tpms: RunningTpm[],
    operators: Operators,
    control: ControlOutcome,
  ) {
    this.control = control;
    this.conductor = conductor;
    this.pages = pages;
    this.#tpms = tpms;
    this.#operators = operators;
  }

  /** On any failure everything that was started is ended. */
  static async start(options: NeighbourhoodOptions): Promise<Neighbourhood> {
    const { scenario, startMs, progress } = options;
    const { households, area, k } = scenario;
    const stateDir = resolve(options.stateDir);
    const runDir = join(stateDir, 'run');
    rmSync(runDir, { recursive: true, force: true });
    mkdirSync(runDir, { recursive: true, mode: 0o700 });
    // halves the time that a party takes to start
    process.env.NODE_COMPILE_CACHE ??= join(stateDir, 'compile-cache');
    const meterOnMs = startMs - HOUSE_AFTER_METER_MS;
    const started: { stop(): Promise<void> }[] = [];
    try {
      progress.task('firmware: build');
      const firmware = await buildFirmware();
      const loader = await buildLoader();

      progress.task(`TPMs: one for each of ${households.length} households`);
      const homes = households.map(({ id }) => join(stateDir, 'households', id));
      await setUpTpms(
        homes.map((home) => join(home, 'tpm')),
        { ca: join(stateDir, 'tpm-ca'), onProgress: (ready, all) => progress.at(ready / all) },
      );
      const tpms = await Promise.all(
        homes.map(async (home, index) => {
          forgetSimulation(join(home, 'gateway'));
          // as it was delivered: nothing of an earlier run is anchored in it
          const state = join(runDir, 'tpms', households[index].id);
          await cloneTpm(join(home, 'tpm'), state);
          return startTpm(state);
        }),
      );
      started.push(...tpms);

      progress.task('grid: broker, trusted third party, grid operator, verifier, collector, provider');
      const operators = await prepareOperators({
        runDir,
        caDir: join(stateDir, 'grid-ca'),
        tpmCaDir: join(stateDir, 'tpm-ca'),
        k,
        area,
        image: Buffer.from(firmware.code, 'latin1'),
        providers: scenario.providers.map((one, n) => ({ ...one, tariffs: tariffsOf(scenario, n) })),
        households: households.length,
        selling: scenario.selling,
        consolePort: nthPort(options.port, households.length),
      });
      started.push(...[...operators.parties].reverse());
      await operators.start(meterOnMs);

      progress.task('gateways: installed, initialised, attested');
      const connected: Connected[] = [];
      const pages: PageAddress[] = [];
      const software = join(runDir, 'software');
      unpackDelivered(software, operators.releases.software.files);
      const typed: PersonalData[] = [];
      const installations: Installation[] = [];
      for (const [index, { id, name, provider, tariff }] of households.entries()) {
        const address = `${area} ${index + 1}`;
        const installation = await operators.install(
          id,
          address,
          tpms[index].tcti,
          provider ?? scenario.providers[0].name,
          tariff,
        );
        installations.push(installation);
        typed.push({ name, address, ...installation.letter });
      }
      await operators.registered(meterOnMs);
      for (const [index, spec] of households.entries()) {
        const { id, name } = spec;
        const port = nthPort(options.port, index);
        const { updates, ...grid } = installations[index].gatewayConfig;
        const installed = installGateway(join(runDir, 'installations', id), software);
        const config = {
          ...grid,
          updates: { ...(updates as object), installation: installed.root },
          householdId: id,
          householdName: name,
          dataDir: join(homes[index], 'gateway'),
          meterLink: 'conductor',
          tcti: tpms[index].tcti,
          area,
          resolutionWh: scenario.resolutionWh,
          web: port === null ? null : { port, host: '127.0.0.1' },
          clock: 'conductor',
        };
        const configPath = join(runDir, `gateway-${id}.json`);
        writeFileSync(configPath, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
        const gateway = new Party({
          name: `gateway:${id}`,
          main: () => gatewayMain(installed),
          configPath,
          logPath: join(runDir, `gateway-${id}.log`),
          restartMachine: () => tpms[index].reset(),
        });
        started.push(gateway);
        const { url, firstPassword, authorityFingerprint } = await gateway.start();
        const passwordFile = join(config.dataDir, 'web', 'password.json');
        if (url) pages.push({ name, url, firstPassword, passwordFile, authorityFingerprint });
        const household = await makeHousehold(spec, { loader: loader.code, firmware: firmware.code }, options);
        connected.push({ household, gateway });
        progress.at((index + 1) / households.length / 2);
      }
      const gateways = connected.map(({ gateway }) => gateway);
      const planned = happeningsOf(scenario, startMs, operators, gateways);
      const conductor = new Conductor(connected, operators.grid, meterOnMs, {
        faults: faultEvents(scenario, startMs),
        happenings: planned.happenings,
      });
      for (const { household } of connected) household.start();
      await conductor.greet();
      for (const [index, { gateway }] of connected.entries()) {
        await initialise(gateway, typed[index]);
        progress.at(0.5 + (index + 1) / households.length / 2);
      }
      const trusted = await conductor.settleUntil(startMs - 1000, async () => {
        const views = await Promise.all(connected.map(({ gateway }) => gateway.ask('attestation')));
        return views.every((view) => (view as AttestationView).state === 'trusted');
      });
      if (!trusted) progress.note('not every gateway is attested yet: their readings are held back');
      if (operators.console) {
        const { url, firstPassword, authorityFingerprint } = await operators.console.start();
        const passwordFile = join(runDir, 'console', 'console', 'web', 'password.json');
        if (url)
          pages.push({ name: "The grid operator's console", url, firstPassword, passwordFile, authorityFingerprint });
      }
      progress.done();
      return new Neighbourhood(conductor, pages, tpms, operators, planned.control);
    } catch (error) {
      await Promise.allSettled(started.reverse().map((one) => one.stop()));
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.conductor.connected.map(({ gateway }) => gateway.stop()));
    const { parties } = this.#operators;
    await Promise.allSettled(parties.map((party) => party.stop()));
    await Promise.allSettled(this.#tpms.map((tpm) => tpm.stop()));
  }

  /** What people of the grid may do. */
  get operators(): Operators {
    return this.#operators;
  }

  /** Process numbers of everything that runs, this process included. */
  pids(): number[] {
    const parties = [...this.conductor.connected.map(({ gateway }) => gateway), ...this.#operators.parties];
    return [process.pid, ...parties.flatMap(({ pid }) => pid ?? []), ...this.#tpms.map(({ pid }) => pid)];
  }
}

/** What its customers have chosen beside the ordinary tariff. */
function tariffsOf({ households, providers }: Scenario, index: number): BenchTariff[] {
  const theirs = households.filter(({ provider = providers[0].name }) => provider === providers[index].name);
  return [...new Set(theirs.map(({ tariff }) => tariff))].filter((tariff) => tariff !== 'flex');
}

/** The pages follow each other from `first` on; 0 is any free one for each, null none at all. */
const nthPort = (first: number | null, n: number): number | null => (first ? first + n : first);

/** Files of Storage, of each phase. */
const CALIBRATIONS = ['calibration', 'calibration2', 'calibration3'];

/** Chip, calibration, load and crystal of a household follow from the seed. */
async function makeHousehold(
  spec: ScenarioHousehold,
  { loader, firmware }: { loader: string; firmware: string },
  { scenario, startMs, endMs }: NeighbourhoodOptions,
): Promise<Household> {
  const { seed } = scenario;
  const chip = makeChip(seedOf(seed, 'chip', spec.id), spec.chip);
  const calibration = JSON.stringify(calibrateChip(chip));
  const board = new VirtualBoard({
    bundle: loader,
    layout: UPDATE_LAYOUT,
    seed: seedOf(seed, 'board', spec.id),
    chip,
    storage: {
      firmware,
      // one converter and three front ends that were built alike
      ...Object.fromEntries(CALIBRATIONS.slice(0, spec.phases).map((name) => [name, calibration])),
      household: JSON.stringify({ generator: spec.pv !== undefined, phases: spec.phases }),
    },
    startMs: startMs - HOUSE_AFTER_METER_MS,
    driftPpm: new Random(seed, 'crystal', spec.id).between(-CRYSTAL_PPM, CRYSTAL_PPM),
  });
  const loads = await loadsOf(spec, seed);
  return new Household({ id: spec.id, name: spec.name, board, loads, truth: new Truth(), startMs, endMs });
}

/** The customer's step: types what the letter says. Waits until the gateway has its names. */
async function initialise(gateway: Party, typed: PersonalData): Promise<void> {
  const answer = (await gateway.ask('initialise', typed)) as { error?: string } | null;
  if (answer?.error) throw new Error(`${gateway.name}: ${answer.error}`);
  const deadline = performance.now() + INITIALISED_WITHIN_MS;
  for (;;) {
    const { state, reason } = (await gateway.ask('identity')) as IdentityState;
    if (state === 'ready') return;
    if (state === 'refused' || performance.now() > deadline)
      throw new Error(`${gateway.name} is not initialised: ${reason}`);
    await sleep(20);
  }
}

/** A simulated day begins again: everything goes but the page's login and certificates. */
function forgetSimulation(gatewayDir: string): void {
  if (!existsSync(gatewayDir)) return;
  for (const name of readdirSync(gatewayDir)) {
    if (name !== 'web') rmSync(join(gatewayDir, name), { recursive: true });
  }
}
