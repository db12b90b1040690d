/**
 * The byte channel to the meter. What opens it differs (a serial port, a socket, the bench's conductor), what is said on
 * it does not. A channel opens itself again when it breaks, until it is closed.
 */
import { connect, type Socket } from 'node:net';

/** What a channel tells the link. */
export interface ChannelEvents {
  /** The line is there (again); who is at its other end may have changed. */
  opened(): void;
  bytes(chunk: Uint8Array): void;
  /** The line broke, or could not be opened; why, in words. */
  broken(reason: string): void;
}
export interface MeterChannel {
  start(events: ChannelEvents): void;
  /** Frames are ASCII. What cannot be written now is lost: the link says it again. */
  write(text: string): void;
  close(): Promise<void>;
}

const REOPEN_MS = 1000;
/** 8 data bits, no parity, 1 stop bit: 115,200 baud carry a live value in 8 ms. */
const BAUD_RATE = 115_200;

/** In the bench the meter's bytes ride in the conductor's messages. */
export class ConductorChannel implements MeterChannel {
  #events: ChannelEvents | null = null;
  #written: string[] = [];

  start(events: ChannelEvents): void {
    this.#events = events;
    events.opened();
  }
  write(text: string): void {
    this.#written.push(text);
  }
  /** What the meter wrote. */
  deliver(bytes: Uint8Array): void {
    this.#events?.bytes(bytes);
  }
  /** What the gateway wrote since the last call. */
  take(): Uint8Array {
    return Buffer.from(this.#written.splice(0).join(''), 'latin1');
  }
  async close(): Promise<void> {
    this.#events = null;
  }
}

/** Opens again a while after it broke. */
abstract class ReopeningChannel implements MeterChannel {
  protected events: ChannelEvents | null = null;
  #timer: NodeJS.Timeout | undefined;

  start(events: ChannelEvents): void {
    this.events = events;
    this.open();
  }
  protected abstract open(): void;
  abstract write(text: string): void;

  protected reopenAfter(reason: string): void {
    if (this.events === null) return;
    this.events.broken(reason);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.events && this.open(), REOPEN_MS);
  }
  async close(): Promise<void> {
    this.events = null;
    clearTimeout(this.#timer);
  }
}

/** `tcp:HOST:PORT`, such as a serial server. */
export class TcpChannel extends ReopeningChannel {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | null = null;

  constructor(host: string, port: number) {
    super();
    this.#host = host;
    this.#port = port;
  }
  protected open(): void {
    let reason = 'closed by the other end';
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true, keepAlive: true });
    this.#socket = socket;
    socket.on('connect', () => this.events?.opened());
    socket.on('data', (chunk) => this.events?.bytes(chunk));
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => this.reopenAfter(reason));
  }
  write(text: string): void {
    if (this.#socket?.readyState === 'open') this.#socket.write(text, 'latin1');
  }
  override async close(): Promise<void> {
    await super.close();
    this.#socket?.destroy();
  }
}

/** `serial:PATH`. A port that is unplugged is opened again when it is back. */
export class SerialChannel extends ReopeningChannel {
  readonly #path: string;
  #port: import('serialport').SerialPort | null = null;

  constructor(path: string) {
    super();
    this.#path = path;
  }
  protected open(): void {
    // Loaded here: only a gateway with a real port needs the native part.
    void import('serialport').then(({ SerialPort }) => {
      if (this.events === null) return;
      const port = new SerialPort({ path: this.#path, baudRate: BAUD_RATE, autoOpen: false });
      this.#port = port;
      port.on('data', (chunk: Uint8Array) => this.events?.bytes(chunk));
      port.on('error', (error) => this.events?.broken(error.message));
      port.on('close', (error: Error | null) => this.reopenAfter(error?.message ?? 'closed'));
      port.open((error) => {
        if (error) this.reopenAfter(error.message);
        else this.events?.opened();
      });
    });
  }
  write(text: string): void {
    if (this.#port?.isOpen) this.#port.write(text, 'latin1');
  }
  override async close(): Promise<void> {
    await super.close();
    const port = this.#port;
    if (port?.isOpen) await new Promise<void>((closed) => port.close(() => closed()));
  }
}

/** @param link `conductor`, `serial:PATH` or `tcp:HOST:PORT`, checked by the configuration */
export function openChannel(link: string): MeterChannel {
  if (link === 'conductor') return new ConductorChannel();
  const at = link.indexOf(':');
  const rest = link.slice(at + 1);
  if (link.startsWith('serial:')) return new SerialChannel(rest);
  const port = rest.lastIndexOf(':');
  return new TcpChannel(rest.slice(0, port), Number(rest.slice(port + 1)));
}
