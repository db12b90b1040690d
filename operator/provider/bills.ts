/**
 * The bills that customers send (tpm-privacy-concept.txt, "Bill Computation"; private-metering.txt).
 *
 *   Gateway ── bill, signed by the identifier ──► Provider: identifier · signature · month · tariff · proof · store ── digest ──► Gateway
 *
 * Where there is a charging policy, the bill proves its fee by the commitments of the customer's meter (commitments.ts), and nothing of
 * the time that the meter was there may be left out. What it was verified by is what a dispute file holds, and any third party can.
 *
 * The provider learns who owes how much for a month, or for the part of it that their contract, or their gateway, was there. What
 * it knows of readings stands in another store, without origin; nothing here can be matched with it: a bill holds no energy and no
 * time but that part. Each slot of a customer is billed once.
 */
import { type Bill, billDigest, decodeBill, identifierReference, verifyBill } from '../../protocol/billing/bill.ts';
import { paysExport } from '../../protocol/billing/payment.ts';
import type { Dispute } from '../../protocol/billing/public-data.ts';
import { OTHER_BILL } from '../../protocol/billing/services.ts';
import { isDynamic, type SignedPolicy } from '../../protocol/billing/tariff.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { Refusal } from '../shared/service.ts';
import { type DatabaseSync, openStore } from '../shared/store.ts';
import type { CommitmentStore } from './commitments.ts';
import type { Verdicts } from './verdicts.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS bills (
    customer TEXT NOT NULL, month INTEGER NOT NULL, firstSlot INTEGER NOT NULL, endSlot INTEGER NOT NULL,
    feeMilliCent INTEGER NOT NULL, currency TEXT NOT NULL, tariff TEXT NOT NULL,
    priceNumber INTEGER NOT NULL, head BLOB NOT NULL, digest BLOB NOT NULL, bytes BLOB NOT NULL, certificate TEXT NOT NULL,
    receivedMs INTEGER NOT NULL, PRIMARY KEY (customer, firstSlot)
  ) WITHOUT ROWID;
