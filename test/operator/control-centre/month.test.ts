// A month with the control centre, in both modes: registered, sold, credited, paid.
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { acceptedEntry, openAcceptanceList } from '../../../protocol/selling/acceptance-list.ts';
import { SALE_ACCEPTED, SALE_USED } from '../../../protocol/selling/messages.ts';
import { openStatement } from '../../../protocol/selling/statement.ts';
import { openTerms, openWeights } from '../../../protocol/selling/terms.ts';
import {
  AMOUNT,
  BEGAN_MS,
  DAY_MS,
  identityOf,
  M_OF_N,
  MONTH,
  opens,
  registered,
  SELLING_MS,
  SLOT_MS,
  SOLD_MS,
  slotOf,
  startCentre,
  TestMeter,
  VALUE,
} from './rig.ts';

test('receipt mode: what is sold is credited to the credential, opens nothing, and is paid', async (t) => {
  const opened: number[] = [];
  const rig = await startCentre(t, {
    verifyOpenedSum: ({ sumMicrocredits, opening }) => {
      opened.push(sumMicrocredits);
      return opening.length === 1;
    },
  });
  const { centre } = rig;
  const [anna, ben] = await registered(rig, 2);
  for (const credential of anna.credentials.slice(0, 3)) t.is(await anna.sell(credential), SALE_ACCEPTED);
  t.is(await ben.sell(ben.credentials[0]), SALE_ACCEPTED);
  t.is(await anna.sell(anna.credentials[0]), SALE_USED, 'not twice');

  await t.throwsAsync(centre.deposits.deposit(anna.customer, anna.deposit()), { message: /last slot/ });
  await centre.advance(SOLD_MS);
  const deposit = anna.deposit();
  const half = { ...deposit, receipts: deposit.receipts.slice(0, 2) };
  t.deepEqual(await centre.deposits.deposit(anna.customer, half), { missing: 1 });
  t.deepEqual(await centre.deposits.deposit(anna.customer, half), { missing: 1 }, 'a part may come again');
  const answer = await centre.deposits.deposit(anna.customer, { ...deposit, receipts: deposit.receipts.slice(2) });
  t.true('statement' in answer);
  const announcement = rig.key('selling-announcement').publicKey;
  const statement = openStatement((answer as { statement: Uint8Array }).statement, announcement);
  t.like(statement, { customer: anna.customer, count: 3, month: MONTH, value: VALUE });
  t.deepEqual(Buffer.from(statement.root), Buffer.from(deposit.root));
  const again = (await centre.deposits.deposit(anna.customer, deposit)) as { statement: Uint8Array };
  t.is(hex(again.statement), hex((answer as typeof again).statement), 'the same deposit, the same statement');
  t.is(
    await centre.deposits.deposit(anna.customer, anna.deposit(anna.receipts.slice(1))).catch((e) => e.code),
    'deposited',
  );

  const { keyId } = deposit;
  const settle = (customer: string, sum: number, opening = Buffer.of(1)) =>
    centre.settlement.settle(customer, { keyId, sumMicrocredits: String(sum), opening });
  const exact = 3 * VALUE * 1_000_000;
  t.throws(() => settle(anna.customer, exact - 1), { message: /exports are worth less/ });
  t.throws(() => settle(anna.customer, exact, Buffer.alloc(0)), { message: /does not prove/ });
  t.throws(() => settle(ben.customer, exact), { message: /neither deposit/ });
  const paid = settle(anna.customer, exact + 7);
  t.deepEqual(paid, { count: 3, credits: 15, milliCent: 12_000, carriedMicrocredits: 7 });
  t.deepEqual(settle(anna.customer, exact + 7), paid, 'again, the same');
  t.throws(() => settle(anna.customer, exact + 8), { message: /settled already/ });
  t.like(centre.settlement.payments()[0], { customer: anna.customer, credits: 15, compared: true });
  t.deepEqual(opened.length, 3);
});

