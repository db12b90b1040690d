/**
 * Espruino's `E`: sums, convolutions, tables, checksums, bytes. Evaluated inside the board's realm (see natives.ts); it must
 * not close over anything.
 */
export function dspNatives(): void {
  type Numbers = ArrayLike<number>;
  type Writable = { readonly length: number; [i: number]: number };

  // CRC-32 (IEEE 802.3, reflected 0xEDB88320)
  const { fromCharCode } = String;
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    table[n] = c;
  }

  const UINT24 = Symbol.for('uint24');
  const bytesOf24 = (values: unknown): Uint8Array | undefined => (values as { [UINT24]?: Uint8Array })[UINT24];
  /** E.convolve of two arrays of three bytes an element, which is most of what arithmetic does. */
  const convolve24 = (a: Uint8Array, b: Uint8Array, offset: number): number => {
    const m = b.length / 3;
    let j = 3 * (((offset % m) + m) % m);
    let sum = 0;
    for (let i = 0; i < a.length; i += 3) {
      sum += (a[i] | (a[i + 1] << 8) | (a[i + 2] << 16)) * (b[j] | (b[j + 1] << 8) | (b[j + 2] << 16));
      j += 3;
      if (j === b.length) j = 0;
    }
    return sum;
  };
  /** What iterating gives as numbers: a string its character codes, Uint32Array (as the real one does) signed values. */
  const numbersOf = (values: Numbers | string): Numbers => {
    if (typeof values === 'string') {
      const codes = new Uint8Array(values.length);
      for (let i = 0; i < values.length; i++) codes[i] = values.charCodeAt(i);
      return codes;
    }
    const triples = bytesOf24(values);
    if (triples) {
      const numbers = new Int32Array(values.length);
      for (let i = 0; i < numbers.length; i++)
        numbers[i] = triples[3 * i] | (triples[3 * i + 1] << 8) | (triples[3 * i + 2] << 16);
      return numbers;
    }
    if (values instanceof Uint32Array) return new Int32Array(values.buffer, values.byteOffset, values.length);
    return values;
  };

  const isBuffer = (value: unknown) =>
    ArrayBuffer.isView(value) || (value as { buffer?: unknown } | null)?.buffer instanceof ArrayBuffer;
  /** Every byte of numbers, strings, buffers and (nested) arrays, in order. */
  const eachByte = (value: unknown, take: (byte: number) => void): void => {
    if (typeof value === 'number') take(value & 255);
    else if (typeof value === 'string') for (let i = 0; i < value.length; i++) take(value.charCodeAt(i) & 255);
    else if (value instanceof ArrayBuffer) eachByte(new Uint8Array(value), take);
    else if (Array.isArray(value) || isBuffer(value)) {
      const list = value as ArrayLike<unknown>;
      for (let i = 0; i < list.length; i++) eachByte(list[i], take);
    } else throw new TypeError('expected a number, string, array or buffer');
  };

  const mapByTable = (from: Numbers, to: Writable, map: Numbers, mask: number, n: number) => {
    for (let i = 0; i < n; i++) to[i] = map[from[i] & mask];
  };
  const mapByFunction = (
    from: Numbers,
    to: Writable,
    map: (x: number, i: number) => number,
    mask: number,
    n: number,
  ) => {
    for (let i = 0; i < n; i++) to[i] = map(from[i] & mask, i);
  };
  const identity = (x: number) => x;

  const E = {
    sum(values: Numbers | string) {
      const a = numbersOf(values);
      let sum = 0;
      for (let i = 0; i < a.length; i++) sum += +a[i];
      return sum;
    },
    variance(values: Numbers | string, mean: number) {
      const a = numbersOf(values);
      let variance = 0;
      for (let i = 0; i < a.length; i++) variance += (a[i] - mean) * (a[i] - mean);
      return variance;
    },
    /** Σ a[i] · b[(i + offset) mod b.length] */
    convolve(first: Numbers, second: Numbers, offset: number) {
      const [short, long] = [bytesOf24(first), bytesOf24(second)];
      if (short && long) return convolve24(short, long, offset | 0);
      const a = numbersOf(first);
      const b = numbersOf(second);
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
    /** `bits` regroups the source's bits, most significant first (negative: least significant first). */
    mapInPlace(from: ArrayBufferView & Numbers, to: Writable, map?: unknown, bits?: number) {
      if (!isBuffer(from) || !isBuffer(to)) throw new Error('First 2 arguments should be array buffers');
      const size = from.byteLength / from.length;
      // with 32-bit elements the real one shifts by the width of its own integers: what comes out depends on the compiler
      if (size > 3) throw new Error('mapInPlace: the elements of the first array have to be of 8, 16 or 24 bits');
      let source: Numbers = size === 3 ? numbersOf(from) : from;
      let mask = 2 ** (8 * size) - 1;
      if (bits) {
        source = regroup(from, size * 8, bits);
        mask = 2 ** Math.abs(bits) - 1;
      }
      const n = Math.min(source.length, to.length);
      if (typeof map === 'function') mapByFunction(source, to, map as typeof identity, mask, n);
      else if (map) mapByTable(source, to, map as Numbers, mask, n);
      else mapByFunction(source, to, identity, mask, n);
    },
    CRC32(data: string | Numbers) {
      let crc = -1;
      if (typeof data === 'string')
        for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ table[(crc ^ data.charCodeAt(i)) & 255];
      else for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ table[(crc ^ data[i]) & 255];
      return ~crc >>> 0;
    },
    toString(...values: unknown[]) {
      let text = '';
      eachByte(values, (byte) => {
        text += fromCharCode(byte);
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
    clip: (x: number, low: number, high: number) => (x < low ? low : Math.min(x, high)),
    enableWatchdog() {},
    kickWatchdog() {},
    getErrorFlags: () => [],
  };

  const regroup = (from: Numbers, width: number, bits: number): number[] => {
    const wanted = Math.abs(bits);
    const out: number[] = [];
    let held = 0;
    let count = 0;
    let i = 0;
    while (i < from.length || count >= wanted) {
      while (count < wanted) {
        const value = i < from.length ? from[i] : 0;
        held = bits > 0 ? (held << width) | value : held | (value << count);
        i++;
        count += width;
      }
      if (bits > 0) out.push((held >> (count - wanted)) & ((1 << wanted) - 1));
      else {
        out.push(held & ((1 << wanted) - 1));
        held >>= wanted;
      }
      count -= wanted;
    }
    return out;
  };

  Object.defineProperty(globalThis, 'E', { value: E, writable: true, enumerable: false, configurable: true });
}
