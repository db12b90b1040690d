/**
 * A whole blind signature by the firmware's arithmetic, operation by operation, on whatever interprets this: real Espruino or the
 * virtual board. (Espruino dialect. Given: global.GIVEN, JSON of `Given`; run by bench/blinding.ts)
 *
 * Each operation runs in a timer's tick of its own, every second millisecond, and prints a line in the tick between: `operation
 * milliseconds variables result`, by the interpreter's clock, with the result in base64.
 */
import { Blinding, Inverse, Unblinding, Verification } from '../../../firmware/arithmetic/blind-rsa.ts';
import { limbsFor } from '../../../firmware/arithmetic/limbs.ts';
import { Modulus } from '../../../firmware/arithmetic/modulus.ts';
import { Multiplier } from '../../../firmware/arithmetic/multiplier.ts';
import { LIMB_BITS, type Limbs } from '../../../firmware/arithmetic/natives.ts';
import { Sealing } from '../../../firmware/arithmetic/seal.ts';
import type { Job } from '../../../firmware/arithmetic/worker.ts';
import { arithmeticNatives } from '../../../firmware/board/arithmetic.ts';
import { vaultNatives } from '../../../firmware/board/cipher.ts';
import { Schoolbook } from './schoolbook.ts';

/** Numbers and texts are base64. */
interface Given {
  modulus: string;
  message: string;
  factor: string;
  mask: string;
  /** The helper's. */
  answer: string;
  /** The signer's. */
  blindSignature: string;
  inverse: string;
  signature: string;
  /** Of the sealing key. */
  sealingModulus: string;
  /** Names, each followed by how many times. */
  operations: string;
}
declare var global: object & { GIVEN: string };

const given: Given = JSON.parse(global.GIVEN);
global.GIVEN = '';
const operations = given.operations.split(' ');
const bytes = (base64: string): Uint8Array => E.toUint8Array(atob(base64));
const text = (value: Uint8Array | null): string => (value ? btoa(E.toString(value)) : 'null');
/** Limbs as one number, big-endian. */
function number(limbs: Int32Array, limbBits: number): Uint8Array {
  const out = new Uint8Array(Math.ceil((limbs.length * limbBits) / 8));
  let at = out.length - 1;
  let held = 0;
  let bits = 0;
  for (const limb of limbs) {
    held |= limb << bits;
    bits += limbBits;
    while (bits >= 8 && at >= 0) {
      out[at--] = held & 255;
      held = held >>> 8;
      bits -= 8;
    }
  }
  if (at >= 0) out[at] = held;
  return out;
}

/** The most variables in use between two steps, from the operation `count` on: counting takes time. */
let most = 0;
let counts = false;
function run(job: Job): void {
  while (!job.step()) if (counts) most = Math.max(most, process.memory().usage);
}

let modulus: Modulus | null = null;
let schoolbook: Schoolbook | null = null;
let a: Limbs | null = null;
let b: Limbs | null = null;
let schoolbookA: Int32Array | null = null;
let schoolbookB: Int32Array | null = null;
let schoolbookT: Int32Array | null = null;
const drawn = bytes(given.factor);

/** @return what makes a text of the result, which is not measured */
function perform(operation: string): () => string {
  switch (operation) {
    case 'start':
      return () => 'ready';
    case 'count':
      counts = true;
      return () => 'ready';
    case 'prepare': {
      const n = bytes(given.modulus);
      modulus = new Modulus(new Multiplier(arithmeticNatives, limbsFor(n.length)), n);
      run(modulus);
      return () => 'ready';
    }
    case 'operands':
      a = modulus!.read(bytes(given.factor), 'factor');
      b = modulus!.read(bytes(given.mask), 'mask');
      return () => 'ready';
    case 'multiply': {
      const product = modulus!.multiply(a!, b!);
      return () => text(number(product, LIMB_BITS));
    }
    case 'schoolbookOperands':
      schoolbook = new Schoolbook(bytes(given.modulus));
      schoolbookA = schoolbook.read(bytes(given.factor));
      schoolbookB = schoolbook.read(bytes(given.mask));
      schoolbookT = new Int32Array(schoolbook.limbs + 1);
      return () => 'ready';
    case 'schoolbookMultiply': {
      const product = schoolbook!.multiply(schoolbookA!, schoolbookB!);
      return () => text(number(product, schoolbook!.bits));
    }
    case 'schoolbookRow':
      schoolbook!.row(schoolbookT!, schoolbookA![0], schoolbookB!);
      return () => 'ready';
    case 'blind': {
      const job = new Blinding(modulus!, bytes(given.message), bytes(given.factor), bytes(given.mask));
      run(job);
      return () => text(job.blinded) + ' ' + text(job.question);
    }
    case 'unblind': {
      // with the inverse from the helper's answer, checked, as the meter has to
      const job = new Inverse(modulus!, bytes(given.factor), bytes(given.mask), bytes(given.answer));
      run(job);
      const next = new Unblinding(modulus!, bytes(given.message), bytes(given.blindSignature), job.inverse!);
      run(next);
      return () => text(job.inverse) + ' ' + text(next.signature);
    }
    case 'verify': {
      const job = new Verification(modulus!, bytes(given.message), bytes(given.signature));
      run(job);
      return () => '' + job.holds;
    }
    case 'seal': {
      const n = bytes(given.sealingModulus);
      const sealing = new Modulus(new Multiplier(arithmeticNatives, limbsFor(n.length)), n);
      run(sealing);
      const job = new Sealing(vaultNatives, sealing, bytes(given.mask), bytes(given.message), () => drawn);
      run(job);
      return () => text(job.sealed);
    }
    default:
      throw new Error('no operation ' + operation);
  }
}

let next = 0;
let left = +operations[1];
function tick(): void {
  const operation = operations[next];
  most = process.memory().usage;
  const begin = getTime();
  const result = perform(operation);
  const milliseconds = (getTime() - begin) * 1000;
  const variables = most;
  // told in the next tick: who looks on from outside measures this one
  setTimeout(() => {
    print('\x02' + operation + ' ' + milliseconds + ' ' + variables + ' ' + result());
    if (--left === 0) {
      next += 2;
      left = +operations[next + 1];
    }
    if (next < operations.length) setTimeout(tick, 1);
    else print('\x02END');
  }, 1);
}
setTimeout(tick, 1);
