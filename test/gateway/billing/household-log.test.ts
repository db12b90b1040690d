import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { HouseholdLog } from '../../../gateway/billing/household-log.ts';
import type { MeasuredSlot } from '../../../gateway/meter/slots.ts';
import { GatewayStore, type MeterBatch } from '../../../gateway/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';
import { LINK_RECORD, type MeterRecord } from '../../../protocol/wire/link-messages.ts';
import { freshDir } from '../support/bench-link.ts';
import { fixedKey, MemoryAnchors } from './memory-anchors.ts';

const S = 20_000 * 96;
const T0 = 20_000 * DAY_MS;
const KEY = Buffer.alloc(32, 5);
const NOTHING: MeterBatch = { lives: [], records: [], edges: [], marks: [], slots: [], reports: [] };
const record = (number: number): MeterRecord => ({
  type: LINK_RECORD,
  number,
  boot: 1,
  uptimeMs: number * 900_000,
  slot: S + number - 1,
  importMwh: number * 250_000,
  exportMwh: number * 10,
  flags: 0,
});
const measured = (number: number): MeasuredSlot => ({
  slot: S + number - 1,
  startImportMwh: (number - 1) * 250_000,
  startExportMwh: (number - 1) * 10,
  endImportMwh: number * 250_000,
  endExportMwh: number * 10,
  exact: true,
});
const quarter = (number: number): MeterBatch => ({ ...NOTHING, records: [record(number)], slots: [measured(number)] });

/** A household's store with its log, whose TPM is in memory and outlives restarts. */
class LoggedHouse {
  readonly dir: string;
  readonly clock: DrivenClock;
  readonly anchors: MemoryAnchors;
  readonly said: string[] = [];
  keys = fixedKey(KEY);
  store!: GatewayStore;
  log!: HouseholdLog;

  constructor(dir = freshDir(), anchors = new MemoryAnchors(), clock = new DrivenClock(T0)) {
    this.dir = dir;
    this.anchors = anchors;
    this.clock = clock;
  }
  async start(): Promise<this> {
    this.open();
    await this.log.start();
    return this;
  }
  open(): this {
    this.log = new HouseholdLog({
      keys: { key: () => this.keys.key() },
      anchors: this.anchors,
      clock: this.clock,
      log: (line) => this.said.push(line),
    });
    this.store = new GatewayStore(this.dir, [this.log]);
    return this;
  }
  async stop(): Promise<void> {
    await this.log.close();
    this.store.close();
  }
  async restart(): Promise<this> {
    await this.stop();
    return this.start();
  }
  measure(from: number, to: number): void {
    for (let number = from; number <= to; number++) this.store.write(quarter(number));
  }
  async nextDay(): Promise<void> {
    this.clock.advanceTo(this.clock.nowMs() + DAY_MS);
    this.log.tick();
    await this.log.idle();
  }
  /** What somebody does to the file while the gateway is off. */
  async tamper(...statements: string[]): Promise<void> {
    await this.stop();
    const database = new DatabaseSync(join(this.dir, 'household.db'));
    for (const statement of statements) database.exec(statement);
    database.close();
    await this.start();
  }
}

test('every record and every quarter hour is in the log, once, and the head is anchored once a day', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 6);
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { entries: 12, waiting: 0, late: 0, anchored: { entries: 0, day: 20_000 } });
  await house.nextDay();
  t.like(house.log.report(), { anchored: { entries: 12, day: 20_001 } });
  house.measure(7, 8);
  house.log.tick();
  await house.log.idle();
  t.like(house.log.report(), { anchored: { entries: 12, day: 20_001 } }, 'once a day');
  await house.restart();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { entries: 16, waiting: 0, late: 0 });
  t.truthy(house.log.codeOf(S + 7));
  t.is(house.log.codeOf(S + 8), null);
  t.is(house.anchors.generation, 2);
});

