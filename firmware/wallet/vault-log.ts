/**
 * The vault's pages: sealed commits, one behind the other, in a log that goes round and round. (Espruino dialect)
 *
 * Pages have *sequence* numbers that count up from 1; the page of a number is fixed (number modulo pages), a page that is worn out is
 * passed over. Those from `tail` to `head` count, all others are free. Integers are little-endian.
 *
 *   page    0  u32  PAGE_MARK
 *           4  16   code of what follows
 *          20  u32  sequence
 *          24  u32  sequence of the page before it, 0 where there is none
 *          28  u32  tail when it was begun
 *          32  16   tag of the last commit before it
 *          48       commits
 *
 *   commit  0  u32  COMMIT_MARK
 *           4  16   tag
 *          20  u32  sequence of its page     ┐
 *          24  u16  its offset in the page   │
 *          26  u16  bytes of the body        ├ context of the tag
 *          28  u32  tail from now on         │
 *          32   8   tag of the one before    ┘
 *          40       body, encrypted: whole blocks
 *
 * A commit counts when its tag is right, so it counts whole or not at all. Behind a torn one the log goes on: readers look for the
 * next mark whose tag is right *and* that follows the last one that counted. So the log is one chain from its tail to its head: a
 * page or a commit that was taken out, changed or put back as it once was is found by `open`, which throws. What flash alone cannot
 * show: that the end of the newest page was cut off, or that all pages were put back at once.
 */
import type { Cipher } from './cipher.ts';
import { BLOCK_BYTES, copyOf, sameSecret, TAG_BYTES } from './cipher.ts';
import type { FlashPages } from './flash-pages.ts';

const PAGE_MARK = 0x70746c76;
const COMMIT_MARK = 0x63746c76;
const BLANK = 0xffffffff;
const PAGE_HEAD_BYTES = 48;
const COMMIT_HEAD_BYTES = 40;
const TAG_AT = 4;
/** Where what the tag is over begins. */
const CONTEXT_AT = 20;
const PREVIOUS_BYTES = 8;
/** The first page of the region holds the root key (root-key.ts). */
const FIRST_PAGE = 1;
/** Of a body. Two such commits fill a page; Espruino copies what it hashes onto its stack. */
export const BODY_MOST_BYTES = 1984;
/** Places that do not keep what is written to them, passed over in one go before the flash is given up. */
const MAX_WORN = 3;

export interface LogNatives {
  /** CRC-32 as in zlib, unsigned. */
  crc32(bytes: Uint8Array): number;
}
/** What is in the head of a page that is sound. */
interface PageHead {
  sequence: number;
  before: number;
  tail: number;
  previous: Uint8Array;
}
/** A commit as it was read. */
export interface Commit {
  /** Which it is: a number below 65,536, its own as long as its page counts. */
  place: number;
  body: Uint8Array;
  /** Offset of what follows it in its page. */
  end: number;
}

export function vaultError(fault: string): Error {
  return new Error('vault: ' + fault);
}

/** Whether there ever was a log in these pages. */
export function holdsPages(flash: FlashPages): boolean {
  for (let page = FIRST_PAGE; page < flash.pageCount; page++) {
    const mark = flash.read(page, 0, 4);
    if (new DataView(mark.buffer, mark.byteOffset, 4).getUint32(0, true) === PAGE_MARK) return true;
  }
  return false;
}

export class VaultLog {
  flash: FlashPages;
  natives: LogNatives;
  cipher: Cipher;
  /** Pages in the ring. */
  pages: number;
  wordsPerPage: number;
  /** Bytes of the longest body. */
  mostBytes: number;
  /** Sequence of the page in use, 0 in an empty log; and of the oldest one that counts. */
  head = 0;
  tail = 1;
  /** First byte of the page in use that was never written to. */
  next: number;
  /** Tag of the last commit. */
  last: Uint8Array = new Uint8Array(TAG_BYTES);
  /** Sequence of the page that was erased for what comes, 0: none since the start. */
  prepared = 0;
  /** Pages that `openNext` has to read, the oldest one last. */
  unread: PageHead[] = [];

