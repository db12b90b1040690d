/**
 * Espruino's `Uint24Array`: three bytes an element, little-endian, any offset; what does not fit loses its upper bits. Evaluated
 * inside the board's realm (see natives.ts), before Proxy, Reflect and Symbol are taken away; it must not close over anything.
 *
 * The natives that read numbers (natives-dsp.ts) find the bytes under the symbol `uint24`.
 */
export function uint24Natives(): void {
  // biome-ignore lint/suspicious/noExplicitAny: arrays are patched by name
  type Any = any;
  const BYTES = Symbol.for('uint24');
  const BITS = 16777216;
  const { max, min, trunc } = Math;
  const Elements = Proxy;
  const { get, set } = Reflect;
  const isIndex = (key: string | symbol): key is string => typeof key === 'string' && key >= '0' && key < ':';

  const read = (bytes: Uint8Array, i: number) => bytes[3 * i] | (bytes[3 * i + 1] << 8) | (bytes[3 * i + 2] << 16);
  const write = (bytes: Uint8Array, i: number, value: number) => {
    const low = trunc(+value) % BITS; // NaN for what is no number, and NaN has no bits
    bytes[3 * i] = low;
    bytes[3 * i + 1] = low >> 8;
    bytes[3 * i + 2] = low >> 16;
  };
  const handler: ProxyHandler<Any> = {
    get(target, key, self) {
      if (!isIndex(key)) return get(target, key, self);
      return +key < target.length ? read(target[BYTES], +key) : undefined;
    },
    set(target, key, value, self) {
      if (!isIndex(key)) return set(target, key, value, self);
      if (+key < target.length) write(target[BYTES], +key, value);
      return true;
    },
    has: (target, key) => (isIndex(key) ? +key < target.length : key in target),
  };
  const numbersOf = (from: Any): Any => {
    const bytes = from[BYTES];
    if (!bytes) return from;
    const values = [];
    for (let i = 0; i < from.length; i++) values.push(read(bytes, i));
    return values;
  };

  class Uint24Array {
    length: number;
    byteLength: number;
    byteOffset = 0;
    buffer: ArrayBuffer;
    constructor(from: Any, byteOffset?: number, length?: number) {
      const view = from instanceof ArrayBuffer;
      const values = view || typeof from === 'number' ? null : numbersOf(from);
      if (view) this.byteOffset = byteOffset ?? 0;
      this.length = view ? length || trunc((from.byteLength - this.byteOffset) / 3) : values ? values.length : from;
      this.byteLength = 3 * this.length;
      this.buffer = view ? from : new ArrayBuffer(this.byteLength);
      const bytes = new Uint8Array(this.buffer, this.byteOffset, this.byteLength);
      (this as Any)[BYTES] = bytes;
      if (values) for (let i = 0; i < values.length; i++) write(bytes, i, values[i]);
      // biome-ignore lint/correctness/noConstructorReturn: its elements are behind the proxy
      return new Elements(this, handler);
    }
    set(from: Any, offset = 0) {
      const values = numbersOf(from);
      const bytes = (this as Any)[BYTES];
      for (let i = 0; i < values.length && i + offset < this.length; i++) write(bytes, i + offset, values[i]);
    }
    map(f: (value: number, i: number) => number, self?: object) {
      const out = new Uint24Array(this.length);
      const [from, to] = [(this as Any)[BYTES], (out as Any)[BYTES]];
      for (let i = 0; i < this.length; i++) write(to, i, f.call(self, read(from, i), i));
      return out;
    }
    subarray(begin: number, end = this.length) {
      const limit = (n: number) => (n < 0 ? max(n + this.length, 0) : min(n, this.length));
      const [from, to] = [limit(begin), limit(end)];
      if (to <= from) return new Uint24Array(0);
      return new Uint24Array(this.buffer, this.byteOffset + 3 * from, to - from);
    }
    filter(f: (value: number, i: number) => unknown) {
      return numbersOf(this).filter(f);
    }
    slice(start?: number, end?: number) {
      return numbersOf(this).slice(start, end);
    }
    sort(compare?: (a: number, b: number) => number) {
      this.set(numbersOf(this).sort(compare ?? ((a: number, b: number) => a - b)));
      return this;
    }
    *[Symbol.iterator]() {
      const bytes = (this as Any)[BYTES];
      for (let i = 0; i < this.length; i++) yield read(bytes, i);
    }
  }
  for (const name of 'indexOf includes join forEach reduce fill find findIndex some every reverse toString'.split(' '))
    Object.defineProperty(Uint24Array.prototype, name, { value: (Array.prototype as Any)[name], configurable: true });
  Object.defineProperty(globalThis, 'Uint24Array', {
    value: Uint24Array,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
