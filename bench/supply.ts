/** What each provider of a run got, against what the households reported while they were its customers. */

import type { ReportRow } from '../gateway/web/household-view.ts';
import { SLOT_MS } from '../protocol/time/slots.ts';
import type { Scenario } from './scenario.ts';

export interface Sum {
  readings: number;
  importWh: number;
  exportWh: number;
}
export interface ProviderResult extends Sum {
  name: string;
  /** Items that were no acceptable reading, sealed to another provider among them. */
  rejected: number;
  /** What its customers delivered, by the scenario's changes of provider. */
  expected: Sum;
  /** Bills that it has, and invoices of the grid operator. */
  bills: number;
  invoices: number;
}

/** Who has a household's slot, as the scenario has it. */
export function providerOf({ households, providers, changes }: Scenario, household: string, slot: number): string {
  const first = households.find(({ id }) => id === household)?.provider ?? providers[0].name;
  const changed = changes.findLast((change) => change.household === household && change.at / SLOT_MS <= slot);
  return changed?.to ?? first;
}

/** @param reports by household */
export function expectedSums(
  scenario: Scenario,
  reports: ReadonlyMap<string, readonly Pick<ReportRow, 'slot' | 'state' | 'importWh' | 'exportWh'>[]>,
): Map<string, Sum> {
  const sums = new Map(scenario.providers.map(({ name }) => [name, { readings: 0, importWh: 0, exportWh: 0 }]));
  for (const [household, rows] of reports)
    for (const { slot, state, importWh, exportWh } of rows) {
      if (state !== 'delivered') continue;
      const sum = sums.get(providerOf(scenario, household, slot))!;
      sum.readings++;
      sum.importWh += importWh;
      sum.exportWh += exportWh;
    }
  return sums;
}

/** Whether every provider got its customers' readings and nobody else's; `held` are those that wait for the settlement. */
export function sumsAgree(results: readonly ProviderResult[], held: number): boolean {
  const missing = results.reduce((sum, { readings, expected }) => sum + expected.readings - readings, 0);
  return (
    missing === held &&
    results.every(
      ({ expected, ...got }) =>
        got.rejected === 0 &&
        (held > 0
          ? got.readings <= expected.readings
          : got.readings === expected.readings &&
            got.importWh === expected.importWh &&
            got.exportWh === expected.exportWh),
    )
  );
}