  constructor(flash: FlashPages, natives: LogNatives, cipher: Cipher) {
    this.flash = flash;
    this.natives = natives;
    this.cipher = cipher;
    this.pages = flash.pageCount - FIRST_PAGE;
    this.wordsPerPage = flash.pageBytes / 4;
    const most = flash.pageBytes - PAGE_HEAD_BYTES - COMMIT_HEAD_BYTES;
    this.mostBytes = Math.min(BODY_MOST_BYTES, most - (most % BLOCK_BYTES));
    this.next = flash.pageBytes;
  }

  /**
   * Finds the pages that count. Then `openNext` reads them, one in each call.
   * @throws Error where one is missing that later ones follow
   */
  open(): void {
    let newest: PageHead | null = null;
    for (let page = 0; page < this.pages; page++) {
      const found = this.headOf(page);
      if (found && (!newest || found.sequence > newest.sequence)) newest = found;
    }
    if (!newest) return;
    // the newest page says how far back it goes
    this.tail = newest.tail;
    this.last = newest.previous;
    this.readPage(newest.sequence, () => {});
    let head: PageHead | null = newest;
    while (head && head.sequence >= this.tail) {
      this.unread.push(head);
      const before: number = head.before;
      if (before < this.tail) break;
      head = this.headOf(this.pageOf(before));
      if (!head || head.sequence !== before) throw vaultError('page ' + before + ' is not what was written there');
    }
    const oldest = this.unread[this.unread.length - 1];
    if (oldest.sequence !== this.tail) throw vaultError('page ' + this.tail + ' is not what was written there');
    this.last = oldest.previous;
  }

  /**
   * Reads the commits of the next page, in the order in which they were written. Writes only where one was torn.
   * @return false where there was no page left
   * @throws Error where what was written before the page is missing
   */
  openNext(visit: (commit: Commit) => void): boolean {
    const page = this.unread.pop();
    if (!page) return false;
    if (!sameSecret(this.last, page.previous, TAG_BYTES)) {
      throw vaultError('the page before ' + page.sequence + ' is not what was written there');
    }
    this.next = this.readPage(page.sequence, visit);
    if (this.unread.length === 0) {
      this.head = page.sequence;
      this.closeTorn();
    }
    return true;
  }

  /** Pages that nothing counts on. */
  freePages(): number {
    return this.head === 0 ? this.pages : this.pages - (this.head - this.tail + 1);
  }
  /** The longest body that the page in use has room for; negative: none. */
  room(): number {
    const bytes = this.flash.pageBytes - this.next - COMMIT_HEAD_BYTES;
    return Math.min(BODY_MOST_BYTES, bytes - (bytes % BLOCK_BYTES));
  }

  /**
   * Puts a commit behind the last one; `body` (whole blocks) is overwritten. When it returns the commit has been read back.
   * @param tail sequence of the oldest page that counts from now on
   * @throws Error where the flash takes nothing any more
   */
  append(body: Uint8Array, tail: number): number {
    const bytes = COMMIT_HEAD_BYTES + body.length;
    for (let worn = 0; worn < MAX_WORN; worn++) {
      if (this.next + bytes > this.flash.pageBytes) this.openPage();
      const at = this.next;
      const commit = new Uint8Array(bytes);
      const view = new DataView(commit.buffer);
      view.setUint32(0, COMMIT_MARK, true);
      view.setUint32(20, this.head, true);
      view.setUint16(24, at, true);
      view.setUint16(26, body.length, true);
      view.setUint32(28, tail, true);
      commit.set(this.last.subarray(0, PREVIOUS_BYTES), 32);
      commit.set(body, COMMIT_HEAD_BYTES);
      const tag = this.cipher.seal(commit.subarray(CONTEXT_AT), COMMIT_HEAD_BYTES - CONTEXT_AT);
      commit.set(tag, TAG_AT);
      this.next += bytes;
      if (this.write(this.pageOf(this.head), at, commit)) {
        this.last = tag;
        this.tail = tail;
        return this.placeOf(this.head, at);
      }
      this.blot(this.pageOf(this.head), at);
    }
    throw vaultError('the flash is worn out');
  }

