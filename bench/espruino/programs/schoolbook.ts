/**
 * What the meter's arithmetic is measured against: Montgomery's multiplication as it stands in the books (CIOS of Koç, Acar and
 * Kaliski 1996), limb by limb, interpreted. 15 bits a limb, so that all but the sums stay the interpreter's integers. (Espruino dialect)
 */
const BITS = 15;
const MASK = 32767;

export class Schoolbook {
  limbs: number;
  bits = BITS;
  private n: Int32Array;
  private minusInverse: number;

  /** @param n modulus, odd, big-endian */
  constructor(n: Uint8Array) {
    this.limbs = Math.ceil((8 * n.length + 1) / BITS);
    this.n = this.read(n);
    let y = this.n[0];
    for (let right = 3; right < BITS; right *= 2) y = (y * (2 - this.n[0] * y)) & MASK;
    this.minusInverse = -y & MASK;
  }

  read(bytes: Uint8Array): Int32Array {
    const limbs = new Int32Array(this.limbs);
    let held = 0;
    let bits = 0;
    let k = 0;
    for (let i = bytes.length - 1; i >= 0; i--) {
      held |= bytes[i] << bits;
      bits += 8;
      if (bits >= BITS) {
        limbs[k++] = held & MASK;
        held = held >> BITS;
        bits -= BITS;
      }
    }
    if (k < this.limbs) limbs[k] = held;
    return limbs;
  }

  /** a · b / 2^(15 · limbs) mod n, below 2n. */
  multiply(a: Int32Array, b: Int32Array): Int32Array {
    const t = new Int32Array(this.limbs + 1);
    for (let i = 0; i < this.limbs; i++) this.row(t, a[i], b);
    return t;
  }

  /** One limb of a: t ← (t + digit · b + m · n) / 2^15. A multiplication is as many of these as there are limbs. */
  row(t: Int32Array, digit: number, b: Int32Array): void {
    const n = this.n;
    const last = this.limbs;
    let x = t[0] + digit * b[0];
    const m = ((x & MASK) * this.minusInverse) & MASK;
    let c = (x + m * n[0]) >>> BITS;
    for (let j = 1; j < last; j++) {
      x = t[j] + digit * b[j] + m * n[j] + c;
      t[j - 1] = x & MASK;
      c = x >>> BITS;
    }
    x = t[last] + c;
    t[last - 1] = x & MASK;
    t[last] = x >>> BITS;
  }
}
