import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { NO_PROGRESS } from '../../../gateway/meter/slots.ts';
import { GatewayStore, type MeterBatch, type TimedLive } from '../../../gateway/store.ts';
import { SchemaError } from '../../../gateway/store-schema.ts';
import { SLOT_MS, slotStartMs } from '../../../protocol/time/slots.ts';
import { LINK_LIVE, LINK_RECORD, type MeterRecord } from '../../../protocol/wire/link-messages.ts';
import { freshDir } from '../support/bench-link.ts';

const S = 2_000_000;
const T0 = slotStartMs(S);
const NOTHING: MeterBatch = { lives: [], records: [], edges: [], marks: [], slots: [], reports: [] };

const live = (unixMs: number, powerMw = 1000): TimedLive => ({
  type: LINK_LIVE,
  unixMs,
  boot: 1,
  uptimeMs: unixMs - T0,
  powerMw,
  reactiveMvar: -1,
  apparentMva: 2,
  voltageMv: 3,
  currentMa: 4,
  powerFactorE4: -5,
  frequencyMhz: 6,
  importMwh: 2 ** 53 - 1,
  exportMwh: 8,
  flags: 9,
});
const record = (number: number): MeterRecord => ({
  type: LINK_RECORD,
  number,
  boot: 1,
  uptimeMs: number * SLOT_MS,
  slot: S + number,
  importMwh: number,
  exportMwh: 0,
  flags: 0,
});
const slotRow = (slot: number) => ({
  slot,
  startImportMwh: 1000,
  startExportMwh: 5,
  endImportMwh: 3500,
  endExportMwh: 5,
  exact: true,
});

test('what was written is there after a restart, to the last bit', (t) => {
  const dir = freshDir();
  const first = new GatewayStore(dir);
  const progress = { record: 2, boot: 1, uptimeMs: 7, point: null, boundary: null };
  const marks = [{ boot: 1, uptimeMs: 9, unixMs: T0, exact: true }];
  const edges = [{ boot: 2, uptimeMs: 3, slot: 0, importMwh: 4, exportMwh: 5 }];
  first.write({
    lives: [live(T0), live(T0 + 1000)],
    records: [record(1), record(2)],
    edges,
    marks,
    slots: [slotRow(S)],
    reports: [{ slot: S, importWh: 50, exportWh: 0 }],
    progress,
  });
  first.setMeta('meterId', 'abc');
  first.close();
  const store = new GatewayStore(dir);
  t.deepEqual(store.lastLive(), live(T0 + 1000));
  t.deepEqual(store.lastRecord(), record(2));
  t.deepEqual(store.recordsAfter(1), [record(2)]);
  t.deepEqual(store.marks(), marks);
  t.deepEqual(store.edges(), edges);
  t.deepEqual(store.progress(), progress);
  t.deepEqual(store.quarterHours(S, S + 1), [slotRow(S)]);
  t.is(store.meta('meterId'), 'abc');
  t.deepEqual(store.totals(), {
    records: 2,
    quarterHoursMeasured: 1,
    quarterHoursDelivered: 0,
    importMwh: 2500,
    exportMwh: 0,
  });
});

test('an empty store knows nothing', (t) => {
  const store = new GatewayStore(freshDir());
  t.is(store.lastLive(), null);
  t.is(store.lastRecord(), null);
  t.deepEqual(store.progress(), NO_PROGRESS);
  t.is(store.pendingReports(), 0);
});

test('all files are the owner’s only', (t) => {
  const dir = freshDir();
  const store = new GatewayStore(dir);
  store.write({ ...NOTHING, lives: [live(T0)], records: [record(1)] });
  const files = readdirSync(dir);
  t.true(files.length >= 4, 'with the write-ahead logs');
  for (const file of files) t.is(statSync(join(dir, file)).mode & 0o777, 0o600, file);
});

test('a batch is written whole or not at all', (t) => {
  const store = new GatewayStore(freshDir());
  store.write({ ...NOTHING, slots: [slotRow(S)] });
  const twice = {
    ...NOTHING,
    records: [record(1)],
    slots: [slotRow(S)],
    reports: [{ slot: S, importWh: 0, exportWh: 0 }],
  };
  t.throws(() => store.write(twice), { message: /UNIQUE/ });
  t.is(store.lastRecord(), null);
  t.is(store.pendingReports(), 0);
});

