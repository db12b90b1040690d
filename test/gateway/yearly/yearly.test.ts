import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import { ChangeError, ProviderChoice } from '../../../gateway/yearly/provider-choice.ts';
import { openYearlyStore, Registers } from '../../../gateway/yearly/registers.ts';
import { Yearly } from '../../../operator/grid-operator/yearly.ts';
import { type IdentifiedCaller, publicRoute, startService } from '../../../operator/shared/service.ts';
import { generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { type ProviderChange, signProviderChange } from '../../../protocol/grid-fees/provider-change.ts';
import { yearFirstSlot } from '../../../protocol/grid-fees/register-reading.ts';
import { readingCall } from '../../../protocol/grid-fees/services.ts';
import { DocumentError } from '../../../protocol/grid-fees/signed-document.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { SLOT_MS, slotStartMs } from '../../../protocol/time/slots.ts';

const DEVICE = '0a1b2c';
const END = yearFirstSlot(2027);
/** Half a kWh every quarter hour, since the beginning. */
const MWH_PER_SLOT = 500_000;
const FIRST = END - 200;
const measured = (lastSlot: () => number) => ({
  measuredRange: () => ({ first: FIRST, last: lastSlot() }),
  quarterHours: (from: number, to: number) =>
    Array.from({ length: Math.max(0, Math.min(to, lastSlot() + 1) - Math.max(from, FIRST)) }, (_, i) => ({
      slot: Math.max(from, FIRST) + i,
      startImportMwh: (Math.max(from, FIRST) + i - FIRST) * MWH_PER_SLOT,
      startExportMwh: 0,
      endImportMwh: (Math.max(from, FIRST) + i + 1 - FIRST) * MWH_PER_SLOT,
      endExportMwh: 0,
      exact: true,
    })),
});

async function house(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-yearly-'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const household = generateSigningKey();
  const gridOperatorKey = generateEd25519Key();
  const operatorStore = new DatabaseSync(':memory:');
  const yearly = new Yearly({
    database: operatorStore,
    name: 'City Grid',
    feeMilliCentPerKwh: 7_000,
    key: gridOperatorKey.privateKey,
    isInstalled: () => true,
  });
  yearly.supply(DEVICE, 'Old Power', FIRST - 1);
  const clock = new DrivenClock(slotStartMs(END - 10));
  const state = { answers: true, received: [] as Uint8Array[] };
  const caller = { kind: 'household', ekSerial: DEVICE, publicKey: household.publicKey, serialNumber: '41' };
  const [port] = await freePorts(1);
  const service = await startService({
    name: 'grid-operator',
    access: {
      host: '127.0.0.1',
      port,
      ...(await ca.server('grid-operator', ['127.0.0.1'])),
      caFile: ca.caFile,
      requestsPerMinute: 600,
    },
    routes: [
      publicRoute({
        method: 'POST',
        path: readingCall.path,
        body: readingCall.body,
        handle: ({ reading }) => {
          state.received.push(reading);
          const answer = yearly.receive(reading, caller as IdentifiedCaller, clock.nowMs());
          if (!state.answers) throw new Error('the answer is lost');
          return answer;
        },
      }),
    ],
  });
  const database = openYearlyStore(directory);
  const sign = async (message: Uint8Array): Promise<Uint8Array> => signP256(household.privateKey, message);
  const lines: string[] = [];
  const open = (): Registers =>
    new Registers({
      database,
      measured: measured(() => Math.floor(clock.nowMs() / SLOT_MS) - 1),
      clock,
      gridOperator: { url: service.url, ca: readFileSync(ca.caFile, 'utf8') },
      household: () => ({
        ekSerial: DEVICE,
        identity: { audience: 'grid-operator', certificate: new Uint8Array(9), nowMs: () => clock.nowMs(), sign },
      }),
      log: (line) => void lines.push(line),
    });
  t.teardown(async () => {
    await service.close();
    database.close();
    operatorStore.close();
    rmSync(directory, { recursive: true });
  });
  return { clock, yearly, state, open, database, lines, gridOperatorKey };
}

test('at the end of the year the registers are told, once, however often it starts anew', async (t) => {
  const { clock, yearly, state, open, lines } = await house(t);
  let registers = open();
  registers.tick();
  await registers.idle();
  t.deepEqual(registers.rows(), [], 'the year is not over, and of the one before nothing was measured');
  clock.advanceTo(slotStartMs(END) + 500);
  state.answers = false;
  registers.tick();
  await registers.idle();
  t.is(lines.length, 1);
  t.like(registers.rows(), [{ slot: END, reason: 'year', state: 'waiting' }]);
  state.answers = true;
  registers = open(); // killed in between
  registers.tick();
  await registers.idle();
  t.like(registers.rows(), [{ state: 'acknowledged' }]);
  registers.tick();
  await registers.idle();
  t.is(state.received.length, 2);
  t.deepEqual(Buffer.from(state.received[0]), Buffer.from(state.received[1]), 'the same bytes');
  t.like(yearly.lines(), [{ year: 2026, importKwh: 100, feeMilliCent: 700_000 }]);
  t.is(yearly.lines().length, 1);
});

test('what the grid operator will never take is kept with its reason', async (t) => {
  const { clock, yearly, open, lines } = await house(t);
  clock.advanceTo(slotStartMs(END) + 500);
  const registers = open();
  registers.want('moving out', FIRST - 50); // before anybody supplied it
  registers.tick();
  await registers.idle();
  t.like(registers.rows(), [
    {
      reason: 'moving out',
      state: 'refused',
      refusal: 'registerReading.ekSerial is of a device that no provider supplied then',
    },
    { reason: 'year', state: 'waiting' },
  ]);
  t.is(lines.length, 1);
  registers.tick();
  await registers.idle();
  t.is(yearly.lines().length, 1, 'it holds nothing else back');
});

const CHANGE = END - 5;
const change = (with_: Partial<ProviderChange> = {}): ProviderChange => ({
  kind: 'change of provider',
  number: 1,
  device: DEVICE,
  fromSlot: CHANGE,
  provider: {
    name: 'Sunny Power',
    readingKey: '11'.repeat(32),
    controlKey: '22'.repeat(32),
    tariff: 'sunny',
    tariffKey: `02${'33'.repeat(32)}`,
    url: 'https://sunny:8443',
    controlUrl: 'https://sunny:8444',
  },
  ...with_,
});

test('a change of provider: readings and control from its slot on, registers of that instant, one line each', async (t) => {
  const { clock, yearly, open, database, gridOperatorKey } = await house(t);
  const registers = open();
  const taken: ProviderChange[] = [];
  const choose = (): ProviderChoice =>
    new ProviderChoice({
      database,
      clock,
      gridOperatorKey: gridOperatorKey.publicKey,
      device: () => DEVICE,
      first: { readingKey: new Uint8Array(32).fill(1), controlKey: null },
      onChange: (one) => {
        taken.push(one);
        registers.want('change of provider', one.fromSlot);
      },
    });
  const choice = choose();
  const text = yearly.change(DEVICE, CHANGE, change().provider, clock.nowMs());
  choice.take(text);
  choice.take(text);
  t.is(taken.length, 1, 'twice is once');
  for (const it of [choice, choose()]) {
    t.is(Buffer.from(it.readingKey(CHANGE - 1)).toString('hex'), '01'.repeat(32), 'late readings, too');
    t.is(Buffer.from(it.readingKey(CHANGE)).toString('hex'), '11'.repeat(32));
    t.is(it.controlKey(), null);
  }
  registers.tick();
  await registers.idle();
  t.is(yearly.lines().length, 0, 'not before it has come');
  clock.advanceTo(slotStartMs(END) + 500);
  t.is(Buffer.from(choice.controlKey()!).toString('hex'), '22'.repeat(32));
  registers.tick();
  await registers.idle();
  t.deepEqual(
    yearly.lines().map(({ reason, provider, importKwh }) => [reason, provider, importKwh]),
    [
      ['change of provider', 'Old Power', 97],
      ['year', 'Sunny Power', 3],
    ],
  );

  const signed = (with_: Partial<ProviderChange>, key = gridOperatorKey): string =>
    signProviderChange(change(with_), key.privateKey);
  const why = (document: string): string | undefined =>
    t.throws(() => choice.take(document), { any: true } as never)?.message;
  t.is(why(signed({ device: 'ff' })), 'document.device is not this gateway');
  t.is(why(signed({ fromSlot: END + 50 })), 'document.number is 1, not newer than 1, which was taken');
  t.is(
    why(signed({ number: 2, fromSlot: END })),
    'document.fromSlot has begun: what was reported cannot go to another provider',
  );
  t.throws(() => choice.take(signed({ number: 2, fromSlot: END + 50 }, generateEd25519Key())), {
    instanceOf: DocumentError,
  });
  t.throws(() => choice.take(signed({ number: 2, fromSlot: END + 50, device: 'ff' })), { instanceOf: ChangeError });
  t.is(choice.changes.length, 1);
});
