// The collector's steps over its real store, without processes: what it takes, refuses, releases and forgets.
import test from 'ava';
import { shuffled } from '../../operator/collector/steps.ts';
import { batchDigest, encodeBatchAnswer, expecting } from '../../protocol/readings/batch.ts';
import { openReading } from '../../protocol/readings/reading.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { DAY_MS, SLOT_MS, SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { TestAuthority } from '../support/authority.ts';
import { acknowledge, batchesOf, GRACE_MS, macKey, provider, report, setUp, verdicts } from './collector-bench.ts';
import { AREA, afterSlot, closed, START_MS, START_SLOT, TestHousehold } from './grid.ts';

test('a slot becomes one batch when its grace is over, with everything but the sealed readings stripped', async (t) => {
  const households = [new TestHousehold(), new TestHousehold(), new TestHousehold()];
  const { collector, store } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  const submissions = await Promise.all(households.map((h, i) => report(h, START_SLOT, 50 * i)));
  t.deepEqual(verdicts(collector, ...submissions), ['stored', 'stored', 'stored']);
  collector.advance(closed(START_SLOT) - 1000);
  t.deepEqual(batchesOf(store), [], 'not a moment too early');
  collector.advance(closed(START_SLOT));
  const [batch, ...more] = batchesOf(store);
  t.deepEqual(more, []);
  t.like(batch, { kind: 'regular', slot: START_SLOT, area: AREA, counter: 1, epoch: monthOf(START_MS) });
  const readings = await Promise.all(
    batch.items.map((item) => openReading(item, START_SLOT, AREA, provider.privateKey)),
  );
  t.deepEqual(
    readings.map(({ importWh }) => importWh).sort((a, b) => a - b),
    [0, 50, 100],
  );
});

test('areas are kept apart', async (t) => {
  const households = [new TestHousehold(), new TestHousehold('south-2')];
  const { collector, store } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  const [north, south] = await Promise.all(households.map((h) => report(h, START_SLOT)));
  collector.accept([
    { area: AREA, bytes: north },
    { area: 'south-2', bytes: south },
  ]);
  collector.advance(closed(START_SLOT));
  t.deepEqual(
    batchesOf(store)
      .map(({ area, items }) => [area, items.length])
      .sort(),
    [
      [AREA, 1],
      ['south-2', 1],
    ],
  );
});

test('the same bytes get the same answer, other bytes for the slot are refused, across restarts', async (t) => {
  const household = new TestHousehold();
  const { collector, store, reopen } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  const first = await report(household, START_SLOT, 100);
  const second = await report(household, START_SLOT, 100);
  t.deepEqual(verdicts(collector, first, first, second), ['stored', 'stored', 'conflict'], 'in one transaction');
  t.deepEqual(verdicts(collector, first, second), ['stored', 'conflict'], 'in the next');
  store.close();
  const after = reopen();
  after.collector.advance(afterSlot(START_SLOT));
  t.deepEqual(verdicts(after.collector, second, first), ['conflict', 'stored'], 'after a restart');
  after.collector.advance(closed(START_SLOT) + SLOT_MS);
  t.deepEqual(verdicts(after.collector, first, second), ['stored', 'conflict'], 'after the slot has closed');
  t.deepEqual(
    batchesOf(after.store).map(({ items }) => items.length),
    [1],
  );
  t.is(after.collector.deliveries().stored, 1);
});

test("a sealed reading that a neighbour copies is not taken as the neighbour's own", async (t) => {
  const [victim, copycat] = [new TestHousehold(), new TestHousehold()];
  const { collector } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  const bytes = await report(victim, START_SLOT);
  const sealed = bytes.subarray(bytes.length - 128, bytes.length - 64);
  t.deepEqual(verdicts(collector, bytes, await copycat.submissionOf(START_SLOT, sealed, provider.publicKey)), [
    'stored',
    'conflict',
  ]);
});

test('what is not to be believed is refused, each for its own reason, and changes nothing', async (t) => {
  const [household, elsewhere] = [new TestHousehold(), new TestHousehold('south-2')];
  const stranger = new TestHousehold(AREA, await TestAuthority.create());
  const { collector, store } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  const good = await report(household, START_SLOT);
  const forged = Uint8Array.from(good);
  forged[forged.length - 1] ^= 1;
  const otherSealed = Uint8Array.from(good);
  otherSealed[otherSealed.length - 100] ^= 1;
  const badCertificate = Uint8Array.from(good);
  badCertificate[5 + 103 + AREA.length + 139 - 1] ^= 1;
  t.deepEqual(verdicts(collector, good.subarray(1), new Uint8Array(), Buffer.concat([good, good])), [
    'malformed',
    'malformed',
    'malformed',
  ]);
  t.deepEqual(verdicts(collector, forged, otherSealed), ['badSignature', 'badSignature']);
  t.deepEqual(verdicts(collector, badCertificate), ['badCertificate']);
  t.deepEqual(verdicts(collector, await report(stranger, START_SLOT)), ['badPseudonym']);
  t.deepEqual(verdicts(collector, await report(elsewhere, START_SLOT)), ['wrongArea'], 'on the topic of another area');
  t.deepEqual(verdicts(collector, await report(household, START_SLOT + 2)), ['tooEarly']);
  t.is(store.waiting(), 0);
  t.is(collector.deliveries().stored, 0);
  t.is(collector.deliveries().rejected, 8);
  t.deepEqual(verdicts(collector, good), ['stored'], 'and the good one is still good');
});

