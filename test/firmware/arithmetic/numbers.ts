/** BigInt beside the firmware's limbs, and moduli made ready: what the tests of arithmetic share. */
import { limbsFor } from '../../../firmware/arithmetic/limbs.ts';
import { Modulus } from '../../../firmware/arithmetic/modulus.ts';
import { Multiplier } from '../../../firmware/arithmetic/multiplier.ts';
import { LIMB_BITS, LIMB_MASK, type Limbs } from '../../../firmware/arithmetic/natives.ts';
import type { Job } from '../../../firmware/arithmetic/worker.ts';
import { nodeNatives } from './natives.ts';

export const integer = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
export const bytesOf = (value: bigint, length: number): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'));

export const fromLimbs = (limbs: Limbs): bigint =>
  limbs.reduceRight((value, limb) => (value << BigInt(LIMB_BITS)) | BigInt(limb), 0n);
export function toLimbs(value: bigint, length: number): Limbs {
  const limbs = new Int32Array(length);
  for (let n = 0; n < length; n++) limbs[n] = Number((value >> BigInt(LIMB_BITS * n)) & BigInt(LIMB_MASK));
  return limbs;
}

/** Runs a job to its end and says in how many steps. */
export function run(job: Job): number {
  for (let steps = 1; ; steps++) if (job.step()) return steps;
}

const multipliers = new Map<number, Multiplier>();
/** A modulus before its first step. */
export function modulusOf(bytes: Uint8Array): Modulus {
  const limbs = limbsFor(bytes.length);
  const multiplier = multipliers.get(limbs) ?? new Multiplier(nodeNatives, limbs);
  multipliers.set(limbs, multiplier);
  return new Modulus(multiplier, new Uint8Array(bytes));
}
export function readyModulus(bytes: Uint8Array): Modulus {
  const modulus = modulusOf(bytes);
  run(modulus);
  return modulus;
}
