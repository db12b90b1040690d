/**
 * The language as Espruino 2v29 has it. The firmware is checked against this instead of TypeScript's own libraries
 * (`noLib`), so that what the interpreter lacks (`Array.from`, `Math.trunc`, `Map`, `lastIndexOf` of arrays …) is an error
 * in the editor already. test/espruino/library.test.ts asks the real interpreter for every name declared here.
 *
 * Names that exist but mislead are left out on purpose, and say why where they would stand.
 */

declare var NaN: number;
declare var Infinity: number;
declare function isNaN(value: unknown): boolean;
declare function isFinite(value: unknown): boolean;
declare function parseInt(text: string, radix?: number): number;
declare function parseFloat(text: string): number;
/** Base64 of a string of bytes (latin-1), natively. */
declare function btoa(bytes: string): string;
/** Bytes (latin-1) of a base64 string; what is not base64 is passed over silently. */
declare function atob(base64: string): string;

/** A JavaScript object. Never iterated with a prototype in the way: Espruino's `for..in` sees own properties only. */
interface Object {
  toString(radix?: number): string;
  valueOf(): Object;
  hasOwnProperty(name: string): boolean;
}
interface ObjectConstructor {
  keys(o: object): string[];
  values<T>(o: { [name: string]: T }): T[];
  entries<T>(o: { [name: string]: T }): [string, T][];
  assign<T extends object, U>(target: T, source: U): T & U;
  create(prototype: object | null): any;
  getPrototypeOf(o: object): any;
  defineProperty<T>(o: T, name: string, descriptor: { value?: unknown; get?(): unknown; set?(v: any): void }): T;
}
declare var Object: ObjectConstructor;

interface Function {
  apply(this: Function, self: any, args?: any): any;
  call(this: Function, self: any, ...args: any[]): any;
  bind(this: Function, self: any, ...args: any[]): any;
  prototype: any;
  readonly length: number;
}
interface CallableFunction extends Function {}
interface NewableFunction extends Function {}
interface IArguments {
  [index: number]: any;
  readonly length: number;
}

interface Boolean {
  valueOf(): boolean;
}

interface Number {
  toString(radix?: number): string;
  // toFixed rounds in its own way (−1.5 to "-1"): print scaled integers
  valueOf(): number;
}
interface NumberConstructor {
  (value?: unknown): number;
  readonly MAX_VALUE: number;
  readonly MIN_VALUE: number;
  readonly NaN: number;
  readonly NEGATIVE_INFINITY: number;
  readonly POSITIVE_INFINITY: number;
}
declare var Number: NumberConstructor;

/** Characters 0–255 are one byte each; anything above is kept as UTF-8 and slow to index. */
interface String {
  readonly length: number;
  readonly [index: number]: string;
  charAt(index: number): string;
  charCodeAt(index: number): number;
  indexOf(text: string, from?: number): number;
  lastIndexOf(text: string, from?: number): number;
  includes(text: string, from?: number): boolean;
  startsWith(text: string, from?: number): boolean;
  endsWith(text: string, end?: number): boolean;
  substring(start: number, end?: number): string;
  substr(start: number, length?: number): string;
  slice(start: number, end?: number): string;
  split(separator: string): string[];
  replace(what: string, by: string): string;
  replaceAll(what: string, by: string): string;
  concat(...texts: string[]): string;
  repeat(count: number): string;
  padStart(length: number, fill?: string): string;
  padEnd(length: number, fill?: string): string;
  trim(): string;
  toLowerCase(): string;
  toUpperCase(): string;
  toString(): string;
}
interface StringConstructor {
  (value?: unknown): string;
  fromCharCode(...codes: number[]): string;
}
declare var String: StringConstructor;

/** Only so that TypeScript accepts `for..of` over arrays and strings. Espruino has no Symbol; the gate refuses the name. */
interface SymbolConstructor {
  readonly iterator: unique symbol;
}
declare var Symbol: SymbolConstructor;
interface IteratorResult<T> {
  done?: boolean;
  value: T;
}
interface Iterator<T, TReturn = any, TNext = any> {
  next(value?: TNext): IteratorResult<T>;
  return?(value?: TReturn): IteratorResult<T>;
}
interface Iterable<T, TReturn = any, TNext = any> {
  [Symbol.iterator](): Iterator<T, TReturn, TNext>;
}
interface IterableIterator<T, TReturn = any, TNext = any> extends Iterator<T, TReturn, TNext> {
  [Symbol.iterator](): IterableIterator<T, TReturn, TNext>;
}
interface String {
  [Symbol.iterator](): IterableIterator<string>;
}

