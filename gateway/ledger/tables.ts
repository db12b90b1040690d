/**
 * Where the gateway keeps what each Wh was for: a row for each record with energy that has a purpose, in household.db beside the
 * records. Once it is final it never changes, and stands in the household's log (gateway/billing/household-log.ts).
 */
import { LEDGER_COLUMNS } from '../../protocol/billing/log.ts';

export const ALLOCATIONS_TABLE = `CREATE TABLE IF NOT EXISTS allocations (number INTEGER PRIMARY KEY, slot INTEGER NOT NULL,
  final INTEGER NOT NULL, ${LEDGER_COLUMNS.map((column) => `${column} INTEGER NOT NULL`).join(', ')}) STRICT`;
