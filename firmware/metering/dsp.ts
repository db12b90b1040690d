/**
 * The native helpers that metering stands on: Espruino's `E` is one of these. (Espruino dialect)
 */
export interface Dsp {
  /** Σ a[n] · b[(n + offset) mod b.length] */
  convolve(a: Int16Array, b: Int16Array, offset: number): number;
  sum(a: Int16Array): number;
  /** to[n] = table[from[n]] */
  mapInPlace(from: Uint16Array, to: Int16Array, table: Int16Array): void;
}
