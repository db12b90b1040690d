/**
 * The console of a board that runs Espruino, over a serial port or a serial server: expressions in, values out, each acknowledged and in
 * one piece (the packets of Espruino 2v25 and newer; https://www.espruino.com/Interfacing has them). The words are the uploader
 * library's, `espruino`; the line is ours, so that a pulled cable is an error and not a silence.
 */
import { createRequire } from 'node:module';
import { connect } from 'node:net';

const BAUD_RATE = 115_200;
/** What goes to the line at once: the chip's input buffer is small, and XOFF takes its time. */
const WRITE_BYTES = 512;
const ANSWER_MS = 10_000;
/** A board that has just started has a banner to print, or a program to begin. */
const GREETING_MS = 2000;
const GREETINGS = 8;
/** A packet that was not heard is said again. */
const HEARD_MS = 3000;
const TRIES = 3;

/** A program's print may come at any time; of what came before an error so much is looked through. */
const REMEMBERED_CHARS = 4000;

/** The part of the library that is used: `Espruino.Core.Serial.connection`'s class. */
interface Connection {
  chunkSize: number;
  writeLowLevel(data: string): Promise<void>;
  closeLowLevel(): void;
  openHandler(): void;
  closeHandler(): void;
  rxDataHandler(bytes: ArrayBuffer): void;
  on(event: 'data', handler: (text: string) => void): void;
  on(event: 'packet', handler: (type: number, data: string) => void): void;
  removeListener(event: 'packet', handler: (type: number, data: string) => void): void;
  parsePackets: boolean;
  write(data: string): Promise<void>;
  /** Rejects with a text: `NAK …` where the board threw, `Timeout …` where it did not hear. */
  espruinoSendPacket(type: 'EVAL', data: string, options: { timeout: number }): Promise<void>;
}
interface Loaded {
  Core: { Serial: { connection: object }; Utils: { parseRJSON(text: string): unknown } };
}
interface Library {
  init(ready: () => void): void;
}
/** Type of a packet that answers. */
const RESPONSE = 0;

/** The line is gone: whatever was under way may or may not have happened. */
export class LineBroken extends Error {}
/** The board has answered, with an exception. */
export class BoardError extends Error {}

interface Line {
  write(bytes: Buffer): Promise<void>;
  close(): void;
}
interface LineEvents {
  bytes(chunk: Uint8Array): void;
  broken(reason: string): void;
}

export class BoardConsole {
  readonly #connection: Connection;
  readonly #line: Line;
  readonly #broken: Promise<never>;
  readonly #parse: (text: string) => unknown;
  #said = '';
  #asked = 0;

  private constructor({ connection, parse }: Words, line: Line, broken: Promise<never>) {
    this.#parse = parse;
    this.#connection = connection;
    this.#line = line;
    this.#broken = broken;
    connection.on('data', (text) => {
      this.#said = (this.#said + text).slice(-REMEMBERED_CHARS);
    });
  }

  /**
   * @param port a device's path, or tcp://host:port
   * @throws LineBroken where it cannot be opened, or nothing like Espruino answers
   */
  static async open(port: string): Promise<BoardConsole> {
    const words = await newConnection();
    const { connection } = words;
    let broken: (reason: string) => void = () => {};
    const whenBroken = new Promise<never>((_, reject) => {
      broken = (reason) => reject(new LineBroken(reason));
    });
    whenBroken.catch(() => {}); // between two questions nobody listens
    const line = await openLine(port, {
      bytes: (chunk) => connection.rxDataHandler(Uint8Array.from(chunk).buffer),
      broken: (reason) => {
        connection.closeHandler();
        broken(reason);
      },
    });
    connection.chunkSize = WRITE_BYTES;
    connection.writeLowLevel = (data) => line.write(Buffer.from(data, 'latin1'));
    connection.closeLowLevel = () => line.close();
    connection.openHandler();
    const board = new BoardConsole(words, line, whenBroken);
    await board.#greet();
    return board;
  }

