/** A household on one table: scripted meter, gateway process with a software TPM, and the small grid. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { cloneTpm, type RunningTpm, setUpTpm, startTpm } from '../../../bench/software-tpm.ts';
import type { GatewayConfig } from '../../../gateway/config.ts';
import { SLOT_MS, slotStartMs } from '../../../protocol/time/slots.ts';
import { ConductedGateway } from './conducted.ts';
import { FakeGrid } from './fake-grid.ts';
import { ScriptedMeter } from './scripted-meter.ts';

export const FIRST_SLOT = 20_000 * 96;
export const T0 = slotStartMs(FIRST_SLOT);
export const AREA = 'north-1';

export interface Totals {
  importMwh: number;
  exportMwh: number;
  quarterHoursMeasured: number;
  quarterHoursDelivered: number;
  records: number;
  pending: number;
  linkErrors: number;
  trouble: string | null;
}

/** Made once, copied for every house. */
let madeTpm: Promise<string> | null = null;
async function makeTpm(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-tpm-'));
  await setUpTpm(join(directory, 'tpm'), { ca: join(directory, 'ca') });
  return join(directory, 'tpm');
}

export class House {
  readonly directory = mkdtempSync(join(tmpdir(), 'quietmeter-house-'));
  readonly meter = new ScriptedMeter();
  tpm!: RunningTpm;
  grid!: FakeGrid;
  gateway!: ConductedGateway;
  /** How many steps there were; step k ends half a second past the end of slot FIRST_SLOT + k − 1. */
  steps = 0;
  nowMs = T0 - 60_000;

  static async build(t: ExecutionContext): Promise<House> {
    const house = new House();
    t.teardown(() => house.#demolish());
    madeTpm ??= makeTpm();
    const state = join(house.directory, 'tpm');
    await cloneTpm(await madeTpm, state);
    house.tpm = await startTpm(state);
    house.grid = await FakeGrid.start();
    mkdirSync(join(house.directory, 'gateway'));
    writeFileSync(join(house.directory, 'ca.pem'), house.grid.ca);
    house.gateway = new ConductedGateway(house.directory, house.config);
    house.meter.powerOn(house.nowMs);
    return house;
  }

  get config(): Partial<GatewayConfig> {
    return {
      householdId: 'house-1',
      householdName: 'A house',
      dataDir: 'gateway',
      meterLink: 'conductor',
      tcti: this.tpm.tcti,
      area: AREA,
      broker: { url: this.grid.url, caFile: 'ca.pem' },
      providerPublicKey: Buffer.from(this.grid.provider.publicKey).toString('hex'),
      web: null,
      clock: 'conductor',
    };
  }

  /** Time goes on to `toMs`; a gateway that is dead, or dies meanwhile, hears nothing. */
  async advanceTo(toMs: number, deliver = true): Promise<void> {
    this.nowMs = toMs;
    this.meter.advanceTo(toMs);
    const bytes = this.meter.take();
    if (!this.gateway.running) return;
    const settled = await this.gateway.advance(toMs, bytes, deliver).catch(() => null);
    if (settled?.serial) this.meter.receive(settled.serial);
  }

  async greet(): Promise<void> {
    for (let k = 0; k < 3; k++) await this.advanceTo(this.nowMs + 200);
  }

  /** One quarter hour. */
  async step(deliver = true): Promise<void> {
    this.steps++;
    this.meter.powerMw = ((this.steps * 7) % 11) * 3_600_000 - 10_800_000;
    await this.advanceTo(T0 + this.steps * SLOT_MS + 500, deliver);
  }

  /** Until nothing waits in meter or gateway. */
  async settle(): Promise<void> {
    do await this.advanceTo(this.nowMs + 6_000);
    while ((await this.totals()).pending > 0);
  }

  async totals(): Promise<Totals> {
    return (await this.gateway.ask('totals')) as Totals;
  }

  async #demolish(): Promise<void> {
    if (this.gateway?.running) await this.gateway.kill();
    await this.tpm?.stop();
    await this.grid?.stop();
  }
}

/** What each quarter hour must have said at a resolution of 50 Wh, from the meter's own registers. */
export function expectedReadings({ meter, steps }: House): { slot: number; importWh: number; exportWh: number }[] {
  const at = (slot: number) => meter.records.find((record) => record.slot === slot)!;
  const rounded = (mwh: number): number => Math.round(mwh / 50_000) * 50;
  return Array.from({ length: steps }, (_, i) => {
    const [start, end] = [at(FIRST_SLOT + i - 1), at(FIRST_SLOT + i)];
    return {
      slot: FIRST_SLOT + i,
      importWh: rounded(end.importMwh) - rounded(start.importMwh),
      exportWh: rounded(end.exportMwh) - rounded(start.exportMwh),
    };
  });
}
