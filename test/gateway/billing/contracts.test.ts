// A month in parts: another provider, a replaced gateway, people who move. Each slot is billed once, by who had it.
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { BillPart } from '../../../gateway/billing/bill-part.ts';
import { Bills } from '../../../gateway/billing/bills.ts';
import { Contracts, type ContractTerms } from '../../../gateway/billing/contracts.ts';
import { openDatabase } from '../../../gateway/store-schema.ts';
import { BillStore } from '../../../operator/provider/bills.ts';
import { billDigest } from '../../../protocol/billing/bill.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';
import { DAY_MS, slotStartMs } from '../../../protocol/time/slots.ts';
import { freshDir } from '../support/bench-link.ts';
import { BilledHouse, FIRST, MONTH, SLOTS, startProvider } from './billed-house.ts';
import { MemoryAnchors } from './memory-anchors.ts';

const plan = (milliCent: number) => ({ default: { import: [milliCent], export: [0] } });
const QUARTER = () => ({ importMwh: 250_000, exportMwh: 0 });

test('the provider changes in the middle of a month: each has a bill of its part, the old one at once', async (t) => {
  const old = await startProvider(t, plan(30_000));
  const next = await startProvider(t, plan(20_000), old);
  const house = await new BilledHouse(old, await old.issuer.issue()).start();
  t.teardown(() => house.stop());
  const change = FIRST + 10 * 96;
  house.measure(change - 200, QUARTER);
  await house.settle();
  const { tariff, offlineKey, provider } = next.prepared.gateway;
  const terms: ContractTerms = { provider: 'Sunny Power', url: provider.url, tariff, offlineKey };
  const sunny = await next.issuer.issue({ provider: 'Quiet Power', customerNumber: 'S-1' } as never);
  house.identifiers = { 'Sunny Power': sunny };
  await house.restart();
  house.billing.contracts.begin(change, terms);
  house.billing.contracts.begin(change, terms);
  t.throws(() => house.billing.contracts.begin(change - 96, terms), { message: /is not after/ });
  const both = async (to: number) => {
    next.billing.advance(slotStartMs(to));
    house.measure(to, QUARTER);
    for (let i = 0; i < 3; i++) await house.settle();
  };
  await both(change - 1);
  t.is(house.bill().parts.length, 2);
  t.deepEqual(old.billing.bills(), []);
  await both(change + 4);
  t.like(old.billing.bills(), [
    { customer: '4711', month: MONTH, firstSlot: FIRST, endSlot: change, feeMilliCent: 7_200_000 },
  ]);
  t.like(house.bill().parts, [
    { provider: 'Quiet Power', state: 'acknowledged', totalMilliCent: 7_200_000, toMs: slotStartMs(change) },
    { provider: 'Sunny Power', state: 'growing', totalMilliCent: 20_000, fromMs: slotStartMs(change) },
  ]);
  t.is(house.billing.prices(change - 1, change + 1)[0].importMilliCentPerKwh, 30_000);
  t.is(house.billing.prices(change - 1, change + 1)[1].importMilliCentPerKwh, 20_000);
  await house.restart();
  await both(FIRST + SLOTS);
  t.is(old.billing.bills().length, 1);
  t.like(next.billing.bills(), [
    { customer: 'S-1', month: MONTH, firstSlot: change, endSlot: FIRST + SLOTS, feeMilliCent: 18 * 480_000 },
  ]);
  t.like(house.bill(), { state: 'acknowledged', totalMilliCent: 7_200_000 + 18 * 480_000, waitsFor: null });
  await both(FIRST + SLOTS + 96);
  t.deepEqual(
    house.bill(MONTH + 1).parts.map(({ provider }) => provider),
    ['Sunny Power'],
  );
});

test('a gateway that was replaced: the new one’s part is taken, a slot that both would bill is not', async (t) => {
  const provider = await startProvider(t, plan(30_000));
  const owner = await provider.issuer.issue();
  const replaced = FIRST + 12 * 96 + 7;
  const former = await new BilledHouse(provider, owner).start();
  former.measure(replaced, QUARTER);
  await former.settle();
  former.billing.contracts.end(replaced);
  for (let i = 0; i < 3; i++) await former.settle();
  await former.stop();
  const fresh = async (from: number) => {
    const house = new BilledHouse(provider, await provider.issuer.issue(), new MemoryAnchors(), freshDir(), from);
    await house.start();
    t.teardown(() => house.stop());
    house.measure(FIRST + SLOTS, QUARTER);
    for (let i = 0; i < 3; i++) await house.settle();
    return house;
  };
  const overlapping = await fresh(replaced - 1);
  t.regex(overlapping.bill().waitsFor!, /another bill of this customer for this time/);
  t.is((await fresh(replaced)).bill().state, 'acknowledged');
  t.deepEqual(
    provider.billing.bills().map(({ firstSlot, endSlot, feeMilliCent }) => [firstSlot, endSlot, feeMilliCent]),
    [
      [FIRST, replaced, (replaced - FIRST) * 7_500],
      [replaced, FIRST + SLOTS, (FIRST + SLOTS - replaced) * 7_500],
    ],
  );
});

