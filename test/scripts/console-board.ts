/**
 * A board with a console on a TCP port: Espruino's packets, an expression at a time, and a Storage with Espruino's rules for writing in
 * pieces. What scripts/flash is tried on where there is no real Espruino, and wherever something is to go wrong at an exact place.
 *
 * Storage's rules, as real Espruino 2v29 has them: a file is made by its first piece, whose write names the whole size; other pieces
 * go into blank space only; a file written anew without an offset takes the place of the one before.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';
import { UPDATE_LAYOUT } from '../../hardware/flash.ts';

const EVAL = 0x2000;
const LENGTH = 0x1fff;
const BLANK = '\xff';

export class ConsoleBoard {
  /** Latin-1 texts: what survives a power cut. */
  readonly files = new Map<string, string>();
  readonly pages = new Map<number, string>();
  /** Of each write: the file and its offset. */
  readonly writes: { name: string; offset: number }[] = [];
  /** Called before a write is carried out; what it gives instead is what reaches the flash. */
  beforeWrite: (name: string, offset: number, data: string) => string = (_name, _offset, data) => data;
  printed: string[] = [];
  #context = vm.createContext({});
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();

  /** @returns the port's name, for --port */
  async listen(): Promise<string> {
    this.powerOn();
    this.#server = createServer((socket) => this.#serve(socket));
    await new Promise<void>((ready) => this.#server!.listen(0, '127.0.0.1', ready));
    return `tcp://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }
  close(): void {
    this.pull();
    this.#server?.close();
  }
  /** The cable is pulled. */
  pull(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** RAM is empty, and the boot loader runs, if there is one. */
  powerOn(): void {
    this.#reset();
    const loader = this.files.get('.bootcde');
    if (loader) this.#run(loader);
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    let input = '';
    socket.on('data', (chunk) => {
      input += chunk.toString('latin1');
      for (;;) {
        const start = input.indexOf('\x10\x01');
        if (start < 0 || input.length < start + 4) return;
        const flags = (input.charCodeAt(start + 2) << 8) | input.charCodeAt(start + 3);
        const end = start + 4 + (flags & LENGTH);
        if (input.length < end) return;
        const text = input.slice(start + 4, end);
        input = input.slice(end);
        if ((flags & ~LENGTH) === EVAL) this.#answer(socket, text);
      }
    });
  }
  #answer(socket: Socket, expression: string): void {
    if (socket.destroyed) return;
    try {
      const value = vm.runInContext(`JSON.stringify(${expression})`, this.#context) ?? 'null';
      const flags = Buffer.alloc(2);
      flags.writeUInt16BE(value.length);
      socket.write(`\x06\x10\x01${flags.toString('latin1')}${value}`, 'latin1');
    } catch (error) {
      socket.write(`\x15Uncaught ${error}\r\n>`, 'latin1');
    }
  }

  #run(code: string): void {
    try {
      vm.runInContext(code, this.#context);
    } catch (error) {
      this.printed.push(`Uncaught ${error}`);
    }
  }
  #reset(): void {
    this.printed = [];
    const text = (data: unknown): string => {
      const list = (Array.isArray(data) ? data : [data]) as (string | ArrayLike<number>)[];
      return list
        .map((part) => (typeof part === 'string' ? part : Buffer.from(Array.from(part)).toString('latin1')))
        .join('');
    };
    const bytes = (...data: unknown[]) => Uint8Array.from(Buffer.from(data.map(text).join(''), 'latin1'));
    const modules: Record<string, object> = {
      Storage: this.#storage(),
      crypto: { SHA256: (data: Uint8Array) => createHash('sha256').update(data).digest() },
      Flash: {
        read: (length: number, address: number) =>
          bytes((this.pages.get(address) ?? '').padEnd(length, BLANK).slice(0, length)),
        erasePage: (address: number) => this.pages.delete(address),
      },
    };
    const globals: Record<string, unknown> = {
      E: {
        CRC32: (data: unknown) => crc32(bytes(data)),
        kickWatchdog: () => {},
        enableWatchdog: () => {},
        toUint8Array: bytes,
        toString: text,
        sum: (list: ArrayLike<number>) => Array.from(list).reduce((a, b) => a + b, 0),
        memoryArea: () => '',
      },
      require: (name: string) => modules[name],
      process: { env: { BOARD: 'EMULATED', VERSION: '2v29' } },
      print: (...words: unknown[]) => this.printed.push(words.join(' ')),
      setTimeout: (what: string) => typeof what === 'string' && this.#run(what),
      reset: () => this.#reset(),
      load: () => this.powerOn(),
      atob: (base64: string) => Buffer.from(base64, 'base64').toString('latin1'),
      btoa: (latin1: string) => Buffer.from(latin1, 'latin1').toString('base64'),
    };
    this.#context = vm.createContext(globals);
    vm.runInContext('var global = globalThis', this.#context);
  }

  #storage(): object {
    const { files } = this;
    const room = UPDATE_LAYOUT.storageBytes;
    const used = () => [...files.values()].reduce((sum, file) => sum + file.length + 32, 0);
    return {
      read: (name: string, offset = 0, length?: number) =>
        files.get(name)?.slice(offset, length ? offset + length : undefined),
      erase: (name: string) => files.delete(name),
      list: () => [...files.keys()],
      getStats: () => ({ totalBytes: room, freeBytes: room - used(), trashBytes: 0 }),
      write: (name: string, data: string, offset = 0, size = data.length) => {
        const stored = this.beforeWrite(name, offset, data);
        this.writes.push({ name, offset });
        if (offset === 0) files.set(name, stored.padEnd(size, BLANK));
        else {
          const file = files.get(name);
          if (file === undefined) throw new Error('Unable to find or create file');
          const there = file.slice(offset, offset + data.length);
          if (there !== BLANK.repeat(data.length)) throw new Error('File already written with different data');
          files.set(name, file.slice(0, offset) + stored + file.slice(offset + stored.length));
        }
        return true;
      },
    };
  }
}
