/**
 * The household's log: what the meter said, under a chain of codes that only the attested gateway can make
 * (tpm-privacy-concept.txt, "Bill Computation"; protocols.md, section 3).
 *
 *   code 0 = 32 zero bytes
 *   code n = HMAC-SHA256(key, "quietmeter/v1/log" ‖ 00 ‖ n ‖ code n−1 ‖ entry n)            n = 1, 2, 3 …
 *
 * An entry is a record as the meter sent it, the quarter hour that followed from records, or what a record's energy was for; numbers
 * are 8 bytes, big-endian:
 *
 *   kind (1) ‖ late (1) ‖ the fields of its kind, 8 B each     see ENTRY_FIELDS
 *
 * `late` is 1 where the key was away when the entry was stored (the TPM did not answer): until it came back nothing but the
 * disk protected it, and whoever reads the log should know.
 *
 * The chain shows what was removed, changed or reordered before its end, but not that its end was cut off: so the head is
 * **anchored** once a day where it cannot be put back (the TPM's NV memory). What is cut off after the last anchor is still in
 * the meter, which sends it again.
 *
 * The key is the TPM's to give, to the attested gateway only. Nobody but that gateway verifies this log.
 */
import { LABELS } from '../crypto/labels.ts';
import { MAC_BYTES, mac, macMatches } from '../crypto/mac.ts';
import { ByteReader } from '../wire/bytes.ts';

export const CODE_BYTES = MAC_BYTES;
/** What stands before the first entry. */
export const NO_CODE: Uint8Array = new Uint8Array(CODE_BYTES);

/** Import and export, mWh, of each purpose (protocol/wire/ledger.ts, in its order): how a line of the ledger is kept and logged. */
export const LEDGER_COLUMNS = [
  'rest_import',
  'rest_export',
  'own_use_import',
  'own_use_export',
  'centre_import',
  'centre_export',
  'bus_import',
  'bus_export',
  'provider_trade_import',
  'provider_trade_export',
  'prepaid_import',
  'prepaid_export',
] as const;

export const ENTRY_FIELDS = {
  /** As the meter sent it. */
  record: ['number', 'boot', 'uptimeMs', 'slot', 'importMwh', 'exportMwh', 'flags'],
  /** Registers at both ends of a quarter hour; what is billed. */
  quarterHour: ['slot', 'startImportMwh', 'startExportMwh', 'endImportMwh', 'endExportMwh', 'exact'],
  /** By the number of its record; there is none where all of a record's energy is rest. */
  allocation: ['number', 'slot', ...LEDGER_COLUMNS],
} as const;
const KIND_BYTES = { record: 1, quarterHour: 2, allocation: 3 } as const;

export type EntryKind = keyof typeof ENTRY_FIELDS;
type Fields<K extends EntryKind> = Record<(typeof ENTRY_FIELDS)[K][number], number>;
export type LoggedRecord = Fields<'record'>;
export type LoggedQuarterHour = Fields<'quarterHour'>;
export type LoggedAllocation = Fields<'allocation'>;
export type LogContent =
  | { kind: 'record'; fields: LoggedRecord; late: boolean }
  | { kind: 'allocation'; fields: LoggedAllocation; late: boolean }
  | { kind: 'quarterHour'; fields: LoggedQuarterHour; late: boolean };

