/**
 * What the households' bills come to in the clear: from the quarter hours that the gateways measured and the prices as the bench made
 * them, computed here, away from commitments and proofs. A provider's bill that differs by a milli-cent is a fault of the run.
 */
import type { QuarterHour } from '../gateway/web/household-view.ts';
import type { ReceivedBill } from '../operator/provider/bills.ts';
import { toMilliCent } from '../protocol/billing/money.ts';
import { clearFee } from '../protocol/billing/tariff.ts';
import { BENCH_POLICIES, BENCH_TARIFFS, type BenchTariff, TARIFF } from './billing.ts';
import { benchPrice, tariffNameOf } from './providers.ts';
import type { ScenarioProvider } from './scenario.ts';

/** A bill that a provider has taken. */
export interface BilledPart {
  household: string;
  provider: string;
  tariff: BenchTariff;
  /** Quarter hours that it is about. */
  quarterHours: number;
  feeMilliCent: number;
  /** The same in the clear; null where parts of the energy were sold to others, which only the household knows. */
  clearMilliCent: number | null;
}

/** The fee of whole units; what is less goes on to the next quarter hour. */
export function feeInTheClear(
  rows: readonly Pick<QuarterHour, 'slot' | 'importMwh' | 'exportMwh'>[],
  tariff: BenchTariff,
  period: { firstSlot: number; endSlot: number },
  provider: ScenarioProvider,
): number {
  const policy = { ...BENCH_POLICIES[tariff], name: tariff, currency: TARIFF.currency };
  const energy = new Map(rows.map((row) => [row.slot, row]));
  const units = (register: 'importMwh' | 'exportMwh'): number[] => {
    let sum = 0;
    return Array.from({ length: period.endSlot - period.firstSlot }, (_, i) => {
      const before = Math.floor(sum / policy.unitMwh);
      sum += energy.get(period.firstSlot + i)?.[register] ?? 0;
      return Math.floor(sum / policy.unitMwh) - before;
    });
  };
  const readings = { import: units('importMwh'), export: units('exportMwh') };
  return toMilliCent(clearFee(policy, period, readings, (slot) => benchPrice(provider, slot)));
}

/** @param measured of a household: its quarter hours, and whether all of their energy is billed */
export function billedParts(
  bills: readonly Pick<ReceivedBill, 'customer' | 'tariff' | 'firstSlot' | 'endSlot' | 'feeMilliCent'>[],
  provider: ScenarioProvider,
  index: number,
  measured: (household: string) => { rows: readonly QuarterHour[]; allBilled: boolean } | undefined,
): BilledPart[] {
  return bills.flatMap(({ customer, tariff: name, firstSlot, endSlot, feeMilliCent }) => {
    const household = customer.replace(/^K-/, '');
    const house = measured(household);
    const tariff = BENCH_TARIFFS.find((kind) => tariffNameOf(provider, index, kind) === name);
    if (!house || !tariff) return []; // people who moved in meanwhile have another number
    const clearMilliCent = house.allBilled ? feeInTheClear(house.rows, tariff, { firstSlot, endSlot }, provider) : null;
    const quarterHours = endSlot - firstSlot;
    return [{ household, provider: provider.name, tariff, quarterHours, feeMilliCent, clearMilliCent }];
  });
}

export const feesAgree = (parts: readonly BilledPart[]): boolean =>
  parts.every(({ feeMilliCent, clearMilliCent }) => clearMilliCent === null || clearMilliCent === feeMilliCent);
