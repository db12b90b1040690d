/**
 * How the TPM is: its clock and counts of restarts, and whether it has locked itself against guessing.
 */
import { TpmReader } from '../../protocol/attestation/tpm-wire.ts';
import { ESYS_TR, type Esys } from './esys.ts';

export interface TpmClock {
  /** Counts while the TPM has power, over restarts. */
  clockMs: number;
  /** Starts from nothing, and starts from a suspended state since the last of these. */
  resetCount: number;
  restartCount: number;
  /** False for some time after an unclean stop: the clock may have said this instant before. */
  safe: boolean;
}

export async function readClock(esys: Esys): Promise<TpmClock> {
  const [bytes] = await esys.call('ReadClock', []);
  const reader = new TpmReader(bytes, 'timeInfo');
  reader.u64('time');
  return {
    clockMs: Number(reader.u64('clock')),
    resetCount: reader.u32('resetCount'),
    restartCount: reader.u32('restartCount'),
    safe: reader.u8('safe') === 1,
  };
}

export interface Lockout {
  /** What is protected by a password is refused now. Ours is not: all of it has `noDA`. */
  locked: boolean;
  /** Wrong guesses that count now; locked at `most`. */
  tries: number;
  most: number;
  /** After so many seconds without one, one is forgotten. */
  forgottenAfterS: number;
}

/** TPM_CAP_TPM_PROPERTIES, TPM_PT_PERMANENT and the four of the lockout (Part 2, 6.12, 6.13, 8.6). */
const CAPABILITY_PROPERTIES = 6;
const PERMANENT = 0x200;
const IN_LOCKOUT = 1 << 9;
const LOCKOUT_COUNTER = 0x20e;

export async function readLockout(esys: Esys): Promise<Lockout> {
  const [permanent] = await properties(esys, PERMANENT, 1);
  const [tries, most, forgottenAfterS] = await properties(esys, LOCKOUT_COUNTER, 3);
  return { locked: (permanent & IN_LOCKOUT) !== 0, tries, most, forgottenAfterS };
}

/** Forgets the guesses, where nobody gave the TPM a lockout password. */
export async function clearLockout(esys: Esys): Promise<void> {
  await esys.call('DictionaryAttackLockReset', ESYS_TR.LOCKOUT, [ESYS_TR.PASSWORD]);
}

async function properties(esys: Esys, first: number, count: number): Promise<number[]> {
  const [, capability] = await esys.call('GetCapability', [], CAPABILITY_PROPERTIES, first, count);
  const reader = new TpmReader(capability, 'capability');
  reader.u32('capability');
  return Array.from({ length: reader.u32('count') }, (_, i) => {
    reader.u32(`property[${i}]`);
    return reader.u32(`value[${i}]`);
  });
}
