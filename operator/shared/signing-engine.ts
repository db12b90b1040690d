/**
 * Verifies and signs blindly at the speed of the hardware (RSABSSA of RFC 9474, protocol/crypto/blind-rsa.ts): one worker thread for
 * each core, keys that were imported once, and batches, because a message between threads costs as much as a tenth of a signature.
 * Whoever asks for one thing asks for it: what is asked for at the same time travels together.
 *
 * A job verifies first and signs only where everything holds. Nothing is remembered here: what must not be signed twice, or not
 * before it is on disk, is the caller's (operator/shared/spent-set.ts).
 */
import type { KeyObject } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type BlindRsaKey, importBlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';
import { type BatchMessage, DONE, FORGED, type KeyMessage } from './signing-worker.ts';

/** Jobs in one batch at most; with two batches on their way no worker ever waits. */
const BATCH_MOST = 64;
const BATCHES_AHEAD = 2;
const COUNT_MOST = 255;

export interface Verification {
  keyId: Uint8Array;
  message: Uint8Array;
  signature: Uint8Array;
}
export interface BlindRequest {
  keyId: Uint8Array;
  blinded: Uint8Array;
}
/** `forged`: a verification failed. `malformed`: something has the wrong length, or what is to be signed is out of range. */
export type JobFlaw = 'forged' | 'malformed';

export interface SigningEngineOptions {
  /** One for each core unless told. */
  workers?: number;
}

interface EngineKey extends BlindRsaKey {
  index: number;
  canSign: boolean;
}
interface Job {
  bytes: Buffer;
  signatures: number[];
  done(answer: Uint8Array[] | JobFlaw): void;
  failed(error: Error): void;
}
interface Core {
  worker: Worker;
  underWay: Map<number, Job[]>;
}

/** A key that the engine was not told of, or cannot sign with. */
export class UnknownKeyError extends Error {
  override readonly name = 'UnknownKeyError';
}

const nameOf = (keyId: Uint8Array): string => Buffer.from(keyId).toString('hex');

export class SigningEngine {
  readonly #cores: Core[];
  readonly #keys = new Map<string, EngineKey>();
  readonly #queue: Job[] = [];
  /** Taken away; the workers forget them when nothing that waits needs them. */
  #retired: EngineKey[] = [];
  #nextKey = 0;
  #nextBatch = 0;
  #pumping = false;
  #failure: Error | undefined;

  constructor({ workers = availableParallelism() }: SigningEngineOptions = {}) {
    this.#cores = Array.from({ length: workers }, () => this.#startCore());
  }

