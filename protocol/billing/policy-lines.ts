/**
 * The lines of a bill by a charging policy, for the household's page: what each day has cost so far, in the clear. The fee that leaves is
 * the payment's (payment.ts); lines add up to it.
 *
 * A day costs what the fee grew by: fixed fees, linear prices, its intervals' tiers, and the blocks that it reached. Lines are rounded
 * like registers, as in bill.ts: line d = round(sum up to d) − round(sum up to d − 1). What import costs is rounded to the milli-cent, and
 * the credit is what makes the difference the fee.
 */
import { monthFirstSlot } from '../time/months.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import type { BillLine, ComputedBill } from './bill.ts';
import { toMilliCent } from './money.ts';
import { blockSteps, isDynamic, linearPrice, type Policy, type PriceOf, stepFee, tierSteps } from './tariff.ts';

const MICRO = 1_000_000n;

/**
 * @param slots in units of the policy, each once, in their order, of that month
 * @throws RangeError where a slot is of another month, or comes out of order
 */
export function policyLines(
  month: number,
  slots: readonly { slot: number; import: number; export: number }[],
  policy: Policy,
  priceOf: PriceOf,
): ComputedBill {
  const [first, end] = [monthFirstSlot(month), monthFirstSlot(month + 1)];
  const unit = BigInt(policy.unitMwh);
  const tiered = tierSteps(policy);
  const blocked = blockSteps(policy);
  const perDay = BigInt(policy.fixed.reduce((sum, { milliCentPerDay }) => sum + milliCentPerDay, 0)) * MICRO;
  const days = new Map<number, BillLine>();
  const ends = new Map<number, { cost: bigint; credit: bigint }>();
  let [cost, credit, total, interval] = [0n, 0n, 0n, 0n];
  let [last, intervalOf, unpriced] = [-1, -1, 0];
  for (const { slot, import: imported, export: exported } of slots) {
    if (!(slot >= first && slot < end)) throw new RangeError(`slot ${slot}: is not in month ${month}`);
    if (slot <= last) throw new RangeError(`slot ${slot}: comes twice, or after a later one`);
    last = slot;
    const day = Math.floor(slot / SLOTS_PER_DAY);
    let line = days.get(day);
    if (line === undefined) {
      line = { day, importMwh: 0, exportMwh: 0, costMilliCent: 0, creditMilliCent: 0, unpriced: 0 };
      days.set(day, line);
      cost += perDay;
    }
    line.importMwh += imported * policy.unitMwh;
    line.exportMwh += exported * policy.unitMwh;
    const [drawn, fed] = [BigInt(imported), BigInt(exported)];
    if (isDynamic(policy) && priceOf(slot) === undefined) {
      line.unpriced++;
      unpriced++;
    } else {
      cost += BigInt(linearPrice(policy, 'import', slot, priceOf)) * drawn * unit;
      credit += BigInt(linearPrice(policy, 'export', slot, priceOf)) * fed * unit;
    }
    if (tiered) {
      const at = Math.floor(slot / tiered.intervalSlots);
      if (at !== intervalOf) interval = 0n;
      intervalOf = at;
      cost += (stepFee(tiered.steps, interval + drawn) - stepFee(tiered.steps, interval)) * unit;
      interval += drawn;
    }
    if (blocked) cost += (stepFee(blocked, total + drawn) - stepFee(blocked, total)) * unit;
    total += drawn;
    ends.set(day, { cost, credit });
  }
  let before = { cost: 0, fee: 0 };
  for (const [day, sum] of ends) {
    const now = { cost: toMilliCent(sum.cost), fee: toMilliCent(sum.cost - sum.credit) };
    const line = days.get(day)!;
    line.costMilliCent = now.cost - before.cost;
    line.creditMilliCent = now.cost - now.fee - (before.cost - before.fee);
    before = now;
  }
  return {
    month,
    lines: [...days.values()],
    costMilliCent: before.cost,
    creditMilliCent: before.cost - before.fee,
    feeMilliCent: before.fee,
    slots: slots.length,
    unpriced,
  };
}

/** What of the readings is not in whole units yet goes on to the next slot; so does what a slot's reading cannot hold. */
export function wholeUnits(
  energyMwh: number,
  carryMwh: number,
  { unitMwh, bits }: { unitMwh: number; bits: number },
): { value: number; carryMwh: number } {
  const sum = energyMwh + carryMwh;
  const value = Math.min(Math.max(Math.floor(sum / unitMwh), 0), 2 ** bits - 1);
  return { value, carryMwh: sum - value * unitMwh };
}
