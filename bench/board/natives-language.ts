/**
 * The language as Espruino 2v29 has it, as far as V8 can be made to agree: what is missing is taken away, what differs
 * is put in. Evaluated inside the board's realm (see natives.ts); it must not close over anything.
 * test/espruino/ runs the same snippets here and on the real interpreter, and lists what cannot be made to agree.
 */
export interface LanguageControls {
  /** Runs what resolved promises have queued, until nothing is left. */
  runJobs(): void;
}

export function languageNatives(onUnhandled: (reason: unknown) => void): LanguageControls {
  const world = globalThis as unknown as Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: prototypes are patched by name
  type Any = any;
  const put = (on: object, name: string, value: unknown) => {
    Object.defineProperty(on, name, { value, writable: true, enumerable: false, configurable: true });
  };
  const TypedArray = Object.getPrototypeOf(Uint8Array) as Any;
  const typed: Any = TypedArray.prototype;
  const plain: Any = Array.prototype;

  // --- what differs

  const { floor } = Math;
  put(Math, 'round', (x: number) => (x < 0 ? -floor(0.5 - x) : floor(x + 0.5))); // halves away from zero
  put(Math, 'clip', (x: number, min: number, max: number) => (x < min ? min : Math.min(x, max)));
  put(Math, 'wrap', (x: number, size: number) => (size < 0 ? 0 : x % size));

  const fromCharCode = String.fromCharCode;
  put(String, 'fromCharCode', (...codes: number[]) => fromCharCode.apply(null, codes.map((c) => c & 255) as Any));

  // Quicksort: not stable, and how it is not has to be the same here and there.
  const compareAsText = (a: unknown, b: unknown) => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0);
  const sortRange = (a: Any, low: number, n: number, compare: (x: Any, y: Any) => number): void => {
    if (n < 2) return;
    const swap = (i: number, j: number) => {
      const held = a[i];
      a[i] = a[j];
      a[j] = held;
    };
    if (n > 10) {
      const middle = low + (n >> 1);
      const high = low + n - 1;
      const lowMiddle = compare(a[low], a[middle]);
      const middleHigh = compare(a[middle], a[high]);
      const lowHigh = compare(a[low], a[high]);
      if ((lowMiddle <= 0 && middleHigh <= 0) || (lowHigh <= 0 && middleHigh >= 0)) swap(low, middle);
      else if ((lowMiddle >= 0 && lowHigh <= 0) || (middleHigh >= 0 && lowHigh >= 0)) swap(low, high);
    }
    const value = a[low];
    let pivot = low;
    let isLowest = true;
    for (let i = low + 1; i < low + n; i++) {
      const item = a[i];
      const order = compare(item, value);
      if (order > 0) continue;
      if (order < 0) isLowest = false;
      a[pivot++] = item;
      a[i] = a[pivot];
      a[pivot] = value;
    }
    sortRange(a, pivot + 1, low + n - 1 - pivot, compare);
    if (!isLowest) sortRange(a, low, pivot - low, compare);
  };
  const signOf = (compare: (x: Any, y: Any) => number) => (x: Any, y: Any) => {
    if (x === undefined) return 1;
    if (y === undefined) return -1;
    const order = Number(compare(x, y));
    return order === 0 ? 0 : order < 0 ? -1 : 1;
  };
  put(plain, 'sort', function sort(this: Any, compare?: (x: Any, y: Any) => number) {
    sortRange(this, 0, this.length, signOf(compare ?? compareAsText));
    return this;
  });
  put(typed, 'sort', function sort(this: Any, compare?: (x: Any, y: Any) => number) {
    sortRange(this, 0, this.length, signOf(compare ?? ((x: number, y: number) => x - y)));
    return this;
  });

  // Typed arrays: a plain array comes out of slice and filter, and what does not fit is dropped.
  const filter = plain.filter;
  put(typed, 'filter', function (this: Any, f: Any, self: Any) {
    return filter.call(this, f, self);
  });
  const plainSlice = plain.slice;
  put(typed, 'slice', function (this: Any, start: number, end: number) {
    const copy: number[] = [];
    for (let i = 0; i < this.length; i++) copy.push(this[i]);
    return plainSlice.call(copy, start, end);
  });
  const set = typed.set;
  const isView = ArrayBuffer.isView;
  put(typed, 'set', function (this: Any, from: Any, offset = 0) {
    const room = this.length - offset;
    if (from.length > room) {
      if (room <= 0) return;
      from = isView(from) ? (from as Any).subarray(0, room) : plainSlice.call(from, 0, room);
    }
    set.call(this, from, offset);
  });

  // A DataView reads zeros outside of its buffer and writes nothing there, silently.
  const view: Any = DataView.prototype;
  for (const [type, size] of [
    ['Int8', 1],
    ['Uint8', 1],
    ['Int16', 2],
    ['Uint16', 2],
    ['Int32', 4],
    ['Uint32', 4],
    ['Float32', 4],
    ['Float64', 8],
  ] as const) {
    const get = view[`get${type}`];
    const put1 = view[`set${type}`];
    const spare = new DataView(new ArrayBuffer(8));
    put(view, `get${type}`, function (this: DataView, offset: number, little?: boolean) {
      if (offset >= 0 && offset + size <= this.byteLength) return get.call(this, offset, little);
      const bytes = new Uint8Array(this.buffer);
      for (let i = 0; i < size; i++) spare.setInt8(i, bytes[this.byteOffset + offset + i] ?? 0);
      return get.call(spare, 0, little);
    });
    put(view, `set${type}`, function (this: DataView, offset: number, value: number, little?: boolean) {
      if (offset >= 0 && offset + size <= this.byteLength) {
        put1.call(this, offset, value, little);
        return;
      }
      put1.call(spare, 0, value, little);
      const bytes = new Uint8Array(this.buffer);
      for (let i = 0; i < size; i++) bytes[this.byteOffset + offset + i] = spare.getUint8(i);
    });
  }

  // Base64 of bytes. What is not of the alphabet is passed over.
  const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const sextet = new Int8Array(256).fill(-1);
  for (let i = 0; i < 64; i++) sextet[DIGITS.charCodeAt(i)] = i;
  put(world, 'btoa', (text: string) => {
    let out = '';
    for (let i = 0; i < text.length; i += 3) {
      const a = text.charCodeAt(i) & 255;
      const b = i + 1 < text.length ? text.charCodeAt(i + 1) & 255 : 0;
      const c = i + 2 < text.length ? text.charCodeAt(i + 2) & 255 : 0;
      out += DIGITS[a >> 2] + DIGITS[((a & 3) << 4) | (b >> 4)];
      out += i + 1 < text.length ? DIGITS[((b & 15) << 2) | (c >> 6)] : '=';
      out += i + 2 < text.length ? DIGITS[c & 63] : '=';
    }
    return out;
  });
  put(world, 'atob', (text: string) => {
    const chars = [];
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 32) chars.push(code);
    }
    let length = (chars.length * 3) >> 2;
    if (chars[chars.length - 1] === 61) length--;
    if (chars[chars.length - 2] === 61) length--;
    let out = '';
    for (let i = 0; i < chars.length; i += 4) {
      let triple = 0;
      let valid = 0;
      for (let k = 0; k < 4; k++) {
        const digit = i + k < chars.length ? sextet[chars[i + k] & 255] : -1;
        if (digit < 0) continue;
        triple |= digit << ((3 - k) * 6);
        valid = k;
      }
      if (valid > 0) out += fromCharCode((triple >> 16) & 255);
      if (valid > 1) out += fromCharCode((triple >> 8) & 255);
      if (valid > 2) out += fromCharCode(triple & 255);
    }
    while (out.length < length) out += '\0';
    return out.length > length ? out.slice(0, length) : out;
  });

  // --- promises, whose jobs run when the board's idle loop comes round and never on the host's queue
  const jobs: (() => void)[] = [];
  class EspruinoPromise {
    state = 0; // 1 kept, 2 broken
    value: unknown = undefined;
    waiting: (() => void)[] = [];
    handled = false;
    constructor(start: (done: (v: unknown) => void, failed: (r: unknown) => void) => void) {
      let settled = false;
      const once = (f: (x: unknown) => void) => (x: unknown) => {
        if (settled) return;
        settled = true;
        f(x);
      };
      const failed = once((reason) => this.#settle(2, reason));
      const done = once((value) => {
        const then = (value as Any)?.then;
        if (typeof then !== 'function') this.#settle(1, value);
        else
          then.call(
            value,
            (v: unknown) => this.#settle(1, v),
            (r: unknown) => this.#settle(2, r),
          );
      });
      try {
        start(done, failed);
      } catch (e) {
        failed(e);
      }
    }
    #settle(state: number, value: unknown) {
      this.state = state;
      this.value = value;
      for (const job of this.waiting) jobs.push(job);
      if (state === 2) {
        jobs.push(() => {
          if (!this.handled) onUnhandled(value);
        });
      }
    }
    // biome-ignore lint/suspicious/noThenProperty: this is a promise
    then(kept?: (v: unknown) => unknown, broken?: (r: unknown) => unknown) {
      return new EspruinoPromise((done, failed) => {
        this.handled = true;
        const job = () => {
          const f = this.state === 1 ? kept : broken;
          if (typeof f !== 'function') {
            if (this.state === 1) done(this.value);
            else failed(this.value);
            return;
          }
          try {
            done(f(this.value));
          } catch (e) {
            failed(e);
          }
        };
        if (this.state) jobs.push(job);
        else this.waiting.push(job);
      });
    }
    catch(broken: (r: unknown) => unknown) {
      return this.then(undefined, broken);
    }
    static resolve(value: unknown) {
      return value instanceof EspruinoPromise ? value : new EspruinoPromise((done) => done(value));
    }
    static reject(reason: unknown) {
      return new EspruinoPromise((_, failed) => failed(reason));
    }
    static all(list: unknown[]) {
      return new EspruinoPromise((done, failed) => {
        const values: unknown[] = list.map(() => undefined);
        let missing = list.length;
        if (!missing) done(values);
        for (let i = 0; i < list.length; i++) {
          EspruinoPromise.resolve(list[i]).then((v) => {
            values[i] = v;
            if (--missing === 0) done(values);
          }, failed as Any);
        }
      });
    }
  }
  put(world, 'Promise', EspruinoPromise);
  class InternalError extends Error {}
  put(world, 'InternalError', InternalError);
  put(world, 'global', world);

  // --- what is missing
  const take = (from: Any, names: string) => {
    for (const name of names.split(' ')) delete from[name];
  };
  // Symbol and the iterators stay reachable for V8's own `for..of`, only their names go.
  take(plain, 'at copyWithin entries findLast findLastIndex flat flatMap keys lastIndexOf reduceRight toLocaleString');
  take(plain, 'toReversed toSorted toSpliced values with');
  take(typed, 'at copyWithin entries findLast findLastIndex keys lastIndexOf reduceRight toLocaleString values with');
  take(typed, 'toReversed toSorted');
  take(TypedArray, 'from of');
  take(Array, 'from of fromAsync');
  take(ArrayBuffer.prototype, 'slice resize transfer transferToFixedLength');
  take(String.prototype, 'at codePointAt localeCompare matchAll normalize search toLocaleLowerCase toLocaleUpperCase');
  take(String.prototype, 'trimStart trimEnd trimLeft trimRight isWellFormed toWellFormed anchor big blink bold');
  take(Number.prototype, 'toExponential toPrecision toLocaleString');
  take(Number, 'isInteger isSafeInteger isFinite isNaN parseInt parseFloat');
  take(Math, 'acosh asinh atanh cbrt clz32 cosh expm1 fround hypot imul log10 log1p log2 sinh tanh trunc f16round');
  take(Object, 'freeze seal preventExtensions isFrozen isSealed isExtensible is hasOwn groupBy getOwnPropertySymbols');
  take(world, 'Map Set WeakMap WeakSet WeakRef Symbol BigInt BigInt64Array BigUint64Array Proxy Reflect Intl Atomics');
  take(world, 'RangeError URIError EvalError AggregateError FinalizationRegistry SharedArrayBuffer WebAssembly');
  take(
    world,
    'Uint8ClampedArray Iterator AsyncDisposableStack DisposableStack SuppressedError Float16Array escape unescape',
  );
  // No way from an exception's stack to functions outside: V8 would ask a function put here to format it.
  Object.defineProperty(Error, 'prepareStackTrace', { value: undefined, writable: false, configurable: false });

  return {
    runJobs() {
      for (let job = jobs.shift(); job; job = jobs.shift()) job();
    },
  };
}
