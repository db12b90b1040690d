// Plan, cell, bundle and list: sizes that say nothing, and what is refused.
import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { HpkeError } from '../../../protocol/crypto/hpke.ts';
import {
  checkFollows,
  entryOf,
  ListError,
  listDigest,
  NO_LIST_BEFORE,
  openList,
  signList,
} from '../../../protocol/door/answer-list.ts';
import { bundleBytes, decodeBundle, encodeBundle } from '../../../protocol/door/bundle.ts';
import { cellBytes, entryBytes, openCell, openEntry, sealCell, sealEntry } from '../../../protocol/door/cell.ts';
import { destinationOf, openPlan, PlanForgedError } from '../../../protocol/door/plan.ts';
import { PART_BYTES, partOf, wholeList } from '../../../protocol/door/services.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';
import { testPlan } from './plan.ts';

const made = await testPlan();
const { plan, openers, listKeys } = made;
const [bank, centre] = plan.destinations;

test('the layouts have the lengths in their comments', (t) => {
  t.is(cellBytes(centre), 48 + 3 + 200);
  t.is(entryBytes(centre), 16 + 2 + 60 + 16);
  t.is(bundleBytes(plan), 37 + (48 + 3 + 40) + 2 * (48 + 3 + 200));
});

test('a plan is the same for all, or it is refused', async (t) => {
  t.deepEqual(openPlan(made.bytes, made.planKey.publicKey), plan);
  t.throws(() => openPlan(made.bytes, generateEd25519Key().publicKey), { instanceOf: PlanForgedError });
  for (let i = 0; i < made.bytes.length; i++) {
    const altered = Buffer.from(made.bytes);
    altered[i] ^= 1;
    const error = t.throws(() => openPlan(altered, made.planKey.publicKey), undefined, `byte ${i}`);
    t.true(error instanceof PlanForgedError || error instanceof MalformedError, `byte ${i}`);
  }
  t.throws(() => destinationOf(plan, 'elsewhere'), { message: 'the door leads to no elsewhere' });
  for (const [change, path] of [
    [{ destinations: [] }, 'plan.destinations'],
    [{ destinations: [centre, bank] }, 'plan.destinations[1].name'],
    [{ destinations: [{ ...bank, cells: 0 }] }, 'plan.destinations[0].cells'],
    [{ destinations: [{ ...bank, messageBytes: 0 }] }, 'plan.destinations[0].messageBytes'],
    [{ sendAfterMs: 900_000 }, 'plan.sendAfterMs'],
  ] as const)
    t.is((await t.throwsAsync(testPlan(change), { instanceOf: MalformedError })).path, path);
});

test('whatever is said, a cell has one length, never repeats, and only its party reads it', (t) => {
  fc.assert(
    fc.property(fc.option(fc.uint8Array({ maxLength: 200 })), (message) => {
      const { cell, answer } = sealCell(centre, message);
      t.is(cell.length, cellBytes(centre));
      t.notDeepEqual(sealCell(centre, message).cell, cell);
      const opened = openCell(centre, openers[1], cell);
      t.deepEqual(opened.message, message);
      t.deepEqual(opened.answer, answer, 'both sides know how to find the answer');
    }),
    { numRuns: 30 },
  );
  const { cell } = sealCell(centre, Buffer.from('x'));
  t.throws(() => openCell(centre, openers[0], cell), { instanceOf: HpkeError });
  t.throws(() => openCell({ ...bank, messageBytes: 200 }, openers[1], cell), { instanceOf: HpkeError }, 'another name');
  t.throws(() => sealCell(centre, Buffer.alloc(201)), { message: 'cell.content: is 201 bytes long, not 200' });
});

test('an answer is found by its household alone; without one an entry is nothing but random', (t) => {
  fc.assert(
    fc.property(fc.option(fc.uint8Array({ maxLength: 60 })), fc.integer({ min: 1, max: 2 ** 32 - 1 }), (text, n) => {
      const { answer } = sealCell(centre, Buffer.from('m'));
      const entry = sealEntry(centre, n, answer, text);
      t.is(entry.length, entryBytes(centre));
      t.deepEqual(openEntry(centre, n, answer, entry), text);
      t.is(openEntry(centre, n === 1 ? 2 : n - 1, answer, entry), null, 'it belongs to one list');
      t.is(openEntry(centre, n, sealCell(centre, null).answer, entry), null);
    }),
    { numRuns: 30 },
  );
});

