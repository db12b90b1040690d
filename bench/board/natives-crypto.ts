/**
 * Espruino's `crypto` module as the port has it: SHA-1 and SHA-2, PBKDF2, and AES with what is wrong about it. Evaluated inside the
 * board's realm (see natives.ts); it must not close over anything.
 *
 * Read in Espruino's libs/crypto and compared with the real interpreter (test/espruino/cases/crypto.txt):
 *   - a typed array gives as many bytes as it has elements, from its first byte on: only Uint8Array is what it seems
 *   - AES CTR ignores `iv`, and CTR and CFB cannot decrypt: the port sets up the wrong key for it
 *   - AES ECB leaves what is behind the last whole block zero
 *   - a key or a length that is wrong is told on the console, and the result is undefined
 *
 * @param complain writes to the console
 */
export function cryptoNatives(complain: (line: string) => void): object {
  const isView = ArrayBuffer.isView;
  const { floor } = Math;
  const big = BigInt;
  const { hasOwn } = Object;

  /** A text, a number, a buffer, or arrays of them. */
  const bytesOf = (data: unknown): Uint8Array => {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    const { buffer, byteOffset, length } = data as Uint8Array;
    if (isView(data) || buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, length);
    const bytes: number[] = [];
    const take = (value: unknown) => {
      if (typeof value === 'number') bytes.push(value & 255);
      else if (typeof value === 'string') for (let i = 0; i < value.length; i++) bytes.push(value.charCodeAt(i) & 255);
      else if (Array.isArray(value) || isView(value)) for (const one of value as unknown[]) take(one);
      else throw new Error(`Expecting something iterable, got ${typeof value}`);
    };
    take(data);
    return new Uint8Array(bytes);
  };
  const joined = (a: Uint8Array, b: Uint8Array) => {
    const out = new Uint8Array(a.length + b.length);
    out.set(a, 0);
    out.set(b, a.length);
    return out;
  };

  // --- FIPS 180-4. Constants are the fractional parts of roots of the first primes.
  const primes: number[] = [];
  for (let n = 2; primes.length < 80; n++) {
    let prime = true;
    for (let i = 0; i < primes.length && prime; i++) prime = n % primes[i] !== 0;
    if (prime) primes.push(n);
  }
  /** The first 64 bits behind the point of a square (2) or cube (3) root. */
  const fraction = (prime: number, degree: 2 | 3): [high: number, low: number] => {
    const wanted = big(prime) << big(64 * degree);
    let root = big(1) << big(70);
    for (;;) {
      const next = degree === 2 ? (root + wanted / root) / big(2) : (root + root + wanted / (root * root)) / big(3);
      if (next >= root) break;
      root = next;
    }
    return [Number((root >> big(32)) & big(0xffffffff)), Number(root & big(0xffffffff))];
  };

  interface Hash {
    blockBytes: number;
    digestBytes: number;
    start: number[];
    compress(state: Int32Array, bytes: Uint8Array, at: number): void;
  }
  const turn = (x: number, by: number) => (x >>> by) | (x << (32 - by));

  const w1 = new Int32Array(80);
  const compress1 = (state: Int32Array, bytes: Uint8Array, at: number) => {
    for (let i = 0; i < 80; i++) {
      const j = at + 4 * i;
      w1[i] =
        i < 16
          ? (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3]
          : turn(w1[i - 3] ^ w1[i - 8] ^ w1[i - 14] ^ w1[i - 16], 31);
    }
    let [a, b, c, d, e] = [state[0], state[1], state[2], state[3], state[4]];
    for (let i = 0; i < 80; i++) {
      const f = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      const k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
      const t = (turn(a, 27) + f + e + k + w1[i]) | 0;
      e = d;
      d = c;
      c = turn(b, 2);
      b = a;
      a = t;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
  };

  const constants256 = new Int32Array(64);
  for (let i = 0; i < 64; i++) constants256[i] = fraction(primes[i], 3)[0];
  const w = new Int32Array(64);
  const compress256 = (state: Int32Array, bytes: Uint8Array, at: number) => {
    for (let i = 0; i < 16; i++) {
      const j = at + 4 * i;
      w[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
    }
    for (let i = 16; i < 64; i++) {
      const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = [state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]];
    for (let i = 0; i < 64; i++) {
      const t1 = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants256[i] + w[i]) | 0;
      const t2 = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  };

  // 64-bit words as two of 32: high, low
  const constants512 = new Int32Array(160);
  for (let i = 0; i < 80; i++) constants512.set(fraction(primes[i], 3), 2 * i);
  const w5 = new Int32Array(160);
  const v5 = new Int32Array(16);
  let high = 0;
  let low = 0;
  const add = (h: number, l: number) => {
    const sum = (low >>> 0) + (l >>> 0);
    low = sum | 0;
    high = (high + h + (sum > 0xffffffff ? 1 : 0)) | 0;
  };
  /** The upper half of a 64-bit word turned right; with the halves swapped, the lower one. */
  const turned = (h: number, l: number, by: number) =>
    by < 32 ? (h >>> by) | (l << (32 - by)) : (l >>> (by - 32)) | (h << (64 - by));
  const compress512 = (state: Int32Array, bytes: Uint8Array, at: number) => {
    for (let i = 0; i < 32; i++) {
      const j = at + 4 * i;
      w5[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
    }
    for (let i = 32; i < 160; i += 2) {
      const [ah, al, bh, bl] = [w5[i - 30], w5[i - 29], w5[i - 4], w5[i - 3]];
      high = w5[i - 32];
      low = w5[i - 31];
      add(
        turned(ah, al, 1) ^ turned(ah, al, 8) ^ (ah >>> 7),
        turned(al, ah, 1) ^ turned(al, ah, 8) ^ ((al >>> 7) | (ah << 25)),
      );
      add(w5[i - 14], w5[i - 13]);
      add(
        turned(bh, bl, 19) ^ turned(bh, bl, 61) ^ (bh >>> 6),
        turned(bl, bh, 19) ^ turned(bl, bh, 61) ^ ((bl >>> 6) | (bh << 26)),
      );
      w5[i] = high;
      w5[i + 1] = low;
    }
    v5.set(state);
    for (let i = 0; i < 160; i += 2) {
      const [ah, al, bh, bl, ch, cl] = [v5[0], v5[1], v5[2], v5[3], v5[4], v5[5]];
      const [eh, el, fh, fl, gh, gl] = [v5[8], v5[9], v5[10], v5[11], v5[12], v5[13]];
      high = v5[14];
      low = v5[15];
      add(
        turned(eh, el, 14) ^ turned(eh, el, 18) ^ turned(eh, el, 41),
        turned(el, eh, 14) ^ turned(el, eh, 18) ^ turned(el, eh, 41),
      );
      add((eh & fh) ^ (~eh & gh), (el & fl) ^ (~el & gl));
      add(constants512[i], constants512[i + 1]);
      add(w5[i], w5[i + 1]);
      const [t1h, t1l] = [high, low];
      high = v5[6];
      low = v5[7];
      add(t1h, t1l);
      v5.set(v5.subarray(0, 14), 2);
      v5[8] = high;
      v5[9] = low;
      high = t1h;
      low = t1l;
      add(
        turned(ah, al, 28) ^ turned(ah, al, 34) ^ turned(ah, al, 39),
        turned(al, ah, 28) ^ turned(al, ah, 34) ^ turned(al, ah, 39),
      );
      add((ah & bh) ^ (ah & ch) ^ (bh & ch), (al & bl) ^ (al & cl) ^ (bl & cl));
      v5[0] = high;
      v5[1] = low;
    }
    for (let i = 0; i < 16; i += 2) {
      high = state[i];
      low = state[i + 1];
      add(v5[i], v5[i + 1]);
      state[i] = high;
      state[i + 1] = low;
    }
  };

  const roots = (from: number): number[] => {
    const words: number[] = [];
    for (let i = from; i < from + 8; i++) words.push(...fraction(primes[i], 2));
    return words;
  };
  const every = (words: number[], offset: number) => words.filter((_, i) => i % 2 === offset);
  const first = roots(0);
  const second = roots(8);
  const hashes: Record<string, Hash> = {
    SHA1: {
      blockBytes: 64,
      digestBytes: 20,
      start: [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0],
      compress: compress1,
    },
    SHA224: { blockBytes: 64, digestBytes: 28, start: every(second, 1), compress: compress256 },
    SHA256: { blockBytes: 64, digestBytes: 32, start: every(first, 0), compress: compress256 },
    SHA384: { blockBytes: 128, digestBytes: 48, start: second, compress: compress512 },
    SHA512: { blockBytes: 128, digestBytes: 64, start: first, compress: compress512 },
  };
  const hashOf = (hash: Hash, bytes: Uint8Array): Uint8Array => {
    const { blockBytes, digestBytes, start, compress } = hash;
    const padded = new Uint8Array((floor((bytes.length + blockBytes / 8) / blockBytes) + 1) * blockBytes);
    padded.set(bytes, 0);
    padded[bytes.length] = 0x80;
    const end = new DataView(padded.buffer);
    end.setUint32(padded.length - 8, floor(bytes.length / 536870912), false);
    end.setUint32(padded.length - 4, (bytes.length * 8) >>> 0, false);
    const state = new Int32Array(start);
    for (let at = 0; at < padded.length; at += blockBytes) compress(state, padded, at);
    const digest = new DataView(new ArrayBuffer(4 * state.length));
    for (let i = 0; i < state.length; i++) digest.setInt32(4 * i, state[i], false);
    const out = new Uint8Array(digestBytes);
    out.set(new Uint8Array(digest.buffer, 0, digestBytes));
    return out;
  };
  const hmac = (hash: Hash, key: Uint8Array, message: Uint8Array): Uint8Array => {
    const short = key.length > hash.blockBytes ? hashOf(hash, key) : key;
    const inner = new Uint8Array(hash.blockBytes).fill(0x36);
    const outer = new Uint8Array(hash.blockBytes).fill(0x5c);
    for (let i = 0; i < short.length; i++) {
      inner[i] ^= short[i];
      outer[i] ^= short[i];
    }
    return hashOf(hash, joined(outer, hashOf(hash, joined(inner, message))));
  };

  // --- FIPS 197, in the form of its equivalent inverse cipher (§5.3.5), which is what mbedtls has
  const times2 = (x: number) => (x << 1) ^ (x & 128 ? 0x11b : 0);
  const times = (x: number, by: number) => {
    let product = 0;
    for (let bit = 1, power = x; bit <= by; bit *= 2, power = times2(power)) if (by & bit) product ^= power;
    return product;
  };
  const box = new Uint8Array(256);
  const inverseBox = new Uint8Array(256);
  for (let p = 1, q = 1, once = true; once || p !== 1; once = false) {
    p = times(p, 3);
    q ^= q << 1;
    q ^= q << 2;
    q ^= q << 4;
    q = (q & 255) ^ (q & 128 ? 9 : 0);
    const spread = q | (q << 8);
    box[p] = (q ^ (spread >> 7) ^ (spread >> 6) ^ (spread >> 5) ^ (spread >> 4) ^ 0x63) & 255;
  }
  box[0] = 0x63;
  for (let x = 0; x < 256; x++) inverseBox[box[x]] = x;

  const multiples = (by: number) => new Uint8Array(256).map((_, x) => times(x, by));
  /** Of each of a column's bytes, from the one that is asked for on downwards. */
  const FORTH = [2, 3, 1, 1].map(multiples);
  const BACK = [14, 11, 13, 9].map(multiples);
  const mix = (block: Uint8Array, at: number, factors: Uint8Array[]) => {
    const [a, b, c, d] = [block[at], block[at + 1], block[at + 2], block[at + 3]];
    const [p, q, r, s] = factors;
    block[at] = p[a] ^ q[b] ^ r[c] ^ s[d];
    block[at + 1] = s[a] ^ p[b] ^ q[c] ^ r[d];
    block[at + 2] = r[a] ^ s[b] ^ p[c] ^ q[d];
    block[at + 3] = q[a] ^ r[b] ^ s[c] ^ p[d];
  };
  /** Round keys, in the order in which they are used. */
  const scheduleOf = (key: Uint8Array, backwards: boolean): Uint8Array => {
    const words = key.length / 4;
    const rounds = words + 6;
    const all = new Uint8Array(16 * (rounds + 1));
    all.set(key, 0);
    let rcon = 1;
    for (let i = words; i < 4 * (rounds + 1); i++) {
      const t = [all[4 * i - 4], all[4 * i - 3], all[4 * i - 2], all[4 * i - 1]];
      if (i % words === 0) {
        t.push(t.shift()!);
        for (let j = 0; j < 4; j++) t[j] = box[t[j]];
        t[0] ^= rcon;
        rcon = times2(rcon) & 255;
      } else if (words > 6 && i % words === 4) {
        for (let j = 0; j < 4; j++) t[j] = box[t[j]];
      }
      for (let j = 0; j < 4; j++) all[4 * i + j] = all[4 * (i - words) + j] ^ t[j];
    }
    if (!backwards) return all;
    const back = new Uint8Array(all.length);
    for (let round = 0; round <= rounds; round++) {
      back.set(all.subarray(16 * (rounds - round), 16 * (rounds - round + 1)), 16 * round);
      if (round > 0 && round < rounds) for (let c = 0; c < 4; c++) mix(back, 16 * round + 4 * c, BACK);
    }
    return back;
  };
  const cipher = (schedule: Uint8Array, input: Uint8Array, forth: boolean): Uint8Array => {
    const table = forth ? box : inverseBox;
    const factors = forth ? FORTH : BACK;
    const rounds = schedule.length / 16 - 1;
    let block = new Uint8Array(16);
    for (let i = 0; i < 16; i++) block[i] = input[i] ^ schedule[i];
    for (let round = 1; round <= rounds; round++) {
      const next = new Uint8Array(16);
      for (let i = 0; i < 16; i++) next[i] = table[block[(i + (forth ? 4 : 12) * (i % 4)) % 16]];
      if (round < rounds) for (let c = 0; c < 16; c += 4) mix(next, c, factors);
      for (let i = 0; i < 16; i++) next[i] ^= schedule[16 * round + i];
      block = next;
    }
    return block;
  };

  interface CipherOptions {
    iv?: unknown;
    mode?: string;
  }
  const crypt = (message: unknown, key: unknown, options: CipherOptions | undefined, encrypt: boolean) => {
    const complaint = (what: string) => {
      complain(`ERROR: ${what}`);
      return undefined;
    };
    if (options !== undefined && typeof options !== 'object')
      return complaint("'options' must be undefined, or an Object");
    const mode = options?.mode ?? 'CBC';
    if (!['ECB', 'CBC', 'CFB', 'CTR', 'OFB'].includes(mode)) throw new Error(`Unknown Crypto mode "${mode}"`);
    const input = bytesOf(message);
    const keyBytes = bytesOf(key);
    if (keyBytes.length !== 16 && keyBytes.length !== 24 && keyBytes.length !== 32)
      return complaint('Unknown error: -0x20');
    if (mode === 'OFB') return complaint('Feature unavailable');
    if (mode === 'CBC' && input.length % 16 > 0) return complaint('Invalid input length');
    let chain: Uint8Array = new Uint8Array(16);
    if (options?.iv && mode !== 'CTR') chain.set(bytesOf(options.iv).subarray(0, 16));
    const schedule = scheduleOf(keyBytes, !encrypt);
    const out = new Uint8Array(input.length);
    if (mode === 'CFB') {
      for (let i = 0; i < input.length; i++) {
        out[i] = input[i] ^ cipher(schedule, chain, true)[0];
        chain.set(chain.subarray(1), 0);
        chain[15] = encrypt ? out[i] : input[i];
      }
    } else if (mode === 'CTR') {
      for (let at = 0; at < input.length; at += 16) {
        const stream = cipher(schedule, chain, true);
        for (let i = at; i < at + 16 && i < input.length; i++) out[i] = input[i] ^ stream[i - at];
        for (let i = 15; i >= 0 && ++chain[i] === 0; i--);
      }
    } else {
      for (let at = 0; at + 16 <= input.length; at += 16) {
        const block = new Uint8Array(16);
        block.set(input.subarray(at, at + 16));
        if (mode === 'CBC' && encrypt) for (let i = 0; i < 16; i++) block[i] ^= chain[i];
        const result = cipher(schedule, block, encrypt);
        if (mode === 'CBC' && !encrypt) for (let i = 0; i < 16; i++) result[i] ^= chain[i];
        if (mode === 'CBC') chain = encrypt ? result : block;
        out.set(result, at);
      }
    }
    return out.buffer;
  };

  const sha = (name: string) => (data: unknown) => {
    if (data === undefined) return undefined;
    return hashOf(hashes[name], bytesOf(data)).buffer;
  };
  return {
    SHA1: sha('SHA1'),
    SHA224: sha('SHA224'),
    SHA256: sha('SHA256'),
    SHA384: sha('SHA384'),
    SHA512: sha('SHA512'),
    /** RFC 8018 §5.2: of one iteration and one block, HMAC(key, message ‖ 00000001). */
    PBKDF2(
      passphrase: unknown,
      salt: unknown,
      options?: { keySize?: number; iterations?: number; hasher?: string },
    ): ArrayBuffer {
      const words = options?.keySize ?? 0;
      const length = 4 * (words > 0 ? words | 0 : 4);
      const iterations = Math.max(1, (options?.iterations ?? 1) | 0);
      const name = options?.hasher ?? 'SHA1';
      if (!hasOwn(hashes, name)) throw new Error(`Unknown Hasher "${name}"`);
      const key = bytesOf(passphrase);
      const start = bytesOf(salt);
      const out = new Uint8Array(length);
      for (let at = 0, counter = 1; at < length; counter++) {
        const number = new Uint8Array(4);
        new DataView(number.buffer).setUint32(0, counter, false);
        let u = hmac(hashes[name], key, joined(start, number));
        const block = new Uint8Array(u);
        for (let i = 1; i < iterations; i++) {
          u = hmac(hashes[name], key, u);
          for (let j = 0; j < block.length; j++) block[j] ^= u[j];
        }
        out.set(block.subarray(0, length - at), at);
        at += block.length;
      }
      return out.buffer;
    },
    AES: {
      encrypt: (message: unknown, key: unknown, options?: CipherOptions) => crypt(message, key, options, true),
      decrypt: (message: unknown, key: unknown, options?: CipherOptions) => crypt(message, key, options, false),
    },
  };
}
