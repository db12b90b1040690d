// Pseudonym certificates and attestation passes at the collector: whom it believes, and what becomes of a reading without a pass.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { NO_PASS } from '../../protocol/attestation/pass.ts';
import { generateBlindSigningKey } from '../../protocol/crypto/blind-rsa.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';
import { sealReading } from '../../protocol/readings/reading.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { DAY_MS, SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { acknowledge, batchesOf, provider, report, setUp, trust, verdicts } from './collector-bench.ts';
import {
  AREA,
  afterSlot,
  authority,
  bytesOf,
  closed,
  type HouseholdDay,
  START_DAY,
  START_MS,
  START_SLOT,
  startGrid,
  TestHousehold,
} from './grid.ts';

const NEXT_DAY = START_SLOT + SLOTS_PER_DAY;
const SETTLEMENT_MS = Date.UTC(2026, 3, 1) + 35 * DAY_MS;
const homes = (howMany: number, attested = true): TestHousehold[] =>
  Array.from({ length: howMany }, () => Object.assign(new TestHousehold(), { attested }));
const changed = async (household: TestHousehold, slot: number, change: Partial<HouseholdDay>): Promise<Uint8Array> =>
  household.submissionOf(
    slot,
    await sealReading({ slot, importWh: 50, exportWh: 0 }, AREA, provider.publicKey),
    provider.publicKey,
    change,
  );

test('a reading without a pass is stored, is in no regular batch, and waits for the settlement', async (t) => {
  const { collector, store } = setUp(t);
  const [good, bad] = [homes(3), homes(3, false)];
  collector.advance(afterSlot(START_SLOT));
  const submissions = await Promise.all([...good, ...bad].map((home) => report(home, START_SLOT)));
  t.deepEqual(verdicts(collector, ...submissions), Array(6).fill('stored'));
  t.like(collector.deliveries(), { stored: 6, heldBack: 3, late: 0, waiting: 3 });
  collector.advance(closed(START_SLOT));
  t.deepEqual(
    batchesOf(store).map(({ kind, items }) => [kind, items.length]),
    [['regular', 3]],
  );
  t.deepEqual(verdicts(collector, ...submissions), Array(6).fill('stored'), 'and the answer stays what it was');
  acknowledge(collector, store);
  collector.advance(SETTLEMENT_MS - 1);
  t.deepEqual(batchesOf(store), []);
  collector.advance(SETTLEMENT_MS);
  t.deepEqual(
    batchesOf(store).map(({ kind, slot, epoch, items }) => [kind, slot, epoch, items.length]),
    [['settlement', START_SLOT, monthOf(SETTLEMENT_MS), 3]],
  );
  t.like(collector.deliveries(), { settled: 3, withheld: 0 });
});

test('fewer than k without a pass are never released; late ones count with them', async (t) => {
  const { collector, store, reopen } = setUp(t);
  const [good, bad, late] = [homes(3), homes(2, false), homes(1)];
  const [two, three] = [START_SLOT, START_SLOT + 1];
  for (const slot of [two, three]) {
    collector.advance(afterSlot(slot));
    for (const home of [...good, ...bad]) t.deepEqual(verdicts(collector, await report(home, slot)), ['stored']);
  }
  collector.advance(closed(three));
  t.deepEqual(verdicts(collector, await report(late[0], three)), ['stored']);
  t.like(collector.deliveries(), { heldBack: 4, late: 1 });
  acknowledge(collector, store);
  store.close();
  const back = reopen();
  back.collector.advance(SETTLEMENT_MS);
  back.collector.advance(SETTLEMENT_MS + 300_000);
  t.deepEqual(
    batchesOf(back.store).map(({ kind, slot, items }) => [kind, slot, items.length]),
    [['settlement', three, 3]],
  );
  t.like(back.collector.deliveries(), { settled: 3, withheld: 2 });
  const { pseudonym } = await good[0].day(two);
  t.is(back.store.passOf(START_DAY, pseudonym.publicKey), undefined, 'and the month is forgotten');
});

test('a sealed reading is one reading, whether it waits for its slot or for the settlement', async (t) => {
  const { collector } = setUp(t);
  const [victim] = homes(1);
  const [copycat] = homes(1, false);
  collector.advance(afterSlot(START_SLOT));
  const sealed = await sealReading({ slot: START_SLOT, importWh: 50, exportWh: 0 }, AREA, provider.publicKey);
  const [own, copied] = await Promise.all(
    [victim, copycat].map((home) => home.submissionOf(START_SLOT, sealed, provider.publicKey)),
  );
  t.deepEqual(verdicts(collector, own, copied), ['stored', 'conflict']);
});

