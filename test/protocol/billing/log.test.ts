import { createHmac } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {
  decodeAnchor,
  encodeAnchor,
  encodeEntry,
  entryCode,
  LogFault,
  NO_CODE,
  type StoredEntry,
  verifyLog,
} from '../../../protocol/billing/log.ts';

const key = Buffer.alloc(32, 7);
const record = (number: number) =>
  encodeEntry({
    kind: 'record',
    late: false,
    fields: {
      number,
      boot: 1,
      uptimeMs: number * 900_000,
      slot: 2_000_000 + number,
      importMwh: number * 1000,
      exportMwh: 5,
      flags: 0,
    },
  });

function chain(length: number): StoredEntry[] {
  const rows: StoredEntry[] = [];
  let code = NO_CODE;
  for (let n = 1; n <= length; n++) {
    const entry = record(n);
    code = entryCode(key, n, code, entry);
    rows.push({ n, entry, code });
  }
  return rows;
}
const anchorAt = (rows: StoredEntry[], entries: number) => ({
  generation: 3,
  entries,
  head: entries === 0 ? NO_CODE : rows[entries - 1].code!,
  day: 20_000,
  begunAnew: 0,
});
function faultOf(rows: StoredEntry[], entries: number, whole = rows): LogFault | null {
  try {
    verifyLog(key, rows, anchorAt(whole, entries));
    return null;
  } catch (error) {
    if (error instanceof LogFault) return error;
    throw error;
  }
}

test('a code is an HMAC over number, code before and entry', (t) => {
  const entry = encodeEntry({
    kind: 'quarterHour',
    late: true,
    fields: { slot: 1, startImportMwh: 2, startExportMwh: 3, endImportMwh: 4, endExportMwh: 5, exact: 1 },
  });
  const number = (value: number) => value.toString(16).padStart(16, '0');
  t.is(Buffer.from(entry).toString('hex'), `0201${[1, 2, 3, 4, 5, 1].map(number).join('')}`);
  const input = Buffer.concat([
    Buffer.from('quietmeter/v1/log\0'),
    Buffer.from(number(258), 'hex'),
    Buffer.alloc(32, 9),
    entry,
  ]);
  t.deepEqual(
    Buffer.from(entryCode(key, 258, Buffer.alloc(32, 9), entry)),
    createHmac('sha256', key).update(input).digest(),
  );
});

test('what was written is found good, and how far it goes', (t) => {
  const rows = chain(9);
  t.deepEqual(verifyLog(key, rows, anchorAt(rows, 6)), { entries: 9, head: rows[8].code!, waiting: 0 });
  t.deepEqual(verifyLog(key, [], null), { entries: 0, head: NO_CODE, waiting: 0 });
  const waiting = [...rows, { n: 10, entry: record(10), code: null }, { n: 11, entry: record(11), code: null }];
  t.deepEqual(verifyLog(key, waiting, anchorAt(rows, 9)), { entries: 9, head: rows[8].code!, waiting: 2 });
});

test('a record that was removed', (t) => {
  const rows = chain(9);
  t.like(faultOf([...rows.slice(0, 3), ...rows.slice(4)], 6, rows), {
    kind: 'removed',
    n: 4,
    message: 'entry 4 of the log was removed',
  });
  t.like(faultOf(rows.with(3, { ...rows[3], entry: null }), 6), { kind: 'removed', n: 4 });
  // and the others numbered anew
  const renumbered = [...rows.slice(0, 3), ...rows.slice(4)].map((row, i) => ({ ...row, n: i + 1 }));
  t.like(faultOf(renumbered, 6, rows), { kind: 'changed', n: 4 });
});

test('a record that was changed', (t) => {
  const rows = chain(9);
  const entry = Buffer.from(rows[5].entry!);
  entry[entry.length - 20] ^= 1;
  t.like(faultOf(rows.with(5, { ...rows[5], entry }), 9), {
    kind: 'changed',
    n: 6,
    message: 'entry 6 of the log was changed',
  });
});

