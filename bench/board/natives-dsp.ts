/**
 * Espruino's `E`: sums, convolutions, tables, checksums. Evaluated inside the board's realm (see natives.ts); it must
 * not close over anything.
 */
export function dspNatives(): void {
  const world = globalThis as unknown as Record<string, unknown>;
  type Numbers = ArrayLike<number>;

  // CRC-32 (IEEE 802.3, reflected 0xEDB88320)
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    table[n] = c;
  }

  /** Every byte of numbers, strings and (nested) arrays, in order. */
  const eachByte = (value: unknown, take: (byte: number) => void): void => {
    if (typeof value === 'number') take(value & 255);
    else if (typeof value === 'string') for (let i = 0; i < value.length; i++) take(value.charCodeAt(i) & 255);
    else if (value instanceof ArrayBuffer) eachByte(new Uint8Array(value), take);
    else if (value && typeof (value as { length: unknown }).length === 'number') {
      const list = value as ArrayLike<unknown>;
      for (let i = 0; i < list.length; i++) eachByte(list[i], take);
    }
  };

  const E = {
    sum(a: Numbers) {
      let sum = 0;
      for (let i = 0; i < a.length; i++) sum += +a[i];
      return sum;
    },
    variance(a: Numbers, mean: number) {
      let variance = 0;
      for (let i = 0; i < a.length; i++) variance += (a[i] - mean) * (a[i] - mean);
      return variance;
    },
    /** Σ a[i]·b[(i + offset) mod b.length] */
    convolve(a: Numbers, b: Numbers, offset: number) {
      const n = a.length;
      const m = b.length;
      let j = (offset | 0) % m;
      if (j < 0) j += m;
      let sum = 0;
      if (j + n <= m) {
        for (let i = 0; i < n; i++) sum += a[i] * b[i + j];
        return sum;
      }
      for (let i = 0; i < n; i++) {
        sum += a[i] * b[j];
        if (++j === m) j = 0;
      }
      return sum;
    },
    mapInPlace(from: Numbers, to: { length: number; [i: number]: number }, map?: unknown) {
      const n = Math.min(from.length, to.length);
      if (typeof map === 'function') for (let i = 0; i < n; i++) to[i] = map(from[i] | 0, i);
      else if (map) for (let i = 0; i < n; i++) to[i] = (map as number[])[from[i] | 0];
      else for (let i = 0; i < n; i++) to[i] = from[i] | 0;
    },
    CRC32(data: string | ArrayLike<number>) {
      let crc = -1;
      if (typeof data === 'string')
        for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ table[(crc ^ data.charCodeAt(i)) & 255];
      else for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ table[(crc ^ data[i]) & 255];
      return ~crc >>> 0;
    },
    toString(...values: unknown[]) {
      let text = '';
      eachByte(values, (byte) => {
        text += String.fromCharCode(byte);
      });
      return text;
    },
    toUint8Array(...values: unknown[]) {
      const bytes: number[] = [];
      eachByte(values, (byte) => bytes.push(byte));
      return new Uint8Array(bytes);
    },
    reverseByte(byte: number) {
      let out = 0;
      for (let i = 0; i < 8; i++) if (byte & (1 << i)) out |= 128 >> i;
      return out;
    },
    clip: (x: number, min: number, max: number) => Math.min(Math.max(x, min), max),
    on() {},
    enableWatchdog() {},
    kickWatchdog() {},
    setConsole() {},
    getErrorFlags: () => [],
  };
  Object.defineProperty(world, 'E', { value: E, writable: true, enumerable: false, configurable: true });
}