test('a pass is refused, each time for its own reason, and changes nothing', async (t) => {
  const { collector, store } = setUp(t);
  const [home, neighbour] = homes(2);
  collector.advance(afterSlot(START_SLOT));
  const { pass, pseudonym } = await home.day(START_SLOT);
  const presented = async (shown: Uint8Array): Promise<string> =>
    verdicts(collector, await changed(home, START_SLOT, { pass: shown }))[0];

  t.is(await presented((await neighbour.day(START_SLOT)).pass), 'passOfAnotherPseudonym');
  t.is(await presented((await home.day(NEXT_DAY)).pass), 'passOfAnotherDay');
  t.is(await presented(authority.pass(START_DAY + 1, pseudonym.publicKey)), 'passOfAnotherDay');
  t.is(
    await presented(authority.pass(START_DAY, pseudonym.publicKey, await generateBlindSigningKey())),
    'badPass',
    'another key',
  );
  const anotherDaysKey = authority.pass(START_DAY, pseudonym.publicKey, authority.passKey(START_DAY + 1));
  t.is(await presented(anotherDaysKey), 'badPass', "the verifier's own key, but of another day");
  for (const at of [40, 69, 70, 200, 325]) {
    const forged = Uint8Array.from(pass);
    forged[at] ^= 1;
    t.is(await presented(forged), 'badPass', `byte ${at}`);
  }
  t.is(await presented(Buffer.concat([Buffer.of(2), pass.subarray(1)])), 'malformed');
  t.is(await presented(Buffer.concat([Buffer.of(0), pass.subarray(1)])), 'malformed', 'none, and yet something');
  t.like(collector.deliveries(), { stored: 0, waiting: 0, rejected: 12 });
  t.is(store.passOf(START_DAY, pseudonym.publicKey), undefined);
  t.is(await presented(pass), 'stored', 'and the good one is still good');
});

test('one pass for a pseudonym and day: a second one is refused, the first goes on to hold, over a restart', async (t) => {
  const { collector, store, reopen } = setUp(t);
  const [home] = homes(1);
  const { pass, pseudonym } = await home.day(START_SLOT);
  const second = authority.pass(START_DAY, pseudonym.publicKey);
  const [a, b, c] = [START_SLOT, START_SLOT + 1, START_SLOT + 2];
  collector.advance(afterSlot(c));
  t.deepEqual(
    verdicts(collector, await changed(home, a, { pass }), await changed(home, b, { pass: second })),
    ['stored', 'secondPass'],
    'in one transaction',
  );
  t.deepEqual(verdicts(collector, await changed(home, b, { pass: second })), ['secondPass'], 'in the next');
  store.close();
  const back = reopen();
  back.collector.advance(afterSlot(c));
  t.deepEqual(verdicts(back.collector, await changed(home, b, { pass: second })), ['secondPass'], 'after a restart');
  t.deepEqual(verdicts(back.collector, await changed(home, b, { pass })), ['stored']);
  t.deepEqual(verdicts(back.collector, await changed(home, c, { pass: NO_PASS })), ['stored'], 'and none is none');
  t.like(back.collector.deliveries(), { stored: 3, heldBack: 1 });
});

test('a pass is verified once for each pseudonym and day', async (t) => {
  let asked = 0;
  const passKeyOf = (day: number) => {
    asked++;
    return trust.passKeyOf(day);
  };
  const { collector } = setUp(t, { trust: { ...trust, passKeyOf } });
  const [home] = homes(1);
  for (let slot = START_SLOT; slot < START_SLOT + 10; slot++) {
    collector.advance(afterSlot(slot));
    t.deepEqual(verdicts(collector, await report(home, slot)), ['stored']);
  }
  t.is(asked, 1);
});

test('where the key of the day is not published yet a reading is asked for again, and then taken', async (t) => {
  let published = false;
  const passKeyOf = (day: number) => (published ? trust.passKeyOf(day) : undefined);
  const { collector } = setUp(t, { trust: { ...trust, passKeyOf } });
  const [home] = homes(1);
  collector.advance(afterSlot(START_SLOT));
  const bytes = await report(home, START_SLOT);
  t.deepEqual(verdicts(collector, bytes), ['passKeyMissing']);
  published = true;
  t.deepEqual(verdicts(collector, bytes), ['stored']);
});

