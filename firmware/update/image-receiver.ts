/**
 * Takes a new program in over the line, while metering goes on. (Espruino dialect; everything it needs is passed in)
 *
 * It goes into the area that is not running, page by page: erase, write, mark. Erases happen in `tick`, one at most, which the
 * meter calls between two windows; bytes are written as they come, in order, and read back. After a cut the first page without
 * its mark is wanted again from its beginning. Where all is there and its digest right, the area is marked complete and the
 * meter starts anew at the end of the netting block, when its registers are in flash.
 *
 * A program on trial overwrites nothing; it confirms itself when it has run for a minute and the gateway has told it the time,
 * which is to say: when a next update could reach it.
 */
import type {
  ImageBegin,
  ImageData,
  ImageState,
  Measure,
  Measurement,
  MeterMessage,
} from '../../protocol/wire/link-messages.ts';
import {
  IMAGE_CHUNK_BYTES,
  IMAGE_COMPLETE,
  IMAGE_DIFFERS,
  IMAGE_NO_ROOM,
  IMAGE_NONE,
  IMAGE_OLDER,
  IMAGE_ON_TRIAL,
  IMAGE_RECEIVING,
  IMAGE_REJECTED,
  IMAGE_WORN,
  LINK_IMAGE_STATE,
  LINK_MEASUREMENT,
} from '../../protocol/wire/link-messages.ts';
import type { ImageArea, ImageHead, ImageNatives } from './image-area.ts';
import { BLOCK_BYTES, sameBytes, TRIALS } from './image-area.ts';

/** A program on trial has to run for so long. */
const PROVEN_MS = 60000;
/** How many steps of a measurement (protocol/updates/measurement.ts) a second: 4 kB take some 5 ms. */
const BLOCKS_A_TICK = 4;

/** The program that runs. */
export interface RunningImage {
  /** Index of its area; −1, −2: the first or second of Storage's. */
  area: number;
  version: number;
  length: number;
  trial: boolean;
  /** A piece of its text as it is stored. */
  text(offset: number, length: number): string;
}

interface Measuring {
  chain: Uint8Array;
  offset: number;
}

export class ImageReceiver {
  areas: ImageArea[];
  natives: ImageNatives;
  running: RunningImage;
  /** Where a new program goes; null where there is no room for one. */
  target: ImageArea | null = null;
  state = IMAGE_NONE;
  /** What is announced; null where nothing is. */
  wanted: ImageHead | null = null;
  /** The next byte of it that is wanted. */
  offset = 0;
  /** Pages of the target that are erased or written since the start, head included: up to this one. 0: not even the head. */
  pagesReady = 0;
  /** Whether the head page has to be erased, and the announced head written. */
  headDue = false;
  measuring: Measuring | null = null;

  constructor(areas: ImageArea[], natives: ImageNatives, running: RunningImage) {
    this.areas = areas;
    this.natives = natives;
    this.running = running;
    if (areas.length > 1) this.target = areas[running.area === 0 ? 1 : 0];
  }

  begin(command: ImageBegin): ImageState {
    const target = this.target;
    const wanted = this.wanted;
    if (wanted && this.isSame(wanted, command) && this.state === IMAGE_RECEIVING) return this.answer();
    this.wanted = { version: command.version, length: command.length, digest: new Uint8Array(command.digest) };
    this.offset = 0;
    this.pagesReady = 0;
    this.headDue = false;
    if (!target || command.length > target.capacity()) this.state = IMAGE_NO_ROOM;
    else if (this.running.trial) this.state = IMAGE_ON_TRIAL;
    else if (command.version <= this.running.version) this.state = IMAGE_OLDER;
    else this.resume(target);
    return this.answer();
  }

  /** What does not continue what is there changes nothing; the answer says what would. */
  data(command: ImageData): ImageState {
    const target = this.target;
    const bytes = command.bytes;
    if (this.state !== IMAGE_RECEIVING || !target || command.offset !== this.offset || this.offset >= this.room()) {
      return this.answer();
    }
    const length = Math.min(IMAGE_CHUNK_BYTES, this.wanted!.length - this.offset);
    if (bytes.length !== length) return this.answer();
    const pageBytes = target.pages.pageBytes;
    const page = 1 + Math.floor(this.offset / pageBytes);
    // whole words: what is beyond the end of the program stays erased
    const words = new Uint8Array(Math.ceil(length / 4) * 4);
    words.fill(255);
    words.set(bytes, 0);
    target.pages.write(page, this.offset % pageBytes, words);
    if (!sameBytes(target.pages.read(page, this.offset % pageBytes, words.length), words)) {
      this.state = IMAGE_WORN;
      return this.answer();
    }
    this.offset += length;
    if (this.offset % pageBytes === 0 || this.offset === this.wanted!.length) target.markPage(page - 1);
    return this.answer();
  }

