/**
 * The household's TPM. One code path for all of them; only the TCTI string differs:
 *
 *   device:/dev/tpmrm0                      a real one behind the kernel's resource manager (Raspberry Pi)
 *   swtpm:host=127.0.0.1,port=2321          a software TPM of its own (bench, tests)
 *
 * ESAPI contexts are not thread-safe and a TPM does one thing at a time: jobs queue, one after another. Where the TPM
 * goes away in the middle of a job (unplugged, reset, swtpm killed), it is opened anew and the job done again; as long as
 * that fails, calls fail with a TpmError of kind `gone`, and the first call after its return succeeds. Keys are blobs
 * outside the TPM, so nothing is lost with it. What must not be done twice (extending a PCR, counting) finds out by reading how
 * far it came.
 */
import type { ReleaseAuthorization } from '../../protocol/attestation/policy.ts';
import { clearLockout, type Lockout, readClock, readLockout, type TpmClock } from './condition.ts';
import { activate, type Credential, type Endorsement, type EndorsementKind, readEndorsement } from './ek.ts';
import { TPM_RC_INITIALIZE, TpmError } from './error.ts';
import { Esys } from './esys.ts';
import type { KeyBlob } from './key-file.ts';
import { type Certification, certifyKey, createKey, describeKey, signDigest, type TpmKey, withKey } from './keys.ts';
import { certifyNv, defineNv, incrementOnce, raiseCounter, readCounter, readNv, removeNv, writeArea } from './nv.ts';
import { extendOnce, readPcrs } from './pcr.ts';
import { type Attestation, quotePcrs } from './quote.ts';
import { sealSecret, unsealSecret } from './seal.ts';
import { ENCRYPT_RESPONSE, withPrivateSession } from './sessions.ts';

/**
 * What page and console show; `RECOVERY` of error.ts says what helps. `lockout`: it has counted too many wrong guesses; all that
 * is ours goes on. `failed`: it answers, but does nothing until it is started anew. `gone`: the last call lost it, the next one
 * looks for it again.
 */
export type TpmState = 'ready' | 'lockout' | 'failed' | 'gone' | 'closed';

