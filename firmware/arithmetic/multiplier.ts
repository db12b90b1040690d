/**
 * Montgomery's multiplication for moduli of one length (Montgomery 1985): a · b / R mod n, R = 2^(22 · limbs). (Espruino dialect)
 *
 *   T = a · b                      lower half carried into limbs, upper half left as columns
 *   M = T · n′ mod R               n′ = −1/n mod R; lower half
 *   result = (T + M · n) / R       upper half; what the lower one carries into it follows from its three highest columns, since the
 *                                  whole of it is a multiple of R
 *
 * Numbers below 2n give a number below 2n: nothing is compared or subtracted on the way (R > 4n). Each result is checked modulo
 * 2^22 − 1, where R is 1 and a number is the sum of its limbs: a column that overflowed or a bit that fell is found.
 *
 * Everything here is made once and used by all moduli of that length: what a multiplication allocates is its result. The other
 * known way, a table of the residues of 2^(22 j), takes 28 kB for each modulus of 2048 bits and 61 kB for one of 3072, a
 * fourth of the board's memory; this takes 2 kB more for each.
 */
import { Columns, Operand, ReversedOperand } from './columns.ts';
import { carryColumns, carrySums, Reversal } from './limbs.ts';
import { type ArithmeticNatives, LIMB_BASE, LIMB_MASK, type Limbs } from './natives.ts';

/** How many columns decide what the lower half carries: what lies below them is less than 2^-20 of it. */
const DECIDING = 3;

/** What a multiplier needs to know of a modulus. */
export interface MultiplierModulus {
  n: Limbs;
  /** −1/n mod R */
  minusInverse: Limbs;
}

export class Multiplier {
  natives: ArithmeticNatives;
  limbs: number;
  private loaded: MultiplierModulus | null = null;
  private reversing: Limbs;
  private reversal: Reversal;
  private a: Operand;
  private b: ReversedOperand;
  private lowerLimbs: Limbs;
  private lower: Operand;
  private factorLimbs: Limbs;
  private factor: Operand;
  private modulus: ReversedOperand;
  private minusInverse: ReversedOperand;
  private modulusSum = 0;
  private columns: Float64Array;
  private upper: Float64Array;
  private deciding: Float64Array;
  private lowerOfProduct: Columns;
  private upperOfProduct: Columns;
  private lowerOfFactor: Columns;
  private decidingOfMultiple: Columns;
  private upperOfMultiple: Columns;

  constructor(natives: ArithmeticNatives, limbs: number) {
    this.natives = natives;
    this.limbs = limbs;
    this.reversing = new Int32Array(limbs);
    this.reversal = new Reversal(this.reversing);
    this.a = new Operand(natives, limbs);
    this.b = new ReversedOperand(natives, limbs);
    this.lowerLimbs = new Int32Array(limbs);
    this.lower = new Operand(natives, limbs);
    this.factorLimbs = new Int32Array(limbs);
    this.factor = new Operand(natives, limbs);
    this.modulus = new ReversedOperand(natives, limbs);
    this.minusInverse = new ReversedOperand(natives, limbs);
    this.columns = new Float64Array(limbs);
    this.upper = new Float64Array(limbs); // its last stays 0: a product has 2 · limbs − 1 columns
    this.deciding = new Float64Array(DECIDING);
    this.lowerOfProduct = new Columns(natives, this.a, this.b, this.columns, 0, limbs);
    this.upperOfProduct = new Columns(natives, this.a, this.b, this.upper, limbs, 2 * limbs - 1);
    this.lowerOfFactor = new Columns(natives, this.lower, this.minusInverse, this.columns, 0, limbs);
    this.decidingOfMultiple = new Columns(natives, this.factor, this.modulus, this.deciding, limbs - DECIDING, limbs);
    this.upperOfMultiple = new Columns(natives, this.factor, this.modulus, this.columns, limbs, 2 * limbs - 1);
  }

  /** a · b + c mod R, for a small c. */
  lowerHalf(a: Limbs, b: Limbs, c: number): Limbs {
    this.take(a, b);
    this.lowerOfProduct.compute();
    const result = new Int32Array(this.limbs);
    carryColumns(this.columns, result, c);
    return result;
  }

  /**
   * a · b / R mod n, below 2n where both are.
   * @throws Error where the result does not stand the check, which only a fault of the machine brings about
   */
  multiply(modulus: MultiplierModulus, a: Limbs, b: Limbs): Limbs {
    if (this.loaded !== modulus) this.load(modulus);
    this.take(a, b);
    const columns = this.columns;
    const upper = this.upper;
    const lower = this.lowerLimbs;
    const last = this.limbs - 1;

    this.lowerOfProduct.compute();
    const intoUpper = carryColumns(columns, lower, 0);
    this.upperOfProduct.compute();
    upper[0] += intoUpper;

    this.lower.limbs.set(lower);
    this.lowerOfFactor.compute();
    carryColumns(columns, this.factorLimbs, 0);

    this.factor.limbs.set(this.factorLimbs);
    this.decidingOfMultiple.compute();
    const d = this.deciding;
    const carry = Math.round(
      ((d[0] / LIMB_BASE + d[1] + lower[last - 1]) / LIMB_BASE + d[2] + lower[last]) / LIMB_BASE,
    );
    this.upperOfMultiple.compute();
    columns[last] = 0;
    const result = new Int32Array(this.limbs);
    const over = carrySums(columns, upper, result, carry);

    const sum = this.natives.sum;
    const claimed =
      (sum(a) % LIMB_MASK) * (sum(b) % LIMB_MASK) + (sum(this.factorLimbs) % LIMB_MASK) * this.modulusSum - sum(result);
    if (over !== 0 || claimed % LIMB_MASK !== 0) throw new Error('arithmetic: a product is wrong');
    return result;
  }

  private load(modulus: MultiplierModulus): void {
    this.loaded = modulus;
    this.reverse(modulus.n, this.modulus);
    this.reverse(modulus.minusInverse, this.minusInverse);
    this.modulusSum = this.natives.sum(modulus.n) % LIMB_MASK;
  }

  private take(a: Limbs, b: Limbs): void {
    this.a.limbs.set(a);
    this.reverse(b, this.b);
  }

  private reverse(from: Limbs, to: ReversedOperand): void {
    this.reversing.set(from);
    this.reversal.into(to.limbs);
  }
}
