/**
 * The household's bills: one a month, computed here, signed by the identifier, sent until the provider has it on its disk.
 *
 *   month over · every quarter hour measured, chained and priced · log verified ──► bill signed, its bytes on the disk
 *     ──► sent, the same bytes again and again ──► acknowledged
 *
 * A process that is killed between any two steps goes on where it was. Were the bytes lost with the disk, the bill would be
 * computed again and say the same: it names the code of the month's last quarter hour, not the newest one.
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
import { BILLING_AUDIENCE, billCall, OTHER_BILL } from '../../protocol/billing/services.ts';
import type { RequestSigner } from '../../protocol/identity/signed-request.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { monthFirstSlot, monthOf } from '../../protocol/time/months.ts';
import { slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { callService, type ServiceAddress } from '../services/client.ts';
import type { GatewayStore, StoreCompanion } from '../store.ts';
import type { HouseholdLog } from './household-log.ts';
import type { PriceBook } from './price-book.ts';

/** The identifier: its certificate, its key in the TPM. */
export interface Identifier extends RequestSigner {
  /** P-256 compressed, 33 B. */
  publicKey: Uint8Array;
}
/** Null while the household has not been initialised. @throws Error while the TPM is away */
export type IdentifierSource = () => Promise<Identifier | null>;

export interface BillsOptions {
  log: HouseholdLog;
  book: PriceBook;
  clock: Clock;
  identifier: IdentifierSource;
  provider: ServiceAddress;
  say(line: string): void;
}

export interface KeptBill {
  month: number;
  feeMilliCent: number;
  bytes: Uint8Array;
  /** Unix ms of the first time that it was sent, and when the provider had it on its disk; null until then. */
  sentMs: number | null;
  acknowledgedMs: number | null;
  /** Why the provider will never take it. */
  refusal: string | null;
}

const TABLE = `CREATE TABLE IF NOT EXISTS bills (month INTEGER PRIMARY KEY, fee_milli_cent INTEGER NOT NULL,
  bytes BLOB NOT NULL, sent_ms INTEGER, acknowledged_ms INTEGER, refusal TEXT) STRICT`;
