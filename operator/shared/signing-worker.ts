/**
 * One core of the signing engine (operator/shared/signing-engine.ts): verifies and signs, one batch after the other, and knows
 * nothing else. Private keys come as KeyObjects and stay inside OpenSSL.
 *
 *   batch     for each job: verifications u8 · signatures u8
 *               for each verification: key u16 · length u16 · message · signature (as long as the key's modulus)
 *               for each signature: key u16 · blinded (as long as the key's modulus)
 *   answer    for each job: DONE, and its signatures · or FORGED · or OUT_OF_RANGE
 *
 * The private operation is OpenSSL's own, which checks each result against the public exponent before it gives it out (rsa_ossl_mod_exp;
 * a single faulty signature would give the key away): what it costs is in `openssl speed`, too.
 */
import { constants, type KeyObject, privateDecrypt, verify } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

export const DONE = 0;
export const FORGED = 1;
export const OUT_OF_RANGE = 2;

export interface KeyMessage {
  index: number;
  /** Null: forget it. */
  modulus: Uint8Array | null;
  publicKey: KeyObject;
  privateKey: KeyObject | null;
}
export interface BatchMessage {
  id: number;
  jobs: number;
  bytes: ArrayBuffer;
}

interface WorkerKey {
  modulus: Buffer;
  verifying: { key: KeyObject; padding: number; saltLength: number };
  signing: { key: KeyObject; padding: number } | null;
}
const keys = new Map<number, WorkerKey>();

function takeKey({ index, modulus, publicKey, privateKey }: KeyMessage): void {
  if (!modulus) {
    keys.delete(index);
    return;
  }
  keys.set(index, {
    modulus: Buffer.from(modulus),
    verifying: { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 },
    signing: privateKey && { key: privateKey, padding: constants.RSA_NO_PADDING },
  });
}

function work(bytes: Buffer, jobs: number): Buffer {
  const answer = Buffer.allocUnsafeSlow(bytes.length + jobs);
  let at = 0;
  let end = 0;
  const keyAt = (): WorkerKey => {
    at += 2;
    return keys.get(bytes.readUInt16BE(at - 2))!;
  };
  const take = (length: number): Buffer => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  for (let job = 0; job < jobs; job++) {
    const verifications = bytes[at];
    const signatures = bytes[at + 1];
    at += 2;
    let holds = true;
    for (let i = 0; i < verifications; i++) {
      const { modulus, verifying } = keyAt();
      const length = bytes.readUInt16BE(at);
      at += 2;
      const message = take(length);
      holds = verify('sha384', message, verifying, take(modulus.length)) && holds;
    }
    const asked: { key: WorkerKey; blinded: Buffer }[] = [];
    for (let i = 0; i < signatures; i++) {
      const key = keyAt();
      asked.push({ key, blinded: take(key.modulus.length) });
    }
    const inRange = asked.every(({ key, blinded }) => key.signing && isInRange(blinded, key.modulus));
    answer[end++] = !holds ? FORGED : inRange ? DONE : OUT_OF_RANGE;
    if (!holds || !inRange) continue;
    for (const { key, blinded } of asked) end += privateDecrypt(key.signing!, blinded).copy(answer, end);
  }
  return answer.subarray(0, end);
}

/** 1 < blinded < n − 1: 0, 1 and −1 are signatures of themselves. */
function isInRange(blinded: Buffer, modulus: Buffer): boolean {
  const last = blinded.length - 1;
  let first = 0;
  while (first < last && blinded[first] === 0) first++;
  if (first === last && blinded[last] < 2) return false;
  const order = Buffer.compare(blinded.subarray(0, last), modulus.subarray(0, last));
  // the modulus is odd: n − 1 differs from it in the last byte only
  return order < 0 || (order === 0 && blinded[last] < modulus[last] - 1);
}

parentPort?.on('message', (message: KeyMessage | BatchMessage) => {
  if ('index' in message) {
    takeKey(message);
    return;
  }
  const answer = work(Buffer.from(message.bytes), message.jobs);
  const buffer = answer.buffer as ArrayBuffer;
  parentPort!.postMessage({ id: message.id, bytes: buffer, length: answer.length }, [buffer]);
});