  /**
   * The value of an expression in the board's interpreter: number, text, truth, list of these.
   * @param expression ASCII; the packet with it has at most 8,191 bytes
   * @throws BoardError, LineBroken
   */
  async evaluate<T>(expression: string, timeoutMs = ANSWER_MS): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      this.#said = '';
      try {
        return (await Promise.race([this.#ask(expression, timeoutMs), this.#broken])) as T;
      } catch (reason) {
        if (reason instanceof LineBroken) throw reason;
        const uncaught = /Uncaught ([^\r\n]*)/.exec(this.#said)?.[1];
        if (String(reason).startsWith('NAK') && uncaught) throw new BoardError(uncaught);
        if (attempt === TRIES || timeoutMs <= GREETING_MS)
          throw new LineBroken(`the board does not answer (${reason})`);
      }
    }
  }

  /** Each question has its number, and an answer to an earlier one, come late, is none. */
  #ask(expression: string, timeoutMs: number): Promise<unknown> {
    const connection = this.#connection;
    const number = ++this.#asked;
    return new Promise((resolve, reject) => {
      const ended = () => {
        clearTimeout(timer);
        connection.removeListener('packet', onPacket);
      };
      const failed = (reason: unknown) => {
        ended();
        reject(reason);
      };
      const onPacket = (type: number, data: string): void => {
        if (type !== RESPONSE) return;
        const [answered, value] = this.#parse(data) as [number, unknown];
        if (answered !== number) return;
        ended();
        resolve(value);
      };
      const timer = setTimeout(failed, timeoutMs, 'Timeout');
      connection.parsePackets = true;
      connection.on('packet', onPacket);
      connection
        .espruinoSendPacket('EVAL', withPlainLength(`[${number},${expression}]`), {
          timeout: Math.min(HEARD_MS, timeoutMs),
        })
        .catch(failed);
    });
  }

  close(): void {
    this.#connection.closeHandler();
    this.#line.close();
  }

  /** Half a packet or a line that was begun may lie before us: what comes of it is passed over. */
  async #greet(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        if ((await this.evaluate<number>('6*7', GREETING_MS)) === 42) return;
      } catch (error) {
        if (attempt < GREETINGS && (error as Error).message.includes('does not answer')) {
          // ends what is being typed, and from the third time on what is running
          await this.#connection.write(attempt > 2 ? '\x03\n' : '\n');
          continue;
        }
        this.close();
        if (!/does not answer/.test((error as Error).message)) throw error;
      }
      throw new LineBroken(
        'nothing answers that is Espruino 2v25 or newer: is this the right port, and is the console not locked?',
      );
    }
  }
}

/** The packet's length goes over the line in two bytes. As a control character (3 is Ctrl-C) the lower one would be obeyed. */
function withPlainLength(text: string): string {
  const low = text.length & 0xff;
  return low < 0x20 ? text + ' '.repeat(0x20 - low) : text;
}

interface Words {
  connection: Connection;
  parse(text: string): unknown;
}
async function newConnection(): Promise<Words> {
  const library = createRequire(import.meta.url)('espruino') as Library;
  const globals = globalThis as { Espruino?: Loaded };
  // It tells every file that it loads and every piece that it sends.
  console.log = () => {};
  if (!globals.Espruino) await new Promise<void>((ready) => library.init(ready));
  const { Serial, Utils } = globals.Espruino!.Core;
  const Kind = Serial.connection.constructor as new () => Connection;
  return { connection: new Kind(), parse: (text) => Utils.parseRJSON(text) };
}

function openLine(port: string, events: LineEvents): Promise<Line> {
  const tcp = /^tcp:\/\/(.+):(\d+)$/.exec(port);
  return tcp ? openSocket(tcp[1], Number(tcp[2]), events) : openDevice(port, events);
}

function openSocket(host: string, port: number, events: LineEvents): Promise<Line> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    let reason = 'closed by the other end';
    socket.on('connect', () =>
      resolve({
        write: (bytes) =>
          new Promise((done, failed) => socket.write(bytes, (error) => (error ? failed(error) : done()))),
        close: () => socket.destroy(),
      }),
    );
    socket.on('data', (chunk) => events.bytes(chunk));
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => {
      reject(new LineBroken(reason));
      events.broken(reason);
    });
  });
}

async function openDevice(path: string, events: LineEvents): Promise<Line> {
  const { SerialPort } = await import('serialport');
  const port = new SerialPort({ path, baudRate: BAUD_RATE, autoOpen: false });
  port.on('data', (chunk: Uint8Array) => events.bytes(chunk));
  port.on('error', (error) => events.broken(error.message));
  port.on('close', (error: Error | null) => events.broken(error?.message ?? 'closed'));
  await new Promise<void>((resolve, reject) =>
    port.open((error) => (error ? reject(new LineBroken(error.message)) : resolve())),
  );
  return {
    write: (bytes) => new Promise((done, failed) => port.write(bytes, (error) => (error ? failed(error) : done()))),
    close: () => {
      if (port.isOpen) port.close(() => {});
    },
  };
}
