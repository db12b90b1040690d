/**
 * Espruino's `crypto` module, as far as the firmware uses it. Evaluated inside the board's realm (see natives.ts); it must not
 * close over anything.
 */
export function cryptoNatives(): object {
  const isView = ArrayBuffer.isView;
  const { floor } = Math;

  /** A text, a buffer or an array of bytes. */
  const bytesOf = (data: unknown): Uint8Array => {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const list = data as string | number[];
    const bytes = new Uint8Array(list.length);
    for (let i = 0; i < list.length; i++) bytes[i] = typeof list === 'string' ? list.charCodeAt(i) : list[i];
    return bytes;
  };

  // FIPS 180-4: the fractional parts of the roots of the first primes
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n++) {
    let prime = true;
    for (let i = 0; i < primes.length && prime; i++) prime = n % primes[i] !== 0;
    if (prime) primes.push(n);
  }
  const fraction = (x: number) => (x - floor(x)) * 4294967296;
  const start = new Int32Array(8);
  const constants = new Int32Array(64);
  for (let i = 0; i < 64; i++) {
    if (i < 8) start[i] = floor(fraction(primes[i] ** (1 / 2)));
    constants[i] = floor(fraction(primes[i] ** (1 / 3)));
  }
  const turn = (x: number, by: number) => (x >>> by) | (x << (32 - by));

  const w = new Int32Array(64);
  const compress = (state: Int32Array, bytes: Uint8Array, at: number) => {
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
      const t1 = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i]) | 0;
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

  return {
    SHA256(data: unknown): ArrayBuffer {
      const bytes = bytesOf(data);
      const padded = new Uint8Array((floor((bytes.length + 8) / 64) + 1) * 64);
      padded.set(bytes, 0);
      padded[bytes.length] = 0x80;
      const end = new DataView(padded.buffer);
      end.setUint32(padded.length - 8, floor(bytes.length / 536870912), false);
      end.setUint32(padded.length - 4, (bytes.length * 8) >>> 0, false);
      const state = new Int32Array(start);
      for (let at = 0; at < padded.length; at += 64) compress(state, padded, at);
      const digest = new ArrayBuffer(32);
      const out = new DataView(digest);
      for (let i = 0; i < 8; i++) out.setInt32(4 * i, state[i], false);
      return digest;
    },
  };
}
