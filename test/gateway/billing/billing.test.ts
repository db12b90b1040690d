// A household billed end to end: the provider's real service, its prices, the growing bill, the one number that leaves.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { callService } from '../../../gateway/services/client.ts';
import { billDigest, decodeBill, verifyBill } from '../../../protocol/billing/bill.ts';
import { openPrices } from '../../../protocol/billing/prices.ts';
import { billCall, pricesCall } from '../../../protocol/billing/services.ts';
import { BilledHouse, FIRST, MONTH, SLOTS, startProvider } from './billed-house.ts';

const FLAT = { default: { import: [30_000], export: [8200] } };
const QUARTER = () => ({ importMwh: 250_000, exportMwh: 0 });
/** 28 days × 24 kWh × 30 000. */
const FLAT_FEE = 20_160_000;

test('a month: the bill grows daily, line by line; when it is over one number leaves, once', async (t) => {
  const provider = await startProvider(t, FLAT);
  const identifier = await provider.issuer.issue();
  const house = await new BilledHouse(provider, identifier).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + 4, QUARTER);
  await house.settle();
  t.like(house.bill(), { totalMilliCent: 30_000, state: 'growing', currency: 'EUR', waitsFor: null, priceVersion: 1 });
  t.deepEqual(house.bill().logState, { ok: true, reason: null });
  house.measure(FIRST + 2 * 96, QUARTER);
  await house.settle();
  t.like(house.bill(), { totalMilliCent: 1_440_000, state: 'growing' });
  t.deepEqual(
    house.bill().lines.map(({ importMwh, costMilliCent }) => [importMwh, costMilliCent]),
    [
      [24_000_000, 720_000],
      [24_000_000, 720_000],
    ],
  );
  t.deepEqual(provider.billing.bills(), [], 'nothing leaves before the month is over');
  house.measure(FIRST + SLOTS, QUARTER);
  await house.settle();
  await house.settle();
  t.like(house.bill(), { totalMilliCent: FLAT_FEE, state: 'acknowledged', waitsFor: null, priceVersion: 28 });
  t.like(provider.billing.bills(), [
    { customer: '4711', month: MONTH, feeMilliCent: FLAT_FEE, currency: 'EUR', tariff: 'flex' },
  ]);
  const { bytes } = house.billing.bills.kept(MONTH)!;
  t.true(verifyBill(bytes, identifier.publicKey));
  t.is(decodeBill(bytes).feeMilliCent, FLAT_FEE);
  await house.restart();
  await house.settle();
  t.is(provider.billing.bills().length, 1);
  // and the next month grows
  house.measure(FIRST + SLOTS + 8, QUARTER);
  t.like(house.bill(MONTH + 1), { totalMilliCent: 60_000, state: 'growing' });
});

test('dynamic prices and photovoltaics, known in advance', async (t) => {
  const import_ = Array.from({ length: 96 }, (_, i) => 20_000 + 100 * i);
  const provider = await startProvider(t, { default: { import: import_, export: [8200] } });
  const house = await new BilledHouse(provider, await provider.issuer.issue()).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS, (slot) => ({
    importMwh: 250_000,
    exportMwh: slot % 96 >= 40 && slot % 96 < 60 ? 400_000 : 0,
  }));
  await house.settle();
  await house.settle();
  const [bill] = provider.billing.bills();
  t.is(bill.feeMilliCent, 28 * 594_000 - 28 * 20 * 3280);
  t.like(house.bill().lines[5], { costMilliCent: 594_000, creditMilliCent: 65_600 });
  // all of the next day is known from noon on
  house.measure(FIRST + SLOTS + 70, QUARTER);
  await house.settle();
  const tomorrow = house.billing.prices(FIRST + SLOTS + 96, FIRST + SLOTS + 500);
  t.is(tomorrow.length, 96);
  t.like(tomorrow[7], { slot: FIRST + SLOTS + 103, importMilliCentPerKwh: 20_700, exportMilliCentPerKwh: 8200 });
});

