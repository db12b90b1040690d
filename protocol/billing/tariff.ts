/**
 * What a provider charges for: a policy, as data (private-metering.txt, "sets a tariff policy, signs it and sends it to the user"; Rial,
 * Danezis 2011, section 3: "pricing policy").
 *
 *   Provider ── policy, signed once by its offline key ──► everybody (it is public)
 *
 *   signed policy   size
 *                   1    version = 1
 *                   4    length n
 *                   n    the policy, JSON (UTF-8), see POLICY
 *                   64   signature by the offline key, P-256, over label ‖ all bytes before it
 *
 * Rules for import are added up; so a surcharge for much consumption goes beside prices by the hour:
 *
 *   flat          one price
 *   time-of-use   a price for each quarter hour of the day, UTC; another day for weekends
 *   dynamic       the price lists of prices.ts, plus `add`
 *   tiers         by the consumption of one interval (1, 2 or 4 slots of the clock): what lies above `fromWh` costs that step's price
 *   blocks        by the consumption of the period: what lies above `fromWh` costs that step's price
 *
 * Export takes the first three. Prices are milli-cent per kWh; a fee is negative where the household is paid. Fixed fees are charged for
 * each day of UTC of which a slot is in the period.
 *
 * **A policy must not be a question** (protocols.md, section 5, A10): prices 1 and 2^(24 + 12·i) would read single quarter hours out of
 * the fee. So before it is used, no price of a period may exceed MOST_SPREAD times the median of those that are not zero, and prices
 * that are not zero stand in at least LEAST_SLOTS quarter hours, or in all of a shorter period (checkWeights).
 */
import { createHash, type KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, signP256, verifyP256 } from '../crypto/p256.ts';
import { VALUE_BITS } from '../crypto/pedersen.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import type { Register } from './commitments.ts';
import {
  CURRENCY_PATTERN,
  MOST_MILLI_CENT,
  MOST_SPREAD,
  PriceError,
  type SlotPrice,
  TARIFF_PATTERN,
} from './prices.ts';

const VERSION = 1;
const MOST_POLICY_BYTES = 20_000;
/** A price that stands in fewer quarter hours than a day has would ask for them. */
export const LEAST_SLOTS = SLOTS_PER_DAY;
/** Steps of tiers and blocks. */
const MOST_STEPS = 8;
/** Tiers look readings up in a table of 2^bits rows. */
export const MOST_TIER_BITS = 14;

const whole = v.pipe(v.number(), v.safeInteger('is no whole number'));
const from = (least: number, most: number) =>
  v.pipe(whole, v.minValue(least, `is less than ${least}`), v.maxValue(most, `is more than ${most}`));
const price = from(-MOST_MILLI_CENT, MOST_MILLI_CENT);
const dayPrices = v.pipe(v.array(price), v.length(SLOTS_PER_DAY, `has not ${SLOTS_PER_DAY} prices`));
const steps = v.pipe(
  v.array(v.strictObject({ fromWh: from(0, 1_000_000_000), milliCentPerKwh: price })),
  v.minLength(2, 'has fewer than 2 steps'),
  v.maxLength(MOST_STEPS, `has more than ${MOST_STEPS} steps`),
  v.check((all) => all[0].fromWh === 0, 'does not begin at 0'),
  v.check((all) => all.every((step, i) => i === 0 || step.fromWh > all[i - 1].fromWh), 'does not go up'),
);
const flat = v.strictObject({ kind: v.literal('flat'), milliCentPerKwh: price });
const timeOfUse = v.strictObject({
  kind: v.literal('time-of-use'),
  milliCentPerKwh: dayPrices,
  weekend: v.optional(dayPrices),
});
const dynamic = v.strictObject({ kind: v.literal('dynamic'), add: v.optional(price, 0) });
const tiers = v.strictObject({
  kind: v.literal('tiers'),
  intervalSlots: v.optional(v.picklist([1, 2, 4], 'is none of 1, 2 and 4'), 1),
  steps,
});
const blocks = v.strictObject({ kind: v.literal('blocks'), steps });
const importRule = v.variant('kind', [flat, timeOfUse, dynamic, tiers, blocks]);
const atMostOne = (kind: 'tiers' | 'blocks') =>
  v.check<v.InferOutput<typeof importRule>[], string>(
    (rules) => rules.filter((rule) => rule.kind === kind).length <= 1,
    `has ${kind} twice`,
  );

