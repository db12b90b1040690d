/**
 * Brings a neighbourhood up on this machine: keys and certificates, software TPMs, the grid's parties and the gateways as
 * processes of their own, and the households' virtual boards in this one.
 *
 *   <state>/grid-ca, tpm-ca            kept: the bench's authorities
 *   <state>/households/<id>/tpm        kept: the household's TPM
 *   <state>/households/<id>/gateway    kept: keys, page login and certificates; what was simulated before is removed
 *   <state>/run                        made anew for every run: configuration, logs, the grid's stores
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ReadyMessage } from '../protocol/conductor/messages.ts';
import { buildFirmware } from '../scripts/build.mjs';
import { makeChip } from './board/adc-model.ts';
import { calibrateChip } from './board/calibrate-chip.ts';
import { VirtualBoard } from './board/virtual-board.ts';
import { Conductor, type Connected, type Grid } from './conductor.ts';
import { prepareGridSide } from './grid-side.ts';
import { HOUSE_AFTER_METER_MS, Household } from './household.ts';
import { Party } from './party.ts';
import type { Progress } from './progress.ts';
import { Random, seedOf } from './random.ts';
import { writeRegistration } from './registration.ts';
import { faultEvents, loadOf, type Scenario, type ScenarioHousehold } from './scenario.ts';
import { type RunningTpm, setUpTpms, startTpm } from './software-tpm.ts';
import { Truth } from './truth.ts';

const root = resolve(import.meta.dirname, '..');
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
  pseudonym: string;
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
  readonly #tpms: RunningTpm[];

  private constructor(conductor: Conductor, pages: PageAddress[], tpms: RunningTpm[]) {
    this.conductor = conductor;
    this.pages = pages;
    this.#tpms = tpms;
  }

  /** On any failure everything that was started is ended. */
  static async start(options: NeighbourhoodOptions): Promise<Neighbourhood> {
    const { scenario, startMs, progress } = options;
    const stateDir = resolve(options.stateDir);
    const runDir = join(stateDir, 'run');
    rmSync(runDir, { recursive: true, force: true });
    mkdirSync(runDir, { recursive: true, mode: 0o700 });
    // halves the time that a party takes to start
    process.env.NODE_COMPILE_CACHE ??= join(stateDir, 'compile-cache');
    const started: { stop(): Promise<void> }[] = [];
    try {
      progress.task('firmware: build');
      const { code } = await buildFirmware();

      progress.task(`TPMs: one for each of ${scenario.households.length} households`);
      const homes = scenario.households.map(({ id }) => join(stateDir, 'households', id));
      for (const home of homes) forgetSimulation(join(home, 'gateway'));
      await setUpTpms(
        homes.map((home) => join(home, 'tpm')),
        { ca: join(stateDir, 'tpm-ca'), onProgress: (ready, all) => progress.at(ready / all) },
      );
      const tpms = await Promise.all(homes.map((home) => startTpm(join(home, 'tpm'))));
      started.push(...tpms);

      progress.task('grid: broker, gateways, collector, provider');
      const side = await prepareGridSide({
        directory: runDir,
        caDirectory: join(stateDir, 'grid-ca'),
        pseudonyms: [],
        k: scenario.k,
      });
      const party = (name: string, main: string, configPath: string): Party => {
        const logPath = join(runDir, `${name.replace(':', '-')}.log`);
        const made = new Party({ name, main: join(root, main), configPath, logPath });
        started.push(made);
        return made;
      };
      const grid: Grid = {
        broker: party('broker', 'operator/broker/main.ts', side.configs.broker),
        collector: party('collector', 'operator/collector/main.ts', side.configs.collector),
        provider: party('provider', 'operator/provider/main.ts', side.configs.provider),
      };
      await grid.broker.start();

      const connected: Connected[] = [];
      const pages: PageAddress[] = [];
      const pseudonyms: { publicKey: Uint8Array; area: string }[] = [];
      for (const [index, spec] of scenario.households.entries()) {
        const configPath = join(runDir, `gateway-${spec.id}.json`);
        const port = options.port === null ? null : options.port === 0 ? 0 : options.port + index;
        const config = {
          householdId: spec.id,
          householdName: spec.name,
          dataDir: join(homes[index], 'gateway'),
          meterLink: 'conductor',
          tcti: tpms[index].tcti,
          area: scenario.area,
          resolutionWh: scenario.resolutionWh,
          broker: side.gatewayAccess,
          providerPublicKey: Buffer.from(side.providerPublicKey).toString('hex'),
          web: port === null ? null : { port, host: '127.0.0.1' },
          clock: 'conductor',
        };
        writeFileSync(configPath, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
        const gateway = party(`gateway:${spec.id}`, 'gateway/main.ts', configPath);
        const ready: ReadyMessage = await gateway.start();
        const { url, firstPassword, authorityFingerprint } = ready;
        const passwordFile = join(config.dataDir, 'web', 'password.json');
        if (url) pages.push({ name: spec.name, url, firstPassword, passwordFile, authorityFingerprint });
        const { pseudonym, trouble } = (await gateway.ask('totals')) as GatewayTotals;
        if (!pseudonym) throw new Error(`gateway of ${spec.id}: its TPM gave no pseudonym key: ${trouble}`);
        pseudonyms.push({ publicKey: Buffer.from(pseudonym, 'hex'), area: scenario.area });
        connected.push({ household: await makeHousehold(spec, code, options), gateway });
        progress.at((index + 1) / scenario.households.length);
      }
      writeRegistration(side.registrationFile, pseudonyms);
      await Promise.all([grid.collector.start(), grid.provider.start()]);

      const conductor = new Conductor(connected, grid, startMs - HOUSE_AFTER_METER_MS, faultEvents(scenario, startMs));
      for (const { household } of connected) household.start();
      await conductor.greet();
      progress.done();
      return new Neighbourhood(conductor, pages, tpms);
    } catch (error) {
      await Promise.allSettled(started.reverse().map((one) => one.stop()));
      throw error;
    }
  }

  async stop(): Promise<void> {
    const { connected, grid } = this.conductor;
    const parties = [...connected.map(({ gateway }) => gateway), grid.collector, grid.provider];
    await Promise.allSettled(parties.map((party) => party.stop()));
    await grid.broker.stop();
    await Promise.allSettled(this.#tpms.map((tpm) => tpm.stop()));
  }

  /** Process numbers of everything that runs, this process included. */
  pids(): number[] {
    const { connected, grid } = this.conductor;
    const parties = [...connected.map(({ gateway }) => gateway), ...Object.values(grid)];
    return [process.pid, ...parties.flatMap(({ pid }) => pid ?? []), ...this.#tpms.map(({ pid }) => pid)];
  }
}

/** Chip, calibration, load and crystal of a household follow from the seed. */
async function makeHousehold(
  spec: ScenarioHousehold,
  bundle: string,
  { scenario, startMs, endMs }: NeighbourhoodOptions,
): Promise<Household> {
  const { seed } = scenario;
  const chip = makeChip(seedOf(seed, 'chip', spec.id), spec.chip);
  const board = new VirtualBoard({
    bundle,
    seed: seedOf(seed, 'board', spec.id),
    chip,
    storage: {
      calibration: JSON.stringify(calibrateChip(chip)),
      household: JSON.stringify({ generator: spec.pv !== undefined }),
    },
    startMs: startMs - HOUSE_AFTER_METER_MS,
    driftPpm: new Random(seed, 'crystal', spec.id).between(-CRYSTAL_PPM, CRYSTAL_PPM),
  });
  const load = await loadOf(spec, seed);
  return new Household({ id: spec.id, name: spec.name, board, load, truth: new Truth(), startMs, endMs });
}

/** A simulated day begins again: the gateway's memory of the last one goes, its keys and its login stay. */
function forgetSimulation(gatewayDir: string): void {
  if (!existsSync(gatewayDir)) return;
  for (const file of readdirSync(gatewayDir)) {
    if (/\.db(-wal|-shm)?$/.test(file)) rmSync(join(gatewayDir, file));
  }
}