const CHANGES: [string, string[], RegExp][] = [
  ['one record removed', ['DELETE FROM records WHERE number = 3'], /entry 5 of the log was removed/],
  ['one log entry removed', ['DELETE FROM log WHERE n = 5'], /entry 5 of the log was removed/],
  [
    'one record removed with its entry, the others numbered anew',
    ['DELETE FROM records WHERE number = 3', 'DELETE FROM log WHERE n = 5', 'UPDATE log SET n = n - 1 WHERE n > 5'],
    /entry 5 of the log was changed/,
  ],
  [
    'one record changed',
    ['UPDATE records SET import_mwh = import_mwh - 1 WHERE number = 4'],
    /entry 7 of the log was changed/,
  ],
  [
    'one quarter hour changed',
    [`UPDATE quarter_hours SET end_import_mwh = end_import_mwh - 1000 WHERE slot = ${S + 1}`],
    /entry 4 of the log was changed/,
  ],
  [
    'a number that nobody wrote',
    ['UPDATE records SET import_mwh = -1 WHERE number = 1'],
    /entry 1 of the log was changed/,
  ],
  [
    'a number too large to read',
    ['UPDATE records SET import_mwh = 9223372036854775807 WHERE number = 2'],
    /entry 3 of the log was changed/,
  ],
  [
    'two entries reordered',
    ['UPDATE log SET n = 1000 WHERE n = 3', 'UPDATE log SET n = 3 WHERE n = 4', 'UPDATE log SET n = 4 WHERE n = 1000'],
    /entry 3 of the log was moved: it stands in place 4/,
  ],
  [
    'two records that changed places',
    [
      'UPDATE log SET ref = -1 WHERE n = 3',
      'UPDATE log SET ref = 3 WHERE n = 3 AND ref = -1 AND NOT EXISTS (SELECT 1 FROM log WHERE kind = 1 AND ref = 3)',
      'UPDATE log SET ref = 2 WHERE n = 5',
      'UPDATE log SET ref = 3 WHERE n = 3',
    ],
    /entry 3 of the log was changed/,
  ],
  [
    'the tail cut',
    [
      'DELETE FROM log WHERE n > 10',
      'DELETE FROM records WHERE number > 5',
      `DELETE FROM quarter_hours WHERE slot > ${S + 4}`,
    ],
    /entry 11 of the log is missing, and all after it: 12 were anchored on 2024-10-05/,
  ],
  [
    'all of it removed',
    ['DELETE FROM log', 'DELETE FROM records', 'DELETE FROM quarter_hours'],
    /entry 1 of the log is missing/,
  ],
  ['the log alone removed', ['DELETE FROM log'], /entry 1 of the log is missing/],
  ['codes removed', ['UPDATE log SET code = NULL WHERE n > 8'], /entry 9 of the log is missing/],
  [
    'a quarter hour added',
    [`INSERT INTO quarter_hours VALUES (${S + 50}, 1, 1, 2, 2, 1)`],
    /was never written, yet quarter_hours has one for 1920050/,
  ],
  ...[0, -1, '-9223372036854775807'].map((n): [string, string[], RegExp] => [
    `a quarter hour added, with an entry ${n}`,
    [
      `INSERT INTO quarter_hours VALUES (${S + 50}, 1, 1, 2, 2, 1)`,
      `INSERT INTO log VALUES (${n}, 2, ${S + 50}, 0, NULL)`,
    ],
    /entry 1 of the log was (removed|changed)/,
  ]),
];
for (const [what, statements, reason] of CHANGES) {
  test(`found at start: ${what}`, async (t) => {
    const house = await new LoggedHouse().start();
    house.measure(1, 6);
    await house.nextDay();
    await house.tamper(...statements);
    t.false(house.log.state.ok);
    t.regex(house.log.state.reason!, reason);
    t.true(house.said.some((line) => reason.test(line)));
    t.false(await house.log.verify(), 'and nothing is billed');
    // what comes is stored all the same; nothing of it is chained, and the anchor stays
    house.measure(8, 8);
    t.like(house.log.report(), { waiting: house.log.report().waiting, anchored: { entries: 12, day: 20_001 } });
    t.is(house.log.codeOf(S + 7), null);
    await house.nextDay();
    t.false(house.log.state.ok);
    t.is(house.anchors.generation, 2);
    const { reads } = house.anchors;
    house.log.tick();
    await house.log.idle();
    t.is(house.anchors.reads, reads, 'it is looked at once a day, not once a second');
  });
}

test('a log of many pages is checked whole, while it grows', async (t) => {
  const house = await new LoggedHouse().start();
  const numbers = Array.from({ length: 1600 }, (_, i) => i + 1);
  house.store.write({ ...NOTHING, records: numbers.map(record), slots: numbers.map(measured) });
  const checking = house.log.verify();
  house.measure(1601, 1602);
  t.true(await checking);
  t.like(house.log.report(), { ok: true, entries: 3204, waiting: 0 });
  await house.tamper('UPDATE records SET flags = 1 WHERE number = 1200');
  t.regex(house.log.state.reason!, /entry 1200 of the log was changed/);
  await house.tamper('UPDATE records SET flags = 0 WHERE number = 1200', 'DELETE FROM log WHERE n = 2000');
  t.regex(house.log.state.reason!, /entry 2000 of the log was removed/);
});

test('found by the daily check, too, while the gateway runs', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 6);
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  database.exec('UPDATE records SET import_mwh = import_mwh - 1 WHERE number = 4');
  database.close();
  t.true(house.log.state.ok);
  await house.nextDay();
  t.deepEqual(house.log.state, { ok: false, reason: 'entry 7 of the log was changed' });
});

