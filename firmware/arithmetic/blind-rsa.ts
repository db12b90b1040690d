/**
 * Blind signatures as the meter takes part in them: RSABSSA-SHA384-PSSZERO-Deterministic of RFC 9474, e = 65537; the counterpart
 * is protocol/crypto/blind-rsa.ts. (Espruino dialect)
 *
 *   Meter                                     Helper                 Signer
 *   r, u random
 *   Blinding: m = encoded message
 *     blinded  = m · r^e ─────────────────────────────────────────► blinded^d
 *     question = r · u ──────────────────────► question^−1
 *   Inverse: answer · u = r^−1,      ◄────────
 *     used only if r · r^−1 = 1
 *   Unblinding: blinded^d · r^−1 = s ◄──────────────────────────────
 *     used only if s^e = m
 *
 * Only the modular inverse is too dear for the meter. The helper (gateway/helper/) need not be trusted: r · u is as good as random to
 * it, and what it answers is checked. Nothing here is used before it is verified: a blinded message is by the signature that comes
 * of it.
 *
 * Each is a job of the worker: `step()` does one multiplication and says whether the job is done. What comes out of a foreign
 * answer that was none is null, for the caller to report; bytes that are no number below the modulus throw when they come in.
 *
 * An interpreter does not keep its time from depending on what it computes. Whoever could measure that sits in the customer's house.
 */
import type { Modulus } from './modulus.ts';
import type { Limbs } from './natives.ts';
import { encodePss } from './pss.ts';

/** e = 2^16 + 1 */
const SQUARINGS = 16;

/** Random bytes, as many as asked for. */
export type Random = (bytes: number) => Uint8Array;

/**
 * Uniform in 1 … n − 1: the first of the generator's draws that is; n's highest bit is set, so every second one is at worst.
 * protocol/crypto/blind-rsa.ts draws in the same way from the same bytes.
 */
export function drawBelow(modulus: Modulus, random: Random): Uint8Array {
  for (;;) {
    const drawn = random(modulus.bytes);
    if (modulus.isBetween(drawn)) return drawn;
  }
}

/** x → x^65537, one multiplication a step. */
class Power {
  private modulus: Modulus;
  private base: Limbs;
  private x: Limbs;
  private squared = 0;

  /** @param inForm of Montgomery */
  constructor(modulus: Modulus, inForm: Limbs) {
    this.modulus = modulus;
    this.base = inForm;
    this.x = inForm;
  }

  /** In Montgomery's form; null until it is done. */
  step(): Limbs | null {
    if (this.squared++ < SQUARINGS) {
      this.x = this.modulus.multiply(this.x, this.x);
      return null;
    }
    return this.modulus.multiply(this.x, this.base);
  }
}

/** Message and randomness → `blinded` for the signer and `question` for the helper. 20 steps. */
export class Blinding {
  /** Big-endian, as long as the modulus; empty until the job is done. */
  blinded: Uint8Array = new Uint8Array(0);
  /** As long as the modulus: what to ask the helper for the inverse of. */
  question: Uint8Array = new Uint8Array(0);
  private modulus: Modulus;
  private message: Limbs;
  private factor: Limbs;
  private mask: Limbs;
  private power: Power | null = null;
  private raised: Limbs | null = null;

  /**
   * @param message not prepared: it holds 32 random bytes itself
   * @param factor r, of drawBelow; secret, it ties the blinded message to the signature
   * @param mask u, another one; secret until r is spent
   */
  constructor(modulus: Modulus, message: Uint8Array, factor: Uint8Array, mask: Uint8Array) {
    this.modulus = modulus;
    this.message = modulus.read(
      encodePss((bytes) => modulus.sha384(bytes), message, modulus.bytes),
      'message',
    );
    this.factor = modulus.read(factor, 'factor');
    this.mask = modulus.read(mask, 'mask');
  }

  step(): boolean {
    const { modulus, power, raised } = this;
    if (power === null) this.power = new Power(modulus, modulus.toForm(this.factor));
    else if (raised === null) this.raised = power.step();
    else if (this.blinded.length === 0) this.blinded = modulus.write(modulus.multiply(raised, this.message));
    else {
      this.question = modulus.write(modulus.multiply(modulus.toForm(this.factor), this.mask));
      return true;
    }
    return false;
  }
}

/** The helper's answer → `inverse`. 4 multiplications in 2 steps. */
export class Inverse {
  /** r^−1, big-endian, as long as the modulus; null where the helper's answer was wrong. */
  inverse: Uint8Array | null = null;
  private modulus: Modulus;
  private factor: Limbs;
  private mask: Limbs;
  private answer: Limbs;
  private claimed: Limbs | null = null;

  /** @param factor, mask as the blinding had them */
  constructor(modulus: Modulus, factor: Uint8Array, mask: Uint8Array, answer: Uint8Array) {
    this.modulus = modulus;
    this.factor = modulus.read(factor, 'factor');
    this.mask = modulus.read(mask, 'mask');
    this.answer = modulus.read(answer, 'answer');
  }

  step(): boolean {
    const { modulus, claimed } = this;
    if (claimed === null) {
      this.claimed = modulus.multiply(modulus.toForm(this.mask), this.answer);
      return false;
    }
    const product = modulus.multiply(modulus.toForm(this.factor), claimed);
    if (modulus.isOne(product)) this.inverse = modulus.write(claimed);
    return true;
  }
}

/** Does a signature hold? 19 steps. */
export class Verification {
  holds = false;
  private modulus: Modulus;
  private message: Uint8Array;
  private signature: Limbs;
  private power: Power | null = null;
  private raised: Limbs | null = null;

  constructor(modulus: Modulus, message: Uint8Array, signature: Uint8Array) {
    this.modulus = modulus;
    this.message = message;
    this.signature = modulus.read(signature, 'signature');
  }

  step(): boolean {
    const { modulus, power, raised } = this;
    if (power === null) this.power = new Power(modulus, modulus.toForm(this.signature));
    else if (raised === null) this.raised = power.step();
    else {
      const encoded = encodePss((bytes) => modulus.sha384(bytes), this.message, modulus.bytes);
      this.holds = modulus.isSame(modulus.fromForm(raised), modulus.read(encoded, 'message'));
      return true;
    }
    return false;
  }
}

/** The signer's answer and the inverse → `signature`. 20 steps. */
export class Unblinding {
  /** Big-endian, as long as the modulus; null where the signer's answer was none for this message under this key. */
  signature: Uint8Array | null = null;
  private modulus: Modulus;
  private message: Uint8Array;
  private blindSignature: Limbs;
  private inverse: Limbs;
  private claimed: Uint8Array | null = null;
  private verification: Verification | null = null;

  constructor(modulus: Modulus, message: Uint8Array, blindSignature: Uint8Array, inverse: Uint8Array) {
    this.modulus = modulus;
    this.message = message;
    this.blindSignature = modulus.read(blindSignature, 'blindSignature');
    this.inverse = modulus.read(inverse, 'inverse');
  }

  step(): boolean {
    const { modulus, verification } = this;
    if (verification === null) {
      this.claimed = modulus.write(modulus.multiply(modulus.toForm(this.blindSignature), this.inverse));
      this.verification = new Verification(modulus, this.message, this.claimed);
      return false;
    }
    if (!verification.step()) return false;
    if (verification.holds) this.signature = this.claimed;
    return true;
  }
}
