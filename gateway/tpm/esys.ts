/**
 * TPM 2.0 commands through ESAPI (tpm2-tss, libtss2-esys), called by FFI.
 *
 * C structures stay opaque: on the way in Tss2_MU_X_Unmarshal builds them from wire bytes, on the way out
 * Tss2_MU_X_Marshal gives wire bytes and Esys_Free the memory back. So one table with one line per command drives all
 * calls, and nothing here knows how a compiler lays out a struct. A wrong line is a segmentation fault: a test holds the
 * table against tss2_esys.h.
 */
import { isGone, TpmError } from './error.ts';
import { type CFunction, loadTss, type Tss } from './tss.ts';

/**
 * Parameters after the context, in the header's order:
 *   S      three sessions (up to three handles, the rest none)
 *   h, H   handle in (ESYS_TR), handle out
 *   u8 u16 u32     number in;   >u8 >u16 >u32   number out
 *   X      structure in (wire bytes, or null);  >X   structure out;  >_   structure out, thrown away
 */
export const COMMANDS = {
  Startup: 'u16',
  Shutdown: 'S u16',
  GetCapability: 'S u32 u32 u32 >u8 >TPMS_CAPABILITY_DATA',
  GetRandom: 'S u16 >TPM2B_DIGEST',
  CreatePrimary: 'h S TPM2B_SENSITIVE_CREATE TPM2B_PUBLIC TPM2B_DATA TPML_PCR_SELECTION H >_ >_ >_ >_',
  Create: 'h S TPM2B_SENSITIVE_CREATE TPM2B_PUBLIC TPM2B_DATA TPML_PCR_SELECTION >TPM2B_PRIVATE >TPM2B_PUBLIC >_ >_ >_',
  Load: 'h S TPM2B_PRIVATE TPM2B_PUBLIC H',
  FlushContext: 'h',
  TR_FromTPMPublic: 'u32 S H',
  Sign: 'h S TPM2B_DIGEST TPMT_SIG_SCHEME TPMT_TK_HASHCHECK >TPMT_SIGNATURE',
  Certify: 'h h S TPM2B_DATA TPMT_SIG_SCHEME >TPM2B_ATTEST >TPMT_SIGNATURE',
} as const;

export type Command = keyof typeof COMMANDS;

/** ESYS_TR: handles that are always there (tss2_esys.h). */
export const ESYS_TR = { NONE: 0xfff, PASSWORD: 0x0ff, OWNER: 0x101, ENDORSEMENT: 0x10b } as const;

type Words<Line> = Line extends `${infer Word} ${infer Rest}` ? [Word, ...Words<Rest>] : [Line];
type Input<Word> = Word extends `>${string}` | 'H'
  ? []
  : Word extends 'S'
    ? [sessions: number[]]
    : Word extends 'h' | 'u8' | 'u16' | 'u32'
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
const NUMBERS: Record<string, string> = { h: 'uint32_t', u8: 'uint8_t', u16: 'uint16_t', u32: 'uint32_t' };

/**
 * Longest time that a TPM may take: some need tens of seconds to find an RSA key. What takes longer hangs, and the
 * thread that waits for it cannot be called back.
 */
const COMMAND_TIMEOUT_MS = 120_000;
/** A swtpm that serves somebody else takes the connection and leaves it waiting. */
const OPEN_TIMEOUT_MS = 10_000;

/** A C pointer that C fills in. */
type Cell = [unknown];

/** One connection to a TPM. Not for use by two at once: `Tpm` queues. */
export class Esys {
  readonly #tss: Tss;
  readonly #tcti: Cell;
  readonly #context: Cell;
  #running: Promise<number> | null = null;

  private constructor(tss: Tss, tcti: Cell, context: Cell) {
    this.#tss = tss;
    this.#tcti = tcti;
    this.#context = context;
  }

  /** @throws TpmError of kind `no library` or `unreachable` */
  static async open(tctiString: string): Promise<Esys> {
    const tss = loadTss();
    const connect = tss.tctildr.func('uint32_t Tss2_TctiLdr_Initialize(const char* conf, _Out_ void** tcti)');
    const initialize = tss.esys.func('uint32_t Esys_Initialize(_Out_ void** ctx, void* tcti, const void* abi)');
    const tcti: Cell = [null];
    const connecting = callAsync(connect, [tctiString, tcti]);
    const rc = await within(OPEN_TIMEOUT_MS, connecting, () => {
      connecting.then((late) => late === 0 && disconnect(tss, tcti));
      return new TpmError('unreachable', `the TPM at ${tctiString} does not answer: another program may be using it`);
    });
    if (rc !== 0) throw new TpmError('unreachable', `no TPM can be reached at ${tctiString}: ${tss.decode(rc)}`, rc);
    const context: Cell = [null];
    const failed: number = initialize(context, tcti[0], null);
    if (failed !== 0) {
      disconnect(tss, tcti);
      throw new TpmError('unreachable', `no session with the TPM at ${tctiString}: ${tss.decode(failed)}`, failed);
    }
    return new Esys(tss, tcti, context);
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
      } else parameters.push(value instanceof Uint8Array ? toStructure(this.#tss, word, value) : value);
    }
    this.#running = callAsync(call, parameters);
    const rc = await within(COMMAND_TIMEOUT_MS, this.#running, () => {
      return new TpmError('gone', `Esys_${name} has not ended within ${COMMAND_TIMEOUT_MS / 1000} s`);
    });
    this.#running = null;
    if (rc !== 0) throw new TpmError(isGone(rc) ? 'gone' : 'refused', `Esys_${name}: ${this.#tss.decode(rc)}`, rc);
    return outputs.flatMap(({ word, cell }) => fromCell(this.#tss, word, cell)) as never;
  }

  /** Gives the connection back. What hangs in a command is given back when that ends, if ever. */
  close(): void {
    if (this.#running) this.#running.then(() => this.#finalize());
    else this.#finalize();
  }

  #finalize(): void {
    if (this.#context[0] === null) return;
    this.#tss.esys.func('void Esys_Finalize(_Inout_ void** ctx)')(this.#context);
    this.#context[0] = null;
    disconnect(this.#tss, this.#tcti);
  }
}

const disconnect = (tss: Tss, tcti: Cell): void =>
  tss.tctildr.func('void Tss2_TctiLdr_Finalize(_Inout_ void** tcti)')(tcti);

/** The C function behind a line of the table. */
function command(tss: Tss, name: Command): { words: string[]; call: CFunction } {
  return remembered(`Esys_${name}`, () => {
    const words = COMMANDS[name].split(' ');
    const types = words.flatMap((word) => {
      if (word === 'S') return ['uint32_t', 'uint32_t', 'uint32_t'];
      if (word === 'H') return ['_Out_ uint32_t*'];
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

/** The promise's value, or the error that `late` makes after `ms`. */
async function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
