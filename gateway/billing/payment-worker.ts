/**
 * Proves a payment beside the gateway's main thread, which has a meter to listen to: tiers take seconds. The same computation that a
 * delegate makes from a file (scripts/compute-bill).
 */
import { randomBytes } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { computePayment, type Delegation } from '../../protocol/billing/public-data.ts';

type Outcome = { payment: Uint8Array } | { error: string };

/** @throws Error with the sentence that says what is wrong with it */
export function provePayment(delegation: Omit<Delegation, 'format' | 'version'>): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: delegation });
    worker.once('message', (outcome: Outcome) => {
      if ('payment' in outcome) resolve(outcome.payment);
      else reject(new Error(outcome.error));
    });
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the computation of the payment has ended')));
  });
}

if (!isMainThread && parentPort) {
  let outcome: Outcome;
  try {
    outcome = { payment: computePayment(workerData as Delegation, randomBytes) };
  } catch (error) {
    outcome = { error: (error as Error).message };
  }
  parentPort.postMessage(outcome);
}
