/**
 * The household's commitments (protocol/billing/commitments.ts): what it measured, slot by slot, hidden, signed by its identifier, whose
 * key is in the TPM of the attested gateway. Made day by day, as soon as a day's parts cannot change any more; made once: what is signed
 * is on the disk with its openings before anybody sees it, and stays as it is.
 *
 *   commitment_series    contract, month, purpose → meter, since, unit, bits: the same for all batches of it
 *   commitment_batches   contract, month, purpose, register, first slot → batch, readings, what was carried on, when it was sent
 *
 * A reading is what the allocation ledger leaves for the purpose: for REST, the quarter hour's energy less all that was given another
 * purpose. It counts whole units; what is less goes on to the next slot, so that the month's sum is the register's.
 *
 * The month's key derives from a secret that only this software, as it was released, gets from the TPM: that of the household's log.
 */
import type { DatabaseSync } from 'node:sqlite';
import { identifierReference } from '../../protocol/billing/bill.ts';
import {
  commitReading,
  HEAD_BYTES,
  monthKey,
  type OpenedSum,
  type Opening,
  openHead,
  openingOf,
  openWeightedSum,
  REGISTERS,
  REST,
  type Register,
  type Series,
  signCommitments,
} from '../../protocol/billing/commitments.ts';
import { LEDGER_COLUMNS } from '../../protocol/billing/log.ts';
import { wholeUnits } from '../../protocol/billing/policy-lines.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { ALLOCATIONS_TABLE } from '../ledger/tables.ts';
import type { GatewayStore, StoreCompanion } from '../store.ts';
import type { Identifier } from './bill-part.ts';
import type { LogKeySource } from './household-log.ts';

/** Which commitments: those of one contract, for one purpose of the allocation ledger, of one month. */
export interface SeriesName {
  contract: number;
  month: number;
  purpose: number;
}
/** What is chosen when a series begins. */
export interface SeriesShape {
  firstSlot: number;
  unitMwh: number;
  bits: number;
}
/** A batch as it is kept. */
export interface KeptBatch {
  register: Register;
  firstSlot: number;
  bytes: Uint8Array;
  /** In units, one for each slot. */
  readings: number[];
  sent: boolean;
}

/** Whether the meter may still give parts of a slot another purpose, which it may for some hours. */
export interface Allocation {
  /** Whether any product of this household takes energy out of the rest. */
  allocates(): boolean;
  /** Up to which record the meter's lines are final and here. */
  kept(): number;
}

const TABLES = `CREATE TABLE IF NOT EXISTS commitment_series (contract INTEGER, month INTEGER, purpose INTEGER, meter BLOB NOT NULL,
    since INTEGER NOT NULL, unit_mwh INTEGER NOT NULL, bits INTEGER NOT NULL, PRIMARY KEY (contract, month, purpose)) STRICT;
  CREATE TABLE IF NOT EXISTS commitment_batches (contract INTEGER, month INTEGER, purpose INTEGER, register INTEGER,
    first_slot INTEGER, bytes BLOB NOT NULL, readings TEXT NOT NULL, carry_mwh INTEGER NOT NULL, sent INTEGER NOT NULL,
    PRIMARY KEY (contract, month, purpose, register, first_slot)) STRICT`;
const NAMED = 'contract = ? AND month = ? AND purpose = ?';
const DIRECTIONS = { import: 0, export: 1 } as const;
const DIRECTION_COUNT = 2;

export interface CommitmentsOptions {
  keys: LogKeySource;
  /** Null: all that is measured is rest. */
  allocation: Allocation | null;
}

export class Commitments implements StoreCompanion {
  readonly #options: CommitmentsOptions;
  #database!: DatabaseSync;
  #secret: Uint8Array | null = null;

  constructor(options: CommitmentsOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(`${ALLOCATIONS_TABLE}; ${TABLES}`);
  }

  // ── making them ──