test('m of n: claims are opened in part, counted against L2, and credited; what was never shown is returned', async (t) => {
  const rig = await startCentre(t, { with: M_OF_N });
  const { centre } = rig;
  const meters = await registered(rig, 2);
  const [anna, ben] = meters;
  for (const credential of anna.credentials.slice(0, 4)) t.is(await anna.sell(credential), SALE_ACCEPTED);
  t.is(await ben.sell(ben.credentials[0]), SALE_ACCEPTED);
  t.is(anna.receipts.length, 0);
  await centre.advance(SOLD_MS);

  const { keyId } = rig.key('selling-credential');
  const list = anna.usedList(anna.credentials.slice(0, 4));
  const part = { ...list.request, entries: list.request.entries.slice(0, 3) };
  t.deepEqual(centre.reconciliation.takeList(anna.customer, part), { state: 'list', missing: 1 });
  const challenge = centre.reconciliation.takeList(anna.customer, {
    ...list.request,
    at: 3,
    entries: list.request.entries.slice(3),
  });
  t.is(challenge.state, 'challenge');
  t.is(challenge.state === 'challenge' && challenge.indices.length, 2, 'half of them');
  t.deepEqual(centre.reconciliation.takeList(anna.customer, list.request), challenge, 'chosen once');
  t.deepEqual(anna.reveal(list, challenge), { state: 'waiting' });
  const bens = ben.usedList(ben.credentials.slice(0, 1));
  t.deepEqual(ben.reveal(bens, centre.reconciliation.takeList(ben.customer, bens.request)), { state: 'waiting' });

  const unused = anna.credentials.slice(4).map(({ bid, seed }) => ({ bid, seed }));
  t.deepEqual(await centre.reconciliation.giveBack(anna.customer, { keyId, unused }), { returned: 2 });
  t.deepEqual(await centre.reconciliation.giveBack(anna.customer, { keyId, unused }), { returned: 2 }, 'once');
  const shown = { keyId, unused: [{ bid: anna.credentials[0].bid, seed: anna.credentials[0].seed }] };
  await t.throwsAsync(centre.reconciliation.giveBack(anna.customer, shown), { message: /was shown/ });
  t.deepEqual(centre.reconciliation.counts(keyId), { registered: 12, returned: 2, lapsed: 0, claimed: 5, used: 5 });

  await centre.advance(SOLD_MS + 5 * DAY_MS);
  t.deepEqual(centre.reconciliation.state(anna.customer, keyId), { state: 'credited', count: 4 });
  t.is(centre.reconciliation.credited(ben.customer, keyId), 1);
  const paid = centre.settlement.settle(anna.customer, {
    keyId,
    sumMicrocredits: String(4 * VALUE * 1_000_000),
    opening: new Uint8Array(),
  });
  t.like(paid, { count: 4, credits: 20 });
  t.false(centre.settlement.payments()[0].compared, 'and says that nothing was held against it');
});

test('everybody gets the same amount, and nobody sells before registration has closed for all', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const meter = new TestMeter(rig, 'utility/1');
  await t.throwsAsync(meter.register(), { message: /not set up/ });
  meter.setUp();
  await t.throwsAsync(meter.register(AMOUNT + 1), { message: /everybody registers 6/ });
  await meter.register();
  const { sealed, plaintext } = meter.sale(meter.credentials[0], slotOf(BEGAN_MS));
  t.is(await centre.handle(sealed), null, 'no answer yet: it comes again');
  await centre.advance(BEGAN_MS + 2 * SLOT_MS);
  t.is(opens(plaintext, (await centre.handle(sealed))!)!.code, SALE_ACCEPTED);
  const late = new TestMeter(rig, 'utility/2');
  late.setUp();
  await t.throwsAsync(late.register(), { message: /is over, for everybody/ });
});

test('the same registration gets the same signatures; other bytes for the same credential get none', async (t) => {
  const rig = await startCentre(t);
  const meter = new TestMeter(rig, 'utility/1');
  meter.setUp();
  const seeds = [randomBytes(32), randomBytes(32)];
  const request = meter.registration(seeds.map((seed) => [seed]));
  const { registration } = rig.centre;
  const [first, second] = await Promise.all([
    registration.register(meter.customer, request),
    registration.register(meter.customer, request),
  ]);
  t.deepEqual(first, second);
  t.deepEqual(await registration.register(meter.customer, request), first);
  const other = meter.registration([[seeds[0]], [randomBytes(32)]]);
  await t.throwsAsync(registration.register(meter.customer, other), { message: /candidates\.1.*with other bytes/ });
  t.is(rig.centre.books.counters.read().credentialsSigned! >= 2, true);
});

test('terms, weights and acceptance lists: signed, chained, sorted, for everybody', async (t) => {
  const rig = await startCentre(t);
  const { centre } = rig;
  const [anna] = await registered(rig, 1);
  const announcement = rig.key('selling-announcement').publicKey;
  const { terms, weights } = centre.announcements.documents();
  t.is(openTerms(terms[0], announcement).amount, AMOUNT);
  t.is(openWeights(weights[0], announcement).weights[0], 100);
  for (const credential of anna.credentials.slice(0, 3)) await anna.sell(credential);
  t.is(centre.announcements.list(null), undefined, 'not before the epoch is over');
  await centre.advance(SELLING_MS + SLOT_MS);
  const first = centre.announcements.list(null)!;
  const list = openAcceptanceList(first.bytes, announcement);
  const key = rig.key('selling-credential');
  const expected = anna.credentials.slice(0, 3).map(({ candidate }) => acceptedEntry(identityOf(key, candidate.id)));
  t.deepEqual(list.entries.map(hex), expected.map(hex).sort());
  t.deepEqual(hex(list.keysetDigest), hex(centre.books.keys.digest));
  await anna.sell(anna.credentials[3]);
  await centre.advance(SELLING_MS + 2 * SLOT_MS);
  const next = openAcceptanceList(centre.announcements.list(null)!.bytes, announcement);
  t.not(hex(next.previous), hex(list.previous));
  t.deepEqual(centre.announcements.list(first.epoch), first, 'never made again');
  t.throws(() => centre.announcements.announce({ firstSlot: slotOf(SELLING_MS), weights: settings96(7) }), {
    message: /before they count/,
  });
  const tomorrow = slotOf(BEGAN_MS + DAY_MS);
  t.deepEqual(centre.announcements.announce({ firstSlot: tomorrow, weights: settings96(7) }), { number: 2 });
  t.throws(
    () => centre.announcements.announce({ firstSlot: tomorrow + 96, weights: [...settings96(1).slice(1), 101] }),
    {
      message: /100 times their median/,
    },
  );
});

const settings96 = (weight: number): number[] => new Array(96).fill(weight);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