/** A software TPM that takes longer hangs. A real one may need minutes, to find the primes of an RSA key. */
const SWTPM_TIMEOUT_MS = 30_000;
const DEVICE_TIMEOUT_MS = 300_000;
/** A TPM gives at most one digest's worth of random bytes a call; SHA-256 is what every TPM 2.0 has. */
const RANDOM_BYTES_A_CALL = 32;
/** How often a job is begun: a TPM that is reset again and again is not waited for. */
const ATTEMPTS = 3;
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
  #trouble: 'lockout' | 'failed' | null = null;
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

  /** As the last call found it; `lockout()` looks. */
  get state(): TpmState {
    if (this.#closed) return 'closed';
    if (this.#trouble) return this.#trouble;
    return this.#esys ? 'ready' : 'gone';
  }

  // Condition

  clock(): Promise<TpmClock> {
    return this.run(readClock);
  }

  /** Whether the TPM has locked itself against guessing; sets `state`. */
  async lockout(): Promise<Lockout> {
    const lockout = await this.run(readLockout);
    this.#trouble = lockout.locked ? 'lockout' : null;
    return lockout;
  }

  /** Ends a lockout at once. @throws TpmError where somebody gave the TPM a lockout password: then only time ends it */
  async clearLockout(): Promise<void> {
    await this.run(clearLockout);
    await this.lockout();
  }

  /**
   * From the TPM's own generator. They cross the bus between processor and TPM encrypted; still, mix them with the kernel's
   * where they become a key.
   */
  randomBytes(length: number): Promise<Uint8Array> {
    return this.run((esys) =>
      withPrivateSession(esys, ENCRYPT_RESPONSE, async (session) => {
        const parts: Uint8Array[] = [];
        for (let missing = length; missing > 0; ) {
          const [sized] = await esys.call('GetRandom', [session], Math.min(missing, RANDOM_BYTES_A_CALL));
          if (sized.length === 2) throw new TpmError('refused', 'the TPM gave no random bytes');
          parts.push(sized.subarray(2));
          missing -= sized.length - 2;
        }
        return Buffer.concat(parts);
      }),
    );
  }

  // Keys

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

  // Endorsement (ek.ts)

  /** What the TPM's maker says of it. @throws TpmError where it has no such certificate */
  endorsement(kind: EndorsementKind = 'rsa2048'): Promise<Endorsement> {
    return this.run((esys) => readEndorsement(esys, kind));
  }

  /** The secret of a credential that was made for this TPM and this attestation key. @throws TpmError `foreign credential` */
  activateCredential(
    attestationKey: TpmKey,
    credential: Credential,
    kind: EndorsementKind = 'rsa2048',
  ): Promise<Uint8Array> {
    return this.run((esys) => activate(esys, kind, attestationKey.blob, credential));
  }

  // Measurements (pcr.ts, quote.ts): SHA-256 bank

  /** 32 B each. */
  readPcrs(pcrs: readonly number[]): Promise<Map<number, Uint8Array>> {
    return this.run((esys) => readPcrs(esys, pcrs));
  }

  /**
   * Never twice: where the TPM went away in the middle, the PCR is read first.
   * @param digest 32 B
   * @param from the value that the PCR has before; where it is already extended from it, nothing is done. So a call that failed
   *   may be repeated, and so may a start of the gateway
   * @returns the value after
   * @throws TpmError `reset` where the PCR holds something else than `from`, or was reset meanwhile
   */
  extendPcr(pcr: number, digest: Uint8Array, { from }: { from?: Uint8Array } = {}): Promise<Uint8Array> {
    return this.run(extendOnce(pcr, digest, from));
  }

  /** Has the attestation key sign the PCRs. `nonce` comes back inside (at most 64 B). */
  quote(attestationKey: TpmKey, nonce: Uint8Array, pcrs: readonly number[]): Promise<Attestation> {
    return this.run((esys) => withKey(esys, attestationKey.blob, (ak) => quotePcrs(esys, ak, nonce, pcrs)));
  }

  // What is kept in the TPM (nv.ts); indices in protocol/attestation/policy.ts

  /**
   * A counter that only goes up; one that is there stays. Its first count is the TPM's to choose: 1 in a new TPM, above the last
   * count of any counter that was removed. Before any other the counter of releases is made.
   */
  defineCounter(index: number): Promise<void> {
    return this.run((esys) => defineNv(esys, index, 'counter'));
  }

  /** Null where it was never counted up. */
  readCounter(index: number): Promise<number | null> {
    return this.run((esys) => readCounter(esys, index));
  }

  /** Counts up until it holds `to` or more; may be repeated. @returns the count */
  raiseCounter(index: number, to: number): Promise<number> {
    return this.run((esys) => raiseCounter(esys, index, to));
  }

  /**
   * By one, never by two: where the TPM went away in the middle, the counter is read first.
   * @param from the count before, so that a call that failed may be repeated
   * @returns the count
   */
  increment(index: number, { from }: { from?: number } = {}): Promise<number> {
    return this.run(incrementOnce(index, from));
  }

  /** A small area (at most 512 B); one that is there stays, with its content. */
  defineArea(index: number, sizeBytes: number): Promise<void> {
    return this.run((esys) => defineNv(esys, index, sizeBytes));
  }

  /** Null where there is none, or nothing was ever written to it. */
  readArea(index: number): Promise<Uint8Array | null> {
    return this.run((esys) => readNv(esys, index));
  }

  /** All of it at once, whole or not at all. */
  writeArea(index: number, content: Uint8Array): Promise<void> {
    return this.run((esys) => writeArea(esys, index, content));
  }

  /** Removes an area or counter; a counter that is defined again begins above its last count. */
  removeNv(index: number): Promise<void> {
    return this.run((esys) => removeNv(esys, index));
  }

  /** Has the attestation key sign what is at the index. */
  certifyNv(attestationKey: TpmKey, index: number, nonce: Uint8Array): Promise<Attestation> {
    return this.run((esys) => withKey(esys, attestationKey.blob, (ak) => certifyNv(esys, index, ak, nonce)));
  }

  // Sealed secrets (seal.ts)

  /**
   * Only for software that the policy key released. The blob may lie on disk; it needs no change when software is updated.
   * @param secret 1 to 128 B @param policyKey compressed P-256, 33 B
   */
  seal(secret: Uint8Array, policyKey: Uint8Array): Promise<KeyBlob> {
    return this.run((esys) => sealSecret(esys, secret, policyKey));
  }

  /** @throws TpmError `not released`, `rolled back` or `foreign key` */
  unseal(sealed: KeyBlob, policyKey: Uint8Array, authorization: ReleaseAuthorization): Promise<Uint8Array> {
    return this.run((esys) => unsealSecret(esys, sealed, policyKey, authorization));
  }

  /**
   * Runs a job of several commands when it is its turn, alone. It is done again from its start where the TPM went away
   * in its middle, so it must be one that may be done twice.
   */
  run<T>(job: (esys: Esys) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(async () => {
      for (let attempt = 1; ; attempt++) {
        if (this.#closed) throw new TpmError('closed', `the TPM at ${this.tcti} was closed`);
        try {
          this.#esys ??= await this.#reconnect();
          return await this.#do(job, this.#esys);
        } catch (error) {
          if (this.#esys || attempt === ATTEMPTS || !wasReset(error)) throw error;
        }
      }
    });
    this.#queue = turn.catch(() => {});
    return turn;
  }

  async #reconnect(): Promise<Esys> {
    try {
      return await connect(this.tcti, this.#timeoutMs);
    } catch (error) {
      if (!(error instanceof TpmError)) throw error;
      this.#trouble = error.kind === 'failed' ? 'failed' : null;
      if (error.kind === 'failed') throw error;
      throw new TpmError('gone', `the TPM went away: ${error.message}`, error.rc, error);
    }
  }

  /** Lets go of the connection where the job finds it lost. */
  async #do<T>(job: (esys: Esys) => Promise<T>, esys: Esys): Promise<T> {
    try {
      const result = await job(esys);
      if (this.#trouble === 'failed') this.#trouble = null;
      return result;
    } catch (error) {
      if (error instanceof TpmError) {
        if (error.kind === 'lockout' || error.kind === 'failed') this.#trouble = error.kind;
        else if (this.#trouble === 'failed') this.#trouble = null;
        if (error.kind === 'gone') {
          this.#esys = null;
          esys.close();
        }
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

/** Lost while it worked, or while it was started: unlike one that cannot be reached, it may be there again at once. */
const wasReset = (error: unknown): boolean =>
  error instanceof TpmError &&
  error.kind === 'gone' &&
  !(error.cause instanceof TpmError && error.rc !== TPM_RC_INITIALIZE);

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
    const { kind, message, rc } = error as TpmError;
    if (kind === 'failed') throw error;
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
