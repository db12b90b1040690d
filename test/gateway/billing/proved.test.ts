// A month whose bill proves itself: committed day by day, proved in the house, verified by the provider from what is public.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { BENCH_POLICIES, type BenchTariff, type PolicyTerms } from '../../../bench/billing.ts';
import { PolicyBook } from '../../../gateway/billing/policy-book.ts';
import { callService } from '../../../gateway/services/client.ts';
import { decodeBill, signBill } from '../../../protocol/billing/bill.ts';
import { openCommitments, verifyWeightedSum, wholePeriod } from '../../../protocol/billing/commitments.ts';
import { LEDGER_COLUMNS } from '../../../protocol/billing/log.ts';
import { toMilliCent } from '../../../protocol/billing/money.ts';
import { judgeDispute, readDispute } from '../../../protocol/billing/public-data.ts';
import { billCall, commitmentsCall } from '../../../protocol/billing/services.ts';
import { clearFee, signPolicy } from '../../../protocol/billing/tariff.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { PURPOSE_CENTRE } from '../../../protocol/wire/ledger.ts';
import { LINK_RECORD } from '../../../protocol/wire/link-messages.ts';
import { BilledHouse, FIRST, MONTH, type Quarter, SLOTS, startProvider, type TestProvider } from './billed-house.ts';

const HOURS = Array.from({ length: 24 }, (_, hour) => 20_000 + 700 * hour);
const PLAN = { default: { import: HOURS, export: HOURS.map((price) => Math.round(price / 3)) } };
const COUNT = 2 * 96;
/** The household came two days before the month's end. */
const CAME = FIRST + SLOTS - COUNT;
const END = FIRST + SLOTS;
/** Draws, and feeds in at noon; no two quarter hours alike. */
const quarter = (slot: number): Quarter => ({
  importMwh: 40_017 + ((slot * 7919) % 400_000),
  exportMwh: slot % 96 >= 40 && slot % 96 < 64 ? 123_457 + ((slot * 104_729) % 300_000) : 0,
});

async function monthWith(t: Parameters<typeof startProvider>[0], tariff: BenchTariff) {
  const provider = await startProvider(t, PLAN, undefined, { policies: [BENCH_POLICIES[tariff]] });
  const identifier = await provider.issuer.issue();
  const house = await new BilledHouse(provider, identifier, undefined, undefined, CAME).start();
  t.teardown(() => house.stop());
  house.measure(CAME + 4, quarter);
  await house.settle();
  house.measure(CAME + 100, quarter);
  await house.settle();
  return { provider, identifier, house };
}
/** In the clear, by whole units, what is less carried on. */
function feeInTheClear(house: BilledHouse, tariff: BenchTariff): number {
  const policy = { ...BENCH_POLICIES[tariff], name: 'flex', currency: 'EUR' };
  const units = (of: keyof Quarter): number[] => {
    let sum = 0;
    return Array.from({ length: COUNT }, (_, i) => {
      const before = Math.floor(sum / policy.unitMwh);
      sum += quarter(CAME + i)[of];
      return Math.floor(sum / policy.unitMwh) - before;
    });
  };
  const readings = { import: units('importMwh'), export: units('exportMwh') };
  return toMilliCent(
    clearFee(policy, { firstSlot: CAME, endSlot: END }, readings, (slot) => house.billing.book.at(slot)),
  );
}
const commitmentsOf = (provider: TestProvider): { n: number; slots: number } => {
  const database = new DatabaseSync(join(provider.directory, 'provider', 'bills.sqlite'), { readOnly: true });
  try {
    return database
      .prepare('SELECT count(*) AS n, coalesce(sum(endSlot - firstSlot), 0) AS slots FROM commitments')
      .get() as { n: number; slots: number };
  } finally {
    database.close();
  }
};

for (const tariff of ['time-of-use', 'flex', 'tiers', 'blocks'] as const)
  test(`${tariff}: the provider verifies the fee and learns it, to the milli-cent`, async (t) => {
    const { provider, house } = await monthWith(t, tariff);
    t.like(commitmentsOf(provider), { n: 2, slots: 2 * 96 }, 'the day that is over, import and export');
    const growing = house.bill();
    t.like(growing, { state: 'growing', waitsFor: null });
    house.measure(END, quarter);
    await house.settle();
    await house.settle();
    t.deepEqual(commitmentsOf(provider).slots, 2 * COUNT);
    const fee = feeInTheClear(house, tariff);
    const [bill] = provider.billing.bills();
    t.like(bill, { customer: '4711', month: MONTH, feeMilliCent: fee, firstSlot: CAME, endSlot: END });
    const shown = house.bill();
    t.like(shown, { totalMilliCent: fee, state: 'acknowledged', waitsFor: null });
    t.is(
      shown.lines.reduce((sum, { costMilliCent, creditMilliCent }) => sum + costMilliCent - creditMilliCent, 0),
      fee,
      'lines add up to it',
    );
    // anybody comes to the same verdict from what the provider keeps
    const dispute = readDispute(provider.billing.dispute('4711', CAME)!);
    t.is(judgeDispute(dispute, house.identifier!.publicKey, (n) => Buffer.alloc(n, 7)).feeMilliCent, fee);
  });

