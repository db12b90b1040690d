/**
 * Billing in the house, put together: log, price book, bills, and what brings prices in. It takes part in the store's
 * transactions (`companions`), so it is made before the store and is told of it with `attach`.
 */

import type { LogClaim } from '../../protocol/attestation/evidence.ts';
import { decodeBill } from '../../protocol/billing/bill.ts';
import { REST, type Register } from '../../protocol/billing/commitments.ts';
import { writeDelegation, writeDispute } from '../../protocol/billing/public-data.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { monthFirstSlot, monthOf } from '../../protocol/time/months.ts';
import { SLOTS_PER_DAY, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { GatewayStore, StoreCompanion } from '../store.ts';
import type { BillView, DisclosureView, LogState, PriceRow } from '../web/household-view.ts';
import type { BillPart, IdentifierSource } from './bill-part.ts';
import { Bills, type KeptBill } from './bills.ts';
import { type Allocation, Commitments } from './commitments.ts';
import { type Contract, Contracts, type ContractTerms } from './contracts.ts';
import { Disclosures } from './disclosures.ts';
import { type AnchorPlace, HouseholdLog, type LogKeySource } from './household-log.ts';
import type { PriceBook } from './price-book.ts';
import type { PriceFeed } from './price-feed.ts';

export interface BillingOptions {
  /** The first contract. */
  configured: ContractTerms;
  /** The authority of the providers' services, PEM. */
  ca: string;
  /** Where prices are published; null: they are asked for only. */
  broker: { url: string; ca: string } | null;
  keys: LogKeySource;
  anchors: AnchorPlace;
  identifier: IdentifierSource;
  /** What the allocation ledger takes out of the rest; absent: nothing. */
  allocation?: Allocation;
  clock: Clock;
  log(line: string): void;
}

export class Billing {
  readonly log: HouseholdLog;
  readonly contracts: Contracts;
  readonly commitments: Commitments;
  readonly disclosures: Disclosures;
  readonly bills: Bills;
  readonly #clock: Clock;
  readonly #identifier: IdentifierSource;
  #store!: GatewayStore;

  constructor(options: BillingOptions) {
    const { configured, ca, broker, keys, anchors, identifier, allocation = null, clock, log } = options;
    this.#clock = clock;
    this.log = new HouseholdLog({ keys, anchors, clock, log });
    this.contracts = new Contracts({ configured, ca, broker, clock, fromSlot: () => this.#fromSlot(), log });
    this.commitments = new Commitments({ keys, allocation });
    const { contracts, commitments } = this;
    this.#identifier = identifier;
    this.disclosures = new Disclosures({
      commitments,
      parts: (store, month) => this.bills.parts(store, month),
      nowMs: () => clock.nowMs(),
    });
    const { disclosures } = this;
    this.bills = new Bills({ log: this.log, contracts, commitments, disclosures, clock, identifier, say: log });
  }

  /** What takes part in the store's transactions. */
  get companions(): StoreCompanion[] {
    return [this.log, this.contracts, this.commitments, this.disclosures, this.bills];
  }
  attach(store: GatewayStore): void {
    this.#store = store;
  }

  /** Gets the log's key and verifies the log; where the TPM is away that comes later, by itself. */
  async start(): Promise<void> {
    await this.log.start();
    for (const contract of this.contracts.all) contract.tick();
  }

  /** Of the contract of now, or of the last one. */
  get book(): PriceBook {
    return this.#present.book;
  }
  get feed(): PriceFeed {
    return this.#present.feed;
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    this.log.tick();
    for (const contract of this.contracts.all) contract.tick();
    this.bills.tick(this.#store);
  }

  /** Resolves when what could be done now is done; what the TPM or the provider owe is not waited for. */
  async idle(): Promise<void> {
    await this.log.idle();
    await Promise.all(this.contracts.all.map(({ feed }) => feed.idle()));
    this.bills.tick(this.#store);
    await this.bills.idle();
  }

  async close(): Promise<void> {
    const contracts = this.contracts.all.map((contract) => contract.close());
    await Promise.all([...contracts, this.bills.close(), this.log.close()]);
    this.commitments.close();
  }

  /** Which bill of the time before a slot has not arrived; null: all have, or never will. */
  owes(slot: number): string | null {
    const month = monthOf(slotStartMs(slot) - 1);
    const missing = this.bills
      .parts(this.#store, month)
      .some(({ contract, endSlot }) => endSlot <= slot && this.bills.kept(month, contract.number) === null);
    return missing || this.bills.pending > 0 ? 'the last bill, which the provider does not have yet' : null;
  }

  // ── what the page shows ──

  get logState(): LogState {
    return this.log.state;
  }

  /** The customer has seen that the log was changed, and wants to go on. @throws Error in plain words */
  async beginLogAnew(): Promise<LogState> {
    await this.log.beginAnew();
    return this.log.state;
  }

  /** What the verifier hears of it: nothing of what is in it. */
  get logClaim(): LogClaim {
    const { ok, reason, begunAnew } = this.log.state;
    return { state: ok ? (reason === null ? 'good' : 'waiting') : 'changed', begunAnew: begunAnew?.times ?? 0 };
  }

  bill(month: number): BillView {
    const parts = this.bills.parts(this.#store, month).map((part) => this.#partView(part));
    const states = parts.map(({ state }) => state);
    return {
      month,
      lines: parts.flatMap(({ lines }) => lines),
      totalMilliCent: parts.reduce((sum, { totalMilliCent }) => sum + totalMilliCent, 0),
      currency: this.book.tariff?.currency ?? '',
      priceVersion: parts.at(-1)?.priceVersion ?? 0,
      state: STATES.find((state) => states.includes(state)) ?? 'growing',
      waitsFor: parts.find(({ waitsFor }) => waitsFor !== null)?.waitsFor ?? null,
      parts: parts.map(({ lines: _, priceVersion: __, ...part }) => part),
      logState: this.log.state,
    };
  }

  /** @throws MalformedError whose sentence says why it must not be told, where it must not */
  async disclose(form: unknown): Promise<DisclosureView> {
    await this.disclosures.agree(this.#store, form);
    this.bills.tell(this.#store);
    return this.disclosures.view();
  }
  /** @throws MalformedError */
  refuseDisclosure(form: unknown): DisclosureView {
    this.disclosures.refuse(form);
    this.bills.tell(this.#store);
    return this.disclosures.view();
  }

  /** The month's first part that can be proved. @throws MalformedError, TpmError */
  async billFile(kind: 'delegation' | 'dispute', month: number): Promise<string> {
    const part = this.bills.parts(this.#store, month).find((one) => one.contract.policies.at(one.firstSlot));
    const signer = part && (await this.#identifier(part.contract.terms.provider));
    if (!part || !signer) throw new MalformedError('month', 'has no bill that can be proved');
    const kept = this.bills.kept(month, part.contract.number);
    const payment = kept && decodeBill(kept.bytes).payment;
    if (!payment) throw new MalformedError('month', 'is not over, or not billed yet');
    const delegation = await this.bills.delegation(part, signer.publicKey);
    if (kind === 'delegation') return writeDelegation(delegation);
    const { monthKey: _, meter: __, import: ___, export: exported, ...pricing } = delegation;
    const name = { contract: part.contract.number, month, purpose: REST };
    const batches = (register: Register): Uint8Array[] =>
      this.commitments
        .batches(name, register)
        .filter(({ firstSlot }) => firstSlot < part.endSlot)
        .map(({ bytes }) => bytes);
    return writeDispute({
      ...pricing,
      payment,
      meterKey: signer.publicKey,
      meterCertificate: signer.certificate,
      import: batches('import'),
      export: exported ? batches('export') : [],
    });
  }

  /** Slots in [fromSlot, toSlot). */
  prices(fromSlot: number, toSlot: number): PriceRow[] {
    return this.contracts.all.flatMap(({ book, firstSlot, endSlot }) => {
      const from = Math.max(fromSlot, firstSlot, book.firstSlot ?? toSlot);
      const to = Math.min(toSlot, endSlot, book.held?.endSlot ?? fromSlot);
      const rows: PriceRow[] = [];
      for (let slot = from; slot < to; slot++) {
        const { importMilliCentPerKwh, exportMilliCentPerKwh } = book.at(slot)!;
        rows.push({ slot, startMs: slotStartMs(slot), importMilliCentPerKwh, exportMilliCentPerKwh });
      }
      return rows;
    });
  }

  /** What a conductor or the console may ask: nothing of a reading, nothing of a price. */
  report(): object {
    return {
      log: this.log.report(),
      prices: { ...this.book.held, trouble: this.feed.trouble },
      contracts: this.contracts.all.map(({ terms: { provider }, firstSlot, endSlot }) => ({
        provider,
        firstSlot,
        endSlot: Number.isFinite(endSlot) ? endSlot : null,
      })),
      bills: this.bills
        .all()
        .map(({ contract, month, firstSlot, endSlot, feeMilliCent, sentMs, acknowledgedMs, refusal }) => ({
          month,
          firstSlot,
          endSlot,
          feeMilliCent,
          sentMs,
          acknowledgedMs,
          refusal,
          waitsFor: this.bills.waitsFor(contract, month),
        })),
    };
  }

  get #present(): Contract {
    return this.contracts.at(slotOf(this.#clock.nowMs())) ?? this.contracts.last;
  }

  #partView(part: BillPart) {
    const { contract, month, firstSlot, endSlot } = part;
    const computed = this.bills.compute(this.#store, part);
    const kept = this.bills.kept(month, contract.number);
    return {
      provider: contract.terms.provider,
      fromMs: slotStartMs(firstSlot),
      toMs: slotStartMs(endSlot),
      lines: computed.lines.map((line) => ({ ...line, startMs: slotStartMs(line.day * SLOTS_PER_DAY) })),
      totalMilliCent: kept?.feeMilliCent ?? computed.feeMilliCent,
      priceVersion: priceVersion(part),
      state: stateOf(kept),
      waitsFor:
        kept?.refusal ??
        this.bills.waitsFor(contract.number, month) ??
        (computed.unpriced > 0 ? pricesMissing(computed.unpriced, contract.feed.trouble) : null),
    };
  }

  /** Where the first price list begins: with what was measured first, though not before the last month. */
  #fromSlot(): number {
    const now = slotOf(this.#clock.nowMs());
    const lastMonth = monthFirstSlot(monthOf(this.#clock.nowMs()) - 1);
    return Math.max(Math.min(this.#store.measuredRange()?.first ?? now, now), lastMonth);
  }
}

/** From the one that has most before it. */
const STATES = ['growing', 'sent', 'acknowledged'] as const;
const stateOf = (kept: KeptBill | null): BillView['state'] =>
  kept === null || kept.sentMs === null ? 'growing' : kept.acknowledgedMs === null ? 'sent' : 'acknowledged';

const pricesMissing = (unpriced: number, trouble: string | null): string =>
  `the prices of ${unpriced} quarter hours${trouble === null ? '' : `: ${trouble}`}`;

/** Number of the newest list that prices a slot of the part. */
function priceVersion({ contract: { book }, firstSlot, endSlot }: BillPart): number {
  const last = Math.min(endSlot, book.held?.endSlot ?? 0) - 1;
  return last < firstSlot ? 0 : (book.at(last)?.number ?? 0);
}
