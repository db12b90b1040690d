/**
 * The gateway's half of the session LEDGER (protocol/wire/ledger.ts): keeps what each Wh was for, beside the records that it is of.
 *
 *   allocations    number of the record → slot, final, energy by purpose (tables.ts)
 *   ledger_state   up to which record all lines are final and here
 *
 * What the meter says is checked before it is kept: the record is here; parts and rest sum to the difference of its registers and those
 * of the record before, to the mWh; what was given a purpose has it still. A line that fails is not kept, and counted with its
 * reason: its energy is rest. Final lines go into the household's log in the same transaction, so its chain of codes, and what is
 * certified over it, covers them.
 */
import type { DatabaseSync } from 'node:sqlite';
import { LEDGER_COLUMNS } from '../../protocol/billing/log.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { slotStartMs } from '../../protocol/time/slots.ts';
import { decodeLines, encodeKept, type LedgerLine, type LedgerLines } from '../../protocol/wire/ledger.ts';
import { SESSION_LEDGER } from '../../protocol/wire/sessions.ts';
import type { HouseholdLog } from '../billing/household-log.ts';
import type { MeterSessions } from '../meter/sessions.ts';
import type { GatewayStore, StoreCompanion } from '../store.ts';
import type { LedgerMonth, LedgerPurpose } from '../web/household-view.ts';
import { ALLOCATIONS_TABLE } from './tables.ts';

const STATE_TABLE = 'CREATE TABLE IF NOT EXISTS ledger_state (one INTEGER PRIMARY KEY, kept INTEGER NOT NULL) STRICT';
/** As the columns are named, in the order of the purposes' numbers. */
const PURPOSES: readonly LedgerPurpose[] = ['rest', 'ownUse', 'centre', 'bus', 'providerTrade', 'prepaid'];
const DIRECTIONS = 2;

export interface LedgerReport {
  /** Up to this record all lines are final. */
  kept: number;
  /** Lines, and those of them that may still grow. */
  lines: number;
  open: number;
  /** Lines that were not believed, and why the last of them was not. */
  refused: number;
  fault: string | null;
  months: LedgerMonth[];
}

export class HouseholdLedger implements StoreCompanion {
  #database!: DatabaseSync;
  #store: GatewayStore | null = null;
  readonly #log: Pick<HouseholdLog, 'allocated'> | null;
  readonly #say: (line: string) => void;
  #refused = 0;
  #fault: string | null = null;

  /** @param log null: this household keeps no log */
  constructor(log: Pick<HouseholdLog, 'allocated'> | null, say: (line: string) => void) {
    this.#log = log;
    this.#say = say;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(`${ALLOCATIONS_TABLE}; ${STATE_TABLE}; INSERT OR IGNORE INTO ledger_state VALUES (1, 0)`);
  }

  /** Listens from now on. */
  attach(store: GatewayStore, sessions: Pick<MeterSessions, 'on' | 'tell'>): void {
    this.#store = store;
    sessions.on(SESSION_LEDGER, (body) => {
      this.take(decodeLines(body));
      sessions.tell(SESSION_LEDGER, encodeKept(this.kept));
    });
  }

  get kept(): number {
    return this.#database.prepare('SELECT kept FROM ledger_state').get()!.kept as number;
  }

  /** Whether any energy was ever given a purpose. */
  get hasLines(): boolean {
    return this.#database.prepare('SELECT 1 FROM allocations LIMIT 1').get() !== undefined;
  }