test('what the provider stored holds no reading, neither as bytes nor as text', async (t) => {
  const { provider, house } = await monthWith(t, 'flex');
  house.measure(END, quarter);
  await house.settle();
  await house.settle();
  t.is(provider.billing.bills().length, 1);
  const folder = join(provider.directory, 'provider');
  const stored = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
  t.true(
    stored.includes(Buffer.from(decodeBill(house.billing.bills.kept(MONTH)!.bytes).payment!.subarray(0, 100))),
    'it is read',
  );
  const found = new Set<string>();
  for (let slot = CAME; slot < END; slot++)
    for (const value of Object.values(quarter(slot))) {
      if (value === 0) continue;
      const text = String(value);
      if (stored.includes(text)) found.add(text);
      const bytes = Buffer.alloc(6);
      bytes.writeUIntBE(value, 0, 6);
      // as 32-bit numbers of either order; three bytes would be found by chance
      if (stored.includes(bytes.subarray(2)) || stored.includes(Buffer.from(bytes.subarray(2)).reverse()))
        found.add(text);
    }
  t.deepEqual([...found], []);
});

test('a fee lower by one, a beginning left out, no proof, other commitments: refused', async (t) => {
  const { identifier, house } = await monthWith(t, 'time-of-use');
  house.measure(END, quarter);
  await house.settle();
  await house.settle();
  const { service } = house.billing.contracts.all[0];
  const identity = { ...identifier, audience: 'provider', nowMs: () => house.clock.nowMs() };
  const { bills } = house.billing;
  const kept = bills.kept(MONTH)!;
  t.not(kept.acknowledgedMs, null);
  const bill = decodeBill(kept.bytes);
  const send = async (changed: object) => {
    const bytes = await signBill({ ...bill, ...changed }, identifier.sign);
    return callService({ ...service, ...billCall, body: { bill: bytes }, identity });
  };
  await t.notThrowsAsync(callService({ ...service, ...billCall, body: { bill: kept.bytes }, identity }));
  await t.throwsAsync(send({ feeMilliCent: bill.feeMilliCent - 1 }), {
    message: /bill\.fee is not the \d+ of its payment/,
  });
  await t.throwsAsync(send({ firstSlot: bill.firstSlot + 1 }), { message: /bill\.firstSlot leaves out/ });
  await t.throwsAsync(send({ endSlot: bill.endSlot - 1 }), { message: /bill\.endSlot leaves out/ });
  await t.throwsAsync(send({ payment: undefined }), { message: /bill\.evidence is not the proof/ });
  const payment = Uint8Array.from(bill.payment!);
  payment[payment.length - 3] ^= 1;
  await t.throwsAsync(send({ payment }), {
    message: /payment\.proof: does not show that this is the fee|payment\.parts/,
  });
  const [batch] = house.billing.commitments.commitmentsOf(0, 'import', MONTH);
  const forged = Uint8Array.from(batch);
  forged[forged.length - 1] ^= 1;
  await t.throwsAsync(callService({ ...service, ...commitmentsCall, body: { batches: [forged] }, identity }), {
    message: /^commitments\.root: /,
  });
});