test('a database put back to an older copy is found, and is good again when the right one is back', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 3);
  await house.stop();
  const older = freshDir();
  cpSync(house.dir, older, { recursive: true });
  await house.start();
  house.measure(4, 6);
  await house.nextDay();
  await house.stop();
  const back = await new LoggedHouse(older, house.anchors, house.clock).start();
  t.regex(back.log.state.reason!, /entry 7 .* is missing, .* 12 were anchored .* put back to an older copy/);
  await back.stop();
  await house.start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  house.measure(7, 7);
  t.truthy(house.log.codeOf(S + 6));
});

test('an anchor that is removed, put back to an older one, or forged is found', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 3);
  await house.nextDay();
  const older = house.anchors.anchor!;
  house.measure(4, 6);
  await house.nextDay();
  const { anchor } = house.anchors;
  const cases: [Uint8Array | null, RegExp][] = [
    [null, /the anchor in the security chip was removed/],
    [older, /an older anchor was put back/],
    [Buffer.alloc(88), /not made under this log's key/],
    [Buffer.alloc(3), /not made under this log's key/],
  ];
  for (const [put, reason] of cases) {
    house.anchors.anchor = put;
    await house.restart();
    t.regex(house.log.state.reason!, reason);
    t.false(house.log.state.ok);
  }
  house.anchors.anchor = anchor;
  await house.restart();
  t.true(house.log.state.ok);
});

test('whoever removes everything but the codes cannot say that there never was an anchor', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 3);
  house.anchors.anchor = null;
  house.anchors.generation = 0;
  await house.restart();
  t.regex(house.log.state.reason!, /the anchor in the security chip was removed/);
});

test('another key makes no sense of the log', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 3);
  house.keys = fixedKey(Buffer.alloc(32, 6));
  await house.restart();
  t.false(house.log.state.ok);
});

test('while the TPM is away records wait, nothing is lost; they are chained when it is back, marked as late', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 2);
  house.anchors.away = 'nothing answers';
  const key = house.keys;
  house.keys = {
    key: async () => {
      throw new Error('nothing answers');
    },
  };
  await house.restart();
  t.true(house.log.state.ok, 'it was not changed');
  t.regex(house.log.state.reason!, /the security chip does not answer, the log waits for it: nothing answers/);
  house.measure(3, 5);
  t.like(house.log.report(), { entries: 4, waiting: 6 });
  t.false(await house.log.verify());
  house.keys = key;
  house.anchors.away = null;
  await house.log.start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { entries: 10, waiting: 0, late: 6 });
  house.measure(6, 6);
  t.like(house.log.report(), { entries: 12, waiting: 0, late: 6 });
  await house.tamper('UPDATE log SET late = 0 WHERE n = 6');
  t.regex(house.log.state.reason!, /entry 6 of the log was changed/, 'that it came late cannot be hidden');
});

test('a TPM that goes away in the middle of work: chaining goes on, the anchor follows', async (t) => {
  const house = await new LoggedHouse().start();
  house.anchors.away = 'gone';
  house.measure(1, 2);
  await house.nextDay();
  t.regex(house.log.state.reason!, /gone/);
  house.measure(3, 4);
  t.like(house.log.report(), { entries: 8, waiting: 0, late: 0 });
  house.anchors.away = null;
  await house.log.start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { anchored: { entries: 8, day: 20_001 } });
});

test('killed between the two halves of anchoring: it goes on', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 2);
  await house.nextDay();
  house.anchors.generation -= 1; // the anchor was written, the count not yet
  await house.restart();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  house.measure(3, 3);
  await house.nextDay();
  t.like(house.log.report(), { anchored: { entries: 6, day: 20_002 } });
  await house.restart();
  t.true(house.log.state.ok);
});

test('a store from before there was a log: what is in it comes late, but it comes', async (t) => {
  const dir = freshDir();
  const before = new GatewayStore(dir);
  for (let number = 1; number <= 3; number++) before.write(quarter(number));
  before.close();
  const house = await new LoggedHouse(dir).start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { entries: 6, waiting: 0, late: 6 });
  house.measure(4, 4);
  await house.restart();
  t.like(house.log.report(), { ok: true, entries: 8, late: 6 });
});

test('a batch that fails leaves neither records nor log entries', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 1);
  t.throws(() => house.store.write({ ...quarter(2), slots: [measured(2), measured(1)] }), { message: /UNIQUE/ });
  t.like(house.log.report(), { entries: 2, waiting: 0 });
  house.measure(2, 2);
  await house.restart();
  t.like(house.log.report(), { ok: true, entries: 4 });
});

test('the key is nowhere on the disk', async (t) => {
  const house = await new LoggedHouse().start();
  house.measure(1, 3);
  await house.stop();
  const { readdirSync, readFileSync } = await import('node:fs');
  for (const file of readdirSync(house.dir)) t.false(readFileSync(join(house.dir, file)).includes(KEY), file);
});
