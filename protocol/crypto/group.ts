/**
 * The group of the proofs: NIST P-256, prime order, no cofactor. Commitments (pedersen.ts) and proofs (lookup-proof.ts) are made in it.
 *
 *   element   33 B  compressed point (SEC 1, section 2.3.3: 02 or 03 ‖ x); the neutral element is never sent
 *   affine    64 B  x ‖ y, big-endian: twice as long, and ten times as fast to check; where very many come in (pvss.ts)
 *   scalar    32 B  big-endian, below ORDER
 *
 * Two engines, each where it is best (measured on a 2-core x86 machine; take the ratios):
 *
 *   OpenSSL     G^r for secret r, constant time (nistz256)          12 µs; libsodium's ristretto255: 28 µs
 *   mcl-wasm    sums of many points, variable time                  0.7 µs an addition; libsodium's ristretto255: 15 µs, because each
 *               addition there decodes and encodes                  17 µs to decompress a point; @noble: 60 µs
 *
 * So `multiplyBase` is for secrets; everything else here takes a time that depends on its operands, and is for what is public, or
 * for a prover at home that sends at a fixed time (protocols.md, section 5). @noble/curves is the oracle in tests.
 *
 * mcl is instantiated here by itself: its JavaScript wrapper has one curve for the whole process, and copies points at each call.
 */
import { createECDH, createHash } from 'node:crypto';
import { createRequire } from 'node:module';

export const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
export const ELEMENT_BYTES = 33;
export const AFFINE_BYTES = 64;
export const SCALAR_BYTES = 32;
const FIELD_PRIME = Buffer.from('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff', 'hex');

/** Bytes from outside that are no element or scalar. `path` names the field. */
export class GroupError extends Error {
  override readonly name = 'GroupError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

// ── the engine ──

/** What is used of mcl's C interface (bn.h); numbers are addresses in its memory. */
interface Mcl {
  wasmMemory: { buffer: ArrayBuffer };
  _malloc(bytes: number): number;
  _free(at: number): void;
  _mclBn_init(curve: number, compiledTimeVar: number): number;
  _mclBnG1_getBasePoint(to: number): void;
  _mclBnG1_clear(to: number): void;
  _mclBnG1_add(to: number, a: number, b: number): void;
  _mclBnG1_sub(to: number, a: number, b: number): void;
  _mclBnG1_dbl(to: number, a: number): void;
  _mclBnG1_neg(to: number, a: number): void;
  _mclBnG1_mul(to: number, a: number, scalar: number): void;
  _mclBnG1_isZero(at: number): number;
  _mclBnG1_isEqual(a: number, b: number): number;
  _mclBnG1_normalizeVec(to: number, from: number, count: number): void;
  _mclBnG1_serialize(to: number, most: number, at: number): number;
  _mclBnG1_deserialize(to: number, from: number, length: number): number;
  _mclBnFp_setLittleEndian(to: number, from: number, length: number): number;
  _mclBnFp_getLittleEndian(to: number, most: number, at: number): number;
  _mclBnG1_isValid(at: number): number;
  _mclBnFr_setLittleEndian(to: number, from: number, length: number): number;
}
/** bn.h and mcl-wasm's constants.ts: MCLBN_FP_UNIT_SIZE = 6, MCLBN_FR_UNIT_SIZE = 4, NIST_P256 = 107. */
const NIST_P256 = 107;
const COMPILED_TIME_VAR = 46;
const COORDINATE = 48;
/** x, y, z (Jacobian). */
const POINT = 3 * COORDINATE;

const createMcl = createRequire(import.meta.url)('mcl-wasm/dist/mcl_c.js') as (o: object) => Promise<Mcl>;
const mcl = await createMcl({
  cryptoGetRandomValues: () => {
    throw new Error('this engine draws no random numbers');
  },
});
if (mcl._mclBn_init(NIST_P256, COMPILED_TIME_VAR) !== 0) throw new Error('mcl-wasm does not know P-256');

let memory = new Uint8Array(mcl.wasmMemory.buffer);
/** Memory moves when it grows. */
const heap = (): Uint8Array => {
  if (memory.buffer !== mcl.wasmMemory.buffer) memory = new Uint8Array(mcl.wasmMemory.buffer);
  return memory;
};
/** A stretch of the engine's memory that is used again and grows as needed. */
class Arena {
  #at = 0;
  #bytes = 0;
  at(bytes: number): number {
    if (bytes > this.#bytes) {
      if (this.#at !== 0) mcl._free(this.#at);
      this.#bytes = Math.max(bytes, 2 * this.#bytes);
      this.#at = mcl._malloc(this.#bytes);
    }
    return this.#at;
  }
}
const [inputs, buckets] = [new Arena(), new Arena()];
const [A, B, C, TEXT, SCALAR] = Array.from({ length: 5 }, () => mcl._malloc(POINT));

// ── elements ──

/** An element; immutable. */
export class Element {
  /** As the engine holds it: affine, z = 1 (or all zero, for the neutral element). */
  readonly raw: Uint8Array;
  /** @internal For what picks elements by their bytes (pedersen.ts). */
  constructor(raw: Uint8Array) {
    this.raw = raw;
  }

