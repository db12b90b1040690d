/**
 * What the TPM keeps through power cuts: counters that only go up, and small areas. A counter that is removed and defined anew
 * begins above every count that this TPM ever held, so nobody takes one back.
 *
 * What is read comes under the HMAC of a salted session: on the bus it can be cut off, but not altered (sessions.ts).
 */
import { COUNTER_BYTES, NV, NV_INDEX, nvPublic } from '../../protocol/attestation/policy.ts';
import { EMPTY, readEcdsaSignature, sized, TpmReader } from '../../protocol/attestation/tpm-wire.ts';
import { errorNumber, TpmError } from './error.ts';
import { ESYS_TR, type Esys } from './esys.ts';
import type { Handle } from './keys.ts';
import type { Attestation } from './quote.ts';
import { withPrivateSession } from './sessions.ts';
import { OWN_SCHEME } from './structures.ts';

/** The most that a small area may hold: every TPM takes as much in one command. */
export const AREA_MOST_BYTES = 512;
/** What every TPM gives in one command; certificates are longer. */
const READ_BYTES = 512;

/** TPM_RC_HANDLE: no such index. */
const NO_SUCH_INDEX = 0x8b;
/** TPM_RC_NV_UNINITIALIZED: defined, but never written to. */
const NEVER_WRITTEN = 0x14a;
const isRefused = (error: unknown, number: number): boolean =>
  error instanceof TpmError && error.kind === 'refused' && errorNumber(error.rc) === number;

/** An index that exists. */
interface NvIndex {
  handle: Handle;
  /** TPMS_NV_PUBLIC. */
  description: Buffer;
  attributes: number;
  sizeBytes: number;
}

/** Hands the index to `use`; null where there is none. */
async function withIndex<T>(esys: Esys, index: number, use: (nv: NvIndex) => Promise<T>): Promise<T | null> {
  let handle: Handle;
  try {
    [handle] = await esys.call('TR_FromTPMPublic', index, []);
  } catch (error) {
    if (isRefused(error, NO_SUCH_INDEX)) return null;
    throw error;
  }
  try {
    const [described] = await esys.call('NV_ReadPublic', handle, []);
    const reader = new TpmReader(described.subarray(2), 'nvPublic');
    reader.u32('nvIndex');
    reader.u16('nameAlg');
    const attributes = reader.u32('attributes');
    reader.sized('authPolicy');
    const sizeBytes = reader.u16('dataSize');
    reader.end();
    return await use({ handle, description: described.subarray(2), attributes, sizeBytes });
  } finally {
    await esys.call('TR_Close', handle).catch(() => {}); // the library's note of it; removing the index closes it, too
  }
}

/** All that the index holds; null where there is no such index or nothing was ever written to it. */
export async function readNv(esys: Esys, index: number): Promise<Buffer | null> {
  return withIndex(esys, index, (nv) => withPrivateSession(esys, 0, (session) => readWhole(esys, nv, session)));
}

async function readWhole(esys: Esys, { handle, sizeBytes }: NvIndex, session: Handle): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  try {
    for (let at = 0; at < sizeBytes; at += READ_BYTES) {
      const length = Math.min(READ_BYTES, sizeBytes - at);
      const [part] = await esys.call('NV_Read', handle, handle, [session], length, at);
      parts.push(part.subarray(2));
    }
  } catch (error) {
    if (isRefused(error, NEVER_WRITTEN)) return null;
    throw error;
  }
  return Buffer.concat(parts);
}

/**
 * Makes sure that there is such an area or counter; what is in it stays.
 * @param kind `counter`, or the area's size in bytes
 * @throws TpmError `refused` where something else is at this index
 */
export async function defineNv(esys: Esys, index: number, kind: 'counter' | number): Promise<void> {
  // A new counter may begin above all others of its TPM (Part 1, 37.2.4): that of releases, whose number counts, comes first.
  if (kind === 'counter' && index !== NV_INDEX.version) {
    await defineNv(esys, NV_INDEX.version, 'counter');
    await raiseCounter(esys, NV_INDEX.version, 1);
  }
  const wanted = nvPublic(index, kind);
  const found = await withIndex(esys, index, async ({ description, attributes }) => {
    const same = attributes & NV.WRITTEN ? nvPublic(index, kind, true) : wanted;
    if (description.equals(same)) return true;
    throw new TpmError('refused', `NV index 0x${index.toString(16)} is in use for something else`);
  });
  if (found) return;
  const [handle] = await esys.call('NV_DefineSpace', ESYS_TR.OWNER, [ESYS_TR.PASSWORD], EMPTY, sized(wanted));
  await esys.call('TR_Close', handle);
}