test('records that were reordered', (t) => {
  const rows = chain(9);
  const swapped = rows.with(4, { ...rows[6], n: 5 }).with(6, { ...rows[4], n: 7 });
  t.like(faultOf(swapped, 9, rows), {
    kind: 'reordered',
    n: 5,
    message: 'entry 5 of the log was moved: it stands in place 7',
  });
  const neighbours = rows.with(4, { ...rows[5], n: 5 }).with(5, { ...rows[4], n: 6 });
  t.like(faultOf(neighbours, 9, rows), {
    kind: 'reordered',
    n: 5,
    message: 'entry 5 of the log was moved: it stands in place 6',
  });
});

test('a tail that was cut, down to an older copy', (t) => {
  const rows = chain(9);
  const fault = faultOf(rows.slice(0, 7), 8, rows);
  t.like(fault, { kind: 'cut', n: 8 });
  t.regex(
    fault!.message,
    /8 were anchored on 2024-10-04\. The end was cut off, or the log was put back to an older copy/,
  );
  t.like(faultOf([], 1, rows), { kind: 'cut', n: 1 });
  t.is(faultOf(rows.slice(0, 7), 7, rows), null, 'what is behind the anchor is not known to it');
});

test('another log under the same key is not the one that was anchored', (t) => {
  const other = chain(9);
  let code = NO_CODE;
  const rows = other.map(({ n }) => {
    const entry = record(n + 1);
    code = entryCode(key, n, code, entry);
    return { n, entry, code };
  });
  t.like(faultOf(rows, 4, other), { kind: 'replaced', n: 4 });
});

test('an entry that has lost its code, while later ones have theirs', (t) => {
  const rows = chain(4);
  t.like(faultOf(rows.with(1, { ...rows[1], code: null }), 0), { kind: 'changed', n: 2 });
});

test('any single change of any log is found, nowhere before the place', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 20 }),
      fc.nat(),
      fc.constantFrom('remove', 'change', 'swap', 'code', 'cut'),
      (length, where, what) => {
        const rows = chain(length);
        const at = where % (length - 1);
        const entry = Buffer.from(rows[at].entry!);
        entry[where % entry.length] ^= 1 << (where % 8);
        const changed = {
          remove: [...rows.slice(0, at), ...rows.slice(at + 1)],
          change: rows.with(at, { ...rows[at], entry }),
          swap: rows.with(at, { ...rows[at + 1], n: at + 1 }).with(at + 1, { ...rows[at], n: at + 2 }),
          code: rows.with(at, { ...rows[at], code: Buffer.alloc(32) }),
          cut: rows.slice(0, at),
        }[what];
        t.is(faultOf(changed, length, rows)?.n, at + 1, what);
      },
    ),
  );
});

test('an anchor is good under its key only', (t) => {
  const anchor = { generation: 5, entries: 12, head: Buffer.alloc(32, 3), day: 20_001, begunAnew: 2 };
  const bytes = encodeAnchor(key, anchor);
  t.deepEqual(decodeAnchor(key, bytes), { ...anchor, head: new Uint8Array(anchor.head) });
  t.is(decodeAnchor(Buffer.alloc(32), bytes), null);
  for (const at of [7, 15, 23, 30, 60]) {
    const forged = Buffer.from(bytes);
    forged[at] ^= 1;
    t.is(decodeAnchor(key, forged), null);
  }
  t.throws(() => decodeAnchor(key, bytes.subarray(1)), { message: /anchor\.code: needs 32 bytes/ });
});

test('a field that is no number from 0 on is refused by its name', (t) => {
  const fields = { slot: 1, startImportMwh: -2, startExportMwh: 3, endImportMwh: 4, endExportMwh: 5, exact: 1 };
  t.throws(() => encodeEntry({ kind: 'quarterHour', late: false, fields }), { message: /quarterHour\.startImportMwh/ });
});