  /** @internal Takes `count` points that stand in the engine's memory from `at` on. */
  static take(at: number, count: number): Element[] {
    if (count > 0) mcl._mclBnG1_normalizeVec(at, at, count);
    const all = heap().slice(at, at + count * POINT);
    return Array.from({ length: count }, (_, i) => new Element(all.subarray(i * POINT, (i + 1) * POINT)));
  }

  get isNeutral(): boolean {
    return mcl._mclBnG1_isZero(put(A, this)) !== 0;
  }
  equals(other: Element): boolean {
    return mcl._mclBnG1_isEqual(put(A, this), put(B, other)) !== 0;
  }
  add(other: Element): Element {
    mcl._mclBnG1_add(C, put(A, this), put(B, other));
    return Element.take(C, 1)[0];
  }
  subtract(other: Element): Element {
    mcl._mclBnG1_sub(C, put(A, this), put(B, other));
    return Element.take(C, 1)[0];
  }
  /** Variable time. */
  multiply(scalar: bigint): Element {
    return multiplyAdd([this], scalar, [NEUTRAL])[0];
  }
  /** @throws RangeError for the neutral element */
  encode(): Uint8Array {
    const length = mcl._mclBnG1_serialize(TEXT, ELEMENT_BYTES, put(A, this));
    if (length !== ELEMENT_BYTES || this.isNeutral) throw new RangeError('the neutral element has no encoding');
    const bytes = heap().slice(TEXT, TEXT + ELEMENT_BYTES);
    bytes.subarray(1).reverse(); // mcl writes x with its least byte first
    return bytes;
  }

  /** x ‖ y, 64 B. @throws RangeError for the neutral element */
  encodeAffine(): Uint8Array {
    if (this.isNeutral) throw new RangeError('the neutral element has no encoding');
    const bytes = new Uint8Array(AFFINE_BYTES);
    put(A, this);
    for (const i of [0, 1]) {
      heap().fill(0, TEXT, TEXT + SCALAR_BYTES); // the engine leaves leading zeros out
      mcl._mclBnFp_getLittleEndian(TEXT, SCALAR_BYTES, A + i * COORDINATE);
      bytes.set(heap().subarray(TEXT, TEXT + SCALAR_BYTES), i * SCALAR_BYTES);
      bytes.subarray(i * SCALAR_BYTES, (i + 1) * SCALAR_BYTES).reverse();
    }
    return bytes;
  }

