/**
 * The columns of a product, computed natively. (Espruino dialect)
 *
 *   column k = Σ a[i] · b[k − i] = Σ a[i] · reversed[i + (length − 1 − k)]
 *
 * which is what `E.convolve` computes. One call of the interpreter fills sixteen columns: the views of both operands and the
 * function bound to them are made once for each sixteen, and a column's place among them is its offset. Sixteen columns share
 * their views, so that a view is up to fifteen limbs longer than a column needs; zeros stand before and behind the reversed operand.
 */
import type { ArithmeticNatives, Limbs } from './natives.ts';

const GROUP = 16;
/** 15 … 0: the offset falls as the column rises. */
const ALL_OFFSETS = new Uint8Array(GROUP);
for (let n = 0; n < GROUP; n++) ALL_OFFSETS[n] = GROUP - 1 - n;

/** An operand that is written in reverse, with zeros on both sides. */
export class ReversedOperand {
  /** Reversed: the highest limb first. */
  limbs: Limbs;
  buffer: ArrayBuffer;

  constructor(natives: ArithmeticNatives, length: number) {
    const { bytes, create } = natives.operands;
    this.buffer = new ArrayBuffer(bytes * (length + 2 * GROUP));
    this.limbs = create(this.buffer, bytes * GROUP, length);
  }
}

export class Operand {
  limbs: Limbs;
  buffer: ArrayBuffer;

  constructor(natives: ArithmeticNatives, length: number) {
    this.buffer = new ArrayBuffer(natives.operands.bytes * length);
    this.limbs = natives.operands.create(this.buffer, 0, length);
  }
}

export class Columns {
  private groups: (() => void)[] = [];

  /** Columns `first` … `end` − 1 of a · b are what `to` is filled with from its beginning. Both have the same length. */
  constructor(
    natives: ArithmeticNatives,
    a: Operand,
    b: ReversedOperand,
    to: Float64Array,
    first: number,
    end: number,
  ) {
    const { bytes, create } = natives.operands;
    const length = a.limbs.length;
    for (let k = first; k < end; k += GROUP) {
      const count = Math.min(GROUP, end - k);
      const from = Math.max(0, k - length + 1);
      const upTo = Math.min(length, k + count);
      const start = GROUP + length - k - count + from;
      const product = natives.product(
        create(a.buffer, bytes * from, upTo - from),
        create(b.buffer, bytes * start, upTo - from + count),
      );
      const offsets = count === GROUP ? ALL_OFFSETS : ALL_OFFSETS.subarray(GROUP - count);
      const columns = new Float64Array(to.buffer as ArrayBuffer, to.byteOffset + 8 * (k - first), count);
      this.groups.push(natives.filling(offsets, columns, product));
    }
  }

  compute(): void {
    for (const fill of this.groups) fill();
  }
}