interface ArrayLike<T> {
  readonly length: number;
  readonly [index: number]: T;
}
interface ReadonlyArray<T> {
  readonly length: number;
  readonly [index: number]: T;
  [Symbol.iterator](): IterableIterator<T>;
  indexOf(value: T, from?: number): number;
  includes(value: T, from?: number): boolean;
  join(separator?: string): string;
  map<U>(f: (value: T, index: number, array: readonly T[]) => U, self?: any): U[];
  forEach(f: (value: T, index: number, array: readonly T[]) => void, self?: any): void;
  filter(f: (value: T, index: number) => unknown): T[];
  find(f: (value: T, index: number) => unknown): T | undefined;
  findIndex(f: (value: T, index: number) => unknown): number;
  some(f: (value: T, index: number) => unknown): boolean;
  every(f: (value: T, index: number) => unknown): boolean;
  reduce<U>(f: (sum: U, value: T, index: number) => U, first: U): U;
  slice(start?: number, end?: number): T[];
  concat(...items: (T | readonly T[])[]): T[];
}
/** `length` cannot be assigned (it throws), and there is no lastIndexOf, flat, at, entries, reduceRight … */
interface Array<T> {
  readonly length: number;
  [index: number]: T;
  [Symbol.iterator](): IterableIterator<T>;
  indexOf(value: T, from?: number): number;
  includes(value: T, from?: number): boolean;
  join(separator?: string): string;
  push(...items: T[]): number;
  pop(): T | undefined;
  shift(): T | undefined;
  unshift(...items: T[]): number;
  map<U>(f: (value: T, index: number, array: T[]) => U, self?: any): U[];
  forEach(f: (value: T, index: number, array: T[]) => void, self?: any): void;
  filter(f: (value: T, index: number) => unknown): T[];
  find(f: (value: T, index: number) => unknown): T | undefined;
  findIndex(f: (value: T, index: number) => unknown): number;
  some(f: (value: T, index: number) => unknown): boolean;
  every(f: (value: T, index: number) => unknown): boolean;
  reduce<U>(f: (sum: U, value: T, index: number) => U, first: U): U;
  slice(start?: number, end?: number): T[];
  splice(start: number, count?: number, ...items: T[]): T[];
  concat(...items: (T | readonly T[])[]): T[];
  fill(value: T, start?: number, end?: number): this;
  reverse(): this;
  /** Not stable: equal elements change places. */
  sort(compare?: (a: T, b: T) => number): this;
}
interface ArrayConstructor {
  new <T = any>(length: number): T[];
  isArray(value: unknown): value is any[];
}
declare var Array: ArrayConstructor;

interface Math {
  readonly E: number;
  readonly LN10: number;
  readonly LN2: number;
  readonly LOG10E: number;
  readonly LOG2E: number;
  readonly PI: number;
  readonly SQRT1_2: number;
  readonly SQRT2: number;
  abs(x: number): number;
  acos(x: number): number;
  asin(x: number): number;
  atan(x: number): number;
  atan2(y: number, x: number): number;
  ceil(x: number): number;
  /** Espruino's own: x, but not below min and not above max. */
  clip(x: number, min: number, max: number): number;
  cos(x: number): number;
  exp(x: number): number;
  floor(x: number): number;
  log(x: number): number;
  max(...x: number[]): number;
  min(...x: number[]): number;
  pow(x: number, y: number): number;
  /** Halves go away from zero: Math.round(-0.5) is −1. */
  round(x: number): number;
  sign(x: number): number;
  sin(x: number): number;
  sqrt(x: number): number;
  tan(x: number): number;
  // random: one generator with a fixed seed on this port. No secret may come from it; the gate refuses the name.
}
declare var Math: Math;

interface JSON {
  /** Anything after the first value is passed over silently: check what must be whole. */
  parse(text: string): any;
  /** Numbers that are not integers lose digits (about 12 are printed). */
  stringify(value: unknown): string;
}
declare var JSON: JSON;

interface Error {
  message: string;
  stack?: string;
  toString(): string;
}
interface ErrorConstructor {
  new (message?: string): Error;
}
declare var Error: ErrorConstructor;
declare var TypeError: ErrorConstructor;
declare var SyntaxError: ErrorConstructor;
declare var ReferenceError: ErrorConstructor;
declare var InternalError: ErrorConstructor;

interface RegExp {
  test(text: string): boolean;
  exec(text: string): any;
}

interface PromiseLike<T> {
  then<U>(
    done?: ((value: T) => U | PromiseLike<U>) | null,
    failed?: ((reason: any) => U | PromiseLike<U>) | null,
  ): PromiseLike<U>;
}
interface Promise<T> {
  then<U>(
    done?: ((value: T) => U | PromiseLike<U>) | null,
    failed?: ((reason: any) => U | PromiseLike<U>) | null,
  ): Promise<U>;
  catch<U>(failed: (reason: any) => U | PromiseLike<U>): Promise<T | U>;
}
interface PromiseConstructor {
  new <T>(start: (done: (value: T | PromiseLike<T>) => void, failed: (reason?: any) => void) => void): Promise<T>;
  all<T>(promises: (T | PromiseLike<T>)[]): Promise<T[]>;
  resolve<T>(value: T | PromiseLike<T>): Promise<T>;
  resolve(): Promise<void>;
  reject<T = never>(reason?: any): Promise<T>;
}
declare var Promise: PromiseConstructor;

type Partial<T> = { [P in keyof T]?: T[P] };
type Readonly<T> = { readonly [P in keyof T]: T[P] };
type Record<K extends keyof any, T> = { [P in K]: T };
type Pick<T, K extends keyof T> = { [P in K]: T[P] };
type Exclude<T, U> = T extends U ? never : T;
type Extract<T, U> = T extends U ? T : never;
type Omit<T, K extends keyof any> = Pick<T, Exclude<keyof T, K>>;
type NonNullable<T> = T & {};
type ReturnType<T extends (...args: any) => any> = T extends (...args: any) => infer R ? R : any;