/** @throws RangeError where a field is no whole number from 0 on */
export function encodeEntry({ kind, fields, late }: LogContent): Uint8Array {
  const names = ENTRY_FIELDS[kind];
  const bytes = Buffer.alloc(2 + 8 * names.length);
  bytes[0] = KIND_BYTES[kind];
  bytes[1] = Number(late);
  let at = 2;
  for (const name of names) {
    const value = (fields as Record<string, number>)[name];
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${kind}.${name}: is no whole number from 0 on`);
    bytes.writeBigUInt64BE(BigInt(value), at);
    at += 8;
  }
  return bytes;
}

/** The code of entry `n`. `key` has 32 bytes. */
export const entryCode = (key: Uint8Array, n: number, previous: Uint8Array, entry: Uint8Array): Uint8Array =>
  mac(key, LABELS.log, u64(n), previous, entry);

// ── the anchor ──

/** How far the chain had come when it was anchored. */
export interface Anchor {
  /** Counts anchors: a place that can only count up shows that an older anchor was put back. */
  generation: number;
  /** Number of the last entry; 0 where there was none. */
  entries: number;
  /** Its code. */
  head: Uint8Array;
  /** Days since 1 January 1970, UTC. */
  day: number;
  /** How many chains were begun anew after one that was found changed: nobody can hide that by beginning anew. */
  begunAnew: number;
}

/** generation 8 ‖ entries 8 ‖ day 8 ‖ begunAnew 8 ‖ head 32 ‖ HMAC 32 */
export const ANCHOR_BYTES = 4 * 8 + CODE_BYTES + MAC_BYTES;

export function encodeAnchor(key: Uint8Array, { generation, entries, head, day, begunAnew }: Anchor): Uint8Array {
  const body = Buffer.concat([u64(generation), u64(entries), u64(day), u64(begunAnew), head]);
  return Buffer.concat([body, mac(key, LABELS.logAnchor, body)]);
}

/** @throws MalformedError where it does not have that form; @returns null where it was not made under this key */
export function decodeAnchor(key: Uint8Array, bytes: Uint8Array): Anchor | null {
  const reader = new ByteReader('anchor', bytes);
  const number = (field: string): number => {
    const value = Buffer.from(reader.bytes(field, 8)).readBigUInt64BE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw reader.error(field, 'is too large');
    return Number(value);
  };
  const [generation, entries, day] = [number('generation'), number('entries'), number('day')];
  const begunAnew = number('begunAnew');
  const head = Uint8Array.from(reader.bytes('head', CODE_BYTES));
  const body = bytes.subarray(0, reader.at);
  const tag = reader.bytes('code', MAC_BYTES);
  reader.end();
  return macMatches(key, tag, LABELS.logAnchor, body) ? { generation, entries, day, begunAnew, head } : null;
}

// ── verification ──

/** A row of the log as it was found. */
export interface StoredEntry {
  n: number;
  /** Null where what the row refers to is not there. */
  entry: Uint8Array | null;
  /** Null while it waits for the key. */
  code: Uint8Array | null;
}
export type LogFaultKind =
  | 'removed'
  | 'changed'
  | 'reordered'
  /** The end is missing: cut off, or the whole log is an older copy. */
  | 'cut'
  /** Everything fits together, but it is not what was anchored. */
  | 'replaced'
  /** Beside the log stands what never was in it. */
  | 'added';
/** What is wrong with a log, and where; no entry before `n` is in doubt. */
export class LogFault extends Error {
  override readonly name = 'LogFault';
  readonly kind: LogFaultKind;
  readonly n: number;
  constructor(kind: LogFaultKind, n: number, problem: string) {
    super(`entry ${n} of the log ${problem}`);
    this.kind = kind;
    this.n = n;
  }
}
export interface VerifiedLog {
  /** How many entries have a code. */
  entries: number;
  /** Code of the last of them. */
  head: Uint8Array;
  /** Entries behind them that wait for the key. */
  waiting: number;
}

/**
 * Checks a log entry by entry, from the first to the last, and the anchor at the end: a year's log takes a second or two, in which
 * whoever checks may want to breathe.
 */
export class LogVerifier {
  readonly #key: Uint8Array;
  readonly #anchor: Anchor | null;
  #head = NO_CODE;
  #last = 0;
  #waiting = 0;

  /** @param anchor as far as the log must reach */
  constructor(key: Uint8Array, anchor: Anchor | null) {
    this.#key = key;
    this.#anchor = anchor;
  }

  /**
   * @param rest the rows behind this one, read only where it is not the one that belongs here: to say where that is
   * @throws LogFault
   */
  next({ n, entry, code }: StoredEntry, rest: () => Iterable<StoredEntry>): void {
    const expected = this.#last + this.#waiting + 1;
    if (n !== expected) throw new LogFault('removed', expected, 'was removed');
    if (code === null) {
      this.#waiting++;
      return;
    }
    if (this.#waiting > 0)
      throw new LogFault('changed', this.#last + 1, 'has lost its code, while later ones have theirs');
    if (entry === null) throw new LogFault('removed', n, 'was removed: its code is there, what the meter said is not');
    if (!macMatches(this.#key, code, LABELS.log, u64(n), this.#head, entry)) {
      const elsewhere = placeOf(this.#key, n, this.#head, rest());
      throw elsewhere === null
        ? new LogFault('changed', n, 'was changed')
        : new LogFault('reordered', n, `was moved: it stands in place ${elsewhere}`);
    }
    if (n === this.#anchor?.entries && Buffer.compare(code, this.#anchor.head) !== 0)
      throw new LogFault('replaced', n, 'is not the one that was anchored');
    this.#head = code;
    this.#last = n;
  }

  /** There are no more rows. @throws LogFault where the anchor says that there were */
  end(): VerifiedLog {
    const anchor = this.#anchor;
    if (anchor !== null && this.#last < anchor.entries)
      throw new LogFault(
        'cut',
        this.#last + 1,
        `is missing, and all after it: ${anchor.entries} were anchored on ${dateOf(anchor.day)}. ` +
          'The end was cut off, or the log was put back to an older copy',
      );
    return { entries: this.#last, head: this.#head, waiting: this.#waiting };
  }
}

/** Checks a whole log at once. @throws LogFault the first that is wrong */
export function verifyLog(key: Uint8Array, entries: readonly StoredEntry[], anchor: Anchor | null): VerifiedLog {
  const verifier = new LogVerifier(key, anchor);
  for (const [i, entry] of entries.entries()) verifier.next(entry, () => entries.slice(i + 1));
  return verifier.end();
}

/** Where, among the rows that follow, the entry stands that belongs in place `n`; null where it is nowhere. */
function placeOf(key: Uint8Array, n: number, previous: Uint8Array, rows: Iterable<StoredEntry>): number | null {
  for (const row of rows) {
    if (row.entry !== null && row.code !== null && macMatches(key, row.code, LABELS.log, u64(n), previous, row.entry))
      return row.n;
  }
  return null;
}

const dateOf = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
