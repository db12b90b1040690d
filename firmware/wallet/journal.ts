import type { MeterRecord } from '../../protocol/wire/link-messages.ts';
import { FLAG_NO_CLOCK, FLAG_POWER_CUT, LINK_RECORD } from '../../protocol/wire/link-messages.ts';
import type { Entry } from './entry.ts';
import { FULL_CHECKPOINT, FULL_RECORD, FULL_UNITS, UNIT_BYTES } from './entry.ts';
import type { FlashPages, JournalNatives } from './flash-pages.ts';
import { Ring } from './ring.ts';

/**
 * What the meter knows for good. Registers and quarter-hour records live on raw flash pages, never in Espruino's Storage, whose
 * compaction loses files in a power cut.
 *
 * Promises, for a power cut inside any flash operation, also a second one while the next start recovers:
 * - what `checkpoint` and `appendRecord` have returned from is found again; registers never fall below it
 * - what was being written when the power failed is found whole or not at all
 * - at least RECORDS_KEPT records are kept, and no number is used twice
 * - every start has a boot number of its own
 * Nothing leaves the meter before it is here: who sends registers takes `importMwh` and `exportMwh` from this class.
 *
 * Two rings share the region: few pages for the records (42 days), all others for the checkpoints, which wear them. At one
 * checkpoint in ten seconds four pages are erased 6.4 times a day each: 100,000 erases are 42 years.
 */

/** 35 days of quarter hours. */
export const RECORDS_KEPT = 3360;
/** A tenth more, for entries that are written in full: every power cut takes up to eight units. */
const RECORD_UNITS = 3696;
/** From so many pages on a checkpoint each second wears no page out within 40 years. */
const PAGES_FOR_SECONDS = 64;
const QUARTER_HOUR_MS = 900000;

export class Journal {
  /** How often a checkpoint is to be made: the region allows no more. */
  checkpointMs: number;
  /** Counts starts from 1. 0 before `open`. */
  boot = 0;
  /** The registers as they are in flash. */
  importMwh = 0;
  exportMwh = 0;
  checkpoints: Ring;
  records: Ring;

  /** Throws where the region is too small. Reads and writes nothing yet. */
  constructor(flash: FlashPages, natives: JournalNatives) {
    const entriesPerPage = Math.floor(flash.pageBytes / UNIT_BYTES) - FULL_UNITS + 1;
    // one page of the ring is always being erased or filled
    const recordPages = Math.ceil(RECORD_UNITS / entriesPerPage) + 1;
    if (recordPages + 2 > flash.pageCount) throw new Error('flash region: ' + flash.pageCount + ' pages are too few');
    this.checkpointMs = flash.pageCount >= PAGES_FOR_SECONDS ? 1000 : 10000;
    this.checkpoints = new Ring(flash, natives, {
      firstPage: 0,
      pageCount: flash.pageCount - recordPages,
      kind: FULL_CHECKPOINT,
      periodMs: this.checkpointMs,
      slots: 0,
    });
    this.records = new Ring(flash, natives, {
      firstPage: flash.pageCount - recordPages,
      pageCount: recordPages,
      kind: FULL_RECORD,
      periodMs: QUARTER_HOUR_MS,
      slots: 1,
    });
  }

  /**
   * Finds the registers, closes the boot that was cut and begins a new one. A boot is closed by a record of its last checkpoint,
   * so that its energy stays where it was measured; written first and only if it says something new, so that a second cut here
   * changes nothing.
   */
  open(): void {
    this.checkpoints.open();
    this.records.open();
    const checkpoint = this.checkpoints.newest;
    const record = this.records.newest;
    if (record) this.take(record);
    const importMwh = this.importMwh;
    const exportMwh = this.exportMwh;
    if (checkpoint && checkpoint.boot >= this.boot) this.take(checkpoint);
    if (checkpoint && (this.importMwh > importMwh || this.exportMwh > exportMwh)) {
      this.records.append(this.entry(checkpoint.uptimeMs, this.newestSlot(), FLAG_NO_CLOCK));
    }
    this.boot++;
    this.checkpoints.append(this.entry(0, 0, FLAG_NO_CLOCK));
  }

  /** Keeps the registers, mWh. Returns when they are in flash; where they have not changed nothing is written. */
  checkpoint(importMwh: number, exportMwh: number, uptimeMs: number): void {
    if (importMwh === this.importMwh && exportMwh === this.exportMwh) return;
    if (importMwh < this.importMwh || exportMwh < this.exportMwh) throw new Error('a register would fall');
    const entry = this.entry(uptimeMs, 0, FLAG_NO_CLOCK);
    entry.importMwh = importMwh;
    entry.exportMwh = exportMwh;
    this.checkpoints.append(entry);
    this.importMwh = importMwh;
    this.exportMwh = exportMwh;
  }

  /**
   * Records the registers as the last checkpoint has them: the end of a quarter hour. `slot` is the one that has just ended; 0 where
   * the time is not known. Slots only increase: one that was recorded before (the clock was set back) is recorded as 0.
   */
  appendRecord(uptimeMs: number, slot: number, flags: number): void {
    const before = this.newestSlot();
    const known = slot > before;
    const restarted = this.boot > 1 && (!this.records.newest || this.records.newest.boot < this.boot);
    const noClock = known ? 0 : FLAG_NO_CLOCK;
    const powerCut = restarted ? FLAG_POWER_CUT : 0;
    this.records.append(
      this.entry(uptimeMs, known ? slot : before, (flags & ~FLAG_NO_CLOCK & ~FLAG_POWER_CUT) | noClock | powerCut),
    );
  }

  /** The record of that number as it goes to the gateway; null where it is not kept or damaged. */
  record(number: number): MeterRecord | null {
    const entry = this.records.read(number);
    if (!entry) return null;
    return {
      type: LINK_RECORD,
      number: entry.number,
      boot: entry.boot,
      uptimeMs: entry.uptimeMs,
      slot: entry.flags & FLAG_NO_CLOCK ? 0 : entry.newestSlot,
      importMwh: entry.importMwh,
      exportMwh: entry.exportMwh,
      flags: entry.flags,
    };
  }
  /** 0 where there is none. */
  oldestRecord(): number {
    return this.records.oldestNumber();
  }
  newestRecord(): number {
    return this.records.newest ? this.records.newest.number : 0;
  }
  /** The newest slot that was recorded, 0 where there is none. */
  newestSlot(): number {
    return this.records.newest ? this.records.newest.newestSlot : 0;
  }

  /**
   * Erases a page ahead if one will soon be needed, at most one in a call. To be called between windows: an erase stops the
   * sampling. Whether it did.
   */
  tidy(): boolean {
    return this.checkpoints.tidy() || this.records.tidy();
  }

  take(entry: Entry): void {
    this.boot = entry.boot;
    this.importMwh = entry.importMwh;
    this.exportMwh = entry.exportMwh;
  }
  /** The registers now, as an entry of this boot; its ring gives the number. */
  entry(uptimeMs: number, newestSlot: number, flags: number): Entry {
    return {
      number: 0,
      boot: this.boot,
      uptimeMs: uptimeMs,
      newestSlot: newestSlot,
      importMwh: this.importMwh,
      exportMwh: this.exportMwh,
      flags: flags,
    };
  }
}
