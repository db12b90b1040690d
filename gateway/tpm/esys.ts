/**
 * TPM 2.0 commands through ESAPI (tpm2-tss, libtss2-esys), called by FFI.
 *
 * C structures stay opaque: on the way in Tss2_MU_X_Unmarshal builds them from wire bytes, on the way out
 * Tss2_MU_X_Marshal gives wire bytes and Esys_Free the memory back. So one table with one line per command drives all
 * calls, and nothing here knows how a compiler lays out a struct. A wrong line is a segmentation fault: a test holds the
 * table against tss2_esys.h.
 */
import { TpmError, troubleOf } from './error.ts';
import { type CFunction, loadTss, type Tss } from './tss.ts';

/**
 * Parameters after the context, in the header's order:
 *   S      three sessions (up to three handles, the rest none)
 *   h, H   handle in (ESYS_TR), handle out; C: handle in, which is no more afterwards
 *   u8 u16 u32 i32 number in;   >u8 >u16 >u32   number out
 *   X      structure in (wire bytes, or null);  >X   structure out;  >_   structure out, thrown away
 */
export const COMMANDS = {
  Startup: 'u16',
  Shutdown: 'S u16',
  GetCapability: 'S u32 u32 u32 >u8 >TPMS_CAPABILITY_DATA',
  GetRandom: 'S u16 >TPM2B_DIGEST',
  CreatePrimary: 'h S TPM2B_SENSITIVE_CREATE TPM2B_PUBLIC TPM2B_DATA TPML_PCR_SELECTION H >TPM2B_PUBLIC >_ >_ >_',
  Create: 'h S TPM2B_SENSITIVE_CREATE TPM2B_PUBLIC TPM2B_DATA TPML_PCR_SELECTION >TPM2B_PRIVATE >TPM2B_PUBLIC >_ >_ >_',
  Load: 'h S TPM2B_PRIVATE TPM2B_PUBLIC H',
  FlushContext: 'h',
  TR_FromTPMPublic: 'u32 S H',
  TR_Close: 'C',
  StartAuthSession: 'h h S TPM2B_NONCE u8 TPMT_SYM_DEF u16 H',
  TRSess_SetAttributes: 'h u8 u8',
  PolicySecret: 'h h S TPM2B_NONCE TPM2B_DIGEST TPM2B_NONCE i32 >_ >_',
  PolicyOR: 'h S TPML_DIGEST',
  PolicyPCR: 'h S TPM2B_DIGEST TPML_PCR_SELECTION',
  PolicyNV: 'h h h S TPM2B_OPERAND u16 u16',
  PolicyAuthorize: 'h S TPM2B_DIGEST TPM2B_NONCE TPM2B_NAME TPMT_TK_VERIFIED',
  PolicyGetDigest: 'h S >TPM2B_DIGEST',
  LoadExternal: 'S TPM2B_SENSITIVE TPM2B_PUBLIC h H',
  VerifySignature: 'h S TPM2B_DIGEST TPMT_SIGNATURE >TPMT_TK_VERIFIED',
  ActivateCredential: 'h h S TPM2B_ID_OBJECT TPM2B_ENCRYPTED_SECRET >TPM2B_DIGEST',
  Unseal: 'h S >TPM2B_SENSITIVE_DATA',
  Quote: 'h S TPM2B_DATA TPMT_SIG_SCHEME TPML_PCR_SELECTION >TPM2B_ATTEST >TPMT_SIGNATURE',
  PCR_Read: 'S TPML_PCR_SELECTION >u32 >TPML_PCR_SELECTION >TPML_DIGEST',
  PCR_Extend: 'h S TPML_DIGEST_VALUES',
  NV_ReadPublic: 'h S >TPM2B_NV_PUBLIC >_',
  NV_DefineSpace: 'h S TPM2B_AUTH TPM2B_NV_PUBLIC H',
  NV_UndefineSpace: 'h h S',
  NV_Increment: 'h h S',
  NV_Read: 'h h S u16 u16 >TPM2B_MAX_NV_BUFFER',
  NV_Write: 'h h S TPM2B_MAX_NV_BUFFER u16',
  NV_Certify: 'h h h S TPM2B_DATA TPMT_SIG_SCHEME u16 u16 >TPM2B_ATTEST >TPMT_SIGNATURE',
  ReadClock: 'S >TPMS_TIME_INFO',
  DictionaryAttackLockReset: 'h S',
  Sign: 'h S TPM2B_DIGEST TPMT_SIG_SCHEME TPMT_TK_HASHCHECK >TPMT_SIGNATURE',
  Certify: 'h h S TPM2B_DATA TPMT_SIG_SCHEME >TPM2B_ATTEST >TPMT_SIGNATURE',
} as const;

export type Command = keyof typeof COMMANDS;

