// What customers, networks and kills do to the control centre: no credential lost, none spent twice, nobody credited for nothing.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { joinKeysets } from '../../../protocol/crypto/keyset.ts';
import { candidateOf } from '../../../protocol/selling/candidates.ts';
import { SALE_ACCEPTED, SALE_KEY, SALE_SLOT, SALE_USED, SALE_WEIGHTS } from '../../../protocol/selling/messages.ts';
import { CREDENTIAL } from '../../../protocol/selling/values.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';
import {
  AMOUNT,
  code,
  DAY_MS,
  inMode,
  M_OF_N,
  MONTH,
  makeOthers,
  opens,
  registered,
  SELLING_MS,
  SLOT_MS,
  SOLD_MS,
  settings,
  slotOf,
  startCentre,
  TestMeter,
  WINDOW_SLOTS,
} from './rig.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('cut-and-choose: a malformed candidate at each index is found out unless it is the one that is kept', async (t) => {
  const c = 4;
  const more = { terms: { ...settings.terms, candidatesEach: c, amount: 64 } };
  const rig = await startCentre(t, { with: { ...settings, ...more } });
  const meter = new TestMeter(rig, 'utility/1');
  meter.setUp();
  const { registration } = rig.centre;
  const key = rig.key('selling-credential');
  const ask = async (first: number, candidates: Uint8Array[]): Promise<number> => {
    const answer = await registration.register(meter.customer, meter.tagged(first, [candidates]));
    if (!('keep' in answer)) throw new Error('c is more than 1');
    return answer.keep[0];
  };
  let place = 0;
  for (let bad = 0; bad < c; bad++) {
    for (let found = false; !found; place++) {
      const seeds = Array.from({ length: c }, () => randomBytes(32));
      const candidates = seeds.map((seed) => candidateOf(CREDENTIAL, key, seed).blinded);
      // another value under the same blinding: what a cheat would have signed
      candidates[bad] = candidateOf(CREDENTIAL, { ...key, value: 500 }, seeds[bad]).blinded;
      const keep = await ask(place, candidates);
      t.is(await ask(place, candidates), keep, 'asking again does not choose again');
      if (keep === bad) continue;
      found = true;
      const opened = seeds.filter((_, j) => j !== keep);
      const at = bad < keep ? bad : bad - 1;
      const request = { keyId: key.keyId, first: place, seeds: [opened] };
      const refused = await t.throwsAsync(registration.open(meter.customer, request));
      t.regex(refused!.message, new RegExp(`seeds\\.0\\.${at}: .*not what its seed makes`));
      const again = await t.throwsAsync(registration.open(meter.customer, request));
      t.is(code(again), 'forfeited');
      const renewed = meter.tagged(place, [seeds.map((seed) => candidateOf(CREDENTIAL, key, seed).blinded)]);
      t.is(code(await t.throwsAsync(registration.register(meter.customer, renewed))), 'forfeited');
    }
  }
  // an honest one is signed, and signed once
  const seeds = Array.from({ length: c }, () => randomBytes(32));
  const keep = await ask(
    place,
    seeds.map((seed) => candidateOf(CREDENTIAL, key, seed).blinded),
  );
  const request = { keyId: key.keyId, first: place, seeds: [seeds.filter((_, j) => j !== keep)] };
  const { signed } = await registration.open(meter.customer, request);
  t.deepEqual(await registration.open(meter.customer, request), { signed });
  meter.take([seeds[keep]], signed);
  await rig.centre.advance(SELLING_MS);
  t.is(await meter.sell(meter.credentials[0]), SALE_ACCEPTED);
});

test("candidates that the customer's meter did not vouch for are not signed", async (t) => {
  const rig = await startCentre(t);
  const meter = new TestMeter(rig, 'utility/1');
  meter.setUp();
  const request = meter.registration([[randomBytes(32)], [randomBytes(32)]]);
  for (const change of [
    { first: 1 },
    { candidates: [...request.candidates].reverse() },
    { candidates: request.candidates.slice(1) },
    { tag: randomBytes(32) },
  ])
    t.is(
      code(await t.throwsAsync(rig.centre.registration.register(meter.customer, { ...request, ...change }))),
      'not proved',
    );
});