  /** Keeps what is new of it and believed. All of it is on the disk when it returns. */
  take({ after, upTo, lines }: LedgerLines): void {
    const kept = this.kept;
    // no further than the records are here
    const last = Math.min(upTo, this.#newestRecord());
    const final = Math.max(kept, last);
    if (after > kept && kept > 0) this.#refuse(`the meter has forgotten the lines from ${kept + 1} to ${after}`);
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const ended: number[] = [];
      for (const line of lines) {
        if (line.number <= kept || line.number > this.#newestRecord()) continue;
        if (!this.#keep(line, line.number <= final)) continue;
        if (line.number <= final) ended.push(line.number);
      }
      this.#database.prepare('UPDATE ledger_state SET kept = ?').run(final);
      this.#log?.allocated(ended);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  report(): LedgerReport {
    const { lines, open } = this.#database
      .prepare('SELECT count(*) AS lines, count(*) - coalesce(sum(final), 0) AS open FROM allocations')
      .get() as { lines: number; open: number };
    return { kept: this.kept, lines, open, refused: this.#refused, fault: this.#fault, months: this.months() };
  }

  month(month: number): LedgerMonth | null {
    return this.months().find((one) => one.month === month) ?? null;
  }

  /** The newest slot whose energy has its purposes for good; 0: none. */
  get finalSlot(): number {
    return this.#database
      .prepare('SELECT coalesce(max(slot), 0) AS slot FROM records WHERE number <= (SELECT kept FROM ledger_state)')
      .get()!.slot as number;
  }
  /** What was exported for the control centre in slots from `fromSlot` to before `toSlot`, mWh by slot. */
  centreExports(fromSlot: number, toSlot: number): Map<number, number> {
    const rows = this.#database
      .prepare('SELECT slot, sum(centre_export) AS mwh FROM allocations WHERE slot >= ? AND slot < ? GROUP BY slot')
      .all(fromSlot, toSlot) as { slot: number; mwh: number }[];
    return new Map(rows.map(({ slot, mwh }) => [slot, mwh]));
  }

  /** What was measured in each month and what it was for; what has no other purpose is rest. */
  months(): LedgerMonth[] {
    const months = new Map<number, LedgerMonth>();
    const monthOfSlot = (slot: number): LedgerMonth => {
      const month = monthOf(slotStartMs(slot));
      const known = months.get(month);
      if (known) return known;
      const made = { month, importMwh: nothing(), exportMwh: nothing() };
      months.set(month, made);
      return made;
    };
    for (const row of this.#database
      .prepare(
        'SELECT slot, end_import_mwh - start_import_mwh AS i, end_export_mwh - start_export_mwh AS e FROM quarter_hours',
      )
      .iterate() as Iterable<{ slot: number; i: number; e: number }>) {
      const month = monthOfSlot(row.slot);
      month.importMwh.rest += row.i;
      month.exportMwh.rest += row.e;
    }
    for (const row of this.#database.prepare('SELECT * FROM allocations').iterate()) {
      const month = monthOfSlot(row.slot as number);
      for (const [i, purpose] of PURPOSES.entries()) {
        if (purpose === 'rest') continue;
        for (const [d, energy] of [month.importMwh, month.exportMwh].entries()) {
          const energyMwh = row[LEDGER_COLUMNS[i * DIRECTIONS + d]] as number;
          energy[purpose] += energyMwh;
          energy.rest -= energyMwh;
        }
      }
    }
    return [...months.values()].sort((a, b) => a.month - b.month);
  }

  /** Whether the line was believed. */
  #keep(line: LedgerLine, final: boolean): boolean {
    const energies = columnsOf(line);
    const fault = this.#faultOf(line, energies);
    if (fault !== null) {
      this.#refuse(`quarter hour ${line.number}: ${fault}`);
      return false;
    }
    const marks = LEDGER_COLUMNS.map(() => '?').join(',');
    this.#database
      .prepare(`INSERT OR REPLACE INTO allocations VALUES (?,?,?,${marks})`)
      .run(line.number, line.slot, Number(final), ...energies);
    return true;
  }

  #faultOf(line: LedgerLine, energies: readonly number[]): string | null {
    const record = this.#store!.record(line.number);
    if (record === null || record.slot !== line.slot || line.slot === 0) return 'there is no such record';
    const before = line.number === 1 ? { importMwh: 0, exportMwh: 0 } : this.#store!.record(line.number - 1);
    if (before === null) return 'the record before it is missing';
    const measured = [record.importMwh - before.importMwh, record.exportMwh - before.exportMwh];
    for (const [direction, energyMwh] of measured.entries()) {
      const sum = energies.reduce((all, energy, i) => (i % DIRECTIONS === direction ? all + energy : all), 0);
      if (sum !== energyMwh) return `its parts sum to ${sum} mWh, its registers to ${energyMwh}`;
    }
    const earlier = this.#database.prepare('SELECT * FROM allocations WHERE number = ?').get(line.number);
    if (earlier === undefined) return null;
    const taken = LEDGER_COLUMNS.some((column, i) => i >= DIRECTIONS && energies[i] < (earlier[column] as number));
    return taken ? 'energy was taken back from its purpose' : null;
  }

  #newestRecord(): number {
    return this.#store?.lastRecord()?.number ?? 0;
  }

  #refuse(fault: string): void {
    this.#refused++;
    if (fault !== this.#fault) this.#say(`ledger: ${fault}`);
    this.#fault = fault;
  }
}

const nothing = (): Record<LedgerPurpose, number> => ({
  rest: 0,
  ownUse: 0,
  centre: 0,
  bus: 0,
  providerTrade: 0,
  prepaid: 0,
});

/** In the order of LEDGER_COLUMNS. */
function columnsOf({ restImportMwh, restExportMwh, parts }: LedgerLine): number[] {
  const energies: number[] = LEDGER_COLUMNS.map(() => 0);
  energies[0] = restImportMwh;
  energies[1] = restExportMwh;
  for (const { purpose, direction, energyMwh } of parts) energies[purpose * DIRECTIONS + direction] = energyMwh;
  return energies;
}