  /** @param privateKey where it is to sign, too */
  addKey(keyId: Uint8Array, modulus: Uint8Array, privateKey: KeyObject | null = null): void {
    const name = nameOf(keyId);
    const known = this.#keys.get(name);
    if (known && (known.canSign || !privateKey)) return;
    const imported = importBlindRsaKey(modulus);
    const key = { ...imported, index: known?.index ?? this.#nextKey++, canSign: privateKey !== null };
    this.#keys.set(name, key);
    this.#tell({ index: key.index, modulus: key.modulus, publicKey: key.publicKey, privateKey });
  }
  /** What is under way with it is still done. */
  removeKey(keyId: Uint8Array): void {
    const key = this.#keys.get(nameOf(keyId));
    if (!key) return;
    this.#keys.delete(nameOf(keyId));
    this.#retired.push(key);
    this.#wake();
  }

  /**
   * Verifies all, then signs all.
   * @returns the blind signatures, none where there is nothing to sign; or what is wrong
   * @throws UnknownKeyError
   */
  redeem(verifications: readonly Verification[], requests: readonly BlindRequest[]): Promise<Uint8Array[] | JobFlaw> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (verifications.length > COUNT_MOST || requests.length > COUNT_MOST)
      return Promise.reject(new RangeError(`a job of more than ${COUNT_MOST}`));
    const parts: Uint8Array[] = [Uint8Array.of(verifications.length, requests.length)];
    const signatures: number[] = [];
    try {
      for (const { keyId, message, signature } of verifications) {
        const key = this.#keyOf(keyId, false);
        if (signature.length !== key.modulus.length) return Promise.resolve('malformed');
        const head = Buffer.alloc(4);
        head.writeUInt16BE(key.index, 0);
        head.writeUInt16BE(message.length, 2);
        parts.push(head, message, signature);
      }
      for (const { keyId, blinded } of requests) {
        const key = this.#keyOf(keyId, true);
        if (blinded.length !== key.modulus.length) return Promise.resolve('malformed');
        const head = Buffer.alloc(2);
        head.writeUInt16BE(key.index, 0);
        parts.push(head, blinded);
        signatures.push(blinded.length);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((done, failed) => {
      this.#queue.push({ bytes: Buffer.concat(parts), signatures, done, failed });
      this.#wake();
    });
  }

  /** The blind signatures, in order; `malformed` where one is no number of the range. @throws UnknownKeyError */
  async signBlinded(keyId: Uint8Array, blinded: readonly Uint8Array[]): Promise<Uint8Array[] | 'malformed'> {
    const answers = await Promise.all(blinded.map((one) => this.redeem([], [{ keyId, blinded: one }])));
    const signatures: Uint8Array[] = [];
    for (const answer of answers) {
      if (typeof answer === 'string') return 'malformed';
      signatures.push(answer[0]);
    }
    return signatures;
  }

  /** @throws UnknownKeyError */
  async verify(verification: Verification): Promise<boolean> {
    return typeof (await this.redeem([verification], [])) !== 'string';
  }

  async close(): Promise<void> {
    this.#failure ??= new Error('the signing engine is closed');
    await Promise.all(this.#cores.map(({ worker }) => worker.terminate()));
    this.#fail(this.#failure);
  }

  #keyOf(keyId: Uint8Array, signing: boolean): EngineKey {
    const key = this.#keys.get(nameOf(keyId));
    if (!key) throw new UnknownKeyError('the signing engine does not have this key');
    if (signing && !key.canSign) throw new UnknownKeyError('the signing engine cannot sign with this key');
    return key;
  }

  #tell(message: KeyMessage): void {
    for (const { worker } of this.#cores) worker.postMessage(message);
  }

  /** Once for everything that is asked for in one breath. */
  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    for (let ahead = 0; ahead < BATCHES_AHEAD && this.#queue.length > 0; ahead++) {
      const free = this.#cores.filter(({ underWay }) => underWay.size === ahead);
      free.forEach((core, i) => {
        // shared out evenly, so that no core works alone at the end
        const share = Math.ceil(this.#queue.length / (free.length - i));
        const jobs = this.#queue.splice(0, Math.min(BATCH_MOST, share));
        if (jobs.length > 0) this.#send(core, jobs);
      });
    }
    if (this.#queue.length > 0) return;
    for (const { index, publicKey } of this.#retired) this.#tell({ index, modulus: null, publicKey, privateKey: null });
    this.#retired = [];
  }

  #send({ worker, underWay }: Core, jobs: Job[]): void {
    const length = jobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const buffer = new ArrayBuffer(length);
    const all = Buffer.from(buffer);
    let at = 0;
    for (const { bytes } of jobs) at += bytes.copy(all, at);
    const id = this.#nextBatch++;
    underWay.set(id, jobs);
    worker.postMessage({ id, jobs: jobs.length, bytes: buffer } satisfies BatchMessage, [buffer]);
  }

  #startCore(): Core {
    const worker = new Worker(new URL('./signing-worker.ts', import.meta.url));
    worker.unref();
    const underWay = new Map<number, Job[]>();
    worker.on('message', ({ id, bytes, length }: { id: number; bytes: ArrayBuffer; length: number }) => {
      const jobs = underWay.get(id)!;
      underWay.delete(id);
      this.#pump();
      deal(jobs, Buffer.from(bytes, 0, length));
    });
    worker.on('error', (error) => this.#fail(error as Error));
    return { worker, underWay };
  }

  /** A worker that ends in the middle has lost what it was given: everybody asks again, of a new process. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { underWay } of this.#cores) {
      for (const jobs of underWay.values()) for (const { failed } of jobs) failed(error);
      underWay.clear();
    }
    for (const { failed } of this.#queue.splice(0)) failed(error);
  }
}

function deal(jobs: readonly Job[], answer: Buffer): void {
  let at = 0;
  for (const { signatures, done } of jobs) {
    const status = answer[at++];
    if (status !== DONE) {
      done(status === FORGED ? 'forged' : 'malformed');
      continue;
    }
    done(
      signatures.map((length) => {
        at += length;
        return Uint8Array.prototype.slice.call(answer, at - length, at);
      }),
    );
  }
}