`;

/** One line of the provider's accounts. */
export interface ReceivedBill {
  customer: string;
  /** Months since January 1970. */
  month: number;
  /** The part of the month: from firstSlot on, before endSlot. */
  firstSlot: number;
  endSlot: number;
  feeMilliCent: number;
  currency: string;
  tariff: string;
  priceNumber: number;
  receivedMs: number;
}

/** One bill for each slot of a customer; the bytes with their signature are kept as evidence. A commit is on disk. */
export class BillStore {
  readonly database: DatabaseSync;
  constructor(file: string) {
    this.database = openStore(file, SCHEMA);
  }
  /** Adds it where none of the customer's has a slot of it. @returns the digest of the one that has, otherwise of this one */
  add(customer: string, bill: Bill, bytes: Uint8Array, certificate: string, receivedMs: number): Uint8Array {
    const { month, firstSlot, endSlot, feeMilliCent, currency, tariff, priceNumber, head } = bill;
    this.database
      .prepare(
        `INSERT INTO bills SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
         WHERE NOT EXISTS (SELECT 1 FROM bills WHERE customer = ?1 AND firstSlot < ?4 AND endSlot > ?3)`,
      )
      .run(
        ...[customer, month, firstSlot, endSlot, feeMilliCent, currency, tariff, priceNumber],
        ...[head, billDigest(bytes), bytes, certificate, receivedMs],
      );
    return this.database
      .prepare('SELECT digest FROM bills WHERE customer = ? AND firstSlot < ? AND endSlot > ?')
      .get(customer, endSlot, firstSlot)!.digest as Uint8Array;
  }
  /** Whether the customer has a bill that ends with this slot. */
  endsAt(customer: string, slot: number): boolean {
    return (
      this.database.prepare('SELECT 1 FROM bills WHERE customer = ? AND endSlot = ?').get(customer, slot) !== undefined
    );
  }
  /** The bill's bytes. */
  bytesOf(customer: string, firstSlot: number): Uint8Array | null {
    const row = this.database
      .prepare('SELECT bytes FROM bills WHERE customer = ? AND firstSlot = ?')
      .get(customer, firstSlot);
    return (row?.bytes as Uint8Array | undefined) ?? null;
  }
  /** In the order of slots and customers. */
  bills(): ReceivedBill[] {
    return this.database
      .prepare(
        `SELECT customer, month, firstSlot, endSlot, feeMilliCent, currency, tariff, priceNumber, receivedMs FROM bills
         ORDER BY month, firstSlot, customer`,
      )
      .all() as unknown as ReceivedBill[];
  }
  close(): void {
    this.database.close();
  }
}

/** Who signed the request, as its certificate says. */
export interface Customer {
  kind: string;
  customerNumber?: string;
  provider?: string;
  publicKey: Uint8Array;
  serialNumber: string;
}
export interface BillDeskOptions {
  store: BillStore;
  /** As identifier certificates name this provider. */
  providerName: string;
  /** The currency of a tariff, and the number of its newest price list; undefined where it is not offered. */
  tariff(name: string): OfferedTerms | undefined;
  commitments: CommitmentStore;
  verdicts: Pick<Verdicts, 'payment'>;
  /** The provider's offline key, compressed P-256. */
  providerKey: Uint8Array;
}
export interface OfferedTerms {
  currency: string;
  newestNumber: number;
  /** The policy that holds from a slot on; undefined where none does: its bills stand on the attested state of the gateway. */
  policyAt(slot: number): (SignedPolicy & { bytes: Uint8Array }) | undefined;
  /** As signed: the tariff, and the lists that price a slot of the period. */
  signed(firstSlot: number, endSlot: number): { tariff: Uint8Array; prices: Uint8Array[] };
}

export class BillDesk {
  readonly #options: BillDeskOptions;
  constructor(options: BillDeskOptions) {
    this.#options = options;
  }

  /** @returns the bill's digest; it is on disk then @throws Refusal */
  async receive(bytes: Uint8Array, customer: Customer, nowMs: number): Promise<{ digest: Uint8Array }> {
    const { store, providerName, tariff } = this.#options;
    if (customer.kind !== 'identifier' || customer.customerNumber === undefined)
      throw new Refusal('not a customer', 'a bill is signed by an identifier', 'final', { status: 403 });
    if (customer.provider !== providerName)
      throw new Refusal('not our customer', 'the identifier names another provider', 'final', { status: 403 });
    const bill = decoded(bytes);
    const wrong = (field: string, problem: string): never => {
      throw new Refusal('bill refused', `bill.${field} ${problem}`, 'final', { path: `bill.${field}` });
    };
    if (Buffer.compare(bill.identifier, identifierReference(customer.publicKey)) !== 0)
      wrong('identifier', 'is not the one that signed the request');
    if (!verifyBill(bytes, customer.publicKey))
      wrong('signature', "was not made by the identifier's key over this bill");
    const offered = tariff(bill.tariff);
    if (!offered) return wrong('tariff', 'is none of ours');
    if (bill.currency !== offered.currency) wrong('currency', `is ${bill.currency}, not ${offered.currency}`);
    if (bill.priceNumber > offered.newestNumber) wrong('priceNumber', 'is of no price list that was signed');
    if (slotStartMs(bill.endSlot) > nowMs)
      throw new Refusal('too early', 'bill.endSlot is not over yet', 'again', { path: 'bill.endSlot' });
    const policy = offered.policyAt(bill.firstSlot);
    if (policy) await this.#verify(bill, customer.customerNumber, customer.publicKey);
    else if (bill.payment) wrong('evidence', 'proves a fee by a policy that is none of ours');
    const digest = store.add(customer.customerNumber, bill, bytes, customer.serialNumber, nowMs);
    if (Buffer.compare(digest, billDigest(bytes)) !== 0)
      throw new Refusal(OTHER_BILL, 'another bill of this customer for this time is here already', 'final', {
        status: 409,
        path: 'bill.firstSlot',
      });
    return { digest };
  }

  /**
   * What a bill is judged by: public data, and the payment.
   * @param meterCertificate DER, where the caller has it
   * @returns null where it proves nothing
   */
  disputeOf(
    bill: Bill,
    meterKey: Uint8Array,
    meterCertificate: Uint8Array | null,
  ): Omit<Dispute, 'format' | 'version'> | null {
    const { tariff, commitments, providerKey } = this.#options;
    const offered = tariff(bill.tariff);
    const policy = offered?.policyAt(bill.firstSlot);
    if (!offered || !policy || !bill.payment) return null;
    const { month, firstSlot, endSlot, payment, identifier } = bill;
    return {
      providerKey,
      policy: policy.bytes,
      ...(isDynamic(policy.policy) ? offered.signed(firstSlot, endSlot) : { tariff: null, prices: [] }),
      ...{ month, firstSlot, endSlot, payment, meterKey, meterCertificate },
      import: commitments.batches(identifier, 'import', firstSlot, endSlot),
      export: paysExport(policy.policy) ? commitments.batches(identifier, 'export', firstSlot, endSlot) : [],
    };
  }

  /** @throws Refusal */
  async #verify(bill: Bill, customer: string, publicKey: Uint8Array): Promise<void> {
    const { commitments, store, verdicts } = this.#options;
    const { identifier, month, firstSlot, endSlot, feeMilliCent } = bill;
    if (!bill.payment) refused('evidence', 'is not the proof that the tariff asks for');
    const span = commitments.span(identifier, month);
    if (span === null)
      throw new Refusal('not committed', 'the commitments of this month are missing', 'correct', { path: 'bill.head' });
    if (firstSlot > span.firstSlot && !store.endsAt(customer, firstSlot))
      refused('firstSlot', `leaves out what the meter measured from slot ${span.firstSlot} on`);
    if (endSlot < monthFirstSlot(month + 1) && span.endSlot > endSlot)
      refused('endSlot', `leaves out what the meter measured up to slot ${span.endSlot}`);
    const verdict = await verdicts.payment(this.disputeOf(bill, publicKey, null)!);
    if ('wrong' in verdict) throw new Refusal('payment refused', verdict.wrong, 'final', { path: 'bill.payment' });
    const { right: payment } = verdict;
    if (payment.feeMilliCent !== feeMilliCent) refused('fee', `is not the ${payment.feeMilliCent} of its payment`);
    if (payment.firstSlot !== firstSlot || payment.endSlot !== endSlot) refused('payment', 'is of another period');
  }
}

function refused(field: string, problem: string): never {
  throw new Refusal('bill refused', `bill.${field} ${problem}`, 'final', { path: `bill.${field}` });
}

function decoded(bytes: Uint8Array): Bill {
  try {
    return decodeBill(bytes);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new Refusal('malformed', error.message, 'correct', { status: 400, path: error.path });
  }
}