test('a pseudonym is good for its day and area, as long as it is not revoked', async (t) => {
  const revoked = new Set<string>();
  const name = (key: Uint8Array): string => Buffer.from(key).toString('hex');
  const { collector } = setUp(t, { trust: { ...trust, isRevoked: (key) => revoked.has(name(key)) } });
  const [home, mover] = homes(2);
  collector.advance(afterSlot(NEXT_DAY));
  const today = await home.day(START_SLOT);
  const tomorrow = await home.day(NEXT_DAY);
  const { pseudonymCertificate } = today;
  t.deepEqual(
    verdicts(collector, await changed(home, NEXT_DAY, { ...tomorrow, pseudonymCertificate })),
    ['badPseudonym'],
    "yesterday's certificate",
  );
  const own = generateSigningKey();
  const selfMade = await authority.certify(START_DAY, own.publicKey, AREA);
  const signatureOfAnother = Buffer.concat([selfMade.subarray(0, -64), pseudonymCertificate.subarray(-64)]);
  t.deepEqual(
    verdicts(collector, await changed(home, START_SLOT, { pseudonymCertificate: signatureOfAnother })),
    ['badPseudonym'],
    'a signature moved to another key',
  );
  const elsewhere = await authority.certify(START_DAY, today.pseudonym.publicKey, 'south-2');
  t.deepEqual(verdicts(collector, await changed(home, START_SLOT, { pseudonymCertificate: elsewhere })), ['wrongArea']);
  revoked.add(name((await mover.day(START_SLOT)).pseudonym.publicKey));
  t.deepEqual(verdicts(collector, await report(mover, START_SLOT)), ['revoked']);
  t.deepEqual(verdicts(collector, await report(mover, NEXT_DAY)), ['stored'], 'only what is listed is revoked');
  t.deepEqual(verdicts(collector, await report(home, START_SLOT)), ['stored']);
});

test('three days of three households: nothing in the store ties one day of a household to the next', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(START_MS);
  const gateways = grid.households.map(() => grid.gateway());
  grid.households[2].attested = false;
  for (let day = 0; day < 3; day++) {
    for (const slot of [0, 1, 40, 95].map((at) => START_SLOT + day * SLOTS_PER_DAY + at)) {
      await grid.advance(afterSlot(slot));
      for (const [h, home] of grid.households.entries()) {
        const bytes = await home.submission({ slot, importWh: 100 * h, exportWh: 0 }, grid.side.providerPublicKey);
        t.is((await gateways[h].submit(bytes)).verdict, 'stored');
      }
      await grid.advance(closed(slot));
    }
  }
  await grid.collector.stop();
  const directory = join(grid.directory, 'collector');

  // every row of every table by the day that it is about; whatever has eight bytes could be a name
  const database = new DatabaseSync(join(directory, 'collector.sqlite'), { readOnly: true });
  const pieces = new Map<number, Set<string>>();
  const add = (day: number, bytes: Uint8Array): void => {
    const found = pieces.get(day) ?? new Set();
    pieces.set(day, found);
    const text = Buffer.from(bytes).toString('latin1');
    for (let at = 0; at + 8 <= text.length; at++) found.add(text.slice(at, at + 8));
  };
  const rows = (sql: string) => database.prepare(sql).all() as Record<string, number | string | Uint8Array>[];
  for (const row of rows('SELECT slot / 96 AS day, pseudonym, digest FROM seen')) {
    add(row.day as number, row.pseudonym as Uint8Array);
    add(row.day as number, row.digest as Uint8Array);
  }
  for (const row of rows('SELECT day, pseudonym, digest FROM passes')) add(row.day as number, row.digest as Uint8Array);
  for (const row of rows('SELECT slot / 96 AS day, sealed FROM held')) add(row.day as number, row.sealed as Uint8Array);
  t.is(rows('SELECT * FROM seen').length, 36);
  t.is(rows('SELECT * FROM passes').length, 6);
  t.is(rows('SELECT * FROM held').length, 12, 'what was held back waits');
  database.close();
  const days = [...pieces.values()];
  t.is(days.length, 3);
  for (const [i, one] of days.entries())
    for (const other of days.slice(i + 1)) t.is([...one].filter((piece) => other.has(piece)).length, 0);

  // and byte by byte: each name that a household had stands by itself, none of what its gateway knows of it beside
  const disk = bytesOf(directory);
  const holds = (bytes: Uint8Array): boolean => disk.includes(Buffer.from(bytes));
  for (const home of grid.households) {
    const own = await Promise.all([0, 1, 2].map((day) => home.day(START_SLOT + day * SLOTS_PER_DAY)));
    for (const { pseudonym, software, pseudonymCertificate, certificate, pass } of own) {
      t.true(holds(pseudonym.publicKey), 'the search finds what is there');
      t.false(holds(software.publicKey.subarray(1)), 'no software key');
      t.false(holds(pseudonymCertificate.subarray(-64)), 'no certificate');
      t.false(holds(certificate.subarray(-64)));
      t.false(holds(pass.subarray(38, 70)), 'no pass');
      t.false(holds(pass.subarray(70)));
    }
  }
  t.false(
    gateways.some(({ address }) => disk.includes(address)),
    'no address',
  );
  t.false(readFileSync(join(grid.directory, 'collector.log'), 'latin1').includes('pseudonym'));
});