test('a bundle is of the plan, whole and in one size', (t) => {
  const cells = (): Uint8Array[][] =>
    plan.destinations.map((to) => Array.from({ length: to.cells }, () => sealCell(to, null).cell));
  const bundle = { slot: 1_900_000, cells: cells() };
  const bytes = encodeBundle(plan, bundle);
  t.is(bytes.length, bundleBytes(plan));
  t.deepEqual(decodeBundle(plan, bytes), bundle);
  const other = { ...plan, digest: randomBytes(32) };
  t.throws(() => decodeBundle(other, bytes), { message: 'bundle.planDigest: is not that of the plan' });
  t.throws(() => decodeBundle(plan, bytes.subarray(0, -1)), { instanceOf: MalformedError });
  t.throws(() => decodeBundle(plan, Buffer.concat([bytes, Buffer.of(0)])), {
    message: 'bundle: 1 bytes more than the layout has',
  });
  t.throws(() => encodeBundle(plan, { ...bundle, cells: bundle.cells.toReversed() }), { instanceOf: MalformedError });
});

const listOf = (entries: Uint8Array[], change: object = {}): Uint8Array =>
  signList(
    centre,
    { number: 1, slot: 5, previous: NO_LIST_BEFORE, entries, notice: Buffer.from('hello'), ...change },
    listKeys[1].privateKey,
  );

test('a list: every entry is found, nothing of it can be changed, and the order tells nothing', (t) => {
  const entries = Array.from({ length: 50 }, () => randomBytes(entryBytes(centre)));
  const bytes = listOf(entries);
  t.deepEqual(bytes, listOf(entries.toReversed()));
  const list = openList(centre, bytes);
  t.is(Buffer.from(list.notice).toString(), 'hello');
  for (const entry of entries) t.deepEqual(entryOf(list, entry.subarray(0, 16)), entry);
  t.is(entryOf(list, randomBytes(16)), undefined);
  t.is(entryOf({ entries: [] }, randomBytes(16)), undefined);
  for (let i = 0; i < bytes.length; i += 7) {
    const altered = Buffer.from(bytes);
    altered[i] ^= 0x10;
    const error = t.throws(() => openList(centre, altered), undefined, `byte ${i}`);
    t.true(error instanceof ListError || error instanceof MalformedError, `byte ${i}: ${error}`);
  }
  t.throws(() => openList(bank, bytes), undefined, 'another destination');
  const forged = signList(
    centre,
    { number: 1, slot: 5, previous: NO_LIST_BEFORE, entries, notice: new Uint8Array() },
    generateEd25519Key().privateKey,
  );
  t.throws(() => openList(centre, forged), { instanceOf: ListError, message: /list\.signature/ });
});

test('lists are a chain', (t) => {
  const first = listOf([]);
  const head = { number: 1, digest: listDigest(first) };
  t.notThrows(() => checkFollows(head, openList(centre, listOf([], { number: 2, previous: head.digest }))));
  const skipped = openList(centre, listOf([], { number: 3, previous: head.digest }));
  t.throws(() => checkFollows(head, skipped), { instanceOf: ListError, message: 'list.number: is 3, not 2' });
  const other = openList(centre, listOf([], { number: 2, previous: randomBytes(32) }));
  t.throws(() => checkFollows(head, other), { message: 'list.previous: is not the digest of the list before' });
});

test('a list travels in parts', async (t) => {
  for (const length of [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES]) {
    const bytes = randomBytes(length);
    t.deepEqual(Buffer.from(await wholeList(async (part) => partOf(bytes, part)!, 1_000_000)), bytes, `${length}`);
  }
  t.is(partOf(Buffer.alloc(10), 1), undefined);
  await t.throwsAsync(
    wholeList(async () => ({ parts: 4000, bytes: Buffer.alloc(1) }), 1_000_000),
    { instanceOf: RangeError },
  );
});