/** ESYS_TR: handles that are always there (tss2_esys.h). */
export const ESYS_TR = {
  PCR0: 0,
  NONE: 0xfff,
  PASSWORD: 0x0ff,
  OWNER: 0x101,
  LOCKOUT: 0x10a,
  ENDORSEMENT: 0x10b,
} as const;

type Words<Line> = Line extends `${infer Word} ${infer Rest}` ? [Word, ...Words<Rest>] : [Line];
type Input<Word> = Word extends `>${string}` | 'H'
  ? []
  : Word extends 'S'
    ? [sessions: number[]]
    : Word extends 'h' | 'C' | 'u8' | 'u16' | 'u32' | 'i32'
      ? [number]
      : [Uint8Array | null];
type Output<Word> = Word extends 'H' | '>u8' | '>u16' | '>u32'
  ? [number]
  : Word extends '>_'
    ? []
    : Word extends `>${string}`
      ? [Buffer]
      : [];
type Inputs<List> = List extends [infer Word, ...infer Rest] ? [...Input<Word>, ...Inputs<Rest>] : [];
type Outputs<List> = List extends [infer Word, ...infer Rest] ? [...Output<Word>, ...Outputs<Rest>] : [];

/** Larger than any structure of the table, as C has it. */
const STRUCTURE_BYTES = 8192;
const NUMBERS: Record<string, string> = {
  h: 'uint32_t',
  u8: 'uint8_t',
  u16: 'uint16_t',
  u32: 'uint32_t',
  i32: 'int32_t',
};

/** A C pointer that C fills in. */
type Cell = [unknown];

/** One connection to a TPM. For one command at a time: `Tpm` queues. */
export class Esys {
  readonly #tss: Tss;
  readonly #tctiString: string;
  readonly #timeoutMs: number;
  readonly #tcti: Cell = [null];
  readonly #context: Cell = [null];
  #running: Promise<unknown> | null = null;

  private constructor(tss: Tss, tctiString: string, timeoutMs: number) {
    this.#tss = tss;
    this.#tctiString = tctiString;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param timeoutMs longest time that connecting or one command may take. What takes longer is given up, but the thread
   *   that waits for it cannot be called back, and the process does not end before it.
   * @throws TpmError of kind `no library` or `unreachable`
   */
  static async open(tctiString: string, timeoutMs: number): Promise<Esys> {
    const tss = loadTss();
    const connect = tss.tctildr.func('uint32_t Tss2_TctiLdr_Initialize(const char* conf, _Out_ void** tcti)');
    const initialize = tss.esys.func('uint32_t Esys_Initialize(_Out_ void** ctx, void* tcti, const void* abi)');
    const unreachable = (why: string, rc = 0): TpmError =>
      new TpmError('unreachable', `no TPM can be reached at ${tctiString}: ${why}`, rc);
    if (hanging.has(tctiString)) throw unreachable('it has not answered an earlier command yet');

    const esys = new Esys(tss, tctiString, timeoutMs);
    const rc = await esys.#wait(callAsync(connect, [tctiString, esys.#tcti]), () => {
      esys.close();
      return unreachable(`no answer within ${timeoutMs} ms`);
    });
    const failed: number = rc || initialize(esys.#context, esys.#tcti[0], null);
    if (failed === 0) return esys;
    esys.close();
    throw unreachable(tss.decode(failed), failed);
  }

