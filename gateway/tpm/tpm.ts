/**
 * The household's TPM. One code path for all of them; only the TCTI string differs:
 *
 *   device:/dev/tpmrm0                      a real one behind the kernel's resource manager (Raspberry Pi)
 *   swtpm:host=127.0.0.1,port=2321          a software TPM of its own (bench, tests)
 *
 * ESAPI contexts are not thread-safe and a TPM does one thing at a time: jobs queue, one after another. Where the TPM
 * goes away in the middle of a job (unplugged, reset, swtpm killed), it is opened anew and the job done again; as long as
 * that fails, calls fail with a TpmError of kind `gone`, and the first call after its return succeeds. Keys are blobs
 * outside the TPM, so nothing is lost with it.
 */
import { TPM_RC_INITIALIZE, TpmError } from './error.ts';
import { Esys } from './esys.ts';
import type { KeyBlob } from './key-file.ts';
import { type Certification, certifyKey, createKey, describeKey, signDigest, type TpmKey, withKey } from './keys.ts';

export type TpmState = 'ready' | 'gone' | 'closed';

/** A software TPM that takes longer hangs. A real one may need minutes, to find the primes of an RSA key. */
const SWTPM_TIMEOUT_MS = 30_000;
const DEVICE_TIMEOUT_MS = 300_000;
/** A TPM gives at most one digest's worth of random bytes a call; SHA-256 is what every TPM 2.0 has. */
const RANDOM_BYTES_A_CALL = 32;
/** TPM_SU_CLEAR. */
const CLEAR = 0;
/** TPM_CAP_HANDLES. */
const CAPABILITY_HANDLES = 1;
/** First handles of what can be left behind: transient objects, loaded and saved sessions (Part 2, 7.2). */
const LEFT_BEHIND = [0x80000000, 0x02000000, 0x03000000];

export class Tpm {
  readonly tcti: string;
  readonly #timeoutMs: number;
  #esys: Esys | null;
  #closed = false;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(tcti: string, timeoutMs: number, esys: Esys) {
    this.tcti = tcti;
    this.#timeoutMs = timeoutMs;
    this.#esys = esys;
  }

  /**
   * @param timeoutMs longest time that the TPM may take to answer a command
   * @throws TpmError of kind `no library` or `unreachable`
   */
  static async open(
    tcti: string,
    { timeoutMs = isDevice(tcti) ? DEVICE_TIMEOUT_MS : SWTPM_TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<Tpm> {
    return new Tpm(tcti, timeoutMs, await connect(tcti, timeoutMs));
  }

  /** `gone`: the last call lost the TPM; the next one looks for it again. */
  get state(): TpmState {
    if (this.#closed) return 'closed';
    return this.#esys ? 'ready' : 'gone';
  }

  /**
   * From the TPM's own generator. They cross the bus between processor and TPM in clear: mix them with the kernel's,
   * never use them alone as a key.
   */
  randomBytes(length: number): Promise<Uint8Array> {
    return this.run(async (esys) => {
      const parts: Uint8Array[] = [];
      for (let missing = length; missing > 0; ) {
        const [sized] = await esys.call('GetRandom', [], Math.min(missing, RANDOM_BYTES_A_CALL));
        if (sized.length === 2) throw new TpmError('refused', 'the TPM gave no random bytes');
        parts.push(sized.subarray(2));
        missing -= sized.length - 2;
      }
      return Buffer.concat(parts);
    });
  }

  /** A new P-256 key that signs any digest. The TPM keeps nothing of it: the blob must be kept. */
  createSigningKey(): Promise<KeyBlob> {
    return this.run((esys) => createKey(esys, 'signing'));
  }

  /** A new P-256 key that signs only what the TPM says of itself. */
  createAttestationKey(): Promise<KeyBlob> {
    return this.run((esys) => createKey(esys, 'attestation'));
  }

  /** Makes sure that the TPM takes the key. @throws TpmError of kind `foreign key` */
  loadKey(blob: KeyBlob): Promise<TpmKey> {
    return this.run((esys) => withKey(esys, blob, async () => describeKey(blob)));
  }

  /** ECDSA over a SHA-256 digest (32 B): r ‖ s, 64 B. */
  sign(key: TpmKey, digest: Uint8Array): Promise<Uint8Array> {
    return this.run((esys) => withKey(esys, key.blob, (handle) => signDigest(esys, handle, digest)));
  }

  /** Has the attestation key say that `key` is in this TPM. `nonce` comes back inside. */
  certify(key: TpmKey, attestationKey: TpmKey, nonce: Uint8Array): Promise<Certification> {
    return this.run((esys) =>
      withKey(esys, attestationKey.blob, (ak) =>
        withKey(esys, key.blob, (handle) => certifyKey(esys, handle, ak, nonce)),
      ),
    );
  }

  /**
   * Runs a job of several commands when it is its turn, alone. It is done again from its start where the TPM went away
   * in its middle, so it must be one that may be done twice.
   */
  run<T>(job: (esys: Esys) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(async () => {
      if (this.#closed) throw new TpmError('closed', `the TPM at ${this.tcti} was closed`);
      if (this.#esys) {
        try {
          return await this.#do(job, this.#esys);
        } catch (error) {
          if (this.#esys) throw error;
        }
      }
      this.#esys = await connect(this.tcti, this.#timeoutMs).catch((error: TpmError) => {
        throw new TpmError('gone', `the TPM went away: ${error.message}`, error.rc, error);
      });
      return this.#do(job, this.#esys);
    });
    this.#queue = turn.catch(() => {});
    return turn;
  }

  /** Lets go of the connection where the job finds it lost. */
  async #do<T>(job: (esys: Esys) => Promise<T>, esys: Esys): Promise<T> {
    try {
      return await job(esys);
    } catch (error) {
      if (error instanceof TpmError && error.kind === 'gone') {
        this.#esys = null;
        esys.close();
      }
      throw error;
    }
  }

  /** After the jobs that wait. TPM2_Shutdown first, or the TPM counts the next start as one after a power cut. */
  async close(): Promise<void> {
    await this.#queue;
    this.#closed = true;
    await this.#esys?.call('Shutdown', [], CLEAR).catch(() => {});
    this.#esys?.close();
    this.#esys = null;
  }
}

const isDevice = (tcti: string): boolean => tcti.startsWith('device:');

async function connect(tcti: string, timeoutMs: number): Promise<Esys> {
  const esys = await Esys.open(tcti, timeoutMs);
  if (isDevice(tcti)) return esys; // the kernel has started it and keeps clients apart
  try {
    await esys.call('Startup', CLEAR).catch((error: TpmError) => {
      if (error.rc !== TPM_RC_INITIALIZE) throw error; // that one says: has been started already
    });
    await sweep(esys);
    return esys;
  } catch (error) {
    esys.close();
    const { message, rc } = error as TpmError;
    throw new TpmError('unreachable', `the TPM at ${tcti} does not start: ${message}`, rc, error);
  }
}

/**
 * Flushes what a client that died has left loaded; with no resource manager in front it would lack for ever. Never on a
 * device: there others are at work.
 */
async function sweep(esys: Esys): Promise<void> {
  for (const first of LEFT_BEHIND) {
    const [, capability] = await esys.call('GetCapability', [], CAPABILITY_HANDLES, first, 64);
    const count = capability.readUInt32BE(4);
    for (let i = 0; i < count; i++) {
      const [handle] = await esys.call('TR_FromTPMPublic', capability.readUInt32BE(8 + 4 * i), []);
      await esys.call('FlushContext', handle);
    }
  }
}
