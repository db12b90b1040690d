/**
 * Whether the hardware's random words can be random: the tests of NIST SP 800-90B §4.4, which run over every word that is used.
 * (Espruino dialect)
 *
 *   repetition count (§4.4.1)     a word comes again and again: the generator is stuck
 *   adaptive proportion (§4.4.2)  among 512 bytes the first of them comes too often: it gives few values, or the same ones in turn
 *
 * Assumed are 6 bits of entropy a byte, of the 8 that the generator gives while the radio is on; one of 6 is refused once in 2^30
 * windows, a sound one never. They find a generator that is broken, not one whose words somebody knows: that is what the gateway's bytes are for.
 */

/** 2^−30 at 24 bits a word: 1 + ⌈30/24⌉ equal words in a row. */
export const REPEATED_WORDS = 3;
export const WINDOW_BYTES = 512;
/** 1 + the number that a binomial of 512 bytes at 1/64 stays below but for 2^−30 (a test computes it). */
export const EQUAL_BYTES = 31;
/** Words that are tested before the first is used (§4.3: at least 1,024 samples). */
export const START_WORDS = 1024;

export const HEALTHY = 0;
export const STUCK = 1;
export const FEW_VALUES = 2;

export class HealthTests {
  /** HEALTHY, or what was found first; it stays. */
  verdict = HEALTHY;
  words = 0;
  last = 0;
  /** How often the last word has come in a row. */
  run = 0;
  /** The window's first byte, how often it has come, and how many bytes of the window there were. */
  first = 0;
  equal = 0;
  bytes = 0;

  /** Whether so many words were tested that the first may be used. */
  isProven(): boolean {
    return this.verdict === HEALTHY && this.words >= START_WORDS;
  }

  /** @param bytes of so many words, 4 each */
  take(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      const word = view.getUint32(at, true);
      this.run = this.words > 0 && word === this.last ? this.run + 1 : 1;
      this.last = word;
      this.words++;
      if (this.run >= REPEATED_WORDS && this.verdict === HEALTHY) this.verdict = STUCK;
    }
    for (const byte of bytes) {
      if (this.bytes === 0) {
        this.first = byte;
        this.equal = 0;
      }
      if (byte === this.first) this.equal++;
      this.bytes = (this.bytes + 1) % WINDOW_BYTES;
      if (this.equal >= EQUAL_BYTES && this.verdict === HEALTHY) this.verdict = FEW_VALUES;
    }
  }
}
