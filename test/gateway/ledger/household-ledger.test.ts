import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { LedgerSession } from '../../../firmware/session/ledger.ts';
import { AllocationLedger, OPEN_SLOTS } from '../../../firmware/wallet/ledger.ts';
import { HouseholdLog } from '../../../gateway/billing/household-log.ts';
import { HouseholdLedger } from '../../../gateway/ledger/household-ledger.ts';
import { GatewayStore, type MeterBatch } from '../../../gateway/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { monthOf } from '../../../protocol/time/months.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';
import {
  DIRECTION_EXPORT,
  DIRECTION_IMPORT,
  decodeKept,
  encodeKept,
  encodeLines,
  type LedgerLine,
  PURPOSE_BUS,
  PURPOSE_CENTRE,
  PURPOSE_PREPAID,
} from '../../../protocol/wire/ledger.ts';
import { SESSION_LEDGER } from '../../../protocol/wire/sessions.ts';
import { FakeRecords } from '../../firmware/wallet/fake-records.ts';
import { newWalletFlash, openVault } from '../../firmware/wallet/vault-natives.ts';
import { fixedKey, MemoryAnchors } from '../billing/memory-anchors.ts';
import { freshDir } from '../support/bench-link.ts';

const S = 20_000 * 96;
const T0 = 20_000 * DAY_MS;
const MONTH = monthOf(T0);
const NOTHING: MeterBatch = { lives: [], records: [], edges: [], marks: [], slots: [], reports: [] };

/** A meter with its ledger and a gateway with its log; a test carries the messages. */
class LedgerHouse {
  readonly flash = newWalletFlash();
  readonly records = new FakeRecords();
  readonly dir = freshDir();
  readonly anchors = new MemoryAnchors();
  readonly clock = new DrivenClock(T0);
  readonly said: string[] = [];
  meter!: AllocationLedger;
  session!: LedgerSession;
  toGateway: Uint8Array[] = [];
  toMeter: Uint8Array[] = [];
  log!: HouseholdLog;
  ledger!: HouseholdLedger;
  store!: GatewayStore;
  #uptimeMs = 0;
  #handler: (body: Uint8Array) => void | Promise<void> = () => {};

  startMeter(): void {
    this.meter = new AllocationLedger(openVault(this.flash), this.records);
    this.session = new LedgerSession(this.meter, (body) => {
      this.toGateway.push(Uint8Array.from(body));
      return true;
    });
  }
  async startGateway(): Promise<void> {
    const say = (line: string) => this.said.push(line);
    const keys = fixedKey(Buffer.alloc(32, 5));
    this.log = new HouseholdLog({ keys, anchors: this.anchors, clock: this.clock, log: say });
    this.ledger = new HouseholdLedger(this.log, say);
    this.store = new GatewayStore(this.dir, [this.log, this.ledger]);
    this.ledger.attach(this.store, {
      on: (session, handler) => {
        if (session === SESSION_LEDGER) this.#handler = handler;
      },
      tell: (_, body) => {
        this.toMeter.push(body);
        return true;
      },
    });
    await this.log.start();
  }
  async stopGateway(): Promise<void> {
    await this.log.close();
    this.store.close();
  }
  /** A quarter hour: recorded, and the record on the gateway's disk. */
  measure(importMwh: number, exportMwh: number, delivered = true): void {
    const slot = S + this.records.list.length;
    const record = this.records.add(slot, importMwh, exportMwh);
    this.session.record();
    if (!delivered) return;
    this.store.write({
      ...NOTHING,
      records: [record],
      slots: [
        {
          slot,
          startImportMwh: record.importMwh - importMwh,
          startExportMwh: record.exportMwh - exportMwh,
          endImportMwh: record.importMwh,
          endExportMwh: record.exportMwh,
          exact: true,
        },
      ],
    });
  }
  /** Time passes; what is on the way arrives. */
  async exchange(seconds = 30): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.#uptimeMs += 1000;
      this.session.tick(T0, this.#uptimeMs);
      for (const body of this.toGateway.splice(0)) await this.hear(body);
      for (const body of this.toMeter.splice(0)) this.session.receive(body);
    }
  }
  async hear(body: Uint8Array): Promise<void> {
    await this.#handler(body);
  }
}
async function newHouse(): Promise<LedgerHouse> {
  const house = new LedgerHouse();
  house.startMeter();
  await house.startGateway();
  return house;
}