/** Does nothing where there is none. */
export async function removeNv(esys: Esys, index: number): Promise<void> {
  await withIndex(esys, index, ({ handle }) =>
    esys.call('NV_UndefineSpace', ESYS_TR.OWNER, handle, [ESYS_TR.PASSWORD]),
  );
}

export async function writeArea(esys: Esys, index: number, content: Uint8Array): Promise<void> {
  const done = await withIndex(esys, index, async ({ handle, sizeBytes }) => {
    if (content.length !== sizeBytes)
      throw new RangeError(`NV index 0x${index.toString(16)} takes ${sizeBytes} bytes, not ${content.length}`);
    await withPrivateSession(esys, 0, (session) => esys.call('NV_Write', handle, handle, [session], sized(content), 0));
    return true;
  });
  if (!done) throw absent(index);
}

/** Null where it was never counted up. */
export async function readCounter(esys: Esys, index: number): Promise<number | null> {
  const bytes = await readNv(esys, index);
  return bytes && toNumber(bytes);
}

/** The TPM's count, which no counter of ours outgrows in its life. */
function toNumber(bytes: Buffer): number {
  if (bytes.length !== COUNTER_BYTES) throw new TpmError('refused', `a counter of ${bytes.length} bytes`);
  return Number(bytes.readBigUInt64BE());
}

/** A counter that exists, in one session. */
interface Counter {
  /** Null where it was never counted up. */
  read(): Promise<number | null>;
  increment(): Promise<unknown>;
}
async function withCounter<T>(esys: Esys, index: number, use: (counter: Counter) => Promise<T>): Promise<T> {
  const result = await withIndex(esys, index, async (nv) => {
    if (!(nv.attributes & NV.COUNTER)) throw new TpmError('refused', `NV index 0x${index.toString(16)} is no counter`);
    return withPrivateSession(esys, 0, async (session) => ({
      value: await use({
        async read() {
          const bytes = await readWhole(esys, nv, session);
          return bytes && toNumber(bytes);
        },
        increment: () => esys.call('NV_Increment', nv.handle, nv.handle, [session]),
      }),
    }));
  });
  if (!result) throw absent(index);
  return result.value;
}

/** Counts up until it holds `to` or more; may be begun again after any interruption. @returns what it holds then */
export const raiseCounter = (esys: Esys, index: number, to: number): Promise<number> =>
  withCounter(esys, index, (counter) => raise(counter, to));

async function raise(counter: Counter, to: number): Promise<number> {
  for (;;) {
    const count = await counter.read();
    if (count !== null && count >= to) return count;
    // the first count of a new counter is the TPM's to choose
    for (let missing = count === null ? 1 : to - count; missing > 0; missing--) await counter.increment();
  }
}

/** Counts up by one from what it holds when the job is first begun, or from `from`; never by two. @returns as `extendOnce` */
export function incrementOnce(index: number, from?: number): (esys: Esys) => Promise<number> {
  let before = from;
  return (esys) =>
    withCounter(esys, index, async (counter) => {
      const count = await counter.read();
      before ??= count ?? 0;
      if (before > 0 && count !== null && count > before + 1)
        throw new TpmError('refused', `the counter holds ${count}, where ${before} or ${before + 1} was expected`);
      return raise(counter, before + 1);
    });
}

/** Has the attestation key say what the index holds (at most 64 B of nonce come back inside). */
export async function certifyNv(
  esys: Esys,
  index: number,
  attestationKey: Handle,
  nonce: Uint8Array,
): Promise<Attestation> {
  const attestation = await withIndex(esys, index, async ({ handle, sizeBytes }) => {
    const [attest, signature] = await esys.call(
      'NV_Certify',
      attestationKey,
      handle,
      handle,
      [ESYS_TR.PASSWORD, ESYS_TR.PASSWORD],
      sized(nonce),
      OWN_SCHEME,
      sizeBytes,
      0,
    );
    return { attest: attest.subarray(2), signature: readEcdsaSignature(signature) };
  });
  if (!attestation) throw absent(index);
  return attestation;
}

const absent = (index: number): TpmError =>
  new TpmError('refused', `there is no NV index 0x${index.toString(16)} in the TPM: define it first`);
