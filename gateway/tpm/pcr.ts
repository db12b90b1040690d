/**
 * Platform configuration registers of the SHA-256 bank: value := SHA-256(value ‖ digest), nothing else, until the TPM is started
 * anew. What was extended twice is wrong until then, so extending is never done twice: after an interruption the register is read.
 */
import { createHash } from 'node:crypto';
import { pcrSelection, TPM_ALG, TpmReader, u16, u32 } from '../../protocol/attestation/tpm-wire.ts';
import { TpmError } from './error.ts';
import { ESYS_TR, type Esys } from './esys.ts';

/** SHA-256. */
export const PCR_BYTES = 32;

/** By number, in the order asked for. */
export async function readPcrs(esys: Esys, pcrs: readonly number[]): Promise<Map<number, Uint8Array>> {
  const values = new Map<number, Uint8Array>();
  for (const pcr of pcrs) {
    const [, , digests] = await esys.call('PCR_Read', [], pcrSelection([pcr]));
    const reader = new TpmReader(digests, 'pcrs');
    if (reader.u32('count') !== 1) throw new TpmError('refused', `the TPM has no PCR ${pcr} in its SHA-256 bank`);
    values.set(pcr, reader.sized('value'));
  }
  return values;
}

/**
 * A job that may be begun again after the TPM went away in its middle: it extends once all the same.
 * @param from the value that the register has before; by default the one that it has at first. Where it holds the result
 *   already, nothing is done.
 * @returns the job; it gives the value after
 * @throws TpmError of kind `reset` where the register holds something else: what was measured before is gone
 */
export function extendOnce(pcr: number, digest: Uint8Array, from?: Uint8Array): (esys: Esys) => Promise<Uint8Array> {
  if (digest.length !== PCR_BYTES) throw new RangeError(`the digest is ${digest.length} bytes long, not ${PCR_BYTES}`);
  let before = from;
  let mayBeDone = from !== undefined;
  return async (esys) => {
    const value = (await readPcrs(esys, [pcr])).get(pcr)!;
    before ??= value;
    const after = createHash('sha256').update(before).update(digest).digest();
    if (mayBeDone && after.equals(value)) return after;
    if (Buffer.compare(before, value) !== 0)
      throw new TpmError('reset', `PCR ${pcr} holds neither what it held before nor what it should hold now`);
    mayBeDone = true;
    await esys.call('PCR_Extend', ESYS_TR.PCR0 + pcr, [ESYS_TR.PASSWORD], digestValues(digest));
    return after;
  };
}

/** TPML_DIGEST_VALUES. */
const digestValues = (digest: Uint8Array): Buffer => Buffer.concat([u32(1), u16(TPM_ALG.SHA256), digest]);