test('an outage of the collector itself makes nobody late: the grace begins again', async (t) => {
  const household = new TestHousehold();
  const { collector, store, reopen } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  store.close();
  const { collector: back, store: backStore } = reopen();
  const outage = START_SLOT + 8;
  back.advance(afterSlot(outage));
  for (let slot = START_SLOT; slot <= outage; slot++)
    t.deepEqual(verdicts(back, await report(household, slot)), ['stored']);
  t.deepEqual(batchesOf(backStore), []);
  back.advance(closed(outage));
  t.deepEqual(
    batchesOf(backStore).map(({ kind, slot }) => [kind, slot]),
    Array.from({ length: 9 }, (_, i) => ['regular', START_SLOT + i]),
  );
  t.is(back.deliveries().late, 0);
});

test('what comes late waits for the settlement and is released only where k are late', async (t) => {
  const households = Array.from({ length: 4 }, () => new TestHousehold());
  const { collector, store, reopen } = setUp(t);
  const [onTime, ...others] = households;
  const [three, two] = [START_SLOT, START_SLOT + 1];
  for (const slot of [three, two]) {
    collector.advance(afterSlot(slot));
    t.deepEqual(verdicts(collector, await report(onTime, slot)), ['stored']);
  }
  collector.advance(closed(two));
  t.is(batchesOf(store).length, 2);
  acknowledge(collector, store);

  for (const household of others) t.deepEqual(verdicts(collector, await report(household, three, 50)), ['stored']);
  for (const household of others.slice(1))
    t.deepEqual(verdicts(collector, await report(household, two, 50)), ['stored']);
  t.is(collector.deliveries().late, 5);
  t.is(store.waiting(), 0);
  const settlementMs = Date.UTC(2026, 3, 1) + 35 * DAY_MS;
  collector.advance(settlementMs - 1);
  t.deepEqual(batchesOf(store), [], 'no late reading leaves before');
  store.close();

  const back = reopen();
  back.collector.advance(settlementMs);
  back.collector.advance(settlementMs + GRACE_MS);
  const batches = batchesOf(back.store);
  t.deepEqual(
    batches.map(({ kind, slot, counter, epoch, items }) => ({ kind, slot, counter, epoch, items: items.length })),
    [{ kind: 'settlement', slot: three, counter: 3, epoch: monthOf(settlementMs), items: 3 }],
    'two late ones of the other slot stay hidden',
  );
  t.like(back.collector.deliveries(), { settled: 3, withheld: 2, late: 5, stored: 7 });
  t.deepEqual(verdicts(back.collector, await report(households[0], three)), ['tooLate']);
  t.deepEqual(verdicts(back.collector, await report(others[0], two)), ['tooLate'], 'and the month is over');
  back.collector.advance(settlementMs + 2 * DAY_MS);
  t.is(batchesOf(back.store).length, 1, 'settled once');
});

test('a new collector publishes nothing of the time before it', async (t) => {
  const household = new TestHousehold();
  const { collector, store } = setUp(t);
  t.deepEqual(verdicts(collector, await report(household, START_SLOT - 5 * SLOTS_PER_DAY)), ['stored']);
  collector.advance(START_MS + DAY_MS);
  t.deepEqual(batchesOf(store), []);
  t.is(collector.deliveries().late, 1);
});

test('the counter goes on over the end of a month, the epoch changes with it', async (t) => {
  const household = new TestHousehold();
  const { collector, store } = setUp(t);
  const lastOfMarch = Date.UTC(2026, 3, 1) / SLOT_MS - 1;
  for (const slot of [lastOfMarch - 1, lastOfMarch]) {
    collector.advance(afterSlot(slot));
    verdicts(collector, await report(household, slot));
    collector.advance(closed(slot));
  }
  t.deepEqual(
    batchesOf(store).map(({ counter, epoch }) => [counter, epoch]),
    [
      [1, 674],
      [2, 675],
    ],
  );
});

test('a batch is kept until an answer under the MAC says that this batch is on disk', async (t) => {
  const household = new TestHousehold();
  const { collector, store } = setUp(t);
  collector.advance(afterSlot(START_SLOT));
  verdicts(collector, await report(household, START_SLOT));
  collector.advance(closed(START_SLOT));
  const [{ bytes }] = store.batchesFrom('provider', 0, 1);
  const epoch = monthOf(START_MS);
  const digest = batchDigest(bytes);
  const stored = { status: 'stored' as const, epoch, counter: 1, digest };
  t.false(collector.answered('provider', encodeBatchAnswer(stored, Buffer.alloc(32, 8))), 'another key');
  t.false(
    collector.answered('provider', encodeBatchAnswer({ ...stored, digest: new Uint8Array(32) }, macKey)),
    'another batch',
  );
  t.false(collector.answered('provider', encodeBatchAnswer({ ...stored, status: 'refused' }, macKey)));
  t.false(collector.answered('provider', encodeBatchAnswer({ ...stored, counter: 2 }, macKey)));
  t.false(collector.answered('provider', new Uint8Array(9)));
  t.true(collector.answered('provider', encodeBatchAnswer(expecting(epoch, 1), macKey)), 'asks to send again');
  t.is(store.unacknowledged(), 1);
  t.deepEqual(collector.counters.read(), {
    answerForged: 1,
    answerMalformed: 1,
    answerOfAnotherBatch: 1,
    batchRefused: 1,
  });
  collector.answered('provider', encodeBatchAnswer(stored, macKey));
  collector.answered('provider', encodeBatchAnswer(stored, macKey));
  t.is(store.unacknowledged(), 0);
});

test('the shuffle reaches every order about equally often', (t) => {
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = shuffled([1, 2, 3]).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  t.is(counts.size, 6);
  // 1000 each, standard deviation 29: nine of them
  for (const count of counts.values()) t.true(Math.abs(count - 1000) < 260, `${[...counts]}`);
});