export const POLICY = v.strictObject({
  name: v.pipe(v.string(), v.regex(TARIFF_PATTERN, 'is no name of a tariff')),
  /** ISO 4217. */
  currency: v.pipe(v.string(), v.regex(CURRENCY_PATTERN, 'is no currency')),
  /** Counts policies of this name. */
  number: from(0, 0xffff_ffff),
  /** The first slot, of a day of UTC, that it holds for. */
  firstSlot: v.pipe(
    from(0, 0xffff_ffff),
    v.check((slot) => slot % SLOTS_PER_DAY === 0, 'is not the first of a day'),
  ),
  /** What readings count (1: mWh, 1000: Wh), and below which power of two they are: how the meter commits to them. */
  unitMwh: v.picklist([1, 1000], 'is neither 1 nor 1000'),
  readingBits: from(8, VALUE_BITS),
  import: v.pipe(v.array(importRule), atMostOne('tiers'), atMostOne('blocks')),
  export: v.array(v.variant('kind', [flat, timeOfUse, dynamic])),
  fixed: v.array(v.strictObject({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(60)), milliCentPerDay: price })),
});
export type Policy = v.InferOutput<typeof POLICY>;
type LinearRule = Policy['export'][number];
export type Step = { from: bigint; milliCentPerKwh: bigint };

/** A policy that was signed, with the digest by which payments name it. */
export interface SignedPolicy {
  policy: Policy;
  /** SHA-256 of all bytes before the signature. 32 B. */
  digest: Uint8Array;
}

// ── signing, opening ──

/** @throws PriceError that names the field */
export function checkPolicy(value: unknown): Policy {
  const result = v.safeParse(POLICY, value);
  if (!result.success) {
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    throw new PriceError(path === null ? 'policy' : `policy.${path}`, issue.message);
  }
  const policy = result.output;
  for (const [i, rule] of policy.import.entries()) {
    if (rule.kind !== 'tiers') continue;
    const bits = policy.readingBits + Math.log2(rule.intervalSlots);
    if (bits > MOST_TIER_BITS)
      throw new PriceError(`policy.import.${i}`, `needs a table of 2^${bits} rows, more than 2^${MOST_TIER_BITS}`);
    const last = rule.steps[rule.steps.length - 1].fromWh;
    if ((last * 1000) / policy.unitMwh >= 2 ** bits)
      throw new PriceError(
        `policy.import.${i}.steps.${rule.steps.length - 1}.fromWh`,
        'lies beyond what readings can be',
      );
  }
  for (const [i, rule] of policy.import.entries())
    if (rule.kind === 'tiers' || rule.kind === 'blocks')
      checkSpread(
        rule.steps.map((step) => BigInt(step.milliCentPerKwh)),
        `policy.import.${i}.steps`,
      );
  return policy;
}

/** @throws PriceError that names the field */
export function signPolicy(policy: Policy, offlineKey: KeyObject): Uint8Array {
  const text = Buffer.from(JSON.stringify(checkPolicy(policy)));
  if (text.length > MOST_POLICY_BYTES) throw new PriceError('policy', `is longer than ${MOST_POLICY_BYTES} bytes`);
  const body = new ByteWriter('policy')
    .u8('version', VERSION)
    .u32('length', text.length)
    .bytes('policy', text, text.length)
    .finish();
  return Buffer.concat([body, signP256(offlineKey, labelled(LABELS.chargingPolicy, body))]);
}

/** @throws MalformedError, PriceError that name the field */
export function openPolicy(bytes: Uint8Array, offlinePublicKey: Uint8Array): SignedPolicy {
  const reader = new ByteReader('policy', bytes);
  reader.constant('version', VERSION);
  const length = reader.u32('length');
  if (length > MOST_POLICY_BYTES) throw reader.error('length', `is more than ${MOST_POLICY_BYTES}`);
  const text = reader.bytes('policy', length);
  const body = bytes.subarray(0, reader.at);
  const signature = reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  if (!verifyP256(offlinePublicKey, labelled(LABELS.chargingPolicy, body), signature))
    throw new PriceError('policy.signature', "was not made by the provider's offline key over these bytes");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text).toString('utf8'));
  } catch {
    throw new PriceError('policy', 'is no JSON');
  }
  return { policy: checkPolicy(value), digest: createHash('sha256').update(body).digest() };
}