test('a credential is sold once, in its month, for its slots, by the weights of the slot', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const [meter] = await registered(rig, 1);
  const [a, b, c, d] = meter.credentials;
  t.is(await meter.sell(a), SALE_ACCEPTED);
  t.is(await meter.sell(a), SALE_USED, 'reused');
  t.is(await meter.sell(a, { slot: centre.books.slot }), SALE_USED, 'through another door, for another slot');
  const slot = slotOf(SELLING_MS);
  t.is(await meter.sell(b, { slot: slot - WINDOW_SLOTS - 1 }), SALE_SLOT);
  t.is(await meter.sell(b, { slot: slot + 1 }), null, 'a slot that has not begun: not yet');
  t.is(await meter.sell(b, { weightVersion: 2 }), SALE_WEIGHTS);
  t.is(await meter.sell(b, { keyId: rig.key('selling-receipt').keyId }), SALE_KEY, "another purpose's key");
  t.is(await meter.sell(b, { receiptKeyId: rig.key('selling-credential').keyId }), SALE_KEY);
  t.is(await meter.sell(b, { keyId: randomBytes(32) }), SALE_KEY);
  await centre.advance(SOLD_MS - 2 * SLOT_MS);
  const nextMonth = monthFirstSlot(MONTH + 1);
  t.is(await meter.sell(b, { slot: nextMonth }), SALE_KEY, 'wrong month');
  t.is(await meter.sell(b, { slot: nextMonth - 1 }), SALE_ACCEPTED, 'the last slot of its month, for D slots');
  await centre.advance(SOLD_MS + 2 * SLOT_MS);
  t.is(await meter.sell(c, { slot: nextMonth - 1 }), SALE_SLOT);
  t.is(await centre.handle(randomBytes(900)), null);
  const sealed = meter.sale(d, slot).sealed;
  sealed[300] ^= 1;
  t.is(await centre.handle(sealed), null, 'what was altered is nothing');
});

test('1,000 at once want to spend one credential: one wins, and gets the same bytes again', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const [meter] = await registered(rig, 1);
  const slot = centre.books.slot - 1;
  // 20 different sales, 50 times each
  const sales = Array.from({ length: 20 }, () => meter.sale(meter.credentials[0], slot));
  const all = Array.from({ length: 1000 }, (_, i) => sales[i % sales.length]);
  const answers = await Promise.all(all.map(({ sealed }) => centre.handle(sealed)));
  const codes = answers.map((answer, i) => opens(all[i].plaintext, answer!)!.code);
  const won = codes.flatMap((one, i) => (one === SALE_ACCEPTED ? [i % sales.length] : []));
  t.is(new Set(won).size, 1, 'one of the sales');
  t.is(won.length, 50, 'each time that it came');
  t.true(codes.every((one) => one === SALE_ACCEPTED || one === SALE_USED));
  const bytes = new Set(answers.flatMap((answer, i) => (i % sales.length === won[0] ? [hex(answer!)] : [])));
  t.is(bytes.size, 1, 'byte for byte');
  t.is(hex((await centre.handle(sales[won[0]].sealed))!), [...bytes][0]);
  t.is(centre.books.spent.count(MONTH), 1);
  await centre.advance(SELLING_MS + WINDOW_SLOTS * SLOT_MS + DAY_MS);
  t.is(hex((await centre.handle(sales[won[0]].sealed))!), [...bytes][0], 'long after the slot could be sold');
});

test('killed with kill -9 before and after the commit: the same sale gets its one answer', async (t) => {
  const rig = await startCentre(t);
  const [meter] = await registered(rig, 1);
  const { directory, file } = rig;
  const slot = rig.centre.books.slot - 1;
  const sales = [0, 1].map((i) => [0, 1].map(() => meter.sale(meter.credentials[i], slot)));
  await rig.centre.close();
  for (const [i, when] of ['before', 'after'].entries()) {
    const [{ sealed, plaintext }, again] = sales[i];
    const { signal, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, 'killed-centre.ts'), file, when, hex(sealed)],
      { encoding: 'utf8' },
    );
    t.is(signal, 'SIGKILL', stderr);
    const back = await startCentre(t, { directory, atMs: SELLING_MS });
    t.is(back.centre.books.spent.count(MONTH), i + (when === 'after' ? 1 : 0));
    const answer = await back.centre.handle(sealed);
    t.is(opens(plaintext, answer!)!.code, SALE_ACCEPTED);
    t.is(hex((await back.centre.handle(sealed))!), hex(answer!));
    t.is(opens(again.plaintext, (await back.centre.handle(again.sealed))!)!.code, SALE_USED);
    await back.centre.close();
  }
});