  /** @throws GroupError: of another length, no point, or x not below the field's prime */
  static decode(bytes: Uint8Array, path = 'element'): Element {
    if (bytes.length !== ELEMENT_BYTES)
      throw new GroupError(path, `is ${bytes.length} bytes long, not ${ELEMENT_BYTES}`);
    if (!decodeTo(A, bytes)) throw new GroupError(path, 'is no compressed point of P-256');
    return Element.take(A, 1)[0];
  }
}

const put = (at: number, { raw }: Element): number => {
  heap().set(raw, at);
  return at;
};

/** Whether `bytes` was the one encoding of a point. */
function decodeTo(at: number, bytes: Uint8Array): boolean {
  if ((bytes[0] !== 2 && bytes[0] !== 3) || Buffer.compare(bytes.subarray(1), FIELD_PRIME) >= 0) return false;
  const to = heap();
  to[TEXT] = bytes[0];
  for (let i = 1; i < ELEMENT_BYTES; i++) to[TEXT + ELEMENT_BYTES - i] = bytes[i];
  return mcl._mclBnG1_deserialize(at, TEXT, ELEMENT_BYTES) === ELEMENT_BYTES;
}

/** Elements one after the other, 33 B each. @throws GroupError that names the first that is none: `path.3` */
export function decodeElements(bytes: Uint8Array, path = 'elements'): Element[] {
  const count = bytes.length / ELEMENT_BYTES;
  if (!Number.isInteger(count)) throw new GroupError(path, `is no multiple of ${ELEMENT_BYTES} bytes long`);
  const at = inputs.at(count * POINT);
  for (let i = 0; i < count; i++)
    if (!decodeTo(at + i * POINT, bytes.subarray(i * ELEMENT_BYTES, (i + 1) * ELEMENT_BYTES)))
      throw new GroupError(`${path}.${i}`, 'is no compressed point of P-256');
  return Element.take(at, count);
}

/** Elements as x ‖ y, 64 B each. @throws GroupError that names the first that is none: `path.3` */
export function decodeAffine(bytes: Uint8Array, path = 'elements'): Element[] {
  const count = bytes.length / AFFINE_BYTES;
  if (!Number.isInteger(count)) throw new GroupError(path, `is no multiple of ${AFFINE_BYTES} bytes long`);
  return Array.from({ length: count }, (_, i) => {
    heap().set(BASE.raw, A); // for z = 1
    for (const c of [0, 1]) {
      const coordinate = bytes.subarray(i * AFFINE_BYTES + c * SCALAR_BYTES, i * AFFINE_BYTES + (c + 1) * SCALAR_BYTES);
      if (Buffer.compare(coordinate, FIELD_PRIME) >= 0)
        throw new GroupError(`${path}.${i}`, "has a coordinate that is not below the field's prime");
      const to = heap();
      for (let k = 0; k < SCALAR_BYTES; k++) to[TEXT + SCALAR_BYTES - 1 - k] = coordinate[k];
      mcl._mclBnFp_setLittleEndian(A + c * COORDINATE, TEXT, SCALAR_BYTES);
    }
    if (mcl._mclBnG1_isValid(A) === 0) throw new GroupError(`${path}.${i}`, 'is no point of P-256');
    return new Element(heap().slice(A, A + POINT));
  });
}

mcl._mclBnG1_clear(A);
export const NEUTRAL: Element = Element.take(A, 1)[0];
mcl._mclBnG1_getBasePoint(A);
/** The curve's base point. */
export const BASE: Element = Element.take(A, 1)[0];

// ── scalars ──

export const modulo = (x: bigint): bigint => {
  const rest = x % ORDER;
  return rest < 0n ? rest + ORDER : rest;
};
export function encodeScalar(scalar: bigint): Uint8Array {
  return Buffer.from(
    modulo(scalar)
      .toString(16)
      .padStart(2 * SCALAR_BYTES, '0'),
    'hex',
  );
}
/** @throws GroupError */
export function decodeScalar(bytes: Uint8Array, path = 'scalar'): bigint {
  if (bytes.length !== SCALAR_BYTES) throw new GroupError(path, `is ${bytes.length} bytes long, not ${SCALAR_BYTES}`);
  const scalar = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  if (scalar >= ORDER) throw new GroupError(path, 'is not below the order of the group');
  return scalar;
}
/** A uniform scalar of 64 uniform bytes, whose remainder is uniform but for 2^−256. */
export const scalarOf = (bytes64: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes64).toString('hex')}`) % ORDER;

export function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let bit = exponent.toString(2).length - 1; bit >= 0; bit--) {
    result = (result * result) % ORDER;
    if ((exponent >> BigInt(bit)) & 1n) result = (result * base) % ORDER;
  }
  return result;
}
/** @throws RangeError of 0 */
export const invert = (scalar: bigint): bigint => invertAll([scalar])[0];
/** All with one inversion (Montgomery's trick). @throws RangeError where one is 0 */
export function invertAll(scalars: readonly bigint[]): bigint[] {
  const products: bigint[] = [];
  let product = 1n;
  for (const scalar of scalars) {
    products.push(product);
    product = (product * scalar) % ORDER;
  }
  if (product === 0n) throw new RangeError('0 has no inverse');
  let inverse = power(modulo(product), ORDER - 2n);
  const inverses = new Array<bigint>(scalars.length);
  for (let i = scalars.length - 1; i >= 0; i--) {
    inverses[i] = modulo(inverse * products[i]);
    inverse = (inverse * scalars[i]) % ORDER;
  }
  return inverses;
}

// ── products ──

const ecdh = createECDH('prime256v1');

/** G^r in constant time. @param secret 32 B, big-endian, from 1 to ORDER − 1 @throws Error where it is not */
export function multiplyBase(secret: Uint8Array): Element {
  ecdh.setPrivateKey(secret);
  const point = ecdh.getPublicKey() as Buffer; // 04 ‖ x ‖ y
  ecdh.setPrivateKey(ONE); // nothing of the secret stays
  heap().set(BASE.raw, A);
  for (const [i, from] of [1, 1 + SCALAR_BYTES].entries()) {
    heap().set(point.subarray(from, from + SCALAR_BYTES).reverse(), TEXT);
    mcl._mclBnFp_setLittleEndian(A + i * COORDINATE, TEXT, SCALAR_BYTES);
  }
  return Element.take(A, 1)[0];
}
const ONE = encodeScalar(1n);

/** a[i]·scalar + b[i], one scalar for all. Variable time. */
export function multiplyAdd(a: readonly Element[], scalar: bigint, b: readonly Element[]): Element[] {
  const at = inputs.at(a.length * POINT);
  heap().set(encodeScalar(scalar).reverse(), TEXT);
  mcl._mclBnFr_setLittleEndian(SCALAR, TEXT, SCALAR_BYTES);
  for (let i = 0; i < a.length; i++) {
    mcl._mclBnG1_mul(C, put(A, a[i]), SCALAR);
    mcl._mclBnG1_add(at + i * POINT, C, put(B, b[i]));
  }
  return Element.take(at, a.length);
}

/** start, start + step, start + 2·step … For tables and searches; 256 at a time cost least. Variable time. */
export function progression(start: Element, step: Element, count: number): Element[] {
  const at = inputs.at(Math.max(1, count) * POINT);
  put(B, step);
  put(at, start);
  for (let i = 1; i < count; i++) mcl._mclBnG1_add(at + i * POINT, at + (i - 1) * POINT, B);
  return Element.take(at, count);
}

/** The sum of elements. */
export function sum(elements: readonly Element[]): Element {
  mcl._mclBnG1_clear(A);
  for (const element of elements) mcl._mclBnG1_add(A, A, put(B, element));
  return Element.take(A, 1)[0];
}

/**
 * Σ scalars[i]·elements[i], by buckets (Pippenger's algorithm as in Bernstein, Doumen, Lange, Oosterwijk, "Faster batch forgery
 * identification", 2012, section 4), with signed digits. The windows reach no further than the longest scalar, so small weights cost
 * little; where many weights are equal (a tariff has few prices) their elements are added up first. Variable time.
 * @param scalars of any sign; −w costs what w does
 */
export function multiScalar(elements: readonly Element[], scalars: readonly bigint[]): Element {
  if (elements.length !== scalars.length) throw new RangeError('as many scalars as elements are needed');
  const { points, count, magnitudes } = gather(elements, scalars);
  if (count === 0) return NEUTRAL;
  const bits = Math.max(...magnitudes.map((m) => m.toString(2).length));
  const width = bestWidth(count, bits);
  const windows = Math.floor(bits / width) + 1; // one bit more, for the carry of signed digits
  const digits = signedDigits(magnitudes, width, windows);
  const half = 1 << (width - 1);
  const at = buckets.at((half + 1) * POINT);
  const used = new Uint8Array(half + 1);
  mcl._mclBnG1_clear(A);
  for (let w = windows - 1; w >= 0; w--) {
    for (let i = 0; i < width; i++) mcl._mclBnG1_dbl(A, A);
    used.fill(0);
    for (let i = 0; i < count; i++) {
      const digit = digits[w * count + i];
      if (digit === 0) continue;
      const bucket = Math.abs(digit);
      const to = at + bucket * POINT;
      const from = points + i * POINT;
      if (used[bucket] === 1) {
        if (digit > 0) mcl._mclBnG1_add(to, to, from);
        else mcl._mclBnG1_sub(to, to, from);
      } else {
        used[bucket] = 1;
        if (digit > 0) heap().copyWithin(to, from, from + POINT);
        else mcl._mclBnG1_neg(to, from);
      }
    }
    // Σ d·bucket[d] as the sum of the running sums from the top
    mcl._mclBnG1_clear(B);
    mcl._mclBnG1_clear(C);
    for (let d = half; d > 0; d--) {
      if (used[d] === 1) mcl._mclBnG1_add(B, B, at + d * POINT);
      mcl._mclBnG1_add(C, C, B);
    }
    mcl._mclBnG1_add(A, A, C);
  }
  return Element.take(A, 1)[0];
}

/** Lays the elements out with weights above 0; those of equal weight as their sum, where there are many. */
function gather(
  elements: readonly Element[],
  scalars: readonly bigint[],
): { points: number; count: number; magnitudes: bigint[] } {
  const slots = new Map<bigint, number>();
  for (const scalar of scalars) {
    const size = magnitude(scalar);
    if (size !== 0n && !slots.has(size)) slots.set(size, slots.size);
    if (slots.size > scalars.length / 4) break;
  }
  const grouped = slots.size <= scalars.length / 4;
  const points = inputs.at(Math.max(1, elements.length) * POINT);
  const magnitudes: bigint[] = [];
  if (grouped) {
    for (let i = 0; i < slots.size; i++) mcl._mclBnG1_clear(points + i * POINT);
    magnitudes.push(...slots.keys());
  }
  for (let i = 0; i < elements.length; i++) {
    const size = magnitude(scalars[i]);
    if (size === 0n) continue;
    const to = points + (grouped ? slots.get(size)! : magnitudes.length) * POINT;
    const positive = isPositive(scalars[i]);
    if (!grouped) {
      magnitudes.push(size);
      if (positive) put(to, elements[i]);
      else mcl._mclBnG1_neg(to, put(B, elements[i]));
    } else if (positive) mcl._mclBnG1_add(to, to, put(B, elements[i]));
    else mcl._mclBnG1_sub(to, to, put(B, elements[i]));
  }
  if (grouped && slots.size > 0) mcl._mclBnG1_normalizeVec(points, points, slots.size);
  return { points, count: magnitudes.length, magnitudes };
}

const HALF_ORDER = ORDER >> 1n;
/** s ≡ ± magnitude; the shorter of the two. */
function magnitude(scalar: bigint): bigint {
  if (scalar < 0n ? scalar >= -HALF_ORDER : scalar <= HALF_ORDER) return scalar < 0n ? -scalar : scalar;
  const rest = modulo(scalar);
  return rest <= HALF_ORDER ? rest : ORDER - rest;
}
const isPositive = (scalar: bigint): boolean =>
  scalar >= -HALF_ORDER && scalar <= HALF_ORDER ? scalar >= 0n : modulo(scalar) <= HALF_ORDER;

/** The window that needs the fewest additions: one for each element and two for each bucket, in each window. */
function bestWidth(count: number, bits: number): number {
  let [best, least] = [1, Number.POSITIVE_INFINITY];
  for (let width = 1; width <= 14; width++) {
    const cost = (Math.floor(bits / width) + 1) * (count + 2 ** width + width);
    if (cost < least) [best, least] = [width, cost];
  }
  return best;
}

/** By window, then by scalar: digits from −2^(width−1) to 2^(width−1). */
function signedDigits(magnitudes: readonly bigint[], width: number, windows: number): Int16Array {
  const count = magnitudes.length;
  const digits = new Int16Array(windows * count);
  const words = new BigUint64Array(5);
  const halves = new Uint32Array(words.buffer); // little-endian, as all that runs Node is
  const [mask, half] = [(1 << width) - 1, 1 << (width - 1)];
  for (let i = 0; i < count; i++) {
    let rest = magnitudes[i];
    for (let word = 0; word < 4; word++) {
      words[word] = BigInt.asUintN(64, rest);
      rest = rest === 0n ? 0n : rest >> 64n;
    }
    let carry = 0;
    for (let w = 0; w < windows; w++) {
      const bit = w * width;
      const [word, shift] = [bit >>> 5, bit & 31];
      const next = shift > 0 ? halves[word + 1] << (32 - shift) : 0;
      let digit = (((halves[word] >>> shift) | next) & mask) + carry;
      carry = 0;
      if (digit > half) {
        digit -= 1 << width;
        carry = 1;
      }
      digits[w * count + i] = digit;
    }
  }
  return digits;
}

/**
 * Folds blocks onto each other: result[i] = Σ_j scalars[j]·elements[i + j·n], n = elements.length / scalars.length. The scalars are the
 * same for all i, so their digits (width-5 non-adjacent form) are found once, and all terms of a result share its doublings (Straus,
 * "Addition chains of vectors", 1964). Variable time.
 */
export function foldBlocks(elements: readonly Element[], scalars: readonly bigint[]): Element[] {
  const n = elements.length / scalars.length;
  const digits = scalars.map((scalar) => nonAdjacent(modulo(scalar)));
  const length = Math.max(...digits.map((d) => d.length));
  const results = inputs.at(n * POINT);
  const odd = buckets.at(scalars.length * ODD_MULTIPLES * POINT);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < scalars.length; j++) {
      const first = odd + j * ODD_MULTIPLES * POINT;
      mcl._mclBnG1_dbl(B, put(first, elements[i + j * n]));
      for (let k = 1; k < ODD_MULTIPLES; k++) mcl._mclBnG1_add(first + k * POINT, first + (k - 1) * POINT, B);
    }
    mcl._mclBnG1_normalizeVec(odd, odd, scalars.length * ODD_MULTIPLES); // additions of affine points are faster
    mcl._mclBnG1_clear(A);
    for (let bit = length - 1; bit >= 0; bit--) {
      mcl._mclBnG1_dbl(A, A);
      for (let j = 0; j < scalars.length; j++) {
        const digit = digits[j][bit];
        if (digit > 0) mcl._mclBnG1_add(A, A, odd + (j * ODD_MULTIPLES + (digit >> 1)) * POINT);
        else if (digit < 0) mcl._mclBnG1_sub(A, A, odd + (j * ODD_MULTIPLES + (-digit >> 1)) * POINT);
      }
    }
    heap().copyWithin(results + i * POINT, A, A + POINT);
  }
  return Element.take(results, n);
}
const NAF_WIDTH = 5;
const ODD_MULTIPLES = 1 << (NAF_WIDTH - 2);

/** Odd digits between −2^4 and 2^4, each followed by at least four zeros; the least significant first. */
function nonAdjacent(scalar: bigint): Int8Array {
  const digits = new Int8Array(258);
  let rest = scalar;
  let bit = 0;
  for (; rest > 0n; bit++) {
    if (rest & 1n) {
      let digit = Number(rest & 31n);
      if (digit >= 16) digit -= 32;
      digits[bit] = digit;
      rest -= BigInt(digit);
    }
    rest >>= 1n;
  }
  return digits.subarray(0, Math.max(1, bit));
}

// ── generators ──

/**
 * The element that belongs to a text, of which nobody knows the logarithm to another's base: the first counter 0, 1, 2 … for which
 * x = SHA-256("quietmeter/v1/generator" ‖ 00 ‖ text ‖ 00 ‖ counter, one byte) is the x of a point; of its two points the one with
 * even y. (Hash and try again: the text is public, so the number of tries tells nothing; 128 tries fail once in 2^128.)
 */
export function hashToElement(text: string): Element {
  const start = createHash('sha256').update(`quietmeter/v1/generator\0${text}\0`);
  for (let counter = 0; counter < 256; counter++) {
    const x = start.copy().update(Uint8Array.of(counter)).digest();
    if (decodeTo(A, Buffer.concat([Uint8Array.of(2), x]))) return Element.take(A, 1)[0];
  }
  throw new Error('no point in 256 tries');
}
