/**
 * A swtpm of its own for a test. Making a TPM takes a second, so each test process makes one and every test starts a copy.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { cloneTpm, type RunningTpm, setUpTpm, startTpm } from '../../../bench/software-tpm.ts';
import type { Tpm } from '../../../gateway/tpm/tpm.ts';
import type { EkRootsOptions } from '../../../protocol/attestation/ek-chain.ts';

let making: Promise<string> | undefined;

/** The state that copies are made of. */
function manufactured(): Promise<string> {
  making ??= (async () => {
    const directory = await mkdtemp(join(tmpdir(), 'quietmeter-tpm-'));
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    await setUpTpm(join(directory, 'state'), { ca: join(directory, 'ca') });
    return directory;
  })();
  return making;
}

/** Who made the TPMs of this process, PEM: for `EkRoots`. */
export async function tpmMakers(): Promise<Required<Pick<EkRootsOptions, 'roots' | 'intermediates'>>> {
  const ca = await tpmCa();
  return {
    roots: [await readFile(join(ca, 'swtpm-localca-rootca-cert.pem'), 'utf8')],
    intermediates: [await readFile(join(ca, 'issuercert.pem'), 'utf8')],
  };
}

/** How many objects and sessions lie in the TPM's memory now. */
export const loaded = (tpm: Tpm): Promise<number> =>
  tpm.run(async (esys) => {
    let count = 0;
    for (const first of [0x80000000, 0x02000000]) {
      const [, capability] = await esys.call('GetCapability', [], 1, first, 64);
      count += capability.readUInt32BE(4);
    }
    return count;
  });

export interface HouseholdTpm {
  readonly tcti: string;
  readonly port: number;
  /** Where this test may keep what it likes. */
  readonly directory: string;
  pid(): number;
  /** SIGKILL, as a power cut. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** On the same state and the same port. */
  start(): Promise<void>;
  /** As by its reset pin: what was loaded is gone, PCRs begin anew, and it waits for TPM2_Startup. */
  reset(): Promise<void>;
}

/** Where the authority of all TPMs of this process keeps its certificates. */
export const tpmCa = async (): Promise<string> => join(await manufactured(), 'ca');

/** @param fresh a TPM of its own, with another endorsement key, instead of a copy; takes a second */
export async function householdTpm(t: ExecutionContext, { fresh = false } = {}): Promise<HouseholdTpm> {
  const template = await manufactured();
  const directory = await mkdtemp(join(template, 'test-'));
  const state = join(directory, 'state');
  if (fresh) await setUpTpm(state, { ca: join(template, 'ca') });
  else await cloneTpm(join(template, 'state'), state);
  let swtpm: RunningTpm = await startTpm(state);
  t.teardown(async () => {
    await swtpm.kill();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    tcti: swtpm.tcti,
    port: swtpm.port,
    directory,
    pid: () => swtpm.pid,
    kill: () => swtpm.kill(),
    stop: () => swtpm.stop(),
    async start() {
      swtpm = await startTpm(state, { port: swtpm.port });
    },
    reset: () => swtpm.reset(),
  };
}
