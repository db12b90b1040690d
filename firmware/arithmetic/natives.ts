/**
 * The native helpers that arithmetic stands on. firmware/board/arithmetic.ts binds them to Espruino. (Espruino dialect)
 */

/**
 * A number of some thousand bits: limbs of 22 bits, the lowest first.
 * 22 bits make a column of 140 products fall short of 2^52, so that sums of doubles are exact.
 */
export type Limbs = Int32Array;
export const LIMB_BITS = 22;
export const LIMB_BASE = 4194304;
export const LIMB_MASK = 4194303;

/** What is multiplied natively lies in arrays of this kind: Espruino's Uint24Array is read faster than one of 32 bits. */
export interface OperandKind {
  bytes: number;
  create(buffer: ArrayBuffer, byteOffset: number, length: number): Limbs;
}

export interface ArithmeticNatives {
  operands: OperandKind;
  /** Σ a[n] · b[n + offset], for an offset with which that ends within b: a native function, bound to its arrays. */
  product(a: Limbs, b: Limbs): (offset: number) => number;
  /** to[n] = f(offsets[n]), without any interpreting in between: to be called often, so it is bound as well. */
  filling(offsets: Uint8Array, to: Float64Array, f: (offset: number) => number): () => void;
  sum(values: Limbs): number;
  /** The bits of `bytes`, the first one the highest, in groups of 22; as many groups as `to` has elements. */
  regroup(bytes: Uint8Array, to: Limbs): void;
  sha384(bytes: Uint8Array): Uint8Array;
}
