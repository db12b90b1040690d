/**
 * The bill of a month, or of the part of it that a contract covers, computed in the house; one number leaves it
 * (tpm-privacy-concept.txt, "Bill Computation"). Where the provider changes, people move, or a gateway is replaced, a month has
 * parts, each billed once; they never overlap.
 *
 *   log entries of the month × signed prices ─► lines, one a day ─► fee ─► Gateway ── bill, signed ──► Provider
 *
 * The provider learns customer, month, the part of it and fee; no reading, no energy, no line. The customer sees every line, every
 * day.
 *
 *   cost   = Σ import × import price        exact, in millionths of a milli-cent
 *   credit = Σ export × export price        exact
 *   fee    = round(cost) − round(credit)    milli-cents: each of the two is rounded once per bill (money.ts)
 *
 * Lines are rounded like registers: line d = round(sum up to d) − round(sum up to d − 1), so they add up to the bill exactly
 * and each is within one milli-cent of the truth.
 *
 *   bill   size
 *          1     version = 2
 *          2     month, counted from January 1970
 *          4     firstSlot, of the part of the month that is billed
 *          4     endSlot: the first that is not in it
 *          32    identifier: SHA-256 of the identifier's public key (33 B)
 *          1+n   tariff
 *          1+3   currency, ISO 4217
 *          8     fee in milli-cents, two's complement
 *          4     priceNumber: the newest price list of the month
 *          32    head: SHA-256 of the code of the month's last log entry
 *          1     evidence: 0 = the attested state of the gateway; 1 = a payment, which proves the fee
 *          4+n   payment (payment.ts), where evidence is 1
 *          64    signature by the identifier's key, P-256, over label ‖ all bytes before it
 *
 * Where the provider has a charging policy (tariff.ts), the fee is the payment's, which is rounded once, and lines are computed by
 * policy-lines.ts.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { monthFirstSlot } from '../time/months.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';
import { exactAmount, toMilliCent } from './money.ts';
import { CURRENCY_PATTERN, type SlotPrice, TARIFF_PATTERN } from './prices.ts';

// ── computing ──

export interface BilledSlot {
  slot: number;
  importMwh: number;
  exportMwh: number;
}
export interface BillLine {
  /** Days since 1 January 1970, UTC. */
  day: number;
  importMwh: number;
  exportMwh: number;
  costMilliCent: number;
  creditMilliCent: number;
  /** Quarter hours without a price: their energy counts above, their money is not in it. */
  unpriced: number;
}
export interface ComputedBill {
  month: number;
  lines: BillLine[];
  costMilliCent: number;
  creditMilliCent: number;
  /** Cost − credit. */
  feeMilliCent: number;
  /** Quarter hours, and those among them without a price. */
  slots: number;
  unpriced: number;
}

/**
 * The bill of `month` over `slots`.
 * @param slots of that month, each once, in their order
 * @throws RangeError that names what is wrong with a slot
 */
export function computeBill(
  month: number,
  slots: Iterable<BilledSlot>,
  priceOf: (slot: number) => SlotPrice | undefined,
): ComputedBill {
  const [first, end] = [monthFirstSlot(month), monthFirstSlot(month + 1)];
  const days = new Map<number, { line: BillLine; cost: bigint; credit: bigint }>();
  let last = -1;
  let count = 0;
  let unpriced = 0;
  for (const { slot, importMwh, exportMwh } of slots) {
    if (!(slot >= first && slot < end)) throw new RangeError(`slot ${slot}: is not in month ${month}`);
    if (slot <= last) throw new RangeError(`slot ${slot}: comes twice, or after a later one`);
    last = slot;
    checkEnergy(`slot ${slot}: importMwh`, importMwh);
    checkEnergy(`slot ${slot}: exportMwh`, exportMwh);
    const day = Math.floor(slot / SLOTS_PER_DAY);
    let sum = days.get(day);
    if (sum === undefined) {
      const line = { day, importMwh: 0, exportMwh: 0, costMilliCent: 0, creditMilliCent: 0, unpriced: 0 };
      sum = { line, cost: 0n, credit: 0n };
      days.set(day, sum);
    }
    count++;
    sum.line.importMwh += importMwh;
    sum.line.exportMwh += exportMwh;
    const price = priceOf(slot);
    if (price === undefined) {
      sum.line.unpriced++;
      unpriced++;
      continue;
    }
    sum.cost += exactAmount(importMwh, price.importMilliCentPerKwh);
    sum.credit += exactAmount(exportMwh, price.exportMilliCentPerKwh);
  }
  let [cost, credit] = [0n, 0n];
  const lines: BillLine[] = [];
  for (const sum of days.values()) {
    const [costBefore, creditBefore] = [toMilliCent(cost), toMilliCent(credit)];
    cost += sum.cost;
    credit += sum.credit;
    lines.push({
      ...sum.line,
      costMilliCent: toMilliCent(cost) - costBefore,
      creditMilliCent: toMilliCent(credit) - creditBefore,
    });
  }
  const [costMilliCent, creditMilliCent] = [toMilliCent(cost), toMilliCent(credit)];
  return {
    month,
    lines,
    costMilliCent,
    creditMilliCent,
    feeMilliCent: costMilliCent - creditMilliCent,
    slots: count,
    unpriced,
  };
}

