/** Typed arrays as Espruino 2v29 has them: at most 65,535 elements, and at most 65,535 bytes into a buffer. */

interface ArrayBuffer {
  readonly byteLength: number;
}
interface ArrayBufferConstructor {
  new (byteLength: number): ArrayBuffer;
}
declare var ArrayBuffer: ArrayBufferConstructor;

interface ArrayBufferView {
  readonly buffer: ArrayBuffer;
  readonly byteLength: number;
  readonly byteOffset: number;
  readonly length: number;
  [index: number]: number;
}
interface TypedArray<Self> extends ArrayBufferView {
  [Symbol.iterator](): IterableIterator<number>;
  set(from: ArrayLike<number>, offset?: number): void;
  /** Same type as this; a native function is called without any interpreting in between. */
  map(f: (value: number, index: number) => number, self?: object): Self;
  subarray(begin: number, end?: number): Self;
  /** A plain array, unlike everywhere else. */
  slice(start?: number, end?: number): number[];
  indexOf(value: number, from?: number): number;
  includes(value: number, from?: number): boolean;
  join(separator?: string): string;
  forEach(f: (value: number, index: number) => void, self?: object): void;
  reduce<U>(f: (sum: U, value: number, index: number) => U, first: U): U;
  fill(value: number, start?: number, end?: number): Self;
  /** A plain array. */
  filter(f: (value: number, index: number) => unknown): number[];
  find(f: (value: number, index: number) => unknown): number | undefined;
  findIndex(f: (value: number, index: number) => unknown): number;
  some(f: (value: number, index: number) => unknown): boolean;
  every(f: (value: number, index: number) => unknown): boolean;
  /** An array of 128 elements or more is never freed again: call it on views of fewer. */
  reverse(): Self;
  sort(compare?: (a: number, b: number) => number): Self;
}
interface TypedArrayConstructor<A> {
  new (length: number): A;
  new (values: ArrayLike<number>): A;
  /** A length of 0 means "to the end". */
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): A;
}
interface Uint8Array extends TypedArray<Uint8Array> {}
declare var Uint8Array: TypedArrayConstructor<Uint8Array>;
// Uint8ClampedArray: rounds down where JavaScript rounds to the nearest
interface Int8Array extends TypedArray<Int8Array> {}
declare var Int8Array: TypedArrayConstructor<Int8Array>;
interface Uint16Array extends TypedArray<Uint16Array> {}
declare var Uint16Array: TypedArrayConstructor<Uint16Array>;
interface Int16Array extends TypedArray<Int16Array> {}
declare var Int16Array: TypedArrayConstructor<Int16Array>;
/** Espruino's own: 24 bits, three bytes each. */
interface Uint24Array extends TypedArray<Uint24Array> {}
declare var Uint24Array: TypedArrayConstructor<Uint24Array>;
/** Beware: `E.sum` and `E.convolve` read its elements as signed. */
interface Uint32Array extends TypedArray<Uint32Array> {}
declare var Uint32Array: TypedArrayConstructor<Uint32Array>;
interface Int32Array extends TypedArray<Int32Array> {}
declare var Int32Array: TypedArrayConstructor<Int32Array>;
interface Float32Array extends TypedArray<Float32Array> {}
declare var Float32Array: TypedArrayConstructor<Float32Array>;
interface Float64Array extends TypedArray<Float64Array> {}
declare var Float64Array: TypedArrayConstructor<Float64Array>;

/** Outside of the buffer it reads 0 and writes nothing, without a word: check lengths first. */
interface DataView {
  readonly buffer: ArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
  getFloat32(byteOffset: number, littleEndian?: boolean): number;
  getFloat64(byteOffset: number, littleEndian?: boolean): number;
  getInt8(byteOffset: number, littleEndian?: boolean): number;
  getInt16(byteOffset: number, littleEndian?: boolean): number;
  getInt32(byteOffset: number, littleEndian?: boolean): number;
  getUint8(byteOffset: number, littleEndian?: boolean): number;
  getUint16(byteOffset: number, littleEndian?: boolean): number;
  getUint32(byteOffset: number, littleEndian?: boolean): number;
  setFloat32(byteOffset: number, value: number, littleEndian?: boolean): void;
  setFloat64(byteOffset: number, value: number, littleEndian?: boolean): void;
  setInt8(byteOffset: number, value: number, littleEndian?: boolean): void;
  setInt16(byteOffset: number, value: number, littleEndian?: boolean): void;
  setInt32(byteOffset: number, value: number, littleEndian?: boolean): void;
  setUint8(byteOffset: number, value: number, littleEndian?: boolean): void;
  setUint16(byteOffset: number, value: number, littleEndian?: boolean): void;
  setUint32(byteOffset: number, value: number, littleEndian?: boolean): void;
}
interface DataViewConstructor {
  new (buffer: ArrayBuffer, byteOffset?: number, byteLength?: number): DataView;
}
declare var DataView: DataViewConstructor;
