/**
 * A modulus made ready for Montgomery's multiplication, by the meter itself: nothing that anybody else computed is believed.
 * (Espruino dialect)
 *
 *   −1/n mod R      Newton's iteration in the 2-adic numbers, each step doubles the bits that are right: x ← x · (n · x + 2),
 *                   then checked: n · x + 1 = 0 mod R
 *   2 R mod n       2^(8 · bytes) − n, which is n's complement, times a small power of two, less a multiple of n
 *   R² mod n        a power of 2, by squaring in Montgomery's form: 2^(22 · limbs),
 *                   then checked: brought into the form and out of it again, 1 stays 1
 *
 * That costs about as much as one exponentiation, in steps of one multiplication. `step()` until it says so, then `multiply`.
 */
import { fromBytes, isBelow, isSame, limbsFor, shiftAndSubtract, subtract, toBytes } from './limbs.ts';
import type { Multiplier } from './multiplier.ts';
import { LIMB_BASE, LIMB_BITS, LIMB_MASK, type Limbs } from './natives.ts';

export class Modulus {
  /** Of the modulus, and of everything below it. */
  bytes: number;
  n: Limbs;
  minusInverse: Limbs;
  ready = false;
  private multiplier: Multiplier;
  private one: Limbs;
  /** R² mod n */
  private squaredR: Limbs;
  /** Bits of the inverse that are right so far. */
  private right = LIMB_BITS;
  private product: Limbs | null = null;
  private two: Limbs | null = null;
  /** Bits of the exponent 22 · limbs that are still to come. */
  private bit = 0;

  /**
   * @param multiplier for limbsFor(bytes.length) limbs
   * @param bytes big-endian, odd, its highest bit set
   */
  constructor(multiplier: Multiplier, bytes: Uint8Array) {
    const length = bytes.length;
    if (limbsFor(length) !== multiplier.limbs)
      throw new Error(`modulus: ${length} bytes are not of the multiplier's length`);
    if ((bytes[0] & 0x80) === 0) throw new Error('modulus: shorter than its length says');
    if ((bytes[length - 1] & 1) === 0) throw new Error('modulus: even');
    this.multiplier = multiplier;
    this.bytes = length;
    this.n = fromBytes(multiplier.natives, bytes, multiplier.limbs);
    this.one = new Int32Array(multiplier.limbs);
    this.one[0] = 1;
    this.squaredR = this.one;
    this.minusInverse = new Int32Array(multiplier.limbs);
    this.minusInverse[0] = minusInverseOfLimb(this.n[0]);
  }

  /** One multiplication, more or less. @return whether the modulus is ready */
  step(): boolean {
    if (this.ready) return true;
    const { multiplier, minusInverse, product } = this;
    if (this.right < LIMB_BITS * multiplier.limbs) {
      if (product === null) this.product = multiplier.lowerHalf(this.n, minusInverse, 2);
      else {
        this.minusInverse = multiplier.lowerHalf(minusInverse, product, 0);
        this.product = null;
        this.right *= 2;
      }
    } else if (this.two === null) {
      const zero = new Int32Array(multiplier.limbs);
      if (!isSame(multiplier.lowerHalf(this.n, minusInverse, 1), zero))
        throw new Error('modulus: its inverse is wrong');
      this.two = this.twoInForm();
      this.squaredR = this.two;
      let bit = 1;
      while (2 * bit <= LIMB_BITS * multiplier.limbs) bit *= 2;
      this.bit = bit;
    } else if (this.bit > 1) {
      this.bit /= 2;
      this.squaredR = this.multiply(this.squaredR, this.squaredR);
      if ((LIMB_BITS * multiplier.limbs) & this.bit) this.squaredR = this.multiply(this.squaredR, this.two);
    } else {
      if (!this.isOne(this.fromForm(this.fromForm(this.squaredR))))
        throw new Error('modulus: its residue of R squared is wrong');
      this.two = null;
      this.ready = true;
    }
    return this.ready;
  }

  /** a · b / R mod n, below 2n where both are. */
  multiply(a: Limbs, b: Limbs): Limbs {
    return this.multiplier.multiply(this, a, b);
  }

  /** Montgomery's form: a · R mod n. */
  toForm(a: Limbs): Limbs {
    return this.multiply(a, this.squaredR);
  }

  /** Of a number below 2n, the one below n. */
  reduce(a: Limbs): Limbs {
    return isBelow(a, this.n) ? a : subtract(a, this.n);
  }

  /** @throws Error unless these are as many bytes as the modulus has, big-endian, of a number below it; `field` names them */
  read(bytes: Uint8Array, field: string): Limbs {
    if (bytes.length !== this.bytes) throw new Error(`${field}: ${bytes.length} bytes, not ${this.bytes}`);
    const limbs = fromBytes(this.multiplier.natives, bytes, this.multiplier.limbs);
    if (!isBelow(limbs, this.n)) throw new Error(`${field}: not below the modulus`);
    return limbs;
  }

  /** Big-endian, as long as the modulus. */
  write(a: Limbs): Uint8Array {
    return toBytes(this.reduce(a), this.bytes);
  }

  /** Out of Montgomery's form. */
  fromForm(a: Limbs): Limbs {
    return this.multiply(a, this.one);
  }

  /** Are two numbers below 2n equal modulo n? */
  isSame(a: Limbs, b: Limbs): boolean {
    return isSame(this.reduce(a), this.reduce(b));
  }

  isOne(a: Limbs): boolean {
    return this.isSame(a, this.one);
  }

  /** Are these the bytes of a number in 1 … n − 1, big-endian, as many as the modulus has? */
  isBetween(bytes: Uint8Array): boolean {
    if (bytes.length !== this.bytes) return false;
    const limbs = fromBytes(this.multiplier.natives, bytes, this.multiplier.limbs);
    return isBelow(limbs, this.n) && !isSame(limbs, new Int32Array(limbs.length));
  }

  sha384(bytes: Uint8Array): Uint8Array {
    return this.multiplier.natives.sha384(bytes);
  }

  /** 2 · R mod n, below 2n. */
  private twoInForm(): Limbs {
    const { n, multiplier } = this;
    const top = multiplier.limbs - 1;
    const bits = 8 * this.bytes;
    // 2^bits − n: every bit of n turned over, and one
    const power = new Int32Array(multiplier.limbs);
    power[Math.floor(bits / LIMB_BITS)] = 1 << (bits % LIMB_BITS);
    const residue = subtract(power, n);
    const shift = LIMB_BITS * multiplier.limbs + 1 - bits;
    // From below: a quotient that is one too small leaves a number below 2n. The upper two limbs and eight bits of the third are
    // 32 bits at least and 44 at most, and exact after the shift, too.
    const value = (a: Limbs) => (a[top] * LIMB_BASE + a[top - 1]) * 256 + (a[top - 2] >> (LIMB_BITS - 8));
    const quotient = Math.floor((value(residue) * (1 << shift)) / (value(n) + 1));
    return shiftAndSubtract(residue, shift, quotient, n);
  }
}

/** −1/x mod 2^22, of an odd x. */
function minusInverseOfLimb(x: number): number {
  let y = x; // 1/x in its lowest three bits: the square of an odd number is 1 modulo 8
  for (let right = 3; right < LIMB_BITS; right *= 2) y = (y * ((2 - x * y) & LIMB_MASK)) & LIMB_MASK;
  return (LIMB_BASE - y) & LIMB_MASK;
}