test('receipts: forged ones, others’, and those of somebody else credit nobody', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const [anna, ben] = await registered(rig, 2);
  for (const credential of anna.credentials.slice(0, 3)) await anna.sell(credential);
  await ben.sell(ben.credentials[0]);
  await centre.advance(SOLD_MS);
  const deposit = (meter: TestMeter, receipts = meter.receipts, change: object = {}) =>
    centre.deposits.deposit(meter.customer, { ...meter.deposit(receipts), ...change });
  const forged = [...ben.receipts, { id: randomBytes(32), signature: ben.receipts[0].signature }];
  t.regex((await t.throwsAsync(deposit(ben, forged)))!.message, /receipts\.1\.signature/);
  t.is(code(await t.throwsAsync(deposit(ben, ben.receipts, { root: randomBytes(32) }))), 'other receipts');
  // a neighbour's receipt is as good as one's own until he deposits it: which the opened sum then stops
  t.true('statement' in (await deposit(anna)));
  t.is(code(await t.throwsAsync(deposit(ben, [...ben.receipts, anna.receipts[0]]))), 'deposited');
  t.true('statement' in (await deposit(ben)), 'and his own are still there');
  t.is(code(await t.throwsAsync(deposit(ben, []))), 'deposited', 'once a month');
});

test('the same CID claimed by two customers is credited to one', async (t) => {
  const rig = await startCentre(t, { with: inMode(M_OF_N.terms.mode, { challengeShare: 1 }) });
  const { centre } = rig;
  const shared = randomBytes(32);
  const [anna, ben] = [new TestMeter(rig, 'utility/a'), new TestMeter(rig, 'utility/b')];
  for (const meter of [anna, ben]) {
    meter.setUp();
    await meter.register(2, [shared, randomBytes(32)]);
  }
  await centre.advance(SELLING_MS);
  t.is(await anna.sell(anna.credentials[0]), SALE_ACCEPTED);
  t.is(await ben.sell(ben.credentials[0]), SALE_USED, 'it is one credential');
  await centre.advance(SOLD_MS);
  const [hers, his] = [anna, ben].map((meter) => meter.usedList(meter.credentials.slice(0, 1)));
  t.deepEqual(anna.reveal(hers, centre.reconciliation.takeList(anna.customer, hers.request)), { state: 'waiting' });
  const found = ben.reveal(his, centre.reconciliation.takeList(ben.customer, his.request));
  t.is(found.state, 'refused');
  await centre.advance(SOLD_MS + 6 * DAY_MS);
  t.is(centre.reconciliation.credited(anna.customer, hers.request.keyId), 1);
  t.is(centre.reconciliation.credited(ben.customer, hers.request.keyId), null);
});

test('claims of what was never sold: m is doubled for all until they are found', async (t) => {
  const rig = await startCentre(t, { with: inMode(M_OF_N.terms.mode, { challengeShare: 0.01 }) });
  const { centre } = rig;
  const [anna, ben] = await registered(rig, 2);
  for (const credential of anna.credentials.slice(0, 5)) await anna.sell(credential);
  await ben.sell(ben.credentials[0]);
  await centre.advance(SOLD_MS);
  const { keyId } = rig.key('selling-credential');
  const honest = anna.usedList(anna.credentials.slice(0, 5));
  const cheat = ben.usedList(ben.credentials);
  let states = [anna, ben].map((meter, i) =>
    meter.reveal([honest, cheat][i], centre.reconciliation.takeList(meter.customer, [honest, cheat][i].request)),
  );
  let rounds = 0;
  for (; states.some(({ state }) => state === 'waiting' || state === 'challenge') && rounds < 6; rounds++) {
    await centre.advance(SOLD_MS + 6 * DAY_MS + rounds * SLOT_MS);
    states = [anna, ben].map((meter, i) =>
      meter.reveal([honest, cheat][i], centre.reconciliation.state(meter.customer, keyId)),
    );
  }
  await centre.advance(SOLD_MS + 6 * DAY_MS + 6 * SLOT_MS);
  t.deepEqual(centre.reconciliation.state(anna.customer, keyId), { state: 'credited', count: 5 });
  t.like(centre.reconciliation.state(ben.customer, keyId), { state: 'refused' });
});