  /** The commit at a place. @throws Error where it is damaged */
  read(place: number): Uint8Array {
    const page = FIRST_PAGE + Math.floor(place / this.wordsPerPage);
    const at = (place % this.wordsPerPage) * 4;
    const head = this.flash.read(page, at, COMMIT_HEAD_BYTES);
    const length = new DataView(head.buffer, head.byteOffset, COMMIT_HEAD_BYTES).getUint16(26, true);
    const whole = at + COMMIT_HEAD_BYTES + length <= this.flash.pageBytes;
    const commit = whole ? this.openCommit(this.flash.read(page, at, COMMIT_HEAD_BYTES + length)) : null;
    if (!commit) throw vaultError('a commit is damaged');
    return commit;
  }

  /** The oldest page, and its first commit at or behind an offset; null where there is none. */
  readTail(): Uint8Array {
    return this.readWhole(this.tail);
  }
  inTail(page: Uint8Array, from: number): Commit | null {
    return this.find(page, this.tail, Math.max(from, PAGE_HEAD_BYTES), null);
  }
  /** The page that is the oldest one when the one that now is does not count any more. */
  afterTail(): number {
    let sequence = this.tail + 1;
    while (sequence < this.head) {
      const head = this.headOf(this.pageOf(sequence));
      if (head && head.sequence === sequence) return sequence;
      sequence++; // was passed over
    }
    return this.head;
  }

  /** Erases the page that comes next, where it is free. Whether it did. */
  prepare(): boolean {
    const sequence = this.head + 1;
    if (this.prepared === sequence || sequence - this.tail >= this.pages) return false;
    this.flash.erase(FIRST_PAGE + this.pageOf(sequence));
    this.prepared = sequence;
    return true;
  }

  openPage(): void {
    const before = this.head;
    for (let worn = 0; worn < MAX_WORN; worn++) {
      if (this.head - this.tail + 1 >= this.pages && this.head > 0) throw vaultError('no page is free');
      this.prepare();
      this.head++;
      const head = new Uint8Array(PAGE_HEAD_BYTES);
      const view = new DataView(head.buffer);
      view.setUint32(0, PAGE_MARK, true);
      view.setUint32(20, this.head, true);
      view.setUint32(24, before, true);
      view.setUint32(28, this.tail, true);
      head.set(this.last, 32);
      head.set(this.cipher.code(head.subarray(CONTEXT_AT)), TAG_AT);
      this.next = PAGE_HEAD_BYTES;
      if (this.write(this.pageOf(this.head), 0, head)) return;
      this.blot(this.pageOf(this.head), 0);
    }
    throw vaultError('the flash is worn out');
  }

  /** A page of the ring, from 0. */
  pageOf(sequence: number): number {
    return (sequence - 1) % this.pages;
  }
  placeOf(sequence: number, offset: number): number {
    return this.pageOf(sequence) * this.wordsPerPage + offset / 4;
  }
  readWhole(sequence: number): Uint8Array {
    return this.flash.read(FIRST_PAGE + this.pageOf(sequence), 0, this.flash.pageBytes);
  }
  /** Writes and compares what then is there. */
  write(page: number, offset: number, bytes: Uint8Array): boolean {
    this.flash.write(FIRST_PAGE + page, offset, bytes);
    return this.natives.crc32(this.flash.read(FIRST_PAGE + page, offset, bytes.length)) === this.natives.crc32(bytes);
  }

  /** Takes its mark from what was not kept as it was written: a weak cell must not bring it back one day. */
  blot(page: number, offset: number): void {
    this.flash.write(FIRST_PAGE + page, offset, new Uint8Array(4));
  }

