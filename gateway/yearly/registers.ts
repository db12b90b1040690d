/**
 * Registers for the grid operator: when a year is over, where the provider changes, when people move out
 * (protocol/grid-fees/register-reading.ts).
 *
 *   due ─► registers of that instant from the store ─► signed, kept ─► sent until the grid operator has it on its disk
 *
 * A reading is signed once and its bytes are kept before they leave. What the grid operator will never take is kept with its
 * reason, for a person to see.
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import {
  decodeRegisterReading,
  type ReadingReason,
  registerReadingDigest,
  signRegisterReading,
  toKwh,
  yearFirstSlot,
  yearOf,
} from '../../protocol/grid-fees/register-reading.ts';
import { readingCall } from '../../protocol/grid-fees/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { SLOTS_PER_DAY, slotOf } from '../../protocol/time/slots.ts';
import type { MeasuredSlot } from '../meter/slots.ts';
import { callService, type RequestIdentity, type ServiceAddress } from '../services/client.ts';
import { openDatabase } from '../store-schema.ts';

const TABLES = `
  CREATE TABLE readings (slot INTEGER, reason TEXT, bytes BLOB, acknowledged_ms INTEGER, refusal TEXT,
    PRIMARY KEY (slot, reason)) STRICT, WITHOUT ROWID;
  CREATE TABLE changes (number INTEGER PRIMARY KEY, from_slot INTEGER NOT NULL, document TEXT NOT NULL) STRICT;`;
/** Real time after a failure that passes: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 300_000;
/** A meter that was off at the instant says it later; after so long a year's end has no registers. */
const LATE_MOST_SLOTS = 31 * SLOTS_PER_DAY;

/** The household's store, as far as it is needed. */
export interface Measured {
  quarterHours(fromSlot: number, toSlot: number): MeasuredSlot[];
  measuredRange(): { first: number; last: number } | null;
}

/** A reading as people see it. */
export interface RegisterRow {
  slot: number;
  reason: string;
  /** As they were signed; null while they are not. */
  importKwh: number | null;
  exportKwh: number | null;
  state: 'waiting' | 'acknowledged' | 'refused';
  refusal: string | null;
}

export interface RegistersOptions {
  /** Opened by `openYearlyStore`. */
  database: DatabaseSync;
  measured: Measured;
  clock: Clock;
  gridOperator: ServiceAddress;
  /** The household's certified key; null while there is none. */
  household(): { ekSerial: string; identity: RequestIdentity } | null;
  log(line: string): void;
}

/** @param dataDir is there already */
export const openYearlyStore = (dataDir: string): DatabaseSync =>
  openDatabase(join(dataDir, 'yearly.db'), 'FULL', TABLES);

export class Registers {
  readonly #options: RegistersOptions;
  #running: Promise<void> | null = null;
  #checkedYear = 0;
  #notBefore = 0;
  #failures = 0;
  #trouble: string | null = null;

  constructor(options: RegistersOptions) {
    this.#options = options;
  }

  /** Wants the registers of an instant told; twice is once. */
  want(reason: ReadingReason, slot: number): void {
    this.#options.database.prepare('INSERT OR IGNORE INTO readings VALUES (?, ?, NULL, NULL, NULL)').run(slot, reason);
    this.#notBefore = 0;
  }

