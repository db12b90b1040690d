/**
 * Repeatable randomness for the bench's simulations: the same seed gives the same day on every machine.
 *
 * **Never for secrets.** Whoever knows the seed knows everything that follows. Keys, nonces and blinding factors come
 * from the TPM and `node:crypto`.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes PractRand, a few ns per number.
 * Seeds are spread over the state by MurmurHash3's finaliser, so that neighbouring seeds have nothing in common.
 */

/** One step of mixing a 32-bit word into a hash (MurmurHash3's body, Austin Appleby, public domain). */
function mix(hash: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const rotated = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ rotated;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) >>> 0;
}

/** MurmurHash3's finaliser: every input bit reaches every output bit. */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 32-bit seed of its own for every `labels`: `seedOf(seed, 'kettle', day)`. Numbers are taken as whole numbers. */
export function seedOf(seed: number, ...labels: (string | number)[]): number {
  let hash = mix(mix(0x9e3779b9, seed | 0), Math.floor(seed / 2 ** 32) | 0);
  for (const label of labels) {
    if (typeof label === 'number') {
      hash = mix(mix(hash, label | 0), Math.floor(label / 2 ** 32) | 0);
    } else {
      for (let i = 0; i < label.length; i++) hash = mix(hash, label.charCodeAt(i));
      hash = mix(hash, 0x10000 + label.length); // so that ('ab', 'c') is not ('a', 'bc')
    }
  }
  return finish(hash);
}

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, ...labels: (string | number)[]) {
    const hash = seedOf(seed, ...labels);
    this.#a = finish(hash ^ 0x243f6a88);
    this.#b = finish(hash ^ 0x85a308d3);
    this.#c = finish(hash ^ 0x13198a2e);
    for (let i = 0; i < 12; i++) this.uint32(); // as PractRand does: lets the seed reach all of the state
  }

  /** A whole number in [0, 2³²). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Even over [0, 1). */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Even over [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** A whole number, even over [0, count). */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  /** Gaussian (Box–Muller). */
  normal(mean = 0, deviation = 1): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return mean + deviation * radius * Math.cos(2 * Math.PI * this.next());
  }

  /** Times between events that do not know of each other. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }
}

/**
 * A smooth, endless, repeatable curve in [−1, 1]: random values at whole `x`, a cubic between them. It has no state to
 * carry along: what the sky or the grid does at an instant does not depend on when the simulation began.
 */
export class SmoothNoise {
  readonly #seed: number;
  #cell = Number.NaN;
  #left = 0;
  #right = 0;

  constructor(seed: number, ...labels: (string | number)[]) {
    this.#seed = seedOf(seed, ...labels);
  }

  at(x: number): number {
    const cell = Math.floor(x);
    if (cell !== this.#cell) {
      this.#left = cell === this.#cell + 1 ? this.#right : this.#valueAt(cell);
      this.#right = this.#valueAt(cell + 1);
      this.#cell = cell;
    }
    const t = x - cell;
    return this.#left + (this.#right - this.#left) * t * t * (3 - 2 * t);
  }

  #valueAt(cell: number): number {
    return finish(mix(mix(this.#seed, cell | 0), Math.floor(cell / 2 ** 32) | 0)) / 2 ** 31 - 1;
  }
}