  /**
   * Makes what is missing of a series up to a slot: whole days of UTC, and what is left before `endSlot` where that lies within a day.
   * @param shape for the first time; later ones are those of the first
   * @param signer whose certified key signs; the same for the whole series
   * @returns what keeps the rest from being made, or null where all of it is there
   * @throws Error where the TPM is away
   */
  async commit(
    store: GatewayStore,
    name: SeriesName,
    shape: SeriesShape,
    endSlot: number,
    signer: Pick<Identifier, 'publicKey' | 'sign'>,
  ): Promise<string | null> {
    const series = this.#series(name) ?? this.#begin(name, shape, signer.publicKey);
    if (Buffer.compare(series.meter, identifierReference(signer.publicKey)) !== 0)
      return 'the commitments of this month, which were signed by another key of this household';
    const key = await this.monthKey(name.month);
    for (const register of Object.keys(REGISTERS) as Register[]) {
      for (;;) {
        const { next, carryMwh } = this.#progress(name, register, series.sinceSlot);
        const end = Math.min((Math.floor(next / SLOTS_PER_DAY) + 1) * SLOTS_PER_DAY, endSlot);
        if (next >= endSlot) break;
        if ((store.measuredRange()?.last ?? -1) < end - 1) return "the meter's last quarter hours";
        if (!this.#isFinal(end)) return 'what the meter may still use of the last hours for something else';
        const made = this.#readings(store, name.purpose, register, next, end, carryMwh, series);
        const points = made.readings.map((value, i) => commitReading(key, { ...series, register }, next + i, value));
        const bytes = await signCommitments({ ...series, register }, next, points, (message) => signer.sign(message));
        this.#database
          .prepare('INSERT OR IGNORE INTO commitment_batches VALUES (?,?,?,?,?,?,?,?,0)')
          .run(
            ...[name.contract, name.month, name.purpose, REGISTERS[register], next],
            ...[bytes, JSON.stringify(made.readings), made.carryMwh],
          );
      }
    }
    return null;
  }

  /** The month's key: who has it and the readings can prove this month's sums. Secret. @throws Error where the TPM is away */
  async monthKey(month: number): Promise<Uint8Array> {
    this.#secret ??= Uint8Array.from(await this.#options.keys.key());
    return monthKey(this.#secret, month);
  }

  close(): void {
    this.#secret?.fill(0);
    this.#secret = null;
  }

  // ── what was made ──

  series(name: SeriesName): Omit<Series, 'register'> | null {
    return this.#series(name);
  }

  /** In the order of slots. */
  batches(name: SeriesName, register: Register): KeptBatch[] {
    return this.#database
      .prepare(
        `SELECT first_slot, bytes, readings, sent FROM commitment_batches WHERE ${NAMED} AND register = ? ORDER BY first_slot`,
      )
      .all(...valuesOf(name), REGISTERS[register])
      .map((row) => ({
        register,
        firstSlot: row.first_slot as number,
        bytes: row.bytes as Uint8Array,
        readings: JSON.parse(row.readings as string),
        sent: row.sent === 1,
      }));
  }

  /** Those that nobody confirmed yet, oldest first. */
  unsent(
    contract: number,
    most: number,
  ): (Pick<KeptBatch, 'firstSlot' | 'bytes'> & SeriesName & { register: number })[] {
    return this.#database
      .prepare(
        `SELECT month, purpose, register, first_slot, bytes FROM commitment_batches
         WHERE contract = ? AND purpose = ? AND sent = 0 ORDER BY first_slot, register LIMIT ?`,
      )
      .all(contract, REST, most)
      .map((row) => ({
        contract,
        month: row.month as number,
        purpose: row.purpose as number,
        register: row.register as number,
        firstSlot: row.first_slot as number,
        bytes: row.bytes as Uint8Array,
      }));
  }
  markSent(batches: readonly (SeriesName & { register: number; firstSlot: number })[]): void {
    const mark = this.#database.prepare(
      `UPDATE commitment_batches SET sent = 1 WHERE ${NAMED} AND register = ? AND first_slot = ?`,
    );
    for (const batch of batches) mark.run(...valuesOf(batch), batch.register, batch.firstSlot);
  }

  /** Those of the readings in [firstSlot, endSlot). @throws RangeError where one is not committed to */
  async openings(name: SeriesName, register: Register, firstSlot: number, endSlot: number): Promise<Opening[]> {
    const series = this.#series(name);
    const values = this.readings(name, register, firstSlot, endSlot);
    const key = await this.monthKey(name.month);
    return values.map((value, i) => openingOf(key, { ...series!, register }, firstSlot + i, value));
  }

  /** Readings that are committed to, in units. @throws RangeError where one is not */
  readings(name: SeriesName, register: Register, firstSlot: number, endSlot: number): number[] {
    const values: number[] = [];
    for (const batch of this.batches(name, register))
      for (const [i, value] of batch.readings.entries()) {
        const slot = batch.firstSlot + i;
        if (slot >= firstSlot && slot < endSlot) values.push(value);
      }
    if (values.length !== endSlot - firstSlot) throw new RangeError('not all of these quarter hours are committed to');
    return values;
  }
  /** Roots of the batches that have a slot of it. */
  roots(name: SeriesName, register: Register, publicKey: Uint8Array, firstSlot: number, endSlot: number): Uint8Array[] {
    return this.batches(name, register)
      .filter((batch) => batch.firstSlot < endSlot && batch.firstSlot + batch.readings.length > firstSlot)
      .map(({ bytes }) => openHead(bytes.slice(0, HEAD_BYTES), publicKey).root);
  }

  // ── for other parties than the provider (the control centre's exports: protocol/selling) ──

  /** The signed batches of a whole month, or of what is there of it. */
  commitmentsOf(purpose: number, register: Register, month: number, contract = 0): Uint8Array[] {
    return this.batches({ contract, month, purpose }, register).map(({ bytes }) => bytes);
  }

  /**
   * Σ w_t·c_t of a month's slots, opened.
   * @param weightOf of each slot from the first that is committed to
   */
  async openWeightedSum(
    purpose: number,
    register: Register,
    month: number,
    weightOf: (slot: number) => bigint,
    contract = 0,
  ): Promise<OpenedSum> {
    const name = { contract, month, purpose };
    const first = Math.max(this.#series(name)?.sinceSlot ?? 0, monthFirstSlot(month));
    const { next } = this.#progress(name, register, first);
    const openings = await this.openings(name, register, first, next);
    return openWeightedSum(
      openings.map((_, i) => weightOf(first + i)),
      openings,
    );
  }

  // ── inside ──

  #series({ contract, month, purpose }: SeriesName): Omit<Series, 'register'> | null {
    const row = this.#database.prepare(`SELECT * FROM commitment_series WHERE ${NAMED}`).get(contract, month, purpose);
    if (!row) return null;
    const { meter, since, unit_mwh, bits } = row as {
      meter: Uint8Array;
      since: number;
      unit_mwh: number;
      bits: number;
    };
    return { meter, month, purpose, revision: 0, sinceSlot: since, unitMwh: unit_mwh, bits };
  }

  /** The first slot that this meter ever committed to is the same in every month. */
  #begin(name: SeriesName, { firstSlot, unitMwh, bits }: SeriesShape, publicKey: Uint8Array): Omit<Series, 'register'> {
    const before = this.#database
      .prepare('SELECT min(since) AS since FROM commitment_series WHERE contract = ? AND purpose = ?')
      .get(name.contract, name.purpose)!.since as number | null;
    this.#database
      .prepare('INSERT INTO commitment_series VALUES (?,?,?,?,?,?,?)')
      .run(...valuesOf(name), identifierReference(publicKey), before ?? firstSlot, unitMwh, bits);
    return this.#series(name)!;
  }