test('what the provider keeps of a bill is the fee: no energy, no line, nothing of the prices', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, await provider.issuer.issue()).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS, QUARTER);
  await house.settle();
  await house.settle();
  t.deepEqual(Object.keys(provider.billing.bills()[0]).sort(), [
    'currency',
    'customer',
    'endSlot',
    'feeMilliCent',
    'firstSlot',
    'month',
    'priceNumber',
    'receivedMs',
    'tariff',
  ]);
  const { bytes } = house.billing.bills.kept(MONTH)!;
  t.is(bytes.length, 161, 'as long as any other');
});

test('the provider is away: the bill waits, and goes when it is back; killed between bill and acknowledgement it goes again', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, await provider.issuer.issue()).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS - 1, QUARTER);
  house.provider.billing.advance(house.clock.nowMs() + 900_000);
  house.billing.feed.tick();
  await house.billing.feed.idle();
  const { advance } = provider.billing;
  await provider.billing.close();
  provider.billing.advance = () => {};
  house.measure(FIRST + SLOTS, QUARTER);
  provider.billing.advance = advance;
  await house.settle();
  t.like(house.bill(), { state: 'sent', totalMilliCent: FLAT_FEE });
  t.regex(house.bill().waitsFor!, /^127\.0\.0\.1: /);
  await provider.start();
  await house.restart();
  await house.settle();
  t.is(house.bill().state, 'acknowledged');
  // the acknowledgement is lost with the process: the same bytes go again, the same answer comes
  const { bytes } = house.billing.bills.kept(MONTH)!;
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  database.exec('UPDATE bills SET acknowledged_ms = NULL');
  database.close();
  await house.restart();
  await house.settle();
  t.is(house.bill().state, 'acknowledged');
  t.deepEqual(house.billing.bills.kept(MONTH)!.bytes, bytes);
  t.is(provider.billing.bills().length, 1);
});

test('a bill that was lost with the disk is computed again and says the same, whatever came after its month', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, await provider.issuer.issue()).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS, QUARTER);
  await house.settle();
  await house.settle();
  const { bytes } = house.billing.bills.kept(MONTH)!;
  house.measure(FIRST + SLOTS + 100, QUARTER);
  await house.stop();
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  database.exec('DELETE FROM bills');
  database.close();
  await house.start();
  await house.settle();
  t.deepEqual(billDigest(house.billing.bills.kept(MONTH)!.bytes), billDigest(bytes));
  t.is(house.bill().state, 'acknowledged');
  t.is(provider.billing.bills().length, 1);
});

test('another bill for the same month is refused, and the customer sees why', async (t) => {
  const provider = await startProvider(t, FLAT);
  const identifier = await provider.issuer.issue();
  const houses = [new BilledHouse(provider, identifier), new BilledHouse(provider, identifier)];
  for (const [i, house] of houses.entries()) {
    await house.start();
    t.teardown(() => house.stop());
    house.measure(FIRST + SLOTS, () => ({ importMwh: 250_000 - i, exportMwh: 0 }));
    await house.settle();
    await house.settle();
  }
  t.is(houses[0].bill().state, 'acknowledged');
  t.like(houses[1].bill(), { state: 'sent', waitsFor: 'another bill of this customer for this time is here already' });
  t.is(houses[1].billing.bills.pending, 0, 'it is not sent for ever');
  t.deepEqual(
    provider.billing.bills().map(({ feeMilliCent }) => feeMilliCent),
    [FLAT_FEE],
  );
});

test('a log that was changed is not billed', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, await provider.issuer.issue()).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS, QUARTER);
  await house.stop();
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  database.exec(`UPDATE quarter_hours SET end_import_mwh = start_import_mwh WHERE slot = ${FIRST + 40}`);
  database.close();
  await house.start();
  await house.settle();
  await house.settle();
  const bill = house.bill();
  t.deepEqual(bill.logState, { ok: false, reason: 'entry 41 of the log was changed' });
  t.is(bill.waitsFor, 'entry 41 of the log was changed');
  t.is(bill.state, 'growing');
  t.deepEqual(provider.billing.bills(), []);

  // the customer was told, and lets a new chain begin: what is stored now is billed, and everybody can see that it was so
  const state = await house.billing.beginLogAnew();
  const why = 'entry 41 of the log was changed';
  t.like(state, { ok: true, reason: null, begunAnew: { times: 1, why } });
  t.like(house.billing.report(), { log: { entries: SLOTS, waiting: 0, late: SLOTS } });
  await house.settle();
  await house.settle();
  t.like(house.bill(), { state: 'acknowledged', totalMilliCent: FLAT_FEE - 7500 });
  await t.throwsAsync(house.billing.beginLogAnew(), { message: /the record is in order/ });
  const kept = new DatabaseSync(join(house.dir, 'household.db'));
  t.like(kept.prepare('SELECT count(*) AS n FROM old_log').get(), { n: SLOTS });
  await house.stop();
  // who removes the note of it has not removed the anchor's
  kept.exec('DELETE FROM old_chains');
  kept.close();
  await house.start();
  await house.settle();
  t.deepEqual(house.bill().logState, { ok: true, reason: null, begunAnew: { times: 1, atMs: null, why: null } });
});