  /**
   * Runs one command on a thread of its own; the event loop stays free.
   * @returns the outputs in the table's order
   * @throws TpmError `gone` where the connection is lost (nothing but `close` may follow), `refused` otherwise
   */
  async call<Name extends Command>(
    name: Name,
    ...inputs: Inputs<Words<(typeof COMMANDS)[Name]>>
  ): Promise<Outputs<Words<(typeof COMMANDS)[Name]>>> {
    if (this.#running) throw new Error(`Esys_${name} called before the last command has ended`);
    const { words, call } = command(this.#tss, name);
    const values: (number | Uint8Array | number[] | null)[] = [...inputs];
    const parameters: unknown[] = [this.#context[0]];
    const outputs: { word: string; cell: Cell }[] = [];
    for (const word of words) {
      if (word === 'H' || word.startsWith('>')) {
        const cell: Cell = [null];
        outputs.push({ word, cell });
        parameters.push(cell);
        continue;
      }
      const value = values.shift()!;
      if (word === 'S') {
        const sessions = value as number[];
        for (let i = 0; i < 3; i++) parameters.push(sessions[i] ?? ESYS_TR.NONE);
      } else if (word === 'C') parameters.push([value]);
      else parameters.push(value instanceof Uint8Array ? toStructure(this.#tss, word, value) : value);
    }
    const rc = await this.#wait(callAsync(call, parameters), () => {
      return new TpmError('gone', `Esys_${name} has not been answered within ${this.#timeoutMs} ms`);
    });
    if (rc !== 0) throw new TpmError(troubleOf(rc), `Esys_${name}: ${this.#tss.decode(rc)}`, rc);
    return outputs.flatMap(({ word, cell }) => fromCell(this.#tss, word, cell)) as never;
  }

  /** Gives the connection back; where a command hangs, when that has ended. */
  close(): void {
    if (this.#running) {
      this.#running.then(() => this.close());
      return;
    }
    if (this.#context[0] !== null) this.#tss.esys.func('void Esys_Finalize(_Inout_ void** ctx)')(this.#context);
    if (this.#tcti[0] !== null) this.#tss.tctildr.func('void Tss2_TctiLdr_Finalize(_Inout_ void** tcti)')(this.#tcti);
    this.#context[0] = null;
    this.#tcti[0] = null;
  }

  /** The call's return code, or the error that `late` makes when it takes too long. */
  async #wait(call: Promise<number>, late: () => TpmError): Promise<number> {
    const ended = (): void => {
      this.#running = null;
      hanging.delete(this.#tctiString);
    };
    this.#running = call.then(ended, ended);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        hanging.add(this.#tctiString);
        reject(late());
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([call, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Where a thread waits for a TPM that does not answer. Another attempt would lose one more thread of libuv's few, and
 * files could no longer be read.
 */
const hanging = new Set<string>();

/** The C function behind a line of the table. */
function command(tss: Tss, name: Command): { words: string[]; call: CFunction } {
  return remembered(`Esys_${name}`, () => {
    const words = COMMANDS[name].split(' ');
    const types = words.flatMap((word) => {
      if (word === 'S') return ['uint32_t', 'uint32_t', 'uint32_t'];
      if (word === 'H') return ['_Out_ uint32_t*'];
      if (word === 'C') return ['_Inout_ uint32_t*'];
      if (word.startsWith('>')) return [NUMBERS[word.slice(1)] ? `_Out_ ${NUMBERS[word.slice(1)]}*` : '_Out_ void**'];
      return [NUMBERS[word] ?? 'const void*'];
    });
    return { words, call: tss.esys.func(`uint32_t Esys_${name}(void* ctx, ${types.join(', ')})`) };
  });
}

/** C structure from wire bytes, all of them. */
function toStructure(tss: Tss, type: string, wire: Uint8Array): Buffer {
  const unmarshal = remembered(`unmarshal ${type}`, () =>
    tss.mu.func(`uint32_t Tss2_MU_${type}_Unmarshal(const uint8_t* from, size_t n, _Inout_ size_t* at, void* to)`),
  );
  const structure = Buffer.alloc(STRUCTURE_BYTES);
  const at = [0];
  const rc = unmarshal(wire, wire.length, at, structure);
  if (rc !== 0) throw new TpmError('refused', `${type} is malformed: ${tss.decode(rc)}`, rc);
  if (at[0] !== wire.length) throw new TpmError('refused', `${type} has ${wire.length - at[0]} bytes behind its end`);
  return structure;
}

/** What C left in an output cell, as number or wire bytes; its memory is given back. */
function fromCell(tss: Tss, word: string, cell: Cell): (number | Buffer)[] {
  if (word === 'H' || NUMBERS[word.slice(1)]) return [cell[0] as number];
  const [structure] = cell;
  if (structure === null) return word === '>_' ? [] : [Buffer.alloc(0)];
  try {
    if (word === '>_') return [];
    const type = word.slice(1);
    const marshal = remembered(`marshal ${type}`, () =>
      tss.mu.func(`uint32_t Tss2_MU_${type}_Marshal(const void* from, uint8_t* to, size_t n, _Inout_ size_t* at)`),
    );
    const wire = Buffer.alloc(STRUCTURE_BYTES);
    const at = [0];
    const rc = marshal(structure, wire, wire.length, at);
    if (rc !== 0) throw new TpmError('refused', `${type} cannot be read: ${tss.decode(rc)}`, rc);
    return [Buffer.from(wire.subarray(0, at[0]))];
  } finally {
    remembered('Esys_Free', () => tss.esys.func('void Esys_Free(void* memory)'))(structure);
  }
}

/** FFI declarations cost far more than calls. */
const declarations = new Map<string, unknown>();
function remembered<T>(name: string, declare: () => T): T {
  if (!declarations.has(name)) declarations.set(name, declare());
  return declarations.get(name) as T;
}

/** On a thread of libuv's pool. `parameters` stays referenced until the end: C reads the buffers in it meanwhile. */
function callAsync(call: CFunction, parameters: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...parameters, (error: unknown, rc: number) => {
      parameters.length = 0;
      if (error) reject(error);
      else resolve(rc >>> 0);
    });
  });
}
