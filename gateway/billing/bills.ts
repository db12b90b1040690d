/**
 * The household's bills: one for each month and contract, computed here, signed by the identifier, sent until that contract's
 * provider has it on its disk.
 *
 *   a day over ──► its commitments signed, on the disk ──► sent until acknowledged                      (commitments.ts)
 *   month, or contract, over · every quarter hour measured, chained and priced · log verified
 *     ──► fee proved · bill signed, its bytes on the disk ──► sent, the same bytes again and again ──► acknowledged
 *
 * Where the provider has published no charging policy there is nothing to prove by: the bill then stands on the attested state of
 * this gateway alone.
 *
 * A process that is killed between any two steps goes on where it was. Were the bytes lost with the disk, the bill would be
 * computed again and say the same: it names the code of the part's last quarter hour, not the newest one.
 */
import type { DatabaseSync } from 'node:sqlite';
import {
  billDigest,
  type ComputedBill,
  computeBill,
  headDigest,
  identifierReference,
  signBill,
} from '../../protocol/billing/bill.ts';
import { REST } from '../../protocol/billing/commitments.ts';
import { paysExport, readPayment } from '../../protocol/billing/payment.ts';
import { policyLines, wholeUnits } from '../../protocol/billing/policy-lines.ts';
import type { Delegation } from '../../protocol/billing/public-data.ts';
import {
  BILLING_AUDIENCE,
  billCall,
  COMMITMENTS_MOST,
  commitmentsCall,
  disclosureCall,
  OTHER_BILL,
  requestsCall,
} from '../../protocol/billing/services.ts';
import { isDynamic, type Policy } from '../../protocol/billing/tariff.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { monthFirstSlot, monthOf } from '../../protocol/time/months.ts';
import { SLOTS_PER_DAY, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { callService } from '../services/client.ts';
import type { GatewayStore, MeterBatch, StoreCompanion } from '../store.ts';
import type { BillPart, Identifier, IdentifierSource } from './bill-part.ts';
import type { Commitments, SeriesName } from './commitments.ts';
import type { Contract, Contracts } from './contracts.ts';
import type { Disclosures } from './disclosures.ts';
import type { HouseholdLog } from './household-log.ts';
import { provePayment } from './payment-worker.ts';

export interface BillsOptions {
  log: HouseholdLog;
  contracts: Pick<Contracts, 'all'>;
  commitments: Commitments;
  disclosures: Disclosures;
  clock: Clock;
  identifier: IdentifierSource;
  say(line: string): void;
}

export interface KeptBill {
  /** Number of the contract. */
  contract: number;
  month: number;
  firstSlot: number;
  endSlot: number;
  feeMilliCent: number;
  bytes: Uint8Array;
  /** Unix ms of the first time that it was sent, and when the provider had it on its disk; null until then. */
  sentMs: number | null;
  acknowledgedMs: number | null;
  /** Why the provider will never take it. */
  refusal: string | null;
}

const TABLE = `CREATE TABLE IF NOT EXISTS bills (contract INTEGER, month INTEGER, first_slot INTEGER NOT NULL,
  end_slot INTEGER NOT NULL, fee_milli_cent INTEGER NOT NULL, bytes BLOB NOT NULL, sent_ms INTEGER,
  acknowledged_ms INTEGER, refusal TEXT, PRIMARY KEY (contract, month)) STRICT`;
/** So many months are kept computed: the page looks at one or two again and again. */
const COMPUTED_MOST = 8;
/** Real time until a bill that was not acknowledged is sent again: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const COMMIT_AGAIN_MS = 1000;
const AGAIN_MOST_MS = 300_000;

export class Bills implements StoreCompanion {
  readonly #options: BillsOptions;
  #database!: DatabaseSync;
  #work: Promise<void> | null = null;
  #notBefore = 0;
  #failures = 0;
  #closed = false;
  /** By contract and month: what keeps a bill that is due. */
  readonly #waitsFor = new Map<string, string>();
  /** By contract and month: what it comes to, and of what that was computed. */
  readonly #computed = new Map<string, { of: string; bill: ComputedBill }>();
  /** Grows when quarter hours were measured. */
  #measured = 0;
  /** What the house held when a bill could not be made of it: there is no use in trying again before that has changed. */
  #lacking = '';
  /** By contract: the first slot of the day whose predecessors were committed to and sent. */
  readonly #committed = new Map<number, number>();
  #commitNotBefore = 0;

  constructor(options: BillsOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(TABLE);
  }
  written({ slots }: MeterBatch): void {
    if (slots.length > 0) this.#measured++;
  }

  /** To be called when protocol time has moved: settles months that are over, sends what is not acknowledged. */
  tick(store: GatewayStore): void {
    if (this.#work || this.#closed || performance.now() < this.#notBefore) return;
    const due = this.#holdings(store) === this.#lacking ? [] : this.#dueParts(store);
    const daily = this.#dailyParts(store);
    if (due.length === 0 && daily.length === 0 && this.#unacknowledged().length === 0) return;
    this.#work = this.#settleAndSend(store, due, daily).finally(() => {
      this.#work = null;
    });
  }

  async idle(): Promise<void> {
    await this.#work;
  }
  async close(): Promise<void> {
    this.#closed = true;
    await this.#work;
  }

  /** Bills that are signed and not acknowledged. */
  get pending(): number {
    return this.#unacknowledged().length;
  }

  kept(month: number, contract = this.#options.contracts.all[0].number): KeptBill | null {
    return this.all().find((bill) => bill.month === month && bill.contract === contract) ?? null;
  }
  all(): KeptBill[] {
    return this.#read('TRUE');
  }
  /** Why a bill that is due has not gone, or was not taken; null where nothing is wrong. */
  waitsFor(contract: number, month: number): string | null {
    return this.#waitsFor.get(keyOf(contract, month)) ?? null;
  }

  /** The parts of a month, in their order. What was not measured here, or lies before the first price, was never sold here. */
  parts(store: GatewayStore, month: number): BillPart[] {
    const measured = store.measuredRange();
    if (measured === null) return [];
    return this.#options.contracts.all
      .map((contract) => ({
        contract,
        month,
        firstSlot: Math.max(
          monthFirstSlot(month),
          contract.firstSlot,
          contract.book.firstSlot ?? 0,
          // a meter that was off when the month began says it later: what it does not know yet is not the beginning
          monthOf(slotStartMs(measured.first)) === month ? measured.first : 0,
        ),
        endSlot: Math.min(monthFirstSlot(month + 1), contract.endSlot),
      }))
      .filter(({ firstSlot, endSlot }) => firstSlot < endSlot && endSlot > measured.first);
  }

  /** What a part comes to by what is measured and priced now; computed again when either has changed. */
  compute(store: GatewayStore, { contract, month, firstSlot, endSlot }: BillPart): ComputedBill {
    const { book } = contract;
    const key = keyOf(contract.number, month);
    const held = contract.policies.at(firstSlot);
    const of = [this.#measured, book.version, contract.policies.version, firstSlot, endSlot].join();
    const known = this.#computed.get(key);
    if (known?.of === of) return known.bill;
    const slots = store.quarterHours(firstSlot, endSlot).map((measured) => ({
      slot: measured.slot,
      importMwh: measured.endImportMwh - measured.startImportMwh,
      exportMwh: measured.endExportMwh - measured.startExportMwh,
    }));
    const priceOf = (slot: number) => book.at(slot);
    const bill = held
      ? policyLines(month, this.#rest(store, slots, held.policy), held.policy, priceOf)
      : computeBill(month, slots, priceOf);
    this.#computed.delete(key);
    if (this.#computed.size >= COMPUTED_MOST) this.#computed.delete(this.#computed.keys().next().value!);
    this.#computed.set(key, { of, bill });
    return bill;
  }

  /** What the allocation ledger leaves of these quarter hours, in the policy's units. */
  #rest(
    store: GatewayStore,
    slots: readonly { slot: number }[],
    { unitMwh, readingBits: bits }: Policy,
  ): { slot: number; import: number; export: number }[] {
    const [first, last] = [slots[0]?.slot, slots.at(-1)?.slot];
    if (first === undefined || last === undefined) return [];
    const { commitments } = this.#options;
    const of = (register: 'import' | 'export') => {
      let carry = 0;
      return commitments.energy(store, REST, register, first, last + 1).map((energyMwh) => {
        const { value, carryMwh } = wholeUnits(energyMwh, carry, { unitMwh, bits });
        carry = carryMwh;
        return value;
      });
    };
    const [imported, exported] = [of('import'), of('export')];
    return slots.map(({ slot }) => ({ slot, import: imported[slot - first], export: exported[slot - first] }));
  }

  // ── committing ──

  /** Parts of now whose last whole day is not committed to, or not sent. */
  #dailyParts(store: GatewayStore): BillPart[] {
    const { clock } = this.#options;
    if (clock.nowMs() === 0 || performance.now() < this.#commitNotBefore) return [];
    const today = this.#today();
    const month = monthOf(slotStartMs(today) - 1);
    return this.parts(store, month)
      .filter(({ contract }) => (this.#committed.get(contract.number) ?? 0) < today)
      .map((part) => ({ ...part, endSlot: Math.min(today, part.endSlot) }))
      .filter(
        ({ contract, firstSlot, endSlot }) => endSlot > firstSlot && contract.policies.at(firstSlot) !== undefined,
      );
  }

  /** The first slot of the day of UTC. */
  #today(): number {
    return Math.floor(slotOf(this.#options.clock.nowMs()) / SLOTS_PER_DAY) * SLOTS_PER_DAY;
  }

  /** Commits to a part up to its `endSlot`, and tells the provider. @returns what keeps it, or null */
  async #commit(store: GatewayStore, { contract, month, firstSlot, endSlot }: BillPart): Promise<string | null> {
    const { commitments, identifier } = this.#options;
    const { unitMwh, readingBits: bits } = contract.policies.at(firstSlot)!.policy;
    const signer = await identifier(contract.terms.provider);
    if (signer === null) return 'the initialisation of this household';
    const name = { contract: contract.number, month, purpose: REST };
    const why = await commitments.commit(store, name, { firstSlot, unitMwh, bits }, endSlot, signer);
    return (await this.#sendCommitments(contract, signer)) ?? (await this.#talk(contract, signer)) ?? why;
  }

  async #sendCommitments({ number, service }: Contract, signer: Identifier): Promise<string | null> {
    const { commitments } = this.#options;
    for (;;) {
      const batches = commitments.unsent(number, COMMITMENTS_MOST);
      if (batches.length === 0 || this.#closed) return null;
      const body = { batches: batches.map(({ bytes }) => bytes) };
      try {
        await callService({ ...service, ...commitmentsCall, body, identity: this.#requestBy(signer) });
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        return error.message;
      }
      commitments.markSent(batches);
    }
  }

  /** What the provider would like to know, and what the customer agreed to tell. Once a day, and when there is something to tell. */
  async #talk({ number, service }: Contract, signer: Identifier): Promise<string | null> {
    const { disclosures } = this.#options;
    try {
      for (const { request, disclosure, told } of disclosures.outgoing(number)) {
        const body = { request, disclosure };
        try {
          await callService({ ...service, ...disclosureCall, body, identity: this.#requestBy(signer) });
        } catch (error) {
          if (!(error instanceof ServiceError) || error.kind !== 'refused' || error.recovery === 'again') throw error;
          this.#options.say(`disclosure: the provider does not take it: ${error.message}`);
        }
        told();
      }
      const answer = await callService({ ...service, ...requestsCall, body: {}, identity: this.#requestBy(signer) });
      if (!this.#closed) disclosures.asked(number, answer.requests);
      return null;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      return error.message;
    }
  }

  /** The customer has answered: the provider is told now. */
  tell(store: GatewayStore): void {
    this.#committed.clear();
    this.#commitNotBefore = 0;
    this.tick(store);
  }

  #requestBy(signer: Identifier) {
    const { clock } = this.#options;
    const nowMs = (): number => clock.nowMs();
    return { ...signer, sign: signer.sign.bind(signer), audience: BILLING_AUDIENCE, nowMs };
  }

  /**
   * All that a part's payment is computed from; it holds the month's readings and opens its commitments: secret.
   * @throws RangeError where not all of it is committed to
   */
  async delegation(part: BillPart, publicKey: Uint8Array): Promise<Omit<Delegation, 'format' | 'version'>> {
    const { commitments } = this.#options;
    const { contract, month, firstSlot, endSlot } = part;
    const { policy, bytes } = contract.policies.at(firstSlot)!;
    const name: SeriesName = { contract: contract.number, month, purpose: REST };
    const side = (register: 'import' | 'export') => ({
      revision: 0,
      purpose: REST,
      roots: commitments.roots(name, register, publicKey, firstSlot, endSlot),
      readings: commitments.readings(name, register, firstSlot, endSlot),
    });
    return {
      providerKey: Buffer.from(contract.terms.offlineKey, 'hex'),
      policy: bytes,
      ...(isDynamic(policy) ? contract.book.signed(firstSlot, endSlot) : { tariff: null, prices: [] }),
      ...{ month, firstSlot, endSlot },
      meter: identifierReference(publicKey),
      monthKey: await commitments.monthKey(month),
      import: side('import'),
      export: paysExport(policy) ? side('export') : null,
    };
  }

  // ── settling ──

  /** Parts that are over, from the first that was measured with prices, and have no bill yet. */
  #dueParts(store: GatewayStore): BillPart[] {
    const measured = store.measuredRange();
    if (measured === null) return [];
    const first = monthOf(slotStartMs(measured.first));
    const nowMs = this.#options.clock.nowMs();
    const now = monthOf(nowMs);
    const have = new Set(this.all().map(({ contract, month }) => keyOf(contract, month)));
    const months = Array.from({ length: Math.max(0, now - first + 1) }, (_, i) => first + i);
    return months
      .flatMap((month) => this.parts(store, month))
      .filter(
        ({ contract, month, endSlot }) =>
          contract.book.firstSlot !== null && endSlot <= slotOf(nowMs) && !have.has(keyOf(contract.number, month)),
      );
  }

  async #settleAndSend(store: GatewayStore, due: BillPart[], daily: BillPart[]): Promise<void> {
    let failed = false;
    let lacking = '';
    const today = this.#today();
    for (const part of daily) {
      const why = await this.#commit(store, part).catch((error: Error) => error.message);
      if (this.#closed) return;
      if (why === null) this.#committed.set(part.contract.number, today);
      else this.#commitNotBefore = performance.now() + COMMIT_AGAIN_MS;
    }
    for (const part of due) {
      const holdings = this.#holdings(store);
      const why = await this.#settle(store, part).catch((error: Error) => {
        failed = true;
        return `the security chip: ${error.message}`;
      });
      if (this.#closed) return;
      if (why !== null && !failed) lacking = holdings;
      this.#waits(part.contract.number, part.month, why);
    }
    if (due.length > 0) this.#lacking = lacking;
    for (const bill of this.#unacknowledged()) {
      if (this.#closed) return;
      const why = await this.#send(bill).catch((error: Error) => error.message);
      failed ||= why !== null;
      this.#waits(bill.contract, bill.month, why);
    }
    this.#failures = failed ? this.#failures + 1 : 0;
    if (failed)
      this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** (this.#failures - 1), AGAIN_MOST_MS);
  }

  #holdings(store: GatewayStore): string {
    const { contracts, log, clock } = this.#options;
    return [
      slotOf(clock.nowMs()),
      store.measuredRange()?.last,
      ...contracts.all.map(
        ({ book, policies, endSlot }) => `${book.version} ${policies.known} ${policies.version} ${endSlot}`,
      ),
      log.state.ok,
      log.state.reason,
      this.#unacknowledged().length,
    ].join();
  }

  /** Makes a part's bill. @returns what it waits for, or null where it is on the disk */
  async #settle(store: GatewayStore, part: BillPart): Promise<string | null> {
    const { log, identifier } = this.#options;
    const { contract, month, firstSlot, endSlot } = part;
    const { book } = contract;
    if (store.measuredRange()!.last < endSlot - 1) return "the meter's last quarter hours of the month";
    const last = store.quarterHours(firstSlot, endSlot).at(-1);
    if (last === undefined) return 'a quarter hour that was measured in it';
    const { feeMilliCent, unpriced } = this.compute(store, part);
    if (unpriced > 0) return `the prices of ${unpriced} quarter hours`;
    if (!contract.policies.known) return 'the tariff, which the provider has not told yet';
    if (!(await log.verify())) return log.state.reason ?? 'the log, which is being checked';
    const head = log.codeOf(last.slot);
    if (head === null) return 'the log, whose last entries are not chained yet';
    const signer = await identifier(contract.terms.provider);
    if (signer === null) return 'the initialisation of this household';
    const { name: tariff, currency } = book.tariff!;
    let payment: Uint8Array | undefined;
    if (contract.policies.at(firstSlot)) {
      const why = await this.#commit(store, part);
      if (why !== null || this.#closed) return why;
      try {
        payment = await provePayment(await this.delegation(part, signer.publicKey));
      } catch (error) {
        return `a payment that can be proved: ${(error as Error).message}`;
      }
    }
    const bill = {
      month,
      firstSlot,
      endSlot,
      identifier: identifierReference(signer.publicKey),
      tariff,
      currency,
      feeMilliCent: payment ? readPayment(payment).feeMilliCent : feeMilliCent,
      priceNumber: book.at(last.slot)?.number ?? 0,
      head: headDigest(head),
      ...(payment && { payment }),
    };
    const bytes = await signBill(bill, (message) => signer.sign(message));
    if (this.#closed) return null;
    if (payment) this.#options.disclosures.billed(part);
    this.#database
      .prepare('INSERT OR IGNORE INTO bills VALUES (?,?,?,?,?,?,NULL,NULL,NULL)')
      .run(contract.number, month, firstSlot, endSlot, bill.feeMilliCent, bytes);
    return null;
  }

  // ── sending ──

  /** @returns why the provider does not have it, or null where it has */
  async #send(bill: KeptBill): Promise<string | null> {
    const { contracts, identifier, clock } = this.#options;
    const { bytes, sentMs } = bill;
    const { terms, service } = contracts.all.find(({ number }) => number === bill.contract)!;
    const signer = await identifier(terms.provider);
    if (signer === null) return 'the initialisation of this household';
    if (sentMs === null) this.#mark('sent_ms', clock.nowMs(), bill);
    const identity = this.#requestBy(signer);
    try {
      const { digest } = await callService({ ...service, ...billCall, body: { bill: bytes }, identity });
      if (Buffer.compare(digest, billDigest(bytes)) !== 0) return 'the provider confirmed another bill than this one';
      if (!this.#closed) this.#mark('acknowledged_ms', clock.nowMs(), bill);
      return null;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.code === OTHER_BILL && !this.#closed) this.#mark('refusal', error.message, bill);
      return error.message;
    }
  }

  #unacknowledged(): KeptBill[] {
    return this.#read('acknowledged_ms IS NULL AND refusal IS NULL');
  }

  #waits(contract: number, month: number, why: string | null): void {
    const key = keyOf(contract, month);
    if (why !== null && why !== this.#waitsFor.get(key))
      this.#options.say(`bill of ${nameOf(month)} waits for: ${why}`);
    if (why === null) this.#waitsFor.delete(key);
    else this.#waitsFor.set(key, why);
  }

  #mark(column: 'sent_ms' | 'acknowledged_ms' | 'refusal', value: number | string, bill: KeptBill): void {
    this.#database
      .prepare(`UPDATE bills SET ${column} = ? WHERE contract = ? AND month = ?`)
      .run(value, bill.contract, bill.month);
  }

  #read(where: string): KeptBill[] {
    return this.#database
      .prepare(`SELECT * FROM bills WHERE ${where} ORDER BY month, contract`)
      .all()
      .map((row) => ({
        contract: row.contract as number,
        month: row.month as number,
        firstSlot: row.first_slot as number,
        endSlot: row.end_slot as number,
        feeMilliCent: row.fee_milli_cent as number,
        bytes: row.bytes as Uint8Array,
        sentMs: row.sent_ms as number | null,
        acknowledgedMs: row.acknowledged_ms as number | null,
        refusal: row.refusal as string | null,
      }));
  }
}

const keyOf = (contract: number, month: number): string => `${contract} ${month}`;
/** `2026-11`. */
const nameOf = (month: number): string => new Date(Date.UTC(1970, month)).toISOString().slice(0, 7);