test('a household that is not initialised yet, or whose TPM is away, bills later', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, null).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS, QUARTER);
  await house.settle();
  await house.settle();
  t.like(house.bill(), { state: 'growing', waitsFor: 'the initialisation of this household' });
  const identifier = await provider.issuer.issue();
  house.identifier = {
    ...identifier,
    sign: async () => {
      throw new Error('the TPM went away');
    },
  };
  await house.restart();
  await house.settle();
  t.is(house.bill().waitsFor, 'the security chip: the TPM went away');
  house.identifier = identifier;
  await house.restart();
  await house.settle();
  t.is(house.bill().state, 'acknowledged');
});

test('the provider refuses what it must', async (t) => {
  const provider = await startProvider(t, FLAT);
  const owner = await provider.issuer.issue();
  const house = await new BilledHouse(provider, owner).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + SLOTS, QUARTER);
  house.identifier = null;
  await house.settle();
  house.identifier = owner;
  // the gateway's own way, but with its hand held before it sends
  const send = async (bill: Uint8Array, signer = owner) => {
    const { url, caFile } = provider.prepared.gateway.provider;
    const { readFileSync } = await import('node:fs');
    return callService({
      url,
      ca: readFileSync(caFile, 'utf8'),
      path: billCall.path,
      answer: billCall.answer,
      body: { bill },
      identity: { ...signer, audience: 'provider', nowMs: () => house.clock.nowMs() },
    });
  };
  const { signBill, headDigest, identifierReference } = await import('../../../protocol/billing/bill.ts');
  const good = {
    month: MONTH,
    firstSlot: FIRST,
    endSlot: FIRST + SLOTS,
    identifier: identifierReference(owner.publicKey),
    tariff: 'flex',
    currency: 'EUR',
    feeMilliCent: 100,
    priceNumber: 28,
    head: headDigest(Buffer.alloc(32)),
  };
  const signed = (more: Partial<typeof good>) => signBill({ ...good, ...more }, (m) => owner.sign(m));
  const stranger = await provider.issuer.issue({ customerNumber: '4712' } as never);
  const abroad = await provider.issuer.issue({ provider: 'Loud Power' } as never);
  const cases: [string, Uint8Array, typeof owner, RegExp][] = [
    [
      'too early',
      await signed({ month: MONTH + 1, firstSlot: FIRST + SLOTS, endSlot: FIRST + SLOTS + 96 }),
      owner,
      /not over yet/,
    ],
    ['tariff', await signed({ tariff: 'night' }), owner, /bill\.tariff is none of ours/],
    ['currency', await signed({ currency: 'CHF' }), owner, /bill\.currency is CHF, not EUR/],
    ['prices of tomorrow', await signed({ priceNumber: 99 }), owner, /bill\.priceNumber/],
    ['somebody else', await signed({}), stranger, /bill\.identifier/],
    ['another provider', await signed({}), abroad, /names another provider/],
    ['altered', Buffer.from(await signed({})).fill(1, 53, 60), owner, /bill\.signature/],
    ['malformed', (await signed({})).subarray(1), owner, /bill\.endSlot/],
  ];
  for (const [what, bytes, signer, message] of cases) await t.throwsAsync(send(bytes, signer), { message }, what);
  t.deepEqual(provider.billing.bills(), []);
  const first = await send(await signed({}));
  t.deepEqual(await send(await signed({})), first, 'twice, with another signature');
  await t.throwsAsync(send(await signed({ feeMilliCent: 99 })), { message: /another bill of this customer/ });
  t.is(provider.billing.bills().length, 1);
});