/**
 * Whether a policy may follow the one that is held.
 * @throws PriceError: `again` where it is known, `never` where it is older, or changes days that are priced already
 */
export function checkSuccession(policy: Policy, held: Policy | null): void {
  if (held === null) return;
  if (policy.name !== held.name) throw new PriceError('policy.name', `is ${policy.name}, not ${held.name}`);
  if (policy.number === held.number)
    throw new PriceError('policy.number', `is ${held.number}, which is known`, 'again');
  if (policy.number < held.number)
    throw new PriceError('policy.number', `is ${policy.number}, older than ${held.number}, which was taken before`);
  if (policy.firstSlot < held.firstSlot)
    throw new PriceError('policy.firstSlot', 'lies before that of the policy that it follows');
}

// ── weights ──

/** Prices of day-ahead lists; undefined where a slot has none. */
export type PriceOf = (slot: number) => SlotPrice | undefined;

/**
 * What a kWh costs in each slot by all linear rules, in milli-cents; for export with the sign of a fee: what is paid for is negative.
 * @throws PriceError where a dynamic price is missing, or the prices would ask for single quarter hours
 */
export function linearWeights(
  policy: Policy,
  register: Register,
  { firstSlot, endSlot }: { firstSlot: number; endSlot: number },
  priceOf: PriceOf,
): bigint[] {
  const weights = new Array<bigint>(endSlot - firstSlot);
  const sign = register === 'export' ? -1n : 1n;
  for (let i = 0; i < weights.length; i++)
    weights[i] = sign * BigInt(linearPrice(policy, register, firstSlot + i, priceOf));
  checkWeights(weights, `policy.${register}`);
  return weights;
}

/** The price of one slot by all linear rules, as it is listed, milli-cents per kWh. @throws PriceError where a dynamic price is missing */
export function linearPrice(policy: Policy, register: Register, slot: number, priceOf: PriceOf): number {
  let sum = 0;
  for (const rule of policy[register] as Policy['import'])
    if (rule.kind !== 'tiers' && rule.kind !== 'blocks') sum += ruleAt(rule, register, slot, priceOf);
  return sum;
}
/** Whether it charges by price lists. */
export const isDynamic = (policy: Policy): boolean =>
  [...policy.import, ...policy.export].some(({ kind }) => kind === 'dynamic');

/**
 * Whether a policy may be used at all, as far as that can be said before its prices are known (A10): its fixed prices are no question.
 * @throws PriceError that names the field
 */
export function checkIsolation(policy: Policy): void {
  const endSlot = policy.firstSlot + 7 * SLOTS_PER_DAY;
  for (const register of ['import', 'export'] as const) {
    if (policy[register].some(({ kind }) => kind === 'dynamic')) continue; // prices.ts checks each list, pay() all of them
    linearWeights(policy, register, { firstSlot: policy.firstSlot, endSlot }, () => undefined);
  }
}

function ruleAt(rule: LinearRule, register: Register, slot: number, priceOf: PriceOf): number {
  switch (rule.kind) {
    case 'flat':
      return rule.milliCentPerKwh;
    case 'time-of-use': {
      // 1 January 1970 was a Thursday
      const weekday = (Math.floor(slot / SLOTS_PER_DAY) + 4) % 7;
      const day = rule.weekend && (weekday === 0 || weekday === 6) ? rule.weekend : rule.milliCentPerKwh;
      return day[slot % SLOTS_PER_DAY];
    }
    case 'dynamic': {
      const listed = priceOf(slot);
      if (!listed) throw new PriceError(`prices.${slot}`, 'has not come', 'gap');
      return listed[`${register}MilliCentPerKwh`] + rule.add;
    }
  }
}

/** A10, over a whole period. @throws PriceError */
export function checkWeights(weights: readonly bigint[], path: string): void {
  const priced = weights.filter((weight) => weight !== 0n).length;
  if (priced > 0 && priced < Math.min(LEAST_SLOTS, weights.length))
    throw new PriceError(path, `prices ${priced} quarter hours only: the bill would tell what was used in them`);
  checkSpread(weights, path);
}

