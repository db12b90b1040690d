import type { Entry, Stride } from './entry.ts';
import {
  BLANK,
  decodeFull,
  encodeFull,
  encodeShort,
  FULL_BYTES,
  FULL_UNITS,
  fitsShort,
  moveOn,
  UNIT_BYTES,
} from './entry.ts';
import type { FlashPages, JournalNatives } from './flash-pages.ts';

/** Where a ring lies and what it holds. */
export interface RingPlan extends Stride {
  firstPage: number;
  pageCount: number;
  /** First word of its full entries. */
  kind: number;
}

/** The page after the one in use is erased when so many units are left, or fewer. */
const PREPARE_UNITS = 8;
/** Worn pages that are passed over before the flash is given up. */
const MAX_WORN_PAGES = 3;
const WORDS_PER_UNIT = 3;

/**
 * Entries in flash pages that are used round and round. A page begins with a full entry and is valid if that is. What a power cut
 * may leave is passed over in reading: a torn entry at the end of a run, a page without its first entry, a page half erased.
 * After `append` has returned, the entry has been read back from flash.
 */
export class Ring {
  /** The last entry in flash; null in an empty ring. */
  newest: Entry | null = null;
  flash: FlashPages;
  natives: JournalNatives;
  plan: RingPlan;
  unitsPerPage: number;
  /** Number of the first entry of each page of the ring, 0 where the page has none or is not to be trusted. */
  firstNumbers: number[];
  /** Page in use, counted within the ring; −1 in an empty ring. */
  page = -1;
  /** First unit of the page in use that was never written to. */
  nextUnit: number;
  /** Unit where the run began that the next entry can go on with; −1 where it must begin one. */
  runUnit = -1;
  /** Whether the page after the one in use was erased since the start. */
  prepared = false;

  constructor(flash: FlashPages, natives: JournalNatives, plan: RingPlan) {
    this.flash = flash;
    this.natives = natives;
    this.plan = plan;
    this.unitsPerPage = Math.floor(flash.pageBytes / UNIT_BYTES);
    this.nextUnit = this.unitsPerPage;
    this.firstNumbers = [];
    for (let page = 0; page < plan.pageCount; page++) this.firstNumbers.push(0);
  }

  /** Finds the newest entry. Writes nothing. */
  open(): void {
    for (let page = 0; page < this.plan.pageCount; page++) {
      const bytes = this.flash.read(this.plan.firstPage + page, 0, FULL_BYTES);
      const head = this.fullAt(bytes, new DataView(bytes.buffer, bytes.byteOffset, FULL_BYTES), 0);
      this.firstNumbers[page] = head ? head.number : 0;
      if (head && (this.page < 0 || head.number > this.firstNumbers[this.page])) this.page = page;
    }
    if (this.page < 0) return;
    this.newest = this.find(this.page, 0);
    // What was cut may have been the erase of the next page: it may look whole at its beginning and be none.
    if (this.freeUnits() <= PREPARE_UNITS) this.firstNumbers[this.following()] = 0;
  }

  /** Number of the oldest entry that is kept, 0 in an empty ring. */
  oldestNumber(): number {
    let oldest = 0;
    for (const first of this.firstNumbers) if (first > 0 && (oldest === 0 || first < oldest)) oldest = first;
    return oldest;
  }

  /** The entry of that number; null where it is not kept any more, not yet there, or damaged. */
  read(number: number): Entry | null {
    if (this.newest && this.newest.number === number) return this.newest;
    let page = -1;
    for (let i = 0; i < this.plan.pageCount; i++) {
      const first = this.firstNumbers[i];
      if (first > 0 && first <= number && (page < 0 || first > this.firstNumbers[page])) page = i;
    }
    return page < 0 ? null : this.find(page, number);
  }

