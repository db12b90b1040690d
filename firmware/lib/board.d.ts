/** The ESP32 under Espruino 2v29: what firmware/board/ may touch. Pins are GPIO numbers. */

/** What goes out as bytes: a string (latin-1), a number (its low byte), or arrays of them, nested at will. */
type Bytes = string | number | ArrayLike<Bytes> | ArrayBuffer;

interface Espruino {
  /** Sum of the elements; Uint32Array is read as signed. */
  sum(values: ArrayLike<number>): number;
  /** Σ a[i] · b[(i + offset) mod b.length], natively. Uint32Array is read as signed. */
  convolve(a: ArrayLike<number>, b: ArrayLike<number>, offset: number): number;
  /** Σ (values[i] − mean)². */
  variance(values: ArrayLike<number>, mean: number): number;
  /** to[i] = map[from[i]] (a table or a function), natively; elements of `from` are taken as integers. */
  mapInPlace(
    from: ArrayBufferView,
    to: ArrayBufferView,
    map?: ArrayLike<number> | ((value: number, index: number) => number),
    bits?: number,
  ): void;
  clip(x: number, min: number, max: number): number;
  /** CRC-32 as in IEEE 802.3, 0 … 2³² − 1. */
  CRC32(data: string | ArrayLike<number>): number;
  /** A string of these bytes; undefined where there is no memory for it. */
  toString(...data: Bytes[]): string;
  toUint8Array(...data: Bytes[]): Uint8Array;
  reverseByte(byte: number): number;
  getErrorFlags(): string[];
  /** Restarts the chip unless kicked within so many seconds (or, with true, unless the idle loop is reached). */
  enableWatchdog(seconds: number, kickedByIdle?: boolean): void;
  kickWatchdog(): void;
  /** The flash from there on as a string that takes no memory: only inside the partition `storage`, where the chip maps it. */
  memoryArea(address: number, length: number): string;
  /** As if the reset pin had been pulled. Does not come back. */
  reboot(): void;
  // hwRand: the same fixed-seed generator as Math.random on this port; the gate refuses it.
}
declare var E: Espruino;

interface Serial {
  setup(baud: number, options?: { rx?: number; tx?: number }): void;
  /** Chunks of any length, as they come. */
  on(event: 'data', listener: (data: string) => void): void;
  removeAllListeners(event?: string): void;
  write(...data: Bytes[]): void;
  print(text: string): void;
  println(text: string): void;
  flush(): void;
}
/** The console. */
declare var Serial1: Serial;
declare var Serial2: Serial;
declare var Serial3: Serial;

/** 12 bits as 0 … 4095/4096. Natively in `pins.map(analogRead)`. */
declare function analogRead(pin: number): number;
declare function digitalWrite(pin: number, value: number | boolean): void;
declare function digitalRead(pin: number): number;
declare function digitalPulse(pin: number, value: number | boolean, ms: number): void;
declare function pinMode(pin: number, mode: string): void;
/** A register of the chip. */
declare function peek32(address: number): number;

/** Seconds since power-on (the chip has no clock), or since the epoch after setTime; µs resolution. */
declare function getTime(): number;
declare function setTime(unixSeconds: number): void;
/** The chip's number: hex digits of its MAC address, with dashes. */
declare function getSerial(): string;
/** A program's text is run in the global scope: for the boot loader, and only what lies in flash. */
declare function setTimeout(f: (() => void) | string, ms: number): number;
declare function setInterval(f: () => void, ms: number): number;
declare function clearTimeout(timer: number): void;
declare function clearInterval(timer: number): void;
declare function changeInterval(timer: number, ms: number): void;

/** To the console. */
declare function print(...values: unknown[]): void;
interface Console {
  log(...values: unknown[]): void;
}
declare var console: Console;

/** The flash chip, raw. Pages of 4 kB erase to ones; a write clears bits, in whole words of 4 bytes. */
interface FlashModule {
  getPage(address: number): { addr: number; length: number } | undefined;
  erasePage(address: number): void;
  /** What is not word-aligned is read, merged and written as words of its own: up to three operations. */
  write(data: Bytes, address: number): void;
  read(length: number, address: number): Uint8Array;
}
/** Files in flash. Never for what must not be lost: a cut during its compaction loses files. */
interface StorageModule {
  read(name: string, offset?: number, length?: number): string | undefined;
  readJSON(name: string, noExceptions?: boolean): any;
  write(name: string, data: Uint8Array): boolean;
  list(): string[];
  getStats(): { totalBytes: number };
}
/**
 * What a typed array gives is as many bytes as it has elements: pass Uint8Array only. A key or a message of a wrong length is told on
 * the console, and the result is undefined.
 */
interface AesModule {
  /** 16, 24 or 32 B of key; ECB and CBC: whole blocks of 16 B, no padding. */
  encrypt(message: Bytes, key: Bytes, options: { mode: 'ECB' | 'CBC'; iv?: Uint8Array }): ArrayBuffer;
  decrypt(message: Bytes, key: Bytes, options: { mode: 'ECB' | 'CBC'; iv?: Uint8Array }): ArrayBuffer;
  // CTR ignores its iv, CTR and CFB decrypt with the wrong key schedule, OFB is not there
}
interface CryptoModule {
  AES: AesModule;
  /** RFC 8018. One iteration and one block: HMAC(key, message ‖ 00000001), natively. keySize in words of 4 B. */
  PBKDF2(key: Bytes, message: Bytes, options: { keySize: number; iterations: number; hasher: string }): ArrayBuffer;
  SHA1(data: Bytes): ArrayBuffer;
  SHA224(data: Bytes): ArrayBuffer;
  SHA256(data: Bytes): ArrayBuffer;
  SHA384(data: Bytes): ArrayBuffer;
  SHA512(data: Bytes): ArrayBuffer;
}
/** The program that the boot loader has started (firmware/update/loader.ts). */
interface BootedImage {
  /** Index of its area; −1, −2: the first or second of Storage's files for one. */
  area: number;
  version: number;
  length: number;
  trial: boolean;
}
/** `object &` keeps this name, which is ours, off the list of what Espruino has; absent where no boot loader runs. */
declare var global: object & { bootedImage?: BootedImage };

declare function require(module: 'Flash'): FlashModule;
declare function require(module: 'Storage'): StorageModule;
declare function require(module: 'crypto'): CryptoModule;

declare var process: {
  readonly version: string;
  memory(gc?: boolean): { free: number; usage: number; total: number };
};
