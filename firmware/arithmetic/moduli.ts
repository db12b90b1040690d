/**
 * Moduli that are ready for use, the last few of them, and one multiplier for each of their lengths: shared by all protocols.
 * (Espruino dialect; the natives are passed in)
 */
import { equalBytes } from '../../protocol/selling/natives.ts';
import { limbsFor } from './limbs.ts';
import { Modulus } from './modulus.ts';
import { Multiplier } from './multiplier.ts';
import type { ArithmeticNatives } from './natives.ts';

/** Each takes 1.2 kB of memory, of 2048 bits. */
const KEPT_MOST = 3;

interface Kept {
  bytes: Uint8Array;
  modulus: Modulus;
}

export class Moduli {
  natives: ArithmeticNatives;
  multipliers: Multiplier[] = [];
  /** The one that was asked for last comes first. */
  kept: Kept[] = [];

  constructor(natives: ArithmeticNatives) {
    this.natives = natives;
  }

  /**
   * A modulus, ready or not: it is a job itself, to be done before it is used.
   * @param bytes are not to be changed afterwards
   * @throws Error where it is none
   */
  take(bytes: Uint8Array): Modulus {
    const at = this.kept.findIndex((one) => equalBytes(one.bytes, bytes));
    let one: Kept;
    if (at >= 0) one = this.kept.splice(at, 1)[0];
    else one = { bytes: bytes, modulus: new Modulus(this.multiplier(limbsFor(bytes.length)), bytes) };
    const kept = [one];
    for (const other of this.kept) if (kept.length < KEPT_MOST) kept.push(other);
    this.kept = kept;
    return one.modulus;
  }

  multiplier(limbs: number): Multiplier {
    for (const one of this.multipliers) if (one.limbs === limbs) return one;
    const made = new Multiplier(this.natives, limbs);
    this.multipliers.push(made);
    return made;
  }
}