  /** Puts the entry behind the newest one, and its number into it. Throws where the flash takes nothing any more. */
  append(entry: Entry): void {
    entry.number = this.newest ? this.newest.number + 1 : 1;
    let worn = 0;
    while (worn < MAX_WORN_PAGES) {
      const short = this.newest && this.runUnit >= 0 && fitsShort(entry, this.newest, this.plan);
      const units = short ? 1 : FULL_UNITS;
      if (this.freeUnits() < units) {
        this.prepare();
        this.page = this.following();
        this.nextUnit = 0;
        this.runUnit = -1;
        this.prepared = false;
      } else {
        const bytes = short ? this.shortOf(entry, this.newest!) : encodeFull(entry, this.plan.kind, this.natives);
        if (this.write(bytes)) {
          if (this.nextUnit === 0) this.firstNumbers[this.page] = entry.number;
          if (!short) this.runUnit = this.nextUnit;
          this.nextUnit += units;
          this.newest = entry;
          return;
        }
        // A worn cell: the reader passes over what cannot be read, but a page without its first entry is none.
        this.runUnit = -1;
        if (this.nextUnit > 0) {
          this.nextUnit += units;
        } else {
          this.nextUnit = this.unitsPerPage;
          worn++;
        }
      }
    }
    throw new Error('flash is worn out');
  }

  /** Erases the next page if it will be needed soon, so that no entry waits for an erase. Whether it did. */
  tidy(): boolean {
    if (this.prepared || this.freeUnits() > PREPARE_UNITS) return false;
    this.prepare();
    return true;
  }

  freeUnits(): number {
    return this.unitsPerPage - this.nextUnit;
  }
  /** The page after the one in use; the first one in an empty ring. */
  following(): number {
    return (this.page + 1) % this.plan.pageCount;
  }
  prepare(): void {
    if (this.prepared) return;
    const page = this.following();
    this.firstNumbers[page] = 0;
    this.flash.erase(this.plan.firstPage + page);
    this.prepared = true;
  }

  shortOf(entry: Entry, before: Entry): Uint8Array {
    const from = this.runUnit * UNIT_BYTES;
    const run = this.flash.read(this.plan.firstPage + this.page, from, this.nextUnit * UNIT_BYTES - from);
    return encodeShort(entry, before, run, this.plan, this.natives);
  }
  /** Writes at the next unit and compares what then is there. */
  write(bytes: Uint8Array): boolean {
    const page = this.plan.firstPage + this.page;
    const offset = this.nextUnit * UNIT_BYTES;
    this.flash.write(page, offset, bytes);
    const back = this.flash.read(page, offset, bytes.length);
    for (let i = 0; i < bytes.length; i++) if (back[i] !== bytes[i]) return false;
    return true;
  }

  fullAt(bytes: Uint8Array, view: DataView, at: number): Entry | null {
    return decodeFull(bytes, view, at, this.plan.kind, this.natives);
  }

  /** The entry `number` of a page, null where it is not there; with 0 the page's last one, and `nextUnit` is set to its end. */
  find(page: number, number: number): Entry | null {
    const bytes = this.flash.read(this.plan.firstPage + page, 0, this.unitsPerPage * UNIT_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, this.unitsPerPage * WORDS_PER_UNIT);
    // The last run that begins at or before the number.
    let run: Entry | null = null;
    let runAt = 0;
    for (let word = 0; word >= 0; word = words.indexOf(this.plan.kind, word + 1)) {
      const full = word % WORDS_PER_UNIT === 0 ? this.fullAt(bytes, view, word * 4) : null;
      if (full && number > 0 && full.number > number) break;
      if (full && (!run || full.number > run.number)) {
        run = full;
        runAt = word * 4;
      }
    }
    if (!run) return null;
    if (number > 0) return moveOn(run, bytes, view, runAt, number - run.number, this.plan, this.natives) ? run : null;
    const firstShort = runAt / UNIT_BYTES + FULL_UNITS;
    this.nextUnit = Math.max(firstShort, this.blankUnit(view));
    // All of its units but those that were torn.
    let count = this.nextUnit - firstShort;
    while (!moveOn(run, bytes, view, runAt, count, this.plan, this.natives)) count--;
    return run;
  }

  /** First unit of a page from which on nothing was written. */
  blankUnit(view: DataView): number {
    let low = 0;
    let high = this.unitsPerPage;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (view.getUint32(middle * UNIT_BYTES, true) === BLANK) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
