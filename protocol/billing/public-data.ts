/**
 * The files by which a bill is computed elsewhere, and judged by somebody else (private-metering.txt: "users can delegate the calculation
 * of their bill to any device or service they wish"; "the provider and everyone else can verify in case of dispute that the final bill is
 * correct, and does not need to trust the actual computation or the party that performed it").
 *
 *   delegation   secret: the month's key and the readings, and what is charged for them. Who has it can compute this month's payment,
 *                and learns this month's readings; of other months nothing, and it signs nothing.
 *   dispute      public: payment, signed policy and prices, signed commitments, the meter's key or certificate.
 *
 * Both are JSON; bytes stand in base64url. Signed bytes travel as they were signed, and whoever reads the file checks them.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { MalformedError } from '../wire/bytes.ts';
import {
  type Batch,
  type CommittedPeriod,
  openCommitments,
  openingOf,
  type Register,
  type Series,
  wholePeriod,
} from './commitments.ts';
import { type Charge, type Payment, pay, paysExport, verifyPayment } from './payment.ts';
import { openPrices, openTariff, type SlotPrice } from './prices.ts';
import { openPolicy, type PriceOf, type SignedPolicy } from './tariff.ts';

const MOST_BYTES = 1_000_000;
const whole = (most: number) =>
  v.pipe(
    v.number(),
    v.integer('is no whole number'),
    v.minValue(0, 'is less than 0'),
    v.maxValue(most, `is more than ${most}`),
  );
const U32 = 0xffff_ffff;
const key = bytes(33);

const pricing = {
  /** The provider's offline key, compressed P-256. */
  providerKey: key,
  /** As signed. */
  policy: bytes(1, 30_000),
  /** Where prices are dynamic: the tariff that names the key of prices, and the lists, as signed. */
  tariff: v.nullable(bytes(1, 300)),
  prices: v.pipe(v.array(bytes(1, 30_000)), v.maxLength(100, 'has more than 100 lists')),
};
const period = { month: whole(0xffff), firstSlot: whole(U32), endSlot: whole(U32) };
const delegated = v.strictObject({
  revision: whole(255),
  purpose: whole(255),
  /** Of the commitments that the provider has. */
  roots: v.pipe(v.array(bytes(32)), v.minLength(1, 'is empty')),
  /** Of every slot of the period. */
  readings: v.array(whole(0xff_ffff)),
});
const DELEGATION = v.strictObject({
  format: v.literal('quietmeter-delegation'),
  version: v.literal(1),
  ...pricing,
  ...period,
  meter: bytes(32),
  /** Secret. */
  monthKey: bytes(32),
  import: delegated,
  export: v.nullable(delegated),
});
const DISPUTE = v.strictObject({
  format: v.literal('quietmeter-dispute'),
  version: v.literal(1),
  ...pricing,
  ...period,
  payment: bytes(1, MOST_BYTES),
  /** Compressed P-256; whose certificate says that it is an attested meter's. */
  meterKey: key,
  /** That certificate, DER; null where whoever judges knows the key. */
  meterCertificate: v.nullable(bytes(1, 10_000)),
  import: v.array(bytes(1, MOST_BYTES)),
  export: v.array(bytes(1, MOST_BYTES)),
});
export type Delegation = v.InferOutput<typeof DELEGATION>;
export type Dispute = v.InferOutput<typeof DISPUTE>;

const toText = (value: object): string =>
  `${JSON.stringify(value, (_, each) => (each instanceof Uint8Array || each?.type === 'Buffer' ? Buffer.from(each.data ?? each).toString('base64url') : each))}\n`;

function parse<T extends v.GenericSchema>(name: string, schema: T, text: string): v.InferOutput<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedError(name, 'is no JSON');
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new MalformedError(path === null ? name : `${name}.${path}`, issue.message);
}

export const writeDelegation = (delegation: Omit<Delegation, 'format' | 'version'>): string =>
  toText({ format: 'quietmeter-delegation', version: 1, ...delegation });
export const writeDispute = (dispute: Omit<Dispute, 'format' | 'version'>): string =>
  toText({ format: 'quietmeter-dispute', version: 1, ...dispute });
/** @throws MalformedError that names the field */
export const readDelegation = (text: string): Delegation => parse('delegation', DELEGATION, text);
/** @throws MalformedError that names the field */
export const readDispute = (text: string): Dispute => parse('dispute', DISPUTE, text);

/** Policy and prices, each believed only as it was signed. @throws MalformedError, PriceError that name the field */
function openPricing(file: Pick<Delegation, keyof typeof pricing>): { policy: SignedPolicy; priceOf: PriceOf } {
  const policy = openPolicy(file.policy, file.providerKey);
  const known = new Map<number, SlotPrice>();
  if (file.tariff === null) return { policy, priceOf: () => undefined };
  const tariff = openTariff(file.tariff, file.providerKey);
  for (const bytesOfList of file.prices) {
    const list = openPrices(bytesOfList, tariff);
    for (const [i, price] of list.prices.entries()) {
      const slot = list.firstSlot + i;
      if (known.has(slot)) throw new MalformedError('prices', `price slot ${slot} twice`);
      known.set(slot, price);
    }
  }
  return { policy, priceOf: (slot) => known.get(slot) };
}

/**
 * Computes the payment that a delegation asks for.
 * @throws MalformedError, PriceError, RangeError
 */
export function computePayment(delegation: Delegation, random: (bytes: number) => Uint8Array): Uint8Array {
  const { meter, month, firstSlot, endSlot, monthKey } = delegation;
  const pricingData = openPricing(delegation);
  const { policy } = pricingData.policy;
  const openings = (register: Register) => {
    const part = delegation[register];
    if (part === null) return [];
    const { unitMwh, readingBits: bits } = policy;
    const series: Series = { ...part, meter, month, register, sinceSlot: firstSlot, unitMwh, bits };
    return part.readings.map((value, i) => openingOf(monthKey, series, firstSlot + i, value));
  };
  const exported = paysExport(policy) ? delegation.export : null;
  const roots = [...delegation.import.roots, ...(exported?.roots ?? [])];
  const charge: Charge = { ...pricingData, meter, month, firstSlot, endSlot, roots };
  return pay(charge, { import: openings('import'), export: exported ? openings('export') : [] }, random);
}

/**
 * The verdict on a payment, from public data only: the provider's own checks.
 * @param meterKey the key that the meter's certificate was found to certify
 * @throws PaymentError, CommitmentError, MalformedError, PriceError, GroupError that name the field
 */
export function judgeDispute(dispute: Dispute, meterKey: Uint8Array, random: (bytes: number) => Uint8Array): Payment {
  const { policy, priceOf } = openPricing(dispute);
  const committed = (register: Register): CommittedPeriod => {
    const batches = dispute[register].map((each): Batch => openCommitments(each, meterKey));
    const whole = wholePeriod(batches, dispute);
    if (whole.month !== dispute.month) throw new MalformedError(`dispute.${register}`, 'is of another month');
    return whole;
  };
  const { payment } = dispute;
  const exported = paysExport(policy.policy) ? committed('export') : null;
  return verifyPayment({ payment, policy, priceOf, import: committed('import'), export: exported }, random);
}