function checkEnergy(path: string, mwh: number): void {
  if (!Number.isSafeInteger(mwh) || mwh < 0) throw new RangeError(`${path}: is no whole number from 0 on`);
}

// ── the message ──

const VERSION = 2;
const DIGEST_BYTES = 32;
const EVIDENCE = { attestation: 0, payment: 1 } as const;
const MOST_PAYMENT_BYTES = 40_000;

export interface Bill {
  month: number;
  /** The part of the month: slots from firstSlot on, before endSlot. */
  firstSlot: number;
  endSlot: number;
  /** 32 B, see identifierReference. */
  identifier: Uint8Array;
  tariff: string;
  currency: string;
  feeMilliCent: number;
  priceNumber: number;
  /** 32 B, see headDigest. */
  head: Uint8Array;
  /** Proves the fee (payment.ts); absent where the attested state of the gateway vouches for it. */
  payment?: Uint8Array;
}

/** How a bill names its customer: the identifier certificate, which travels with the request, says who that is. */
export const identifierReference = (publicKey: Uint8Array): Uint8Array =>
  createHash('sha256').update(publicKey).digest();

/** What a bill says of the log: enough to see later whether it is the same, nothing of what is in it. */
export const headDigest = (code: Uint8Array): Uint8Array => createHash('sha256').update(code).digest();

/** Names a bill without its signature, of which there can be several. 32 B. */
export const billDigest = (bytes: Uint8Array): Uint8Array =>
  createHash('sha256')
    .update(bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
    .digest();

/** @param sign by the identifier's key over SHA-256(message) @throws MalformedError that names the field */
export async function signBill(bill: Bill, sign: (message: Uint8Array) => Promise<Uint8Array>): Promise<Uint8Array> {
  const { feeMilliCent } = bill;
  if (!Number.isSafeInteger(feeMilliCent)) throw new MalformedError('bill.fee', 'is no whole number');
  const fee = Buffer.alloc(8);
  fee.writeBigInt64BE(BigInt(feeMilliCent));
  const writer = new ByteWriter('bill')
    .u8('version', VERSION)
    .u16('month', bill.month)
    .u32('firstSlot', bill.firstSlot)
    .u32('endSlot', bill.endSlot)
    .bytes('identifier', bill.identifier, DIGEST_BYTES)
    .text('tariff', bill.tariff, TARIFF_PATTERN)
    .text('currency', bill.currency, CURRENCY_PATTERN)
    .bytes('fee', fee, 8)
    .u32('priceNumber', bill.priceNumber)
    .bytes('head', bill.head, DIGEST_BYTES)
    .u8('evidence', bill.payment ? EVIDENCE.payment : EVIDENCE.attestation);
  if (bill.payment)
    writer.u32('paymentLength', bill.payment.length).bytes('payment', bill.payment, bill.payment.length);
  const body = writer.finish();
  return Buffer.concat([body, await sign(labelled(LABELS.bill, body))]);
}

/** @throws MalformedError */
export function decodeBill(bytes: Uint8Array): Bill {
  const reader = new ByteReader('bill', bytes);
  reader.constant('version', VERSION);
  const month = reader.u16('month');
  const firstSlot = reader.u32('firstSlot');
  if (firstSlot < monthFirstSlot(month)) throw reader.error('firstSlot', 'is before the month');
  const endSlot = reader.u32('endSlot');
  if (endSlot <= firstSlot) throw reader.error('endSlot', 'is not after firstSlot');
  if (endSlot > monthFirstSlot(month + 1)) throw reader.error('endSlot', 'is after the month');
  const identifier = reader.bytes('identifier', DIGEST_BYTES);
  const tariff = reader.text('tariff', TARIFF_PATTERN);
  const currency = reader.text('currency', CURRENCY_PATTERN);
  const fee = Buffer.from(reader.bytes('fee', 8)).readBigInt64BE();
  const feeMilliCent = Number(fee);
  if (!Number.isSafeInteger(feeMilliCent)) throw reader.error('fee', 'is too large');
  const priceNumber = reader.u32('priceNumber');
  const head = reader.bytes('head', DIGEST_BYTES);
  const evidence = reader.u8('evidence');
  if (evidence > EVIDENCE.payment) throw reader.error('evidence', `is ${evidence}, which is none`);
  let payment: Uint8Array | undefined;
  if (evidence === EVIDENCE.payment) {
    const length = reader.u32('paymentLength');
    if (length > MOST_PAYMENT_BYTES) throw reader.error('paymentLength', `is more than ${MOST_PAYMENT_BYTES}`);
    payment = reader.bytes('payment', length);
  }
  reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  const bill = { month, firstSlot, endSlot, identifier, tariff, currency, feeMilliCent, priceNumber, head };
  return payment ? { ...bill, payment } : bill;
}

/** Whether the identifier's key signed exactly these bytes. @throws P256Error where the key is malformed */
export function verifyBill(bytes: Uint8Array, identifierPublicKey: Uint8Array): boolean {
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return verifyP256(identifierPublicKey, labelled(LABELS.bill, body), bytes.subarray(body.length));
}