function checkSpread(prices: readonly bigint[], path: string): void {
  const sizes = prices.map((p) => (p < 0n ? -p : p)).filter((size) => size > 0n);
  if (sizes.length === 0) return;
  const sorted = [...sizes].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const median = sorted[(sorted.length - 1) >> 1];
  const most = sorted[sorted.length - 1];
  if (most <= BigInt(MOST_SPREAD) * median) return;
  const at = prices.findIndex((p) => p === most || p === -most);
  throw new PriceError(
    `${path}.${at}`,
    `is more than ${MOST_SPREAD} times the median: the bill would tell this quarter hour`,
  );
}

/** Steps in units of the readings. */
const stepsOf = (rule: { steps: { fromWh: number; milliCentPerKwh: number }[] }, { unitMwh }: Policy): Step[] =>
  rule.steps.map(({ fromWh, milliCentPerKwh }) => ({
    from: BigInt((fromWh * 1000) / unitMwh),
    milliCentPerKwh: BigInt(milliCentPerKwh),
  }));
/** @returns steps, and how many bits the consumption of an interval has */
export function tierSteps(policy: Policy): { steps: Step[]; intervalSlots: number; bits: number } | null {
  const rule = policy.import.find((r) => r.kind === 'tiers');
  if (!rule) return null;
  const { intervalSlots } = rule;
  return { steps: stepsOf(rule, policy), intervalSlots, bits: policy.readingBits + Math.log2(intervalSlots) };
}
export function blockSteps(policy: Policy): Step[] | null {
  const rule = policy.import.find((r) => r.kind === 'blocks');
  return rule ? stepsOf(rule, policy) : null;
}
/** What `amount` comes to: each part of it at the price of its step. */
export function stepFee(steps: readonly Step[], amount: bigint): bigint {
  let fee = 0n;
  for (const [i, step] of steps.entries()) {
    if (amount <= step.from) break;
    const next = steps[i + 1];
    fee += ((next && next.from < amount ? next.from : amount) - step.from) * step.milliCentPerKwh;
  }
  return fee;
}

/** Fixed fees of a period, in milli-cents. */
export function fixedFee(policy: Policy, { firstSlot, endSlot }: { firstSlot: number; endSlot: number }): number {
  const days = Math.ceil(endSlot / SLOTS_PER_DAY) - Math.floor(firstSlot / SLOTS_PER_DAY);
  return policy.fixed.reduce((sum, fee) => sum + fee.milliCentPerDay, 0) * days;
}

/**
 * The fee in the clear: who has the readings computes it so, and the proof is about the same number.
 * @param readings of every slot of the period, in units of the policy
 * @returns fee in millionths of a milli-cent (money.ts)
 */
export function clearFee(
  policy: Policy,
  period: { firstSlot: number; endSlot: number },
  readings: { import: readonly number[]; export: readonly number[] },
  priceOf: PriceOf,
): bigint {
  let sum = 0n;
  for (const register of ['import', 'export'] as const) {
    const weights = linearWeights(policy, register, period, priceOf);
    for (const [i, value] of readings[register].entries()) sum += weights[i] * BigInt(value);
  }
  const tiered = tierSteps(policy);
  if (tiered)
    for (const amount of intervalSums(period.firstSlot, readings.import, tiered.intervalSlots))
      sum += stepFee(tiered.steps, BigInt(amount));
  const blocked = blockSteps(policy);
  if (blocked) sum += stepFee(blocked, BigInt(readings.import.reduce((total, value) => total + value, 0)));
  return sum * BigInt(policy.unitMwh) + BigInt(fixedFee(policy, period)) * 1_000_000n;
}

/** Which slots of a period lie in the same interval of the clock: indices from 0. */
export function intervals(firstSlot: number, count: number, intervalSlots: number): number[][] {
  const groups: number[][] = [];
  for (let i = 0; i < count; i++) {
    if (i === 0 || (firstSlot + i) % intervalSlots === 0) groups.push([]);
    groups[groups.length - 1].push(i);
  }
  return groups;
}
export const intervalSums = (firstSlot: number, values: readonly number[], intervalSlots: number): number[] =>
  intervals(firstSlot, values.length, intervalSlots).map((group) => group.reduce((sum, i) => sum + values[i], 0));
