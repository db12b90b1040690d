/** A gateway's attestation on a software TPM of its own, gone after the test. */
import type { ExecutionContext } from 'ava';
import { Rig, type RigOptions } from '../../../bench/attestation/rig.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { workbench } from '../../operator/verifier/bench.ts';
import { type HouseholdTpm, householdTpm, tpmMakers } from '../tpm/household-tpm.ts';

export async function rig(
  t: ExecutionContext,
  options: Partial<RigOptions> = {},
): Promise<{ rig: Rig; household: HouseholdTpm }> {
  const household = await householdTpm(t);
  const bench = await workbench(t, { ...(await tpmMakers()), verifier: { calendarMs: () => Date.now() } });
  const tpm = await Tpm.open(household.tcti);
  t.teardown(() => tpm.close());
  return { rig: await Rig.build({ tpm, bench, dataDir: household.directory, ...options }), household };
}