test('from the meter to the totals: every mWh of a day has one purpose, through restarts of both', async (t) => {
  const house = await newHouse();
  let [imported, exported, sold, traded, prepaid] = [0, 0, 0, 0, 0];
  for (let i = 0; i < 96; i++) {
    const [importMwh, exportMwh] = [1000 + 7 * i, (i * 37_123) % 90_001];
    house.measure(importMwh, exportMwh);
    imported += importMwh;
    exported += exportMwh;
    sold += house.meter.allocate(S + i, DIRECTION_EXPORT, PURPOSE_CENTRE, Math.floor(exportMwh / 2));
    traded += house.meter.allocate(S + i, DIRECTION_EXPORT, PURPOSE_BUS, 30_000);
    prepaid += house.meter.allocate(S + i, DIRECTION_IMPORT, PURPOSE_PREPAID, 1100);
    if (i % 17 === 0) house.startMeter();
    if (i % 29 === 0) {
      await house.stopGateway();
      await house.startGateway();
    }
    await house.exchange(10);
  }
  await house.exchange(60);
  const { kept, lines, open, refused, months } = house.ledger.report();
  t.deepEqual({ kept, refused, open }, { kept: 96 - OPEN_SLOTS, refused: 0, open: OPEN_SLOTS });
  t.is(lines, 96);
  t.deepEqual(months, [
    {
      month: MONTH,
      importMwh: { rest: imported - prepaid, ownUse: 0, centre: 0, bus: 0, providerTrade: 0, prepaid },
      exportMwh: { rest: exported - sold - traded, ownUse: 0, centre: sold, bus: traded, providerTrade: 0, prepaid: 0 },
    },
  ]);
  t.true(sold > 0 && traded > 0 && prepaid > 0);
  t.is(house.session.refused, 0);
  // final lines are in the household's log, each once, and its chain covers them
  t.true(await house.log.verify());
  t.is(house.log.report().entries, 96 + 96 + kept);
  await house.stopGateway();
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  database.exec(
    'UPDATE allocations SET centre_export = centre_export - 1, rest_export = rest_export + 1 WHERE number = 40',
  );
  database.close();
  await house.startGateway();
  t.regex(house.log.state.reason!, /was changed/);
  await house.stopGateway();
});

test('messages that are lost or doubled cost nothing; the meter asks until it is answered', async (t) => {
  const house = await newHouse();
  for (let i = 0; i < 40; i++) {
    house.measure(10, 1000);
    house.meter.allocate(S + i, DIRECTION_EXPORT, PURPOSE_CENTRE, 600);
  }
  for (let i = 0; i < 3; i++) {
    house.session.tick(T0, i * 700_000);
    house.toGateway = []; // lost
  }
  house.session.tick(T0, 4_000_000);
  const [body] = house.toGateway.splice(0);
  await house.hear(body);
  await house.hear(body);
  t.is(decodeKept(house.toMeter[0]), 24);
  t.is(decodeKept(house.toMeter[1]), 24);
  t.is(house.log.report().entries, 80 + 24);
  await house.stopGateway();
});

const lineOf = (number: number, fields: Partial<LedgerLine> = {}): LedgerLine => ({
  number,
  slot: S + number - 1,
  restImportMwh: 10,
  restExportMwh: 400,
  parts: [{ direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: 600 }],
  ...fields,
});

test('what the meter cannot have meant is not kept: sums, records, energy taken back, noise', async (t) => {
  const house = await newHouse();
  for (let i = 0; i < 4; i++) house.measure(10, 1000);
  const say = (lines: LedgerLine[], upTo = 0, after = 0) => house.hear(encodeLines({ after, upTo, lines }));
  await say([lineOf(1, { restExportMwh: 401 })]);
  t.is(house.ledger.report().fault, 'quarter hour 1: its parts sum to 1001 mWh, its registers to 1000');
  await say([lineOf(2, { slot: S })]);
  t.is(house.ledger.report().fault, 'quarter hour 2: there is no such record');
  t.is(house.ledger.report().lines, 0);
  await say([lineOf(3)]);
  await say([
    lineOf(3, {
      restExportMwh: 900,
      parts: [{ direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: 100 }],
    }),
  ]);
  t.is(house.ledger.report().fault, 'quarter hour 3: energy was taken back from its purpose');
  t.like(house.ledger.report(), { refused: 3, lines: 1, open: 1, kept: 0 });
  t.is(house.ledger.month(MONTH)!.exportMwh.centre, 600);
  await t.throwsAsync(() => house.hear(Uint8Array.of(1, 2, 3)), { message: /LINES/ });
  const twice = encodeLines({
    after: 0,
    upTo: 0,
    lines: [lineOf(4, { parts: [lineOf(4).parts[0], lineOf(4).parts[0]] })],
  });
  await t.throwsAsync(() => house.hear(twice), { message: 'LINES.lines[0].parts[1]: is there twice' });
  // lines of records that are not here yet wait for them
  house.toMeter = [];
  await say([lineOf(4), lineOf(5)], 5);
  t.is(decodeKept(house.toMeter[0]), 4);
  t.is(house.said.length, 3);
  await house.stopGateway();
});

test('a gateway that claims to have what it was never told is not believed by the meter', async (t) => {
  const house = await newHouse();
  for (let i = 0; i < 40; i++) house.measure(10, 1000);
  house.session.receive(encodeKept(30));
  house.session.receive(Uint8Array.of(9));
  t.is(house.session.refused, 2);
  t.is(house.meter.delivered(), 0);
  await house.exchange(40);
  t.is(house.session.kept, 24);
  t.is(house.meter.delivered(), 24);
  await house.stopGateway();
});
