/**
 * Reading and writing the fixed layouts that travel over MQTT. Numbers are big-endian. Whoever decodes names each field as it
 * goes, so that an error says which one was wrong: `submission.slot`.
 *
 * For Node only: the link between meter and gateway has a codec of its own in Espruino's dialect.
 */

/** Bytes from outside that do not have the form they should have. `path` names the field; nothing of the content is quoted. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
  readonly path: string;
  readonly problem: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
    this.problem = problem;
  }
}

const U8_MOST = 0xff;
const U16_MOST = 0xffff;
const U32_MOST = 0xffff_ffff;

export class ByteWriter {
  readonly #path: string;
  readonly #parts: Uint8Array[] = [];

  /** @param path of the whole message, such as `submission` */
  constructor(path: string) {
    this.#path = path;
  }

  u8(field: string, value: number): this {
    return this.#integer(field, value, U8_MOST, 1);
  }
  u16(field: string, value: number): this {
    return this.#integer(field, value, U16_MOST, 2);
  }
  u32(field: string, value: number): this {
    return this.#integer(field, value, U32_MOST, 4);
  }
  /** Exactly `length` bytes, without a length before them. */
  bytes(field: string, value: Uint8Array, length: number): this {
    if (value.length !== length) throw this.#error(field, `is ${value.length} bytes long, not ${length}`);
    this.#parts.push(value);
    return this;
  }
  /** ASCII that fits `pattern`, one byte of length before it. */
  text(field: string, value: string, pattern: RegExp): this {
    if (!pattern.test(value)) throw this.#error(field, `does not fit ${pattern}`);
    return this.u8(field, value.length).bytes(field, Buffer.from(value, 'latin1'), value.length);
  }
  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #integer(field: string, value: number, most: number, length: number): this {
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw this.#error(field, `is no whole number from 0 to ${most}`);
    const part = Buffer.alloc(length);
    part.writeUIntBE(value, 0, length);
    this.#parts.push(part);
    return this;
  }
  #error(field: string, problem: string): MalformedError {
    return new MalformedError(`${this.#path}.${field}`, problem);
  }
}

export class ByteReader {
  readonly #path: string;
  readonly #bytes: Buffer;
  #at = 0;

  /** Takes a copy: what was read does not change when the caller's buffer is used again. */
  constructor(path: string, bytes: Uint8Array) {
    this.#path = path;
    this.#bytes = Buffer.from(bytes);
  }

  /** How many bytes were read so far. */
  get at(): number {
    return this.#at;
  }
  u8(field: string): number {
    return this.#take(field, 1).readUInt8();
  }
  u16(field: string): number {
    return this.#take(field, 2).readUInt16BE();
  }
  u32(field: string): number {
    return this.#take(field, 4).readUInt32BE();
  }
  bytes(field: string, length: number): Uint8Array {
    return this.#take(field, length);
  }
  text(field: string, pattern: RegExp): string {
    const value = this.#take(field, this.u8(field)).toString('latin1');
    if (!pattern.test(value)) throw this.error(field, `does not fit ${pattern}`);
    return value;
  }
  /** A byte that can have one value only, such as a version. */
  constant(field: string, value: number): void {
    const found = this.u8(field);
    if (found !== value) throw this.error(field, `is ${found}, not ${value}`);
  }
  /** Nothing may follow the last field: two encodings of one message would be two messages to whoever hashes them. */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new MalformedError(this.#path, `${left} bytes more than the layout has`);
  }
  error(field: string, problem: string): MalformedError {
    return new MalformedError(`${this.#path}.${field}`, problem);
  }

  #take(field: string, length: number): Buffer {
    const left = this.#bytes.length - this.#at;
    if (length > left) throw this.error(field, `needs ${length} bytes, ${left} are left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
