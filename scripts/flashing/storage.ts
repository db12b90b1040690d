/**
 * Files into the board's Storage, in pieces, so that a pulled cable costs one piece and nothing that was there before.
 *
 *   a file          is made whole under another name, compared, and then copied over its name by the board itself
 *   the program     has two names (hardware/flash.ts). The new one is written beside the old one; its last piece, without which
 *                   the boot loader does not start it, goes last, when all others have been read back. Then the old one goes.
 *
 * What is on the board decides what is sent: pieces that are there already are not sent again.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { FIRST_PROGRAMS, layoutOf } from '../../hardware/flash.ts';
import { MEASURE_BLOCK_BYTES, measurementOfImage } from '../../protocol/updates/measurement.ts';
import type { BoardConsole } from './console.ts';

/** In base64 with the words around it, it fits into a packet and into the memory of a board that has little left. */
export const PIECE_BYTES = 2048;
/** So many pieces are compared with one question. */
const COMPARED = 32;
/** Of hashing, erasing and copying on the board, at worst. */
const SLOW_MS = 60_000;
const STAGED = 'staged';
/** What Storage needs beside a file's bytes: its header, and what alignment takes. */
const FILE_EXTRA_BYTES = 64;
const BLANK = 0xff;

export interface UploadEvents {
  /** How much of it is there. */
  progress(bytes: number, of: number): void;
  note(text: string): void;
}
/** What came of it: whether anything had to be sent, and how many pieces of how many were there. */
export interface Upload {
  pieces: number;
  found: number;
}

/** The flash does not keep what is written. */
export class WornFlash extends Error {}

const STORAGE = 'require("Storage")';
const quoted = (text: string): string => JSON.stringify(text);

export class BoardStorage {
  readonly #console: BoardConsole;

  constructor(console: BoardConsole) {
    this.#console = console;
  }