  #progress(name: SeriesName, register: Register, sinceSlot: number): { next: number; carryMwh: number } {
    const row = this.#database
      .prepare(
        `SELECT first_slot, readings, carry_mwh FROM commitment_batches WHERE ${NAMED} AND register = ?
         ORDER BY first_slot DESC LIMIT 1`,
      )
      .get(...valuesOf(name), REGISTERS[register]);
    if (!row) return { next: Math.max(sinceSlot, monthFirstSlot(name.month)), carryMwh: 0 };
    const next = (row.first_slot as number) + JSON.parse(row.readings as string).length;
    return { next, carryMwh: row.carry_mwh as number };
  }

  #isFinal(endSlot: number): boolean {
    const { allocation } = this.#options;
    if (allocation === null || !allocation.allocates()) return true;
    const newest = this.#database
      .prepare('SELECT max(number) AS number FROM records WHERE slot > 0 AND slot < ?')
      .get(endSlot)!.number as number | null;
    return newest === null || newest <= allocation.kept();
  }

  #readings(
    store: GatewayStore,
    purpose: number,
    register: Register,
    firstSlot: number,
    endSlot: number,
    carryMwh: number,
    shape: { unitMwh: number; bits: number },
  ): { readings: number[]; carryMwh: number } {
    const energy = this.energy(store, purpose, register, firstSlot, endSlot);
    const readings: number[] = [];
    let carry = carryMwh;
    for (const energyMwh of energy) {
      const whole = wholeUnits(energyMwh, carry, shape);
      readings.push(whole.value);
      carry = whole.carryMwh;
    }
    return { readings, carryMwh: carry };
  }

  /** mWh of each slot that are for the purpose, by what is known now. A quarter hour that was not measured has none. */
  energy(store: GatewayStore, purpose: number, register: Register, firstSlot: number, endSlot: number): number[] {
    const energy = new Array<number>(endSlot - firstSlot).fill(0);
    const isRest = purpose === REST;
    if (isRest)
      for (const row of store.quarterHours(firstSlot, endSlot))
        energy[row.slot - firstSlot] =
          register === 'import' ? row.endImportMwh - row.startImportMwh : row.endExportMwh - row.startExportMwh;
    const direction = DIRECTIONS[register];
    for (const row of this.#database
      .prepare('SELECT * FROM allocations WHERE slot >= ? AND slot < ?')
      .all(firstSlot, endSlot)) {
      const at = (row.slot as number) - firstSlot;
      const of = (which: number): number => row[LEDGER_COLUMNS[which * DIRECTION_COUNT + direction]] as number;
      if (!isRest) energy[at] += of(purpose);
      else for (let other = REST + 1; other * DIRECTION_COUNT < LEDGER_COLUMNS.length; other++) energy[at] -= of(other);
    }
    return energy;
  }
}

const valuesOf = ({ contract, month, purpose }: SeriesName): [number, number, number] => [contract, month, purpose];