/** Real time until a bill that was not acknowledged is sent again: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 300_000;

export class Bills implements StoreCompanion {
  readonly #options: BillsOptions;
  #database!: DatabaseSync;
  #work: Promise<void> | null = null;
  #notBefore = 0;
  #failures = 0;
  #closed = false;
  /** By month: what keeps a bill that is due. */
  readonly #waitsFor = new Map<number, string>();
  /** What the house held when a bill could not be made of it: there is no use in trying again before that has changed. */
  #lacking = '';

  constructor(options: BillsOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(TABLE);
  }

  /** To be called when protocol time has moved: settles months that are over, sends what is not acknowledged. */
  tick(store: GatewayStore): void {
    if (this.#work || this.#closed || performance.now() < this.#notBefore) return;
    const due = this.#holdings(store) === this.#lacking ? [] : this.#dueMonths(store);
    if (due.length === 0 && this.#unacknowledged().length === 0) return;
    this.#work = this.#settleAndSend(store, due).finally(() => {
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

  kept(month: number): KeptBill | null {
    return this.#read('month = ?', month)[0] ?? null;
  }
  all(): KeptBill[] {
    return this.#read('month >= ?', 0);
  }
  /** Why a bill that is due has not gone, or was not taken; null where nothing is wrong. */
  waitsFor(month: number): string | null {
    return this.#waitsFor.get(month) ?? null;
  }

  /** What the month comes to by what is measured and priced now. What lies before the first price was never sold. */
  compute(store: GatewayStore, month: number): ComputedBill {
    const first = Math.max(monthFirstSlot(month), this.#options.book.firstSlot ?? 0);
    const slots = store.quarterHours(first, monthFirstSlot(month + 1)).map((measured) => ({
      slot: measured.slot,
      importMwh: measured.endImportMwh - measured.startImportMwh,
      exportMwh: measured.endExportMwh - measured.startExportMwh,
    }));
    return computeBill(month, slots, (slot) => this.#options.book.at(slot));
  }

  // ── settling ──

  /** Months that are over, from the first that was measured with prices, and have no bill yet. */
  #dueMonths(store: GatewayStore): number[] {
    const measured = store.measuredRange();
    const priced = this.#options.book.firstSlot;
    if (measured === null || priced === null) return [];
    const first = monthOf(slotStartMs(Math.max(measured.first, priced)));
    const now = monthOf(this.#options.clock.nowMs());
    const have = new Set(this.all().map(({ month }) => month));
    return Array.from({ length: Math.max(0, now - first) }, (_, i) => first + i).filter((month) => !have.has(month));
  }

  async #settleAndSend(store: GatewayStore, due: number[]): Promise<void> {
    let failed = false;
    let lacking = '';
    for (const month of due) {
      const holdings = this.#holdings(store);
      const why = await this.#settle(store, month).catch((error: Error) => {
        failed = true;
        return `the security chip: ${error.message}`;
      });
      if (this.#closed) return;
      if (why !== null && !failed) lacking = holdings;
      this.#waits(month, why);
    }
    if (due.length > 0) this.#lacking = lacking;
    for (const bill of this.#unacknowledged()) {
      if (this.#closed) return;
      const why = await this.#send(bill).catch((error: Error) => error.message);
      failed ||= why !== null;
      this.#waits(bill.month, why);
    }
    this.#failures = failed ? this.#failures + 1 : 0;
    if (failed)
      this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** (this.#failures - 1), AGAIN_MOST_MS);
  }

  #holdings(store: GatewayStore): string {
    const { book, log, clock } = this.#options;
    return [
      slotOf(clock.nowMs()),
      store.measuredRange()?.last,
      book.held?.number,
      log.state.ok,
      log.state.reason,
      this.#unacknowledged().length,
    ].join();
  }

  /** Makes the month's bill. @returns what it waits for, or null where it is on the disk */
  async #settle(store: GatewayStore, month: number): Promise<string | null> {
    const { log, book, identifier } = this.#options;
    const end = monthFirstSlot(month + 1);
    if (store.measuredRange()!.last < end - 1) return "the meter's last quarter hours of the month";
    const measured = store.quarterHours(monthFirstSlot(month), end);
    const last = measured.at(-1);
    if (last === undefined) return 'a quarter hour that was measured in it';
    const { feeMilliCent, unpriced } = this.compute(store, month);
    if (unpriced > 0) return `the prices of ${unpriced} quarter hours`;
    if (!(await log.verify())) return log.state.reason ?? 'the log, which is being checked';
    const head = log.codeOf(last.slot);
    if (head === null) return 'the log, whose last entries are not chained yet';
    const signer = await identifier();
    if (signer === null) return 'the initialisation of this household';
    const { name: tariff, currency } = book.tariff!;
    const bill = {
      month,
      identifier: identifierReference(signer.publicKey),
      tariff,
      currency,
      feeMilliCent,
      priceNumber: book.at(last.slot)!.number,
      head: headDigest(head),
    };
    const bytes = await signBill(bill, (message) => signer.sign(message));
    if (this.#closed) return null;
    this.#database.prepare('INSERT OR IGNORE INTO bills VALUES (?,?,?,NULL,NULL,NULL)').run(month, feeMilliCent, bytes);
    return null;
  }

  // ── sending ──

  /** @returns why the provider does not have it, or null where it has */
  async #send({ month, bytes, sentMs }: KeptBill): Promise<string | null> {
    const { provider, identifier, clock } = this.#options;
    const signer = await identifier();
    if (signer === null) return 'the initialisation of this household';
    if (sentMs === null) this.#mark('sent_ms', clock.nowMs(), month);
    const nowMs = (): number => clock.nowMs();
    const identity = { ...signer, sign: signer.sign.bind(signer), audience: BILLING_AUDIENCE, nowMs };
    try {
      const { digest } = await callService({ ...provider, ...billCall, body: { bill: bytes }, identity });
      if (Buffer.compare(digest, billDigest(bytes)) !== 0) return 'the provider confirmed another bill than this one';
      if (!this.#closed) this.#mark('acknowledged_ms', clock.nowMs(), month);
      return null;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.code === OTHER_BILL && !this.#closed) this.#mark('refusal', error.message, month);
      return error.message;
    }
  }

  #unacknowledged(): KeptBill[] {
    return this.#read('month >= ? AND acknowledged_ms IS NULL AND refusal IS NULL', 0);
  }

  #waits(month: number, why: string | null): void {
    if (why !== null && why !== this.#waitsFor.get(month))
      this.#options.say(`bill of ${nameOf(month)} waits for: ${why}`);
    if (why === null) this.#waitsFor.delete(month);
    else this.#waitsFor.set(month, why);
  }

  #mark(column: 'sent_ms' | 'acknowledged_ms' | 'refusal', value: number | string, month: number): void {
    this.#database.prepare(`UPDATE bills SET ${column} = ? WHERE month = ?`).run(value, month);
  }

  #read(where: string, value: number): KeptBill[] {
    return this.#database
      .prepare(`SELECT * FROM bills WHERE ${where} ORDER BY month`)
      .all(value)
      .map((row) => ({
        month: row.month as number,
        feeMilliCent: row.fee_milli_cent as number,
        bytes: row.bytes as Uint8Array,
        sentMs: row.sent_ms as number | null,
        acknowledgedMs: row.acknowledged_ms as number | null,
        refusal: row.refusal as string | null,
      }));
  }
}

/** `2026-11`. */
const nameOf = (month: number): string => new Date(Date.UTC(1970, month)).toISOString().slice(0, 7);
