/**
 * The household's gateway, put together: store → identity → meter link → uplink → page. What drives it (the machine's
 * clock or a conductor) stands in main.ts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../protocol/time/clock.ts';
import { slotOf } from '../protocol/time/slots.ts';
import { LINK_MEASURE } from '../protocol/wire/link-messages.ts';
import { FoundAppliances } from './appliances-found/found.ts';
import { type Attestation, METER_IMAGE, openAttestation } from './attestation/open.ts';
import type { Billing } from './billing/billing.ts';
import { openBilling } from './billing/open.ts';
import { MeterCalibration } from './calibration/calibration.ts';
import type { GatewayConfig } from './config.ts';
import { HouseholdControl } from './control/start.ts';
import type { Door } from './door/door.ts';
import { openDoor } from './door/open.ts';
import { Household } from './household.ts';
import { Integrations } from './integrations/start.ts';
import { HouseholdLedger } from './ledger/household-ledger.ts';
import { type MeterChannel, openChannel } from './meter/channel.ts';
import { MeterLink } from './meter/link.ts';
import { MeterRandomness } from './meter/randomness.ts';
import { SealedValuesStore } from './meter/sealed-values.ts';
import { openSelling } from './selling/open.ts';
import type { HouseholdSelling } from './selling/selling.ts';
import { GatewayStore, type TimedLive } from './store.ts';
import { RESTART_CODE, RESTART_MACHINE_CODE } from './update/launcher.ts';
import { MeterImages } from './update/meter-images.ts';
import { openUpdates } from './update/open.ts';
import type { Updater } from './update/updater.ts';
import { IdentityKeeper } from './uplink/identity-keeper.ts';
import { Uplink } from './uplink/uplink.ts';
import type { Page } from './web/server.ts';
import { HouseholdYearly } from './yearly/start.ts';

export class Gateway {
  readonly config: GatewayConfig;
  readonly channel: MeterChannel;
  readonly store: GatewayStore;
  readonly identity: IdentityKeeper;
  readonly link: MeterLink;
  /** What each Wh was for. */
  readonly ledger: HouseholdLedger;
  /** What the meter keeps here under its seal. */
  readonly sealed: SealedValuesStore;
  readonly randomness: MeterRandomness;
  readonly calibration: MeterCalibration;
  /** Talks with the meter about its program. */
  readonly images: MeterImages;
  /** Null: meter and gateway are updated by hand. */
  readonly updates: Updater | null;
  readonly uplink: Uplink;
  /** Null: nobody attests this gateway. */
  readonly attestation: Attestation | null;
  /** Null: this household is not billed here. */
  readonly billing: Billing | null;
  /** Null: no grid operator is told anything. */
  readonly yearly: HouseholdYearly | null;
  /** Null: no appliances are told anything. */
  readonly control: HouseholdControl | null;
  /** Null: nothing leaves this house without a name. */
  readonly door: Door | null;
  /** Null: nothing is sold without a name. */
  readonly selling: HouseholdSelling | null;
  /** What the house's own power shows of its appliances. */
  readonly found: FoundAppliances;
  readonly household: Household;
  /** Null: none of the home's other systems is told anything. */
  readonly integrations: Integrations | null;
  #page: Page | null = null;

  constructor(config: GatewayConfig, clock: Clock, log: (line: string) => void) {
    this.config = config;
    this.identity = new IdentityKeeper(config.tcti, identityOptions(config, clock, log));
    const broker = { url: config.broker.url, ca: readFileSync(config.broker.caFile, 'utf8') };
    this.billing = config.billing
      ? openBilling({
          config: config.billing,
          dataDir: config.dataDir,
          broker,
          tpm: () => this.identity.tpm(),
          household: this.identity.household,
          allocation: {
            allocates: () => config.selling !== undefined || this.ledger.hasLines,
            kept: () => this.ledger.kept,
          },
          clock,
          log,
        })
      : null;
    this.ledger = new HouseholdLedger(this.billing?.log ?? null, log);
    this.store = new GatewayStore(config.dataDir, [...(this.billing?.companions ?? []), this.ledger]);
    this.billing?.attach(this.store);
    this.found = new FoundAppliances(config.dataDir);
    this.attestation =
      config.attestation && this.identity.household
        ? openAttestation({
            config: config.attestation,
            dataDir: config.dataDir,
            store: this.store,
            tpm: () => this.identity.tpm(),
            household: this.identity.household,
            calibrationClaim: () => this.calibration.claim,
            logClaim: () => this.billing?.logClaim ?? { state: 'none', begunAnew: 0 },
            sendToMeter: (command) => {
              // one question at a time: an update asks, too
              if (command.type !== LINK_MEASURE) return;
              const heard = ({ digest }: { digest: Uint8Array }) => this.attestation?.heard(digest);
              this.images.measure(command.nonce).then(heard, () => {}); // asked again, or given up, by the agent
            },
            clock,
            log,
          })
        : null;
    const configuredKey = Buffer.from(config.providerPublicKey, 'hex');
    this.yearly =
      config.gridOperator && config.identity && this.identity.household
        ? new HouseholdYearly({
            settings: config.gridOperator,
            dataDir: config.dataDir,
            measured: this.store,
            clock,
            household: this.identity.household,
            authority: readFileSync(config.identity.authorityFile, 'utf8'),
            onChange: ({ fromSlot, provider }) =>
              this.billing?.contracts.begin(fromSlot, {
                provider: provider.name,
                url: provider.url,
                tariff: provider.tariff,
                offlineKey: provider.tariffKey,
              }),
            ...(this.billing &&
              config.billing && {
                supply: {
                  identity: this.identity.household,
                  contracts: this.billing.contracts,
                  configured: config.billing.provider.name,
                  owes: (slot) => this.#owes(slot),
                },
              }),
            first: {
              readingKey: configuredKey,
              controlKey: config.control?.controlKey ? Buffer.from(config.control.controlKey, 'hex') : null,
            },
            log,
          })
        : null;
    this.uplink = new Uplink({
      store: this.store,
      clock,
      signers: this.identity,
      passes: this.attestation?.passes,
      area: config.area,
      providerPublicKey: (slot) => this.yearly?.choice.readingKey(slot) ?? configuredKey,
      broker,
      log,
    });
    this.door = config.door ? openDoor({ config: config.door, dataDir: config.dataDir, clock, log }) : null;
    this.channel = openChannel(config.meterLink);
    this.link = new MeterLink({
      channel: this.channel,
      store: this.store,
      clock,
      resolutionWh: config.resolutionWh,
      isReported: (slot) => this.billing === null || this.billing.contracts.at(slot) !== undefined,
      onLives: (lives) => {
        this.household.addLives(lives);
        this.#find(lives);
      },
      onReports: () => this.uplink.reportsAdded(),
      onImages: (message) => this.images.receive(message),
      log,
    });
    this.ledger.attach(this.store, this.link.sessions);
    this.sealed = new SealedValuesStore(config.dataDir, this.link.sessions);
    this.calibration = new MeterCalibration({
      sessions: this.link.sessions,
      dataDir: config.dataDir,
      clock,
      sign: async (message) =>
        (await this.identity.household?.requestIdentity('household', 'calibration')?.sign(message)) ?? null,
      log,
    });
    this.randomness = new MeterRandomness({
      sessions: this.link.sessions,
      randomBytes: async (length) => (await this.identity.tpm()).randomBytes(length),
    });
    this.selling =
      config.selling && this.door && this.identity.household
        ? openSelling({
            config: config.selling,
            dataDir: config.dataDir,
            household: this.identity.household,
            sessions: this.link.sessions,
            door: this.door,
            ledger: this.ledger,
            sealed: this.sealed,
            store: this.store,
            clock,
            log,
          })
        : null;
    this.control = config.control
      ? new HouseholdControl({
          settings: config.control,
          dataDir: config.dataDir,
          clock,
          area: config.area,
          broker: { url: config.broker.url, ca: readFileSync(config.broker.caFile, 'utf8') },
          importPrice: (slot) => this.household.importPrice(slot),
          relay: this.link,
          ...(this.yearly && {
            controlKey: () => this.yearly!.choice.controlKey(),
            providerUrl: () => this.yearly!.choice.at(slotOf(clock.nowMs()))?.provider.controlUrl ?? null,
          }),
          log,
        })
      : null;
    this.images = new MeterImages({
      clock,
      send: (command) => this.link.sendImageCommand(command),
      connected: () => this.link.connected,
    });
    this.updates = config.updates
      ? openUpdates({
          config: config.updates,
          dataDir: config.dataDir,
          tpm: () => this.identity.tpm(),
          meter: this.images,
          measureFirmware: async (digest) => this.attestation?.agent.measureImage(digest),
          attest: () => this.attestation?.agent.attestNow(),
          keepMeterImage: (digest) =>
            this.store.setMeta(METER_IMAGE, digest ? Buffer.from(digest).toString('hex') : ''),
          authorizationsFile: config.billing?.sealing.authorizationsFile ?? null,
          restart: (what) => {
            const code = what === 'machine' ? RESTART_MACHINE_CODE : RESTART_CODE;
            setImmediate(() => this.close().finally(() => process.exit(code)));
          },
          clock,
          log,
        })
      : null;
    this.household = new Household({
      calibration: this.calibration,
      householdName: config.householdName,
      clock,
      store: this.store,
      link: this.link,
      ledger: this.ledger,
      selling: this.selling,
      uplink: this.uplink,
      control: this.control?.control,
      found: this.found,
      billing: this.billing,
      identity: this.identity.household,
      attestation: this.attestation?.agent,
      updates: this.updates,
      supply: this.yearly?.supply,
    });
    this.integrations = config.integrations
      ? new Integrations({
          config: config.integrations,
          id: config.householdId,
          version: this.updates?.view.version ?? 0,
          source: this.household,
          log,
        })
      : null;
    this.#log = log;
  }
  readonly #log: (line: string) => void;

  /** Nothing but a port that is taken keeps it from starting: TPM, meter and grid may come later. */
  async start(): Promise<{ url?: string; firstPassword?: string; authorityFingerprint?: string }> {
    await this.identity.open().catch((error: Error) => this.#log(`TPM: ${error.message}`));
    // measured first: what is sealed opens for this software only
    await this.attestation?.agent.measure().catch((error: Error) => this.#log(`TPM: ${error.message}`));
    await this.billing?.start();
    this.link.start();
    this.uplink.start();
    await this.control?.start();
    await this.integrations?.start();
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
    this.calibration.tick(this.link.boot);
    this.images.tick();
    this.updates?.tick();
    this.identity.household?.tick();
    this.attestation?.tick();
    this.control?.tick();
    this.yearly?.tick();
    this.billing?.tick();
    this.door?.tick();
    this.selling?.tick();
    this.integrations?.tick();
  }

  /** When everything that can be done now is done: delivered and acknowledged, asked and answered. */
  async idle(): Promise<void> {
    const { sessions } = this.link;
    const parts = [
      sessions,
      this.uplink,
      this.billing,
      this.attestation,
      this.control?.control,
      this.yearly,
      this.updates,
      this.door,
      this.selling,
    ];
    await Promise.all(parts.map((part) => part?.idle()));
  }

  /** In the middle of a long talk with the meter: the next word is due in a second, not in a quarter hour. */
  get busy(): boolean {
    return (this.updates?.busy ?? false) || (this.selling?.busy ?? false);
  }

  /** How many things still have to reach the grid: reports, and records that are known to be in the meter only. */
  get pending(): number {
    return this.uplink.pending + this.link.missingRecords;
  }

  /** What a conductor may ask. `initialise` is what the customer types on the page, played by the bench. */
  answer(question: string, argument?: unknown): unknown {
    if (question === 'initialise') return this.identity.household?.initialise(argument) ?? null;
    if (question === 'identity') return this.identity.household?.state ?? null;
    if (question === 'updates') return this.updates?.view ?? null;
    if (question === 'attestation') return this.attestation?.agent.view() ?? null;
    if (question === 'totals') return this.#totals();
    if (question === 'quarterHours') return this.#quarterHours();
    if (question === 'billing') return this.billing?.report() ?? null;
    if (question === 'bill') return this.household.bill(argument as number);
    if (question === 'supply') return this.yearly?.supply?.view ?? null;
    if (question === 'changeProvider') return this.yearly?.supply?.change(argument) ?? null;
    if (question === 'moveOut') return this.yearly?.supply?.moveOut(argument) ?? null;
    if (question === 'ledger') return this.ledger.report();
    if (question === 'calibration') return this.calibration.view();
    if (question === 'sealedValues') return this.sealed.report();
    if (question === 'registers') return this.yearly?.registers.rows() ?? [];
    if (question === 'appliances') return this.household.appliances();
    if (question === 'relay') return this.link.relay;
    if (question === 'controlMessages') return this.household.controlMessages();
    if (question === 'selling') return this.selling?.view() ?? null;
    if (question === 'door') return this.door && { waiting: this.door.waiting(), trouble: this.door.trouble };
    if (question === 'reports') return this.household.reports(0, Number.MAX_SAFE_INTEGER);
    return null;
  }

  async close(): Promise<void> {
    await this.#page?.close();
    await this.integrations?.close();
    await this.control?.close();
    await this.yearly?.close();
    this.images.close();
    await this.updates?.close();
    await this.link.close();
    await this.uplink.close();
    await this.door?.close();
    await this.selling?.idle();
    this.selling?.close();
    await this.billing?.close();
    await this.attestation?.close();
    await this.identity.close();
    this.calibration.close();
    this.sealed.close();
    this.found.close();
    this.store.close();
  }

  /** Only looked at: whatever goes wrong with it, what the meter said is kept and acknowledged. */
  #find(lives: readonly TimedLive[]): void {
    try {
      this.found.take(lives);
    } catch (error) {
      this.#log(`appliances: ${(error as Error).message}`);
    }
  }

  /** What of the time before a slot has still to leave the house. */
  #owes(slot: number): string | null {
    if ((this.store.measuredRange()?.last ?? 0) < slot - 1) return "the meter's last quarter hours";
    if (this.uplink.pending > 0) return 'readings that the collector does not have yet';
    return this.billing?.owes(slot) ?? null;
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
