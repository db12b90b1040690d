/**
 * What a client sends, looked at before the broker's parser gathers it: a packet that announces more bytes than allowed, or more
 * packets than a client may send, end the connection at once. The parser itself would wait for up to 256 MiB.
 *
 * An MQTT packet begins with one byte of type and the length of what follows, 7 bits a byte, low ones first, at most four bytes
 * (MQTT 3.1.1, section 2.2).
 */
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Role } from './permissions.ts';
import { TokenBucket } from './token-bucket.ts';

export interface PacketLimits {
  /** Longest packet, bytes, without its header. */
  packetBytes: number;
  /** Packets in a row, and then per second of real time. */
  packetBurst: number;
  packetsPerSecond: number;
}

export type Excess = 'oversize' | 'flood' | 'badLength';

export class ExcessError extends Error {
  readonly excess: Excess;
  constructor(excess: Excess) {
    super(`refused: ${excess}`);
    this.excess = excess;
  }
}

const MORE = 0x80;
const LENGTH_MOST_BYTES = 4;

/** Follows packet borders through chunks of any size, keeping nothing of their content. */
export class PacketGuard {
  readonly #limits: PacketLimits;
  readonly #bucket: TokenBucket;
  /** Bytes of the current packet that are still to come. */
  #left = 0;
  /** Reading the length: how many bytes of it were read; −1 while the type byte is awaited. */
  #lengthBytes = -1;
  #length = 0;

  constructor(limits: PacketLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#bucket = new TokenBucket(limits.packetBurst, limits.packetsPerSecond, nowMs);
  }

  /** @throws ExcessError */
  look(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const skip = Math.min(this.#left, chunk.length - at);
        this.#left -= skip;
        at += skip;
      } else {
        this.#header(chunk[at++]);
      }
    }
  }

  #header(byte: number): void {
    if (this.#lengthBytes < 0) {
      this.#lengthBytes = 0;
      this.#length = 0;
      return;
    }
    this.#length += (byte & ~MORE) * MORE ** this.#lengthBytes;
    this.#lengthBytes++;
    if (byte & MORE) {
      if (this.#lengthBytes === LENGTH_MOST_BYTES) throw new ExcessError('badLength');
      return;
    }
    if (this.#length > this.#limits.packetBytes) throw new ExcessError('oversize');
    if (!this.#bucket.take()) throw new ExcessError('flood');
    this.#left = this.#length;
    this.#lengthBytes = -1;
  }
}

/** A TLS connection as the broker sees it: guarded, and with the role that its listener and certificate gave it. */
export class GuardedConnection extends Duplex {
  readonly role: Role;
  /** A party's, by its certificate. */
  readonly partyName: string | undefined;
  readonly #socket: TLSSocket;

  constructor(socket: TLSSocket, role: Role, guard: PacketGuard, partyName?: string) {
    super();
    this.role = role;
    this.partyName = partyName;
    this.#socket = socket;
    socket.on('data', (chunk) => {
      try {
        guard.look(chunk);
      } catch (error) {
        this.destroy(error as Error);
        return;
      }
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }
  /** A packet comes in pieces; together they are one TLS record instead of one each. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }
  override _final(done: () => void): void {
    this.#socket.end(done);
  }
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
