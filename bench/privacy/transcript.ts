/**
 * Everything that a party gets to see in a run: frames with time, order and length, rows of its stores, its keys. A record is
 * *named* where the party knows the household (a signed request, a network address), else anonymous.
 */
import { DatabaseSync } from 'node:sqlite';

export type Field = Uint8Array | number;
export interface SeenRecord {
  /** `frame submission`, `table held`, `log`. */
  source: string;
  /** Known household, or null. */
  household: string | null;
  /** When the party saw it, Unix ms; null where it does not know. */
  timeMs: number | null;
  /** Place among the records of its source, from 0 to 1. */
  order: number;
  /** What the record says of itself. */
  slot: number | null;
  value: number | null;
  fields: Record<string, Field>;
}
export interface Transcript {
  records: SeenRecord[];
  /** The party's own keys, for whoever tries MACs. */
  keys: readonly Uint8Array[];
  /** The challenger's knowledge, for planting leaks: whose record it is. No adversary gets it. */
  owners: ReadonlyMap<SeenRecord, string>;
}

export class TranscriptWriter {
  readonly records: SeenRecord[] = [];
  readonly owners = new Map<SeenRecord, string>();

  /** @param owner whose record it really is, where the challenger knows */
  add(record: Partial<SeenRecord> & Pick<SeenRecord, 'source' | 'fields'>, owner?: string): void {
    const whole = { household: null, timeMs: null, order: 0, slot: null, value: null, ...record };
    this.records.push(whole);
    const known = owner ?? whole.household;
    if (known !== null && known !== undefined) this.owners.set(whole, known);
  }

  /** Every row of every table of a party's store, in the order in which they stand there. */
  addStore(file: string, label: (table: string, row: Record<string, Field>) => Partial<SeenRecord>): void {
    const database = new DatabaseSync(file, { readOnly: true });
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    for (const { name } of tables as { name: string }[]) {
      for (const row of database.prepare(`SELECT * FROM "${name}"`).all()) {
        const fields: Record<string, Field> = {};
        for (const [column, value] of Object.entries(row)) {
          if (typeof value === 'string') fields[column] = Buffer.from(value);
          else if (value instanceof Uint8Array || typeof value === 'number') fields[column] = value;
        }
        this.add({ source: `table ${name}`, fields, ...label(name, fields) });
      }
    }
    database.close();
  }

  finish(keys: readonly Uint8Array[]): Transcript {
    const bySource = Map.groupBy(this.records, ({ source }) => source);
    for (const records of bySource.values())
      for (const [i, record] of records.entries()) record.order = (i + 0.5) / records.length;
    return { records: this.records, keys, owners: this.owners };
  }
}
