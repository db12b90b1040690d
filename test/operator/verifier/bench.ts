/** A verifier on paper in a folder of its own, gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import {
  type Founders,
  foundAt,
  START_MS,
  Workbench,
  type WorkbenchOptions,
} from '../../../bench/attestation/workbench.ts';

let founding: Promise<Founders> | undefined;

export async function workbench(t: ExecutionContext, options: Partial<WorkbenchOptions> = {}): Promise<Workbench> {
  const directory = await mkdtemp(join(tmpdir(), 'quietmeter-verifier-'));
  founding ??= foundAt(START_MS);
  const bench = await Workbench.open({ directory, founders: await founding, ...options });
  t.teardown(async () => {
    bench.close();
    await rm(directory, { recursive: true, force: true });
  });
  return bench;
}