  /** A question that takes no longer than the watchdog waits, which a stopped program has left running. */
  #ask<T>(expression: string): Promise<T> {
    return this.#console.evaluate<T>(`(E.kickWatchdog(),${expression})`, SLOW_MS);
  }

  /** Puts a file in its place, whole. */
  async place(name: string, bytes: Uint8Array, events: UploadEvents): Promise<Upload> {
    const pieces = Math.ceil(bytes.length / PIECE_BYTES);
    if (await this.#isSame(name, bytes)) return { pieces, found: pieces };
    const upload = await this.#send(STAGED, bytes, events, { lastPieceLast: false });
    await this.#ask(`${STORAGE}.write(${quoted(name)},${STORAGE}.read(${quoted(STAGED)}))`);
    if (!(await this.#isSame(name, bytes))) throw new WornFlash(`${name}: what was written reads otherwise`);
    await this.erase(STAGED);
    return upload;
  }

  /** The program, beside the one that is there. @returns the measurement that was compared, over a nonce of this call */
  async placeProgram(bytes: Uint8Array, events: UploadEvents): Promise<Upload & { measurement: Uint8Array }> {
    const [first, second] = FIRST_PROGRAMS;
    const pieces = Math.ceil(bytes.length / PIECE_BYTES);
    let upload: Upload = { pieces, found: pieces };
    let name = (await this.#isSame(first, bytes)) ? first : (await this.#isSame(second, bytes)) ? second : null;
    if (name === null) {
      // the loader starts the first that is whole: the other name is free
      name = (await this.#isWhole(first)) ? second : first;
      upload = await this.#send(name, bytes, events, { lastPieceLast: true });
    }
    const nonce = randomBytes(32);
    const measurement = await this.#measure(name, bytes.length, nonce);
    if (Buffer.compare(measurement, measurementOfImage(nonce, bytes)) !== 0) {
      await this.erase(name);
      throw new WornFlash('the program reads otherwise than it was sent: it was erased, and the one before stays');
    }
    await this.erase(name === first ? second : first);
    await this.#eraseUpdates();
    return { ...upload, measurement };
  }

  async erase(name: string): Promise<void> {
    if (await this.#exists(name)) await this.#ask(`${STORAGE}.erase(${quoted(name)})`);
  }

  /** Room that Storage has, or would have after it has tidied up. */
  async freeBytes(): Promise<number> {
    const [free, trash] = await this.#ask<number[]>(`(s=>[s.freeBytes,s.trashBytes])(${STORAGE}.getStats())`);
    return free + trash;
  }

  async #send(
    name: string,
    bytes: Uint8Array,
    events: UploadEvents,
    { lastPieceLast }: { lastPieceLast: boolean },
  ): Promise<Upload> {
    const pieces = Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, n) =>
      bytes.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES),
    );
    let states = await this.#compare(name, bytes.length, pieces);
    if (states.includes('other')) {
      const other = states.filter((state) => state === 'other').length;
      events.note(`${other} of ${pieces.length} pieces there are others, or torn: all are sent anew`);
      await this.erase(name);
      states = pieces.map(() => 'blank');
    }
    const found = states.filter((state) => state === 'there').length;
    if (found === 0 && (await this.freeBytes()) < bytes.length + FILE_EXTRA_BYTES)
      throw new Error(`${name}: Storage has no room for ${bytes.length} bytes; erase what is not needed there`);
    if (found > 0) events.note(`${found} of ${pieces.length} pieces are there already`);
    let there = found;
    const write = async (n: number): Promise<void> => {
      if (states[n] === 'there') return;
      const text = Buffer.from(pieces[n]).toString('base64');
      const at = n * PIECE_BYTES;
      // a piece that was said again because nobody heard the answer is there, and Storage takes no second one
      await this.#ask(
        `((s,n,d)=>E.CRC32(s.read(n,${at},d.length)||"")==E.CRC32(d)||s.write(n,d,${at},${bytes.length}))(${STORAGE},${quoted(name)},atob("${text}"))`,
      );
      events.progress(Math.min(++there * PIECE_BYTES, bytes.length), bytes.length);
    };
    const last = pieces.length - 1;
    for (let n = 0; n < last; n++) await write(n);
    if (lastPieceLast) {
      const read = await this.#compare(name, bytes.length, pieces.slice(0, last));
      const wrong = read.findIndex((state) => state !== 'there');
      if (wrong >= 0) {
        await this.erase(name);
        throw new WornFlash(`${name}: the piece at ${wrong * PIECE_BYTES} reads otherwise than it was written`);
      }
    }
    await write(last);
    return { pieces: pieces.length, found };
  }

  /** What is on the board of each piece; `other` where the file has to be written anew. */
  async #compare(
    name: string,
    length: number,
    pieces: readonly Uint8Array[],
  ): Promise<('there' | 'blank' | 'other')[]> {
    if (!(await this.#exists(name))) return pieces.map(() => 'blank');
    if (!(await this.#hasLength(name, length))) return pieces.map(() => 'other');
    const found: number[] = [];
    for (let at = 0; at < pieces.length; at += COMPARED) {
      const count = Math.min(COMPARED, pieces.length - at);
      const lengths = quoted(name);
      found.push(
        ...(await this.#ask<number[]>(
          `new Uint8Array(${count}).map((_,i)=>i).reduce((l,i)=>(l.push(E.CRC32(${STORAGE}.read(${lengths},(${at}+i)*${PIECE_BYTES},Math.min(${PIECE_BYTES},${length}-(${at}+i)*${PIECE_BYTES})))),l),[])`,
        )),
      );
    }
    return pieces.map((piece, n) => {
      if (found[n] === crc32(piece)) return 'there';
      // the first piece makes the file: it cannot be blank
      return n > 0 && found[n] === crc32(new Uint8Array(piece.length).fill(BLANK)) ? 'blank' : 'other';
    });
  }

  async #isSame(name: string, bytes: Uint8Array): Promise<boolean> {
    if (!(await this.#exists(name)) || !(await this.#hasLength(name, bytes.length))) return false;
    const nonce = randomBytes(32);
    const measured = await this.#measure(name, bytes.length, nonce);
    return Buffer.compare(measured, measurementOfImage(nonce, bytes)) === 0;
  }

  #exists(name: string): Promise<boolean> {
    return this.#ask(`!!${STORAGE}.read(${quoted(name)},0,1)`);
  }
  /** A text's length has 16 bits; Storage knows where a file ends. */
  async #hasLength(name: string, length: number): Promise<boolean> {
    const at = (offset: number) => `!!${STORAGE}.read(${quoted(name)},${offset},1)`;
    return this.#ask(`${at(length - 1)}&&!${at(length)}`);
  }
  /** As the boot loader judges (programLength in firmware/board/images.ts), for a program of whatever length. */
  async #isWhole(name: string): Promise<boolean> {
    if (!(await this.#exists(name))) return false;
    // where the last part begins is in the program's first line
    return this.#ask(
      `(n=>{let s=${STORAGE},l=s.read(n,0,64).split("\\n")[0].split(" "),p=l[0]=="//parts"?+l[l.length-1]:0,r=s.read(n,p);return !!r&&r[r.length-1]!="\\xff"})(${quoted(name)})`,
    );
  }

  /** protocol/updates/measurement.ts, by the board's own interpreter. */
  async #measure(name: string, length: number, nonce: Uint8Array): Promise<Uint8Array> {
    const answer = await this.#ask<string>(
      `((h,n,e)=>{let s=${STORAGE},c=require("crypto");for(let o=0;o<e;o+=${MEASURE_BLOCK_BYTES})h=new Uint8Array(c.SHA256(E.toUint8Array(h,s.read(n,o,Math.min(${MEASURE_BLOCK_BYTES},e-o)))));return btoa(E.toString(h))})(E.toUint8Array(atob("${Buffer.from(nonce).toString('base64')}")),${quoted(name)},${length})`,
    );
    return Buffer.from(answer, 'base64');
  }

  /** Programs that came as updates would be started before the one in Storage. */
  async #eraseUpdates(): Promise<void> {
    const { images } = layoutOf(await this.#ask<number>(`${STORAGE}.getStats().totalBytes`));
    for (const { address } of images) {
      const blank = await this.#ask<boolean>(`E.sum(require("Flash").read(4,${address}))==${4 * BLANK}`);
      if (!blank) await this.#ask(`require("Flash").erasePage(${address})`);
    }
  }
}