test('prices reach the book in whatever order they are heard; forged and old ones change nothing', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, null).start();
  t.teardown(() => house.stop());
  house.billing.feed.ask();
  await house.billing.idle();
  t.is(house.billing.book.held!.number, 1);
  provider.billing.advance(house.clock.nowMs() + 5 * 86_400_000);
  const [, second, , , fifth] = provider.published;
  const forged = Buffer.from(second);
  forged[30] ^= 1;
  house.billing.feed.heard(forged);
  t.is(house.billing.book.held!.number, 1);
  t.regex(house.billing.feed.trouble!, /prices were refused: prices\.signature/);
  house.billing.feed.heard(fifth); // a gap: it asks
  await house.billing.idle();
  t.is(house.billing.book.held!.number, 6);
  t.is(house.billing.feed.trouble, null);
  house.billing.feed.heard(second);
  t.regex(house.billing.feed.trouble!, /is 2, older than 6, which was taken before/);
  house.billing.feed.heard(Buffer.alloc(0));
  house.billing.feed.heard(provider.published[5]);
  t.is(house.billing.book.held!.number, 6);
  const held = house.billing.book.at(FIRST)!;
  await house.restart();
  t.deepEqual(house.billing.book.at(FIRST), held);
});

test('prices that were altered on the disk are thrown away and asked for again', async (t) => {
  const provider = await startProvider(t, FLAT);
  const house = await new BilledHouse(provider, null).start();
  t.teardown(() => house.stop());
  house.measure(FIRST + 4 * 96, QUARTER);
  await house.settle();
  await house.settle();
  const { held } = house.billing.book;
  await house.stop();
  const database = new DatabaseSync(join(house.dir, 'household.db'));
  const { bytes } = database.prepare('SELECT bytes FROM price_lists WHERE number = 3').get() as { bytes: Uint8Array };
  bytes[40] ^= 1;
  database.prepare('UPDATE price_lists SET bytes = ? WHERE number = 3').run(bytes);
  database.close();
  await house.start();
  t.is(house.billing.book.held!.number, 2);
  t.is(held!.number, 5);
  t.true(house.said.some((line) => /price list 3 on the disk is thrown away: prices\.signature/.test(line)));
  t.like(house.bill(), { waitsFor: 'the prices of 192 quarter hours' });
  house.billing.feed.ask();
  await house.billing.idle();
  t.deepEqual(house.billing.book.held, held);
});

test('the provider signs each day once, across restarts, and says what is wrong with its plan', async (t) => {
  const provider = await startProvider(t, { days: { '2026-02-01': { import: [30_000], export: [0] } } });
  const nowMs = FIRST * 900_000;
  provider.billing.advance(nowMs);
  provider.billing.advance(nowMs + 1000);
  t.is(provider.published.length, 1);
  provider.billing.advance(nowMs + 86_400_000 / 2); // no prices for tomorrow yet
  t.deepEqual(provider.billing.prices(), [{ tariff: 'flex', number: 1, endSlot: FIRST + 96 }]);
  const { writePlan } = await import('./billed-house.ts');
  writePlan(provider, { default: { import: [4999], export: [0] } });
  provider.billing.advance(nowMs + 86_400_000 / 2);
  t.is(provider.billing.prices()[0].number, 1, 'below the least price of its own tariff');
  writePlan(provider, { default: { import: [30_000], export: [0] } });
  provider.billing.advance(nowMs + 86_400_000 / 2);
  await provider.billing.close();
  await provider.start();
  provider.billing.advance(nowMs + 86_400_000);
  t.deepEqual(provider.billing.prices(), [{ tariff: 'flex', number: 2, endSlot: FIRST + 192 }]);
  t.is(provider.published.length, 2);
  const { lists } = await callService({
    url: provider.prepared.gateway.provider.url,
    ca: (await import('node:fs')).readFileSync(provider.prepared.gateway.provider.caFile, 'utf8'),
    path: pricesCall.path,
    answer: pricesCall.answer,
    body: { tariff: 'flex', after: 0, fromSlot: FIRST },
  });
  t.deepEqual(
    lists.map((bytes) => Buffer.from(bytes)),
    provider.published.map((bytes) => Buffer.from(bytes)),
  );
  t.truthy(openPrices);
});