test('a bill is computed again only when a quarter hour or a price has come', async (t) => {
  const provider = await startProvider(t, plan(30_000));
  const house = await new BilledHouse(provider, await provider.issuer.issue()).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + 96, QUARTER);
  await house.settle();
  const { bills } = house.billing;
  const [part] = bills.parts(house.store, MONTH);
  const computed = bills.compute(house.store, part);
  house.bill();
  t.is(bills.compute(house.store, bills.parts(house.store, MONTH)[0]), computed, 'the very same');
  house.measure(FIRST + 97, QUARTER);
  const next = bills.compute(house.store, part);
  t.not(next, computed);
  t.is(next.slots, 97);
  provider.billing.advance(house.clock.nowMs() + DAY_MS / 2);
  house.billing.feed.ask();
  await house.billing.idle();
  t.not(bills.compute(house.store, part), next, 'tomorrow’s prices came');
});

/** Contracts over a store that measured all of two months. */
function measuredHouse(t: { teardown(end: () => void): void }) {
  const database = openDatabase(`${freshDir()}/household.db`, 'NORMAL', '');
  t.teardown(() => database.close());
  const configured = { provider: 'A', url: 'https://127.0.0.1:1', tariff: 'flex', offlineKey: `02${'ab'.repeat(32)}` };
  const clock = new DrivenClock(slotStartMs(FIRST));
  const contracts = new Contracts({ configured, ca: '', broker: null, clock, fromSlot: () => FIRST, log: () => {} });
  contracts.open(database);
  const unused = { commitments: {} as never, disclosures: {} as never };
  const bills = new Bills({
    contracts,
    ...unused,
    clock,
    log: {} as never,
    identifier: async () => null,
    say: () => {},
  });
  bills.open(database);
  const store = { measuredRange: () => ({ first: FIRST - 5, last: FIRST + 2 * SLOTS }) };
  return { contracts, parts: (month: number): BillPart[] => bills.parts(store as never, month) };
}

test('property: wherever contracts change, every slot is in one part, of the contract that has it', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 2 * SLOTS - 1 }), { maxLength: 6 }), (changes) => {
      const { contracts, parts } = measuredHouse(t);
      for (const [i, at] of [...changes].sort((a, b) => a - b).entries())
        contracts.begin(FIRST + at, { ...contracts.all[0].terms, provider: `P${i}` });
      let slot = FIRST;
      for (const month of [MONTH, MONTH + 1]) {
        for (const part of parts(month)) {
          t.is(part.firstSlot, slot, 'no gap, no overlap');
          t.is(contracts.at(part.firstSlot), part.contract);
          t.is(contracts.at(part.endSlot - 1), part.contract);
          slot = part.endSlot;
        }
        t.is(slot, monthFirstSlot(month + 1));
      }
    }),
    { numRuns: 40 },
  );
});

test('property: whatever parts arrive, in whatever order, the provider has each slot of a customer once', (t) => {
  const interval = fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 20 }))
    .map(([from, length]) => ({ firstSlot: FIRST + from, endSlot: FIRST + from + length }));
  const store = new BillStore(join(freshDir(), 'bills.sqlite'));
  t.teardown(() => store.close());
  let customers = 0;
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 15 }), (intervals) => {
      const customer = String(++customers);
      const billed = new Set<number>();
      for (const [i, part] of intervals.entries()) {
        const bytes = Buffer.alloc(161, i);
        const bill = { ...part, month: MONTH, feeMilliCent: i, currency: 'EUR', tariff: 'flex', priceNumber: 1 };
        const full = { ...bill, identifier: new Uint8Array(32), head: new Uint8Array(32) };
        const digest = store.add(customer, full, bytes, 'aa', 0);
        t.deepEqual(Buffer.from(store.add(customer, full, bytes, 'aa', 0)), Buffer.from(digest), 'twice is once');
        const slots = Array.from({ length: part.endSlot - part.firstSlot }, (_, n) => part.firstSlot + n);
        const taken = Buffer.compare(digest, billDigest(bytes)) === 0;
        t.is(taken, !slots.some((slot) => billed.has(slot)));
        if (taken) for (const slot of slots) billed.add(slot);
      }
    }),
    { numRuns: 30 },
  );
});
