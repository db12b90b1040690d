/** A household that is billed by the provider's real service; its TPM and its meter are the test's. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import * as v from 'valibot';
import { type BillingPreparation, type PreparedBilling, prepareBilling } from '../../../bench/billing.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import type { Identifier } from '../../../gateway/billing/bill-part.ts';
import { Billing } from '../../../gateway/billing/billing.ts';
import type { Allocation } from '../../../gateway/billing/commitments.ts';
import { GatewayStore } from '../../../gateway/store.ts';
import { billingConfig, type Billing as ProviderBilling, startBilling } from '../../../operator/provider/billing.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';
import { SLOT_MS, slotOf, slotStartMs } from '../../../protocol/time/slots.ts';
import { IdentifierIssuer, PROVIDER } from './identifiers.ts';
import { fixedKey, MemoryAnchors } from './memory-anchors.ts';

/** February 2026: 28 days. */
export const MONTH = 56 * 12 + 1;
export const FIRST = monthFirstSlot(MONTH);
export const SLOTS = 28 * 96;
export const KEY = Buffer.alloc(32, 5);

export interface TestProvider {
  directory: string;
  prepared: PreparedBilling;
  issuer: IdentifierIssuer;
  /** What it published, in order. */
  published: Uint8Array[];
  billing: ProviderBilling;
  start(): Promise<void>;
}

/**
 * @param beside another one, whose grid's authority it has, too
 * @param more who issues identifiers, where it is not the test's own; policies by which bills are to prove their fees
 */
export async function startProvider(
  t: ExecutionContext,
  plan: object,
  beside?: TestProvider,
  more?: Partial<Pick<BillingPreparation, 'issuerFile' | 'providerName' | 'policies'>>,
): Promise<TestProvider> {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-billing-'));
  const issuer = await IdentifierIssuer.open(directory);
  const [port] = await freePorts(1);
  const prepared = await prepareBilling({
    directory,
    ca: await GridCa.open(join(beside?.directory ?? directory, 'ca')),
    issuerFile: issuer.issuerFile,
    port,
    providerName: PROVIDER,
    plan,
    ...more,
  });
  const provider: TestProvider = {
    directory,
    prepared,
    issuer,
    published: [],
    billing: undefined as unknown as ProviderBilling,
    async start() {
      const config = v.parse(billingConfig, prepared.provider);
      provider.billing = await startBilling(config, join(directory, 'provider'), (_, bytes) =>
        provider.published.push(bytes),
      );
    },
  };
  await provider.start();
  t.teardown(async () => {
    await provider.billing.close().catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  });
  return provider;
}

export interface Quarter {
  importMwh: number;
  exportMwh: number;
}

export class BilledHouse {
  readonly dir: string;
  readonly clock: DrivenClock;
  readonly anchors: MemoryAnchors;
  readonly said: string[] = [];
  readonly provider: TestProvider;
  identifier: Identifier | null;
  /** Where another provider has the house, too: its identifier by that provider's name. */
  identifiers: Record<string, Identifier> = {};
  billing!: Billing;
  store!: GatewayStore;
  #registers = { importMwh: 0, exportMwh: 0 };
  #next: number;
  /** What the allocation ledger takes out of the rest. */
  allocation: Allocation | undefined;

  constructor(
    provider: TestProvider,
    identifier: Identifier | null,
    anchors = new MemoryAnchors(),
    dir = mkdtempSync(join(provider.directory, 'house-')),
    firstSlot = FIRST,
  ) {
    this.clock = new DrivenClock(slotStartMs(firstSlot));
    this.#next = firstSlot;
    this.provider = provider;
    this.identifier = identifier;
    this.anchors = anchors;
    this.dir = dir;
  }

  /** The same household as it is now, on a disk of its own. It must be stopped. */
  copy(dir: string, anchors: MemoryAnchors): BilledHouse {
    cpSync(this.dir, dir, { recursive: true });
    const copy = new BilledHouse(this.provider, this.identifier, anchors, dir);
    copy.clock.advanceTo(this.clock.nowMs());
    return copy;
  }

  async start(): Promise<this> {
    const { tariff, offlineKey, provider } = this.provider.prepared.gateway;
    this.billing = new Billing({
      configured: { provider: provider.name, url: provider.url, tariff, offlineKey },
      ca: readFileSync(provider.caFile, 'utf8'),
      broker: null,
      keys: fixedKey(KEY),
      anchors: this.anchors,
      ...(this.allocation && { allocation: this.allocation }),
      identifier: async (name) => this.identifiers[name] ?? this.identifier,
      clock: this.clock,
      log: (line) => this.said.push(line),
    });
    this.store = new GatewayStore(this.dir, this.billing.companions);
    this.billing.attach(this.store);
    this.provider.billing.advance(this.clock.nowMs());
    await this.billing.start();
    return this;
  }
  async stop(): Promise<void> {
    await this.billing.close();
    this.store.close();
  }
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The meter's quarter hours up to slot `to`, in batches of a day; the clock follows, the provider's before it. */
  measure(to: number, quarter: (slot: number) => Quarter): void {
    while (this.#next < to) {
      const end = Math.min(to, this.#next + 96);
      const slots = [];
      for (; this.#next < end; this.#next++) {
        const { importMwh, exportMwh } = quarter(this.#next);
        const start = { ...this.#registers };
        this.#registers = { importMwh: start.importMwh + importMwh, exportMwh: start.exportMwh + exportMwh };
        slots.push({
          slot: this.#next,
          startImportMwh: start.importMwh,
          startExportMwh: start.exportMwh,
          endImportMwh: this.#registers.importMwh,
          endExportMwh: this.#registers.exportMwh,
          exact: true,
        });
      }
      this.store.write({ lives: [], records: [], edges: [], marks: [], slots, reports: [] });
      this.clock.advanceTo(end * SLOT_MS + 500);
      this.provider.billing.advance(this.clock.nowMs());
    }
  }
  /** The meter goes on with what the store does not have. @returns the next slot */
  rewind(): number {
    const { last } = this.store.measuredRange()!;
    const [measured] = this.store.quarterHours(last, last + 1);
    this.#registers = { importMwh: measured.endImportMwh, exportMwh: measured.endExportMwh };
    this.#next = last + 1;
    return this.#next;
  }
  /** What is due is done. */
  async settle(): Promise<void> {
    this.billing.tick();
    await this.billing.idle();
  }
  bill(month = MONTH) {
    return this.billing.bill(month);
  }
  get slot(): number {
    return slotOf(this.clock.nowMs());
  }
}

export const writePlan = (provider: TestProvider, plan: object): void =>
  writeFileSync(provider.prepared.planFile, JSON.stringify(plan));
