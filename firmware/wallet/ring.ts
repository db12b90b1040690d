import type { Entry, Stride } from './entry.ts';
import {
  advanceByShort,
  BLANK,
  decodeFull,
  encodeFull,
  encodeShort,
  FULL_BYTES,
  FULL_UNITS,
  UNIT_BYTES,
} from './entry.ts';
import type { Crc32, FlashPages } from './flash-pages.ts';

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

/**
 * Entries in flash pages that are used round and round. A page begins with a full entry and is valid if that is; the entries after
 * it are short where they can be. What a power cut may leave is passed over in reading: a torn entry, a page without its first
 * entry, a page half erased. After `append` has returned, the entry has been read back from flash.
 */
export class Ring {
  /** The last entry in flash; null in an empty ring. */
  newest: Entry | null = null;
  flash: FlashPages;
  crc32: Crc32;
  plan: RingPlan;
  unitsPerPage: number;
  /** Number of the first entry of each page of the ring, 0 where the page has none or is not to be trusted. */
  firstNumbers: number[];
  /** Page in use, counted within the ring; −1 in an empty ring. */
  page = -1;
  /** First unit of the page in use that was never written to. */
  nextUnit: number;
  /** Last word of the entry before, if the next one can follow it directly; −1 where it must be full. */
  chain = -1;
  /** Whether the page after the one in use was erased since the start. */
  prepared = false;
  /** Where the last `read` stopped, so that reading on is quick. */
  readPage = -1;
  readUnit = 0;
  readEntry: Entry | null = null;

  constructor(flash: FlashPages, crc32: Crc32, plan: RingPlan) {
    this.flash = flash;
    this.crc32 = crc32;
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
      const head = decodeFull(
        bytes,
        new DataView(bytes.buffer, bytes.byteOffset, FULL_BYTES),
        0,
        this.plan.kind,
        this.crc32,
      );
      this.firstNumbers[page] = head ? head.number : 0;
      if (head && (this.page < 0 || head.number > this.firstNumbers[this.page])) this.page = page;
    }
    if (this.page < 0) return;
    this.restart(this.page);
    this.walk(0);
    this.newest = this.readEntry;
    this.nextUnit = this.readUnit;
    // What was cut may have been the erase of the next page: it may look whole at its beginning and be none.
    if (this.freeUnits() <= PREPARE_UNITS) this.firstNumbers[this.following()] = 0;
  }

  /** Number of the oldest entry that is kept, 0 in an empty ring. */
  oldestNumber(): number {
    let oldest = 0;
    for (const first of this.firstNumbers) if (first > 0 && (oldest === 0 || first < oldest)) oldest = first;
    return oldest;
  }

  /** The entry of that number, to be looked at before the next call; null where it is not kept any more or damaged. */
  read(number: number): Entry | null {
    if (this.newest && this.newest.number === number) return this.newest;
    let page = -1;
    for (let i = 0; i < this.plan.pageCount; i++) {
      const first = this.firstNumbers[i];
      if (first > 0 && first <= number && (page < 0 || first > this.firstNumbers[page])) page = i;
    }
    if (page < 0) return null;
    if (page !== this.readPage || !this.readEntry || this.readEntry.number >= number) this.restart(page);
    this.walk(number);
    return this.readEntry && this.readEntry.number === number ? this.readEntry : null;
  }

  /** Puts the entry behind the newest one, and its number into it. Throws where the flash takes nothing any more. */
  append(entry: Entry): void {
    entry.number = this.newest ? this.newest.number + 1 : 1;
    let worn = 0;
    while (worn < MAX_WORN_PAGES) {
      const short =
        this.newest && this.chain >= 0 ? encodeShort(entry, this.newest, this.chain, this.plan, this.crc32) : null;
      const units = short ? 1 : FULL_UNITS;
      if (this.freeUnits() < units) {
        this.prepare();
        this.page = this.following();
        this.nextUnit = 0;
        this.chain = -1;
        this.prepared = false;
      } else {
        const bytes = short ? short : encodeFull(entry, this.plan.kind, this.crc32);
        if (this.write(bytes)) {
          if (this.nextUnit === 0) this.firstNumbers[this.page] = entry.number;
          this.nextUnit += units;
          this.newest = entry;
          return;
        }
        // A worn cell: the reader passes over what cannot be read, but a page without its first entry is none.
        if (this.nextUnit > 0) {
          this.nextUnit += units;
        } else {
          this.nextUnit = this.unitsPerPage;
          worn++;
        }
        this.chain = -1;
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
    if (this.readPage === page) this.readPage = -1;
    this.flash.erase(this.plan.firstPage + page);
    this.prepared = true;
  }

  /** Writes at the next unit and compares what then is there. */
  write(bytes: Uint8Array): boolean {
    const page = this.plan.firstPage + this.page;
    const offset = this.nextUnit * UNIT_BYTES;
    this.flash.write(page, offset, bytes);
    const back = this.flash.read(page, offset, bytes.length);
    for (let i = 0; i < bytes.length; i++) if (back[i] !== bytes[i]) return false;
    this.chain = new DataView(back.buffer, back.byteOffset + back.length - 4, 4).getUint32(0, true);
    return true;
  }

  restart(page: number): void {
    this.readPage = page;
    this.readUnit = 0;
    this.readEntry = null;
  }
  /** Reads on in `readPage` up to the entry `number`, or (0) to the end of what is written. */
  walk(number: number): void {
    const bytes = this.flash.read(this.plan.firstPage + this.readPage, 0, this.unitsPerPage * UNIT_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const plan = this.plan;
    let unit = this.readUnit;
    let entry = this.readEntry;
    let follows = entry !== null;
    while (unit < this.unitsPerPage && !(entry && entry.number === number)) {
      const at = unit * UNIT_BYTES;
      if (view.getUint32(at, true) === BLANK) break;
      if (entry && follows && advanceByShort(entry, bytes, view, at, plan, this.crc32)) {
        unit++;
      } else {
        const full = decodeFull(bytes, view, at, plan.kind, this.crc32);
        follows = full !== null && (entry === null || full.number > entry.number);
        if (follows) entry = full;
        unit += full ? FULL_UNITS : 1;
      }
    }
    this.readUnit = unit;
    this.readEntry = entry;
  }
}
