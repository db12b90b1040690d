/**
 * What the provider wants to charge: a JSON file that its traders write, read anew for every day that is to be signed, so that
 * day-ahead prices can be put there until the evening before.
 *
 *   {"default": {"import": [25000], "export": [8000]},
 *    "days": {"2026-11-20": {"import": [24 or 96 numbers], "export": [1, 24 or 96 numbers]}}}
 *
 * Milli-cent per kWh; one number for the whole day, for each hour, or for each quarter hour of UTC. A day that is not named has
 * the default; without one it cannot be signed.
 */
import * as v from 'valibot';
import type { SlotPrice } from '../../protocol/billing/prices.ts';
import { DAY_MS, SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { checkedJson } from '../shared/config.ts';

const side = v.pipe(
  v.array(v.pipe(v.number(), v.integer('is no whole number of milli-cents'))),
  v.check(({ length }) => [1, 24, SLOTS_PER_DAY].includes(length), 'has not 1, 24 or 96 prices'),
);
const day = v.strictObject({ import: side, export: side });
const plan = v.strictObject({
  default: v.optional(day),
  days: v.optional(v.record(v.pipe(v.string(), v.isoDate('is no date like 2026-11-20')), day), {}),
});

/** The 96 prices of a day (counted from 1970, UTC), or undefined. @throws ConfigError that names the field */
export function plannedPrices(file: string, dayNumber: number): SlotPrice[] | undefined {
  const { days, default: always } = checkedJson(file, plan);
  const planned = days[new Date(dayNumber * DAY_MS).toISOString().slice(0, 10)] ?? always;
  if (!planned) return undefined;
  const at = (prices: number[], slot: number): number => prices[Math.floor((slot * prices.length) / SLOTS_PER_DAY)];
  return Array.from({ length: SLOTS_PER_DAY }, (_, slot) => ({
    importMilliCentPerKwh: at(planned.import, slot),
    exportMilliCentPerKwh: at(planned.export, slot),
  }));
}
