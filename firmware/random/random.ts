/**
 * Random bytes that are fit for money. (Espruino dialect; everything it needs is passed in)
 *
 * Where they come from, each alone enough if it is what it should be:
 *   - the hardware's random words, tested as they come (health.ts), and the noise of the ADC's last window
 *   - 32 bytes from the gateway's TPM, new at each start: without them nothing is drawn
 *   - a seed in flash, secret and of this device alone, which no reading of the other two tells
 * The interpreter's own generator (E.hwRand, Math.random) begins with the same value on every board and at every start.
 *
 * The generator is HMAC_DRBG of NIST SP 800-90A §10.1.2 over SHA-256, with HMAC(key, message ‖ 00000001), the one that is native.
 * Order is the point: the next seed is in flash *before* the first byte is drawn, so that no start after this one, nor a flash image
 * put back, begins with a seed whose bytes were used; and the gateway's bytes are new even where the image was put back.
 * Without them in the same start there are none; from a source that fails its tests there are none any more.
 */
import { FEW_VALUES, HEALTHY, HealthTests, STUCK } from './health.ts';

const BYTES = 32;
/** Hardware words go in again after so many draws. */
const DRAWS_A_SEED = 256;
/** At most, of one draw (SP 800-90A table 2: 2^19 bits). */
export const DRAW_MOST_BYTES = 65536;

export interface RandomNatives {
  /** HMAC-SHA256(key, message ‖ 00000001). */
  hmac(key: Uint8Array, message: Uint8Array): Uint8Array;
  sha256(message: Uint8Array): Uint8Array;
}
/** What the board gives; nothing of it is believed to be secret. */
export interface RandomSources {
  /** So many of the hardware's random words, as bytes. */
  words(count: number): Uint8Array;
  /** The ADC's last window as it was read. */
  noise(): Uint8Array;
  /** Of this chip alone. */
  serial: string;
}
/** Where the seed is kept. `save` returns when it is in flash, whole; a cut leaves this one or the one before. */
export interface RandomState {
  load(): Uint8Array | null;
  save(seed: Uint8Array): void;
}

/** Why there are no random bytes. */
export const RANDOM_READY = 0;
export const RANDOM_WAITING = 1; // for the gateway's bytes, or for the tests
export const RANDOM_STUCK = 2;
export const RANDOM_FEW_VALUES = 3;
export const RANDOM_AS_BEFORE = 4; // the hardware's words are those of an earlier start

function join(parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
function textBytes(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
const ONE_BYTE = [new Uint8Array([0]), new Uint8Array([1])];

export class Random {
  natives: RandomNatives;
  sources: RandomSources;
  tests = new HealthTests();
  /** Everything that the sources have given, hashed into one another. */
  pool: Uint8Array;
  /** The same over the first words alone, to be compared with an earlier start's. */
  firstWords: Uint8Array | null = null;
  asBefore = false;
  /** Of HMAC_DRBG; null until the gateway's bytes have come. */
  key: Uint8Array | null = null;
  value: Uint8Array;
  /** The next seed is in flash. */
  bound = false;
  draws = 0;

  constructor(natives: RandomNatives, sources: RandomSources) {
    this.natives = natives;
    this.sources = sources;
    this.pool = natives.sha256(textBytes('quietmeter random ' + sources.serial));
    this.value = new Uint8Array(BYTES);
  }

  /** Takes words from the hardware and tests them, some at a time: this is interpreted. Until they are proven, the ADC's noise too. */
  collect(words: number): void {
    const bytes = this.sources.words(words);
    if (!this.firstWords) this.firstWords = this.natives.sha256(bytes).subarray(0, 8);
    this.tests.take(bytes);
    const noise = this.tests.isProven() ? this.pool : this.sources.noise();
    this.pool = this.natives.sha256(join([this.pool, bytes, noise]));
  }

  /** What the gateway is asked with, so that its answer is one to this start. 16 B, no secret. */
  nonce(): Uint8Array {
    return this.natives.hmac(this.pool, textBytes('nonce')).subarray(0, 16);
  }

  /** The gateway's bytes of this start. @param fresh 32 B */
  seed(fresh: Uint8Array): void {
    if (!this.tests.isProven()) throw new Error('randomness: the hardware has not been tested');
    if (!this.key) {
      this.key = new Uint8Array(BYTES);
      this.value.fill(1);
    }
    this.update(join([this.pool, fresh, textBytes(this.sources.serial)]));
  }
  isSeeded(): boolean {
    return this.key !== null;
  }

  /** 32 B for the lock of the place where the seed will be, before there is one. */
  rootKey(): Uint8Array {
    if (!this.key || this.tests.verdict !== HEALTHY) throw new Error('randomness: not seeded');
    return this.generate(BYTES);
  }

  /** Mixes in the seed in flash and puts the next one in its place. From then on there are random bytes. */
  bind(state: RandomState): void {
    if (!this.key || !this.firstWords) throw new Error('randomness: not seeded');
    const kept = state.load();
    if (kept) {
      this.update(kept);
      const before = kept.subarray(BYTES, BYTES + 8);
      this.asBefore = before.every((byte, i) => byte === this.firstWords![i]);
    }
    state.save(join([this.generate(BYTES), this.firstWords]));
    this.bound = true;
  }

  /** RANDOM_… */
  condition(): number {
    if (this.tests.verdict === STUCK) return RANDOM_STUCK;
    if (this.tests.verdict === FEW_VALUES) return RANDOM_FEW_VALUES;
    if (this.asBefore) return RANDOM_AS_BEFORE;
    return this.bound ? RANDOM_READY : RANDOM_WAITING;
  }
  isReady(): boolean {
    return this.condition() === RANDOM_READY;
  }

  /** @throws Error where there are none: ask `isReady` first */
  bytes(length: number): Uint8Array {
    if (!this.isReady()) throw new Error('randomness: condition ' + this.condition());
    if (length > DRAW_MOST_BYTES) throw new Error('randomness: ' + length + ' bytes at once');
    this.draws++;
    if (this.draws % DRAWS_A_SEED === 0) this.update(this.pool);
    return this.generate(length);
  }

  /** HMAC_DRBG_Generate. */
  generate(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += BYTES) {
      this.value = this.natives.hmac(this.key!, this.value);
      out.set(this.value.subarray(0, Math.min(BYTES, length - at)), at);
    }
    this.update(null);
    return out;
  }
  /** HMAC_DRBG_Update. */
  update(data: Uint8Array | null): void {
    for (const round of data ? ONE_BYTE : [ONE_BYTE[0]]) {
      this.key = this.natives.hmac(this.key!, join(data ? [this.value, round, data] : [this.value, round]));
      this.value = this.natives.hmac(this.key, this.value);
    }
  }
}