test('a report goes from unsealed to sealed to delivered; its bytes are never replaced', (t) => {
  const store = new GatewayStore(freshDir());
  const reports = [S, S + 1, S + 2].map((slot) => ({ slot, importWh: slot - S, exportWh: 0 }));
  store.write({ ...NOTHING, reports });
  t.deepEqual(
    store.unsealed(2).map(({ slot }) => slot),
    [S, S + 1],
  );
  store.seal(S, Uint8Array.of(1, 2, 3));
  store.seal(S, Uint8Array.of(9, 9, 9));
  t.deepEqual(store.undelivered()[0].submission, Uint8Array.of(1, 2, 3));
  t.is(store.pendingReports(), 3);
  store.deliver([S], T0);
  store.deliver([S], T0 + 99);
  store.seal(S, Uint8Array.of(7));
  const [delivered] = store.reports(S, S + 1);
  t.deepEqual([delivered.deliveredMs, delivered.submission], [T0, null]);
  store.seal(S + 1, Uint8Array.of(4));
  store.refuse(S + 1, 'conflict');
  t.is(store.pendingReports(), 1);
  t.deepEqual(store.undelivered(), []);
  t.deepEqual(
    store.unsealed(9).map(({ slot }) => slot),
    [S + 2],
  );
  t.is(store.reports(S + 1, S + 2)[0].refusal, 'conflict');
});

test('live values are kept for the day, minute means for longer; a minute without data is absent', (t) => {
  const dir = freshDir();
  const store = new GatewayStore(dir);
  for (const [minute, powers] of [
    [0, [1000, 3000]],
    [2, [-500]],
    [30 * 60, [7000]],
  ] as const) {
    powers.forEach((mw, second) => {
      store.write({ ...NOTHING, lives: [live(T0 + minute * 60_000 + second * 1000, mw)] });
    });
  }
  t.deepEqual(store.minutes(T0, T0 + 31 * 3_600_000), [
    { unixMs: T0, powerW: 2 },
    { unixMs: T0 + 120_000, powerW: -0.5 },
    { unixMs: T0 + 30 * 3_600_000, powerW: 7 },
  ]);
  t.deepEqual(store.minutes(T0 + 1, T0 + 120_001), [{ unixMs: T0 + 120_000, powerW: -0.5 }]);
  const kept = new DatabaseSync(join(dir, 'live.db')).prepare('SELECT count(*) AS n FROM live').get()!;
  t.is(kept.n, 1);
});

test('time marks and edges are forgotten when the records before them are quarter hours; the one to go on from is kept', (t) => {
  const store = new GatewayStore(freshDir());
  const mark = (boot: number, uptimeMs: number, exact = true) => ({ boot, uptimeMs, unixMs: T0 + uptimeMs, exact });
  store.write({
    ...NOTHING,
    marks: [mark(1, 5), mark(2, 10, false), mark(2, 20), mark(2, 30), mark(2, 40), mark(3, 1)],
  });
  const edge = (boot: number, uptimeMs: number) => ({ boot, uptimeMs, slot: 0, importMwh: 0, exportMwh: 0 });
  store.write({ ...NOTHING, edges: [edge(1, 9), edge(2, 30), edge(2, 31)] });
  store.write({ ...NOTHING, progress: { ...NO_PROGRESS, boot: 2, uptimeMs: 30 } });
  t.deepEqual(store.marks(), [mark(2, 10, false), mark(2, 30), mark(2, 40), mark(3, 1)]);
  t.deepEqual(store.edges(), [edge(2, 31)]);
});

test('a store of a newer gateway is refused and left alone', (t) => {
  const dir = freshDir();
  new GatewayStore(dir).close();
  const file = join(dir, 'household.db');
  const database = new DatabaseSync(file);
  database.exec('PRAGMA user_version = 99');
  database.close();
  const error = t.throws(() => new GatewayStore(dir), { instanceOf: SchemaError });
  t.regex(error.message, /household\.db has schema version 99/);
});

test('a file that is no database is an error, not an empty store', (t) => {
  const dir = freshDir();
  writeFileSync(join(dir, 'household.db'), 'x'.repeat(5000));
  t.throws(() => new GatewayStore(dir), { message: /not a database/ });
});
