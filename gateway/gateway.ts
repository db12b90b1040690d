/**
 * The household's gateway, put together: store → identity → meter link → uplink → page. What drives it (the machine's
 * clock or a conductor) stands in main.ts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../protocol/time/clock.ts';
import type { GatewayConfig } from './config.ts';
import { Household } from './household.ts';
import { type MeterChannel, openChannel } from './meter/channel.ts';
import { MeterLink } from './meter/link.ts';
import { GatewayStore } from './store.ts';
import { IdentityKeeper } from './uplink/identity-keeper.ts';
import { Uplink } from './uplink/uplink.ts';
import type { Page } from './web/server.ts';

export class Gateway {
  readonly config: GatewayConfig;
  readonly channel: MeterChannel;
  readonly store: GatewayStore;
  readonly identity: IdentityKeeper;
  readonly link: MeterLink;
  readonly uplink: Uplink;
  readonly household: Household;
  #page: Page | null = null;

  constructor(config: GatewayConfig, clock: Clock, log: (line: string) => void) {
    this.config = config;
    this.store = new GatewayStore(config.dataDir);
    this.identity = new IdentityKeeper(config.tcti, config.dataDir, identityOptions(config, clock, log));
    this.uplink = new Uplink({
      store: this.store,
      clock,
      signers: this.identity,
      area: config.area,
      providerPublicKey: Buffer.from(config.providerPublicKey, 'hex'),
      broker: { url: config.broker.url, ca: readFileSync(config.broker.caFile, 'utf8') },
      log,
    });
    this.channel = openChannel(config.meterLink);
    this.link = new MeterLink({
      channel: this.channel,
      store: this.store,
      clock,
      resolutionWh: config.resolutionWh,
      onLives: (lives) => this.household.addLives(lives),
      onReports: () => this.uplink.reportsAdded(),
      log,
    });
    this.household = new Household({
      householdName: config.householdName,
      clock,
      store: this.store,
      link: this.link,
      uplink: this.uplink,
    });
    this.#log = log;
  }
  readonly #log: (line: string) => void;

  /** Nothing but a port that is taken keeps it from starting: TPM, meter and grid may come later. */
  async start(): Promise<{ url?: string; firstPassword?: string; authorityFingerprint?: string }> {
    await this.identity.open().catch((error: Error) => this.#log(`TPM: ${error.message}`));
    this.link.start();
    this.uplink.start();
    const { web, dataDir } = this.config;
    if (web === null) return {};
    const { startPage } = await import('./web/server.ts'); // a gateway without a page needs none of it
    this.#page = await startPage({ view: this.household, dataDir, ...web, log: this.#log });
    const { url, firstPassword, authorityFingerprint } = this.#page;
    return { url, firstPassword, authorityFingerprint };
  }

  /** Looks what is due: called whenever time has moved. */
  tick(): void {
    this.link.tick();
    this.identity.household?.tick();
  }

  /** How many things still have to reach the grid: reports, and records that are known to be in the meter only. */
  get pending(): number {
    return this.uplink.pending + this.link.missingRecords;
  }

  /** What a conductor may ask. `initialise` is what the customer types on the page, played by the bench. */
  answer(question: string, argument?: unknown): unknown {
    if (question === 'initialise') return this.identity.household?.initialise(argument) ?? null;
    if (question === 'identity') return this.identity.household?.state ?? null;
    if (question === 'totals') return this.#totals();
    if (question === 'quarterHours') return this.#quarterHours();
    if (question === 'reports') return this.household.reports(0, Number.MAX_SAFE_INTEGER);
    return null;
  }

  async close(): Promise<void> {
    await this.#page?.close();
    await this.link.close();
    await this.uplink.close();
    await this.identity.close();
    this.store.close();
  }

  #totals(): object {
    const latest = this.household.latest();
    return {
      householdId: this.config.householdId,
      ...this.store.totals(),
      registers: latest && { importMwh: latest.importMwh, exportMwh: latest.exportMwh },
      pending: this.pending,
      ...this.link.counters,
      alarms: this.link.alarms,
      trouble: this.uplink.trouble,
      pseudonym: this.identity.pseudonym,
    };
  }

  #quarterHours(): object[] {
    return this.household.quarterHours(0, Number.MAX_SAFE_INTEGER);
  }
}

function identityOptions({ identity, dataDir }: GatewayConfig, clock: Clock, log: (line: string) => void) {
  if (!identity) return null;
  const thirdParty = {
    url: identity.url,
    ca: readFileSync(identity.caFile, 'utf8'),
    publicKey: Buffer.from(identity.publicKey, 'hex'),
    issuingKey: Buffer.from(identity.issuingKey, 'hex'),
    authority: readFileSync(identity.authorityFile, 'utf8'),
  };
  return { file: join(dataDir, 'identity.db'), clock, thirdParty, log };
}