  /** Whether any were ever wanted. */
  get begun(): boolean {
    return this.#options.database.prepare('SELECT 1 FROM readings').get() !== undefined;
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    const { clock, measured } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs === 0) return;
    const year = new Date(nowMs).getUTCFullYear();
    if (year !== this.#checkedYear) {
      const range = measured.measuredRange();
      const end = yearFirstSlot(year);
      // of a household that began in this year the last one has no registers
      if (range !== null && range.first < end) this.want('year', end);
      if (range !== null) this.#checkedYear = year;
    }
    if (this.#running !== null || performance.now() < this.#notBefore || !this.#hasDue()) return;
    this.#running = this.#send().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Why registers cannot be told now, in words; null where they can. */
  get trouble(): string | null {
    return this.#trouble;
  }
  rows(): RegisterRow[] {
    return this.#options.database
      .prepare('SELECT slot, reason, bytes, acknowledged_ms, refusal FROM readings ORDER BY slot, reason')
      .all()
      .map(({ slot, reason, bytes, acknowledged_ms, refusal }) => ({
        slot: slot as number,
        reason: reason as string,
        ...kWhOf(bytes as Uint8Array | null),
        state: refusal !== null ? 'refused' : acknowledged_ms !== null ? 'acknowledged' : 'waiting',
        refusal: refusal as string | null,
      }));
  }

  #due(): { slot: number; reason: ReadingReason; bytes: Uint8Array | null }[] {
    return this.#options.database
      .prepare(
        `SELECT slot, reason, bytes FROM readings WHERE acknowledged_ms IS NULL AND refusal IS NULL AND slot <= ?
         ORDER BY slot, reason = 'year'`,
      )
      .all(slotOf(this.#options.clock.nowMs())) as unknown as {
      slot: number;
      reason: ReadingReason;
      bytes: Uint8Array | null;
    }[];
  }
  #hasDue(): boolean {
    return this.#due().length > 0;
  }

  /** In their order: the grid operator takes a later one only after the earlier ones. */
  async #send(): Promise<void> {
    const { clock, gridOperator, household, database, log } = this.#options;
    try {
      for (const { slot, reason, bytes: kept } of this.#due()) {
        const who = household();
        if (who === null) return;
        const bytes = kept ?? (await this.#signed(slot, reason, who));
        if (bytes === null) continue; // it comes when it is measured; later registers include it
        const refuse = (refusal: string): void => {
          database.prepare('UPDATE readings SET refusal = ? WHERE slot = ? AND reason = ?').run(refusal, slot, reason);
          log(`the grid operator refused the registers of ${yearOf(slot)}: ${refusal}`);
        };
        try {
          const { path, answer } = readingCall;
          const { digest } = await callService({
            ...gridOperator,
            path,
            body: { reading: bytes },
            answer,
            identity: who.identity,
          });
          if (Buffer.compare(digest, registerReadingDigest(bytes)) !== 0) return refuse('it confirmed another reading');
        } catch (error) {
          if (error instanceof ServiceError && error.kind === 'refused' && error.recovery === 'final')
            return refuse(error.message);
          throw error;
        }
        database
          .prepare('UPDATE readings SET acknowledged_ms = ? WHERE slot = ? AND reason = ?')
          .run(clock.nowMs(), slot, reason);
      }
      this.#trouble = null;
      this.#failures = 0;
    } catch (error) {
      // the grid operator or the TPM may be away: again later
      const { message } = error as Error;
      if (message !== this.#trouble) log(`registers for the grid operator wait: ${message}`);
      this.#trouble = message;
      this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
    }
  }

  /** Null while the instant is not measured. */
  async #signed(
    slot: number,
    reason: ReadingReason,
    { ekSerial, identity }: { ekSerial: string; identity: RequestIdentity },
  ): Promise<Uint8Array | null> {
    const registers = this.#registersAt(slot);
    if (registers === null) return null;
    const reading = {
      reason,
      slot,
      ekSerial,
      importKwh: toKwh(registers.importMwh),
      exportKwh: toKwh(registers.exportMwh),
    };
    const bytes = await signRegisterReading(reading, (message) => identity.sign(message));
    this.#options.database
      .prepare('UPDATE readings SET bytes = ? WHERE slot = ? AND reason = ? AND bytes IS NULL')
      .run(bytes, slot, reason);
    return bytes;
  }

  #registersAt(slot: number): { importMwh: number; exportMwh: number } | null {
    const { measured } = this.#options;
    const [before] = measured.quarterHours(slot - 1, slot);
    if (before) return { importMwh: before.endImportMwh, exportMwh: before.endExportMwh };
    const [after] = measured.quarterHours(slot, slot + LATE_MOST_SLOTS);
    return after ? { importMwh: after.startImportMwh, exportMwh: after.startExportMwh } : null;
  }
}

function kWhOf(bytes: Uint8Array | null): Pick<RegisterRow, 'importKwh' | 'exportKwh'> {
  if (bytes === null) return { importKwh: null, exportKwh: null };
  const { importKwh, exportKwh } = decodeRegisterReading(bytes);
  return { importKwh, exportKwh };
}