  /** The head of a page of the ring, null where it has none that is sound. */
  headOf(page: number): PageHead | null {
    const bytes = this.flash.read(FIRST_PAGE + page, 0, PAGE_HEAD_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_HEAD_BYTES);
    if (view.getUint32(0, true) !== PAGE_MARK) return null;
    const sequence = view.getUint32(20, true);
    if (sequence === 0 || this.pageOf(sequence) !== page) return null;
    const code = this.cipher.code(bytes.subarray(CONTEXT_AT));
    if (!sameSecret(bytes.subarray(TAG_AT, CONTEXT_AT), code, TAG_BYTES)) return null;
    return {
      sequence: sequence,
      before: view.getUint32(24, true),
      tail: view.getUint32(28, true),
      previous: copyOf(bytes, 32, PAGE_HEAD_BYTES),
    };
  }

  /** Goes through a page's commits, `last` and `tail` with them. @return the first byte behind them */
  readPage(sequence: number, visit: (commit: Commit) => void): number {
    const bytes = this.readWhole(sequence);
    let end = PAGE_HEAD_BYTES;
    let commit = this.find(bytes, sequence, end, this.last);
    while (commit) {
      const at = commit.end - COMMIT_HEAD_BYTES - commit.body.length;
      this.last = copyOf(bytes, at + TAG_AT, at + CONTEXT_AT);
      this.tail = new DataView(bytes.buffer, bytes.byteOffset + at, COMMIT_HEAD_BYTES).getUint32(28, true);
      visit(commit);
      end = commit.end;
      commit = this.find(bytes, sequence, end, this.last);
    }
    return end;
  }

  /** Passes over what a cut has left behind the last commit of the page in use, and blots it. */
  closeTorn(): void {
    const bytes = this.readWhole(this.head);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, this.wordsPerPage);
    const first = this.next / 4;
    let end = words.length;
    while (end > first && words[end - 1] === BLANK) end--;
    let mark = words.indexOf(COMMIT_MARK, first);
    while (mark >= 0 && mark < end) {
      this.blot(this.pageOf(this.head), mark * 4);
      mark = words.indexOf(COMMIT_MARK, mark + 1);
    }
    this.next = end * 4;
  }

  /**
   * The first sound commit of a page at or behind an offset, null where there is none.
   * @param previous tag of the one that it must follow; null: whichever it follows
   */
  find(bytes: Uint8Array, sequence: number, from: number, previous: Uint8Array | null): Commit | null {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, this.wordsPerPage);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let word = words.indexOf(COMMIT_MARK, from / 4);
    while (word >= 0) {
      const at = word * 4;
      if (at + COMMIT_HEAD_BYTES > bytes.length) return null;
      const length = view.getUint16(at + 26, true);
      const end = at + COMMIT_HEAD_BYTES + length;
      const right =
        end <= bytes.length &&
        view.getUint32(at + 20, true) === sequence &&
        view.getUint16(at + 24, true) === at &&
        (!previous || sameSecret(bytes.subarray(at + 32, at + COMMIT_HEAD_BYTES), previous, PREVIOUS_BYTES));
      const body = right ? this.openCommit(bytes.subarray(at, end)) : null;
      if (body) return { place: this.placeOf(sequence, at), body: body, end: end };
      word = words.indexOf(COMMIT_MARK, word + 1);
    }
    return null;
  }

  /** The body of a commit, null where its tag is not right. */
  openCommit(commit: Uint8Array): Uint8Array | null {
    const length = commit.length - COMMIT_HEAD_BYTES;
    if (length % BLOCK_BYTES !== 0 || length > BODY_MOST_BYTES) return null;
    const message = copyOf(commit, CONTEXT_AT, commit.length);
    const at = COMMIT_HEAD_BYTES - CONTEXT_AT;
    return this.cipher.open(message, at, commit.subarray(TAG_AT, CONTEXT_AT)) ? message.subarray(at) : null;
  }
}