  end(): ImageState {
    const target = this.target;
    if (this.state === IMAGE_RECEIVING && target && this.offset === this.wanted!.length) {
      if (target.isIntact(this.wanted!)) {
        target.markComplete();
        this.state = target.isComplete() ? IMAGE_COMPLETE : IMAGE_WORN;
      } else {
        this.state = IMAGE_DIFFERS;
      }
    }
    return this.answer();
  }

  measure(command: Measure): void {
    this.measuring = { chain: new Uint8Array(command.nonce), offset: 0 };
  }

  /**
   * Once a second, between two windows. At most one erase; a part of a measurement; the confirmation of a program that has
   * proved itself.
   * @param mayErase false where the journal has just erased a page
   * @param greeted whether the gateway has told the time since the start
   * @return what is to be said of it, in order
   */
  tick(uptimeMs: number, greeted: boolean, mayErase: boolean): MeterMessage[] {
    const said: MeterMessage[] = [];
    if (this.running.trial && greeted && uptimeMs >= PROVEN_MS) {
      this.areas[this.running.area].confirm();
      this.running.trial = !this.areas[this.running.area].isConfirmed();
    }
    if (this.state === IMAGE_RECEIVING && mayErase && this.prepare()) said.push(this.answer());
    const measured = this.measureOn();
    if (measured) said.push(measured);
    return said;
  }

  /** Whether the meter is to start anew, into the new program. */
  restartIsDue(): boolean {
    return this.state === IMAGE_COMPLETE;
  }

  /** Goes on where an earlier start stopped, or from the beginning. */
  resume(target: ImageArea): void {
    const head = target.head();
    this.state = IMAGE_RECEIVING;
    if (!head || !this.isSame(head, this.wanted!)) {
      this.headDue = true;
      return;
    }
    if (target.isComplete()) {
      // complete, and yet not what runs: the boot loader has given it up, or nobody has restarted the meter yet
      if (!target.isIntact(head)) this.headDue = true;
      else this.state = target.trials() >= TRIALS && !target.isConfirmed() ? IMAGE_REJECTED : IMAGE_COMPLETE;
      return;
    }
    let page = 0;
    const pages = Math.ceil(head.length / target.pages.pageBytes);
    while (page < pages && target.pageIsWhole(page)) page++;
    this.offset = Math.min(page * target.pages.pageBytes, head.length);
    this.pagesReady = page + 1;
    // all of its pages and yet not complete: the digest was not right, or power failed before the mark
    if (page === pages && !target.isIntact(head)) {
      this.headDue = true;
      this.offset = 0;
      this.pagesReady = 0;
    }
  }

  /** Erases the next page that will be needed. Whether it did. */
  prepare(): boolean {
    const target = this.target!;
    if (this.headDue) {
      target.pages.erase(0);
      target.writeHead(this.wanted!);
      this.headDue = false;
      this.pagesReady = 1;
      return true;
    }
    const pageBytes = target.pages.pageBytes;
    const pages = 1 + Math.ceil(this.wanted!.length / pageBytes);
    // one page ahead of the one that is being written
    if (this.pagesReady >= pages || this.pagesReady > 2 + Math.floor(this.offset / pageBytes)) return false;
    target.pages.erase(this.pagesReady);
    this.pagesReady++;
    return true;
  }
  /** Up to which byte there is erased flash. */
  room(): number {
    return this.wanted && this.target
      ? Math.min(this.wanted.length, Math.max(0, this.pagesReady - 1) * this.target.pages.pageBytes)
      : 0;
  }

  measureOn(): Measurement | null {
    const running = this.running;
    for (let i = 0; i < BLOCKS_A_TICK && this.measuring; i++) {
      const measuring = this.measuring;
      const length = Math.min(BLOCK_BYTES, running.length - measuring.offset);
      measuring.chain = this.natives.sha256(measuring.chain, running.text(measuring.offset, length));
      measuring.offset += length;
      if (measuring.offset >= running.length) {
        this.measuring = null;
        return {
          type: LINK_MEASUREMENT,
          version: running.version,
          length: running.length,
          digest: measuring.chain,
        };
      }
    }
    return null;
  }

  isSame(head: ImageHead, other: { version: number; length: number; digest: Uint8Array }): boolean {
    return head.version === other.version && head.length === other.length && sameBytes(head.digest, other.digest);
  }
  answer(): ImageState {
    return {
      type: LINK_IMAGE_STATE,
      state: this.state,
      version: this.wanted ? this.wanted.version : 0,
      offset: this.offset,
      room: this.state === IMAGE_RECEIVING ? this.room() : 0,
      running: this.running.version,
    };
  }
}
