/**
 * Verifies payments and disclosures beside the provider's main thread, one after the other: decoding a month's commitments takes tens of
 * milliseconds, tiers some hundreds, and prices and readings go on meanwhile. What it is given is public, and what a third party judges
 * by (scripts/verify-bill); it keeps nothing.
 */
import { randomBytes } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openCommitments, wholePeriod } from '../../protocol/billing/commitments.ts';
import { type Disclosed, verifyDisclosure } from '../../protocol/billing/disclosure.ts';
import type { Payment } from '../../protocol/billing/payment.ts';
import { type Dispute, judgeDispute } from '../../protocol/billing/public-data.ts';

export interface DisclosureCase {
  disclosure: Uint8Array;
  /** Those that have its slots. */
  batches: Uint8Array[];
  meterKey: Uint8Array;
  firstSlot: number;
  endSlot: number;
}
/** A right one, or the sentence that says what is wrong with it. */
export type Verdict<T> = { right: T } | { wrong: string };
interface Job {
  id: number;
  payment?: Omit<Dispute, 'format' | 'version'>;
  disclosure?: DisclosureCase;
}
const WORKER = 'verdicts of the provider';

export class Verdicts {
  #worker: Worker | null = null;
  #next = 0;
  readonly #waiting = new Map<number, { resolve(verdict: unknown): void; reject(error: Error): void }>();

  payment(payment: Omit<Dispute, 'format' | 'version'>): Promise<Verdict<Payment>> {
    return this.#ask({ payment });
  }
  disclosure(disclosure: DisclosureCase): Promise<Verdict<Disclosed>> {
    return this.#ask({ disclosure });
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #ask<T>(job: Omit<Job, 'id'>): Promise<T> {
    this.#worker ??= this.#start();
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (verdict: unknown) => void, reject });
      this.#worker!.postMessage({ id, ...job });
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL(import.meta.url), { workerData: WORKER });
    worker.unref();
    worker.on('message', ({ id, verdict }: { id: number; verdict: unknown }) => {
      this.#waiting.get(id)?.resolve(verdict);
      this.#waiting.delete(id);
    });
    const fail = (error: Error): void => {
      this.#worker = null;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('the verification was ended')));
    return worker;
  }
}

function judge({ payment, disclosure }: Job): Verdict<Payment | Disclosed> {
  try {
    if (payment)
      return {
        right: judgeDispute({ format: 'quietmeter-dispute', version: 1, ...payment }, payment.meterKey, randomBytes),
      };
    const { disclosure: bytes, batches, meterKey, ...period } = disclosure!;
    const opened = batches.map((batch) => openCommitments(batch, meterKey));
    return { right: verifyDisclosure(bytes, wholePeriod(opened, period), randomBytes) };
  } catch (error) {
    if (error instanceof TypeError) throw error; // a mistake of ours is nobody's wrong
    return { wrong: (error as Error).message };
  }
}

if (!isMainThread && workerData === WORKER)
  parentPort!.on('message', (job: Job) => parentPort!.postMessage({ id: job.id, verdict: judge(job) }));