test('a forged or shortened list of used credentials is refused; what was given back cannot be sold or claimed', async (t) => {
  const rig = await startCentre(t, { with: M_OF_N });
  const { centre } = rig;
  const [anna] = await registered(rig, 1);
  for (const credential of anna.credentials.slice(0, 3)) await anna.sell(credential);
  const list = anna.usedList(anna.credentials.slice(0, 3));
  const take = (change: object) => centre.reconciliation.takeList(anna.customer, { ...list.request, ...change });
  t.is(code(t.throws(() => take({}))), 'not yet');
  await centre.advance(SOLD_MS);
  const shortened = anna.taggedList(list.request.entries.slice(0, 2));
  t.is(code(t.throws(() => take({ ...shortened, tag: list.request.tag }))), 'forged list');
  t.is(code(t.throws(() => take({ count: 2 }))), 'forged list');
  t.is(code(t.throws(() => take({ lapsed: 1 }))), 'forged list');
  t.is(code(t.throws(() => take({ digest: randomBytes(32) }))), 'forged list');
  t.is(code(t.throws(() => take({ ...anna.taggedList(list.request.entries, AMOUNT) }))), 'too many');
  const exchanged = [randomBytes(32), ...list.request.entries.slice(1)];
  t.deepEqual(take({ entries: exchanged }), { state: 'list', missing: 3 }, 'exchanged on its way: all come again');
  const challenge = take({});
  t.is(challenge.state, 'challenge');
  const { keyId } = list.request;
  const unchosen = [0, 1, 2].find((i) => challenge.state === 'challenge' && !challenge.indices.includes(i))!;
  const reveal = (index: number, change: object = {}) =>
    centre.reconciliation.reveal(anna.customer, { keyId, reveals: [{ index, ...list.reveals[index], ...change }] });
  t.is(code(t.throws(() => reveal(unchosen))), 'not chosen');
  const chosen = challenge.state === 'challenge' ? challenge.indices[0] : -1;
  t.is(code(t.throws(() => reveal(chosen, { salt: randomBytes(32) }))), 'not committed');
  t.deepEqual(centre.reconciliation.state(anna.customer, keyId), challenge, 'and nothing has changed');

  const back = anna.credentials[4];
  await centre.reconciliation.giveBack(anna.customer, { keyId, unused: [{ bid: back.bid, seed: back.seed }] });
  t.is(await anna.sell(back, { slot: slotOf(SOLD_MS) - WINDOW_SLOTS }), SALE_USED);
});

test('a revoked key sells nothing; the one in its place is announced to all, and registration begins again', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const before = rig.keyset();
  const meter = new TestMeter(rig, 'utility/1');
  meter.setUp();
  await meter.register(1);
  makeOthers();
  await centre.revoke(rig.key('selling-credential').keyId);
  const after = joinKeysets(before, rig.keyset());
  t.is(after.number, before.number + 1);
  const [old] = meter.credentials;
  await t.throwsAsync(
    centre.registration.register(meter.customer, {
      ...meter.registration([[randomBytes(32)]]),
      keyId: before.keys[0].keyId,
    }),
  );
  await meter.register(1);
  await centre.advance(SELLING_MS);
  const oldKey = before.keys.find(({ purpose, month }) => purpose === 'selling-credential' && month === MONTH)!;
  t.is(await meter.sell(old, { keyId: oldKey.keyId }), SALE_KEY);
  t.is(await meter.sell(meter.credentials[1]), SALE_ACCEPTED);
});

test('when a month is over and settled, nothing of it is left but what was paid', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const [meter] = await registered(rig, 1, 2);
  await meter.sell(meter.credentials[0]);
  await centre.advance(SOLD_MS);
  const deposit = meter.deposit();
  await centre.deposits.deposit(meter.customer, deposit);
  const request = { keyId: deposit.keyId, sumMicrocredits: '5000000', opening: new Uint8Array() };
  centre.settlement.settle(meter.customer, request);
  await centre.advance(SOLD_MS + (settings.settlementDays + 1) * DAY_MS);
  const { database } = centre.books;
  for (const table of ['l1', 'accepted', 'lists', 'deposited', 'statements'])
    t.is(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n, 0, table);
  t.deepEqual(database.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'spent_%'").all(), []);
  t.is(centre.settlement.payments().length, 1);
  t.is(code(t.throws(() => centre.settlement.settle(meter.customer, request))), 'unknown key');
});