test('a policy that isolates readings, an older one, a forged one: refused before it is used, with the path', (t) => {
  const offline = generateSigningKey();
  const database = new DatabaseSync(':memory:');
  const open = (): PolicyBook => {
    const book = new PolicyBook({ contract: 0, tariff: 'flex', offlineKey: offline.publicKey, log: () => {} });
    book.open(database);
    return book;
  };
  const book = open();
  const signed = (terms: PolicyTerms, name = 'flex', key = offline.privateKey): Uint8Array =>
    signPolicy({ ...terms, name, currency: 'EUR' }, key);
  const good = BENCH_POLICIES.flat;
  t.false(book.known);
  book.take([]);
  t.true(book.known, 'a provider may have none');
  book.take([signed({ ...good, number: 3 })]);
  t.notThrows(() => book.take([signed({ ...good, number: 4, firstSlot: 96 })]));
  const alone = Array.from({ length: 96 }, (_, i) => (i === 70 ? 30_000 : 0));
  const dear = Array.from({ length: 96 }, (_, i) => (i === 70 ? 3_000_001 : 30_000));
  const wrong: [Uint8Array, RegExp][] = [
    [signed({ ...good, number: 2 }), /^policy\.number: is 2, older than 4/],
    [signed({ ...good, number: 5 }), /^policy\.firstSlot: lies before/],
    [signed(good, 'other'), /^policy\.name: /],
    [signed({ ...good, number: 5 }, 'flex', generateSigningKey().privateKey), /^policy\.signature: /],
    [
      signed({ ...good, number: 5, firstSlot: 96, import: [{ kind: 'time-of-use', milliCentPerKwh: alone }] }),
      /^policy\.import: prices 7 quarter hours only/,
    ],
    [
      signed({ ...good, number: 5, firstSlot: 96, import: [{ kind: 'time-of-use', milliCentPerKwh: dear }] }),
      /^policy\.import\.70: is more than 100 times the median/,
    ],
  ];
  for (const [bytes, message] of wrong) t.throws(() => book.take([bytes]), { message });
  t.deepEqual(
    book.held.map(({ policy }) => policy.number),
    [3, 4],
  );
  t.is(book.at(95)!.policy.number, 3);
  // and all of it again from the disk
  t.deepEqual(
    open().held.map(({ policy }) => policy.number),
    [3, 4],
  );
});

test('what the allocation ledger gives another purpose is not billed; the centre gets its part, committed to', async (t) => {
  const provider = await startProvider(t, PLAN, undefined, { policies: [BENCH_POLICIES.flat] });
  const identifier = await provider.issuer.issue();
  const house = new BilledHouse(provider, identifier, undefined, undefined, CAME);
  let kept = 0;
  house.allocation = { allocates: () => true, kept: () => kept };
  await house.start();
  t.teardown(() => house.stop());
  house.measure(END, quarter);
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  t.teardown(() => database.close());
  const columns = LEDGER_COLUMNS.map((column) => (column === 'centre_export' ? 100_000 : 0));
  t.true(columns.includes(100_000));
  // the meter's record of one quarter hour, and its line: a part of the export was sold
  const slot = CAME + 50;
  const record = {
    type: LINK_RECORD,
    number: 7,
    boot: 1,
    uptimeMs: 1,
    slot,
    importMwh: 1,
    exportMwh: 1,
    flags: 0,
  } as const;
  house.store.write({ lives: [], records: [record], edges: [], marks: [], slots: [], reports: [] });
  database.exec(`INSERT INTO allocations VALUES (7, ${slot}, 1, ${columns.join()})`);
  house.billing.log.allocated([7]);
  await house.settle();
  t.is(provider.billing.bills().length, 0);
  t.regex(house.bill().waitsFor!, /may still use/);
  kept = 7;
  house.measure(END + 1, quarter);
  await new Promise((resolve) => setTimeout(resolve, 1100)); // it waits before it tries again
  await house.settle();
  await house.settle();
  const { commitments } = house.billing;
  const name = { contract: 0, month: MONTH, purpose: 0 };
  t.deepEqual(commitments.readings(name, 'export', slot, slot + 1), [quarter(slot).exportMwh - 100_000]);
  t.is(provider.billing.bills().length, 1);

  const centre = { contract: 0, month: MONTH, purpose: PURPOSE_CENTRE };
  const shape = { firstSlot: CAME, unitMwh: 1, bits: 24 };
  t.is(await commitments.commit(house.store, centre, shape, END, identifier), null);
  const weight = (at: number): bigint => BigInt(at % 96);
  const opened = await commitments.openWeightedSum(PURPOSE_CENTRE, 'export', MONTH, weight);
  t.is(opened.sum, 100_000n * weight(slot));
  const batches = commitments.commitmentsOf(PURPOSE_CENTRE, 'export', MONTH);
  const whole = wholePeriod(batches.map((bytes) => openCommitments(bytes, identifier.publicKey)));
  const weights = Array.from({ length: COUNT }, (_, i) => weight(CAME + i));
  t.true(verifyWeightedSum(whole.elements, weights, opened, 24));
  t.false(verifyWeightedSum(whole.elements, weights, { ...opened, sum: opened.sum + 1n }, 24));
});
