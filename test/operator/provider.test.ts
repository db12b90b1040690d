// The provider's steps over its real store, without processes: MAC, order, items, sums, k.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Provider } from '../../operator/provider/steps.ts';
import { ProviderStore } from '../../operator/provider/store.ts';
import { generateHpkeKeyPair, sealTo } from '../../protocol/crypto/hpke.ts';
import { LABELS } from '../../protocol/crypto/labels.ts';
import { type Batch, type BatchAnswer, decodeBatchAnswer, encodeBatch } from '../../protocol/readings/batch.ts';
import { sealReading } from '../../protocol/readings/reading.ts';
import { AREA, START_SLOT } from './grid.ts';

const keys = await generateHpkeKeyPair();
const macKey = Buffer.alloc(32, 9);
const EPOCH = 674;

function setUp(t: ExecutionContext, k = 3) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-provider-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const open = () => {
    const store = new ProviderStore(join(directory, 'provider.sqlite'));
    return { store, provider: new Provider({ store, macKey, privateKey: keys.privateKey, k, mostWhPerSlot: 15_000 }) };
  };
  return { ...open(), reopen: open };
}
const seal = (slot: number, importWh: number, exportWh = 0, area = AREA): Promise<Uint8Array> =>
  sealReading({ slot, importWh, exportWh }, area, keys.publicKey);
const batch = (counter: number, items: Uint8Array[], more: Partial<Batch> = {}): Uint8Array =>
  encodeBatch(
    { kind: 'regular', epoch: EPOCH, counter, slot: START_SLOT + counter - 1, area: AREA, items, ...more },
    macKey,
  );
const items = (slot: number, ...importWh: number[]): Promise<Uint8Array[]> =>
  Promise.all(importWh.map((wh) => seal(slot, wh, 50)));
async function answer(provider: Provider, bytes: Uint8Array): Promise<[BatchAnswer['status'], number] | undefined> {
  const reply = await provider.receive(bytes);
  if (!reply) return undefined;
  const { status, counter } = decodeBatchAnswer(reply, macKey);
  return [status, counter];
}

test('a batch becomes a sum', async (t) => {
  const { provider, store } = setUp(t);
  t.deepEqual(await answer(provider, batch(1, await items(START_SLOT, 100, 200, 300))), ['stored', 1]);
  const sum = { readings: 3, importWh: 600, exportWh: 150 };
  t.deepEqual(store.areaSums(), [{ slot: START_SLOT, area: AREA, regular: sum, settlement: null }]);
  t.deepEqual(store.totals(), { ...sum, rejected: 0 });
});

test('fewer than k are counted in the total, but their sum is neither shown nor kept', async (t) => {
  const { provider, store } = setUp(t);
  t.deepEqual(await answer(provider, batch(1, await items(START_SLOT, 1450, 2350))), ['stored', 1]);
  t.deepEqual(store.areaSums(), [{ slot: START_SLOT, area: AREA, regular: null, settlement: null }]);
  t.deepEqual(store.totals(), { readings: 2, importWh: 3800, exportWh: 100, rejected: 0 });
  // items that were refused do not help to reach k
  const refused = await seal(START_SLOT + 1, 90_000);
  await provider.receive(batch(2, [...(await items(START_SLOT + 1, 10, 20)), refused]));
  t.is(store.areaSums()[1].regular, null);
});

test('a settlement is kept apart from what was published', async (t) => {
  const { provider, store } = setUp(t);
  await provider.receive(batch(1, await items(START_SLOT, 100, 200, 300)));
  await provider.receive(batch(2, await items(START_SLOT, 1, 2, 3), { kind: 'settlement', slot: START_SLOT }));
  t.deepEqual(store.areaSums(), [
    {
      slot: START_SLOT,
      area: AREA,
      regular: { readings: 3, importWh: 600, exportWh: 150 },
      settlement: { readings: 3, importWh: 6, exportWh: 150 },
    },
  ]);
});

test('the same batch gets the same answer and counts once, across restarts', async (t) => {
  const { provider, store, reopen } = setUp(t);
  const first = batch(1, await items(START_SLOT, 100, 200, 300));
  const answers = [await provider.receive(first), await provider.receive(first)];
  store.close();
  const back = reopen();
  answers.push(await back.provider.receive(first));
  t.deepEqual(new Set(answers.map((a) => Buffer.from(a!).toString('hex'))).size, 1);
  t.is(back.store.totals().readings, 3);
});

test('no batch is left out and none comes before its turn', async (t) => {
  const { provider, store } = setUp(t);
  const batches = await Promise.all(
    [1, 2, 3, 4].map(async (n) => batch(n, await items(START_SLOT + n - 1, 10, 20, 30))),
  );
  t.deepEqual(await answer(provider, batches[2]), ['expect', 1]);
  t.is(await answer(provider, batches[3]), undefined, 'told once');
  t.is(store.totals().readings, 0);
  t.deepEqual(await answer(provider, batches[0]), ['stored', 1]);
  t.deepEqual(await answer(provider, batches[3]), ['expect', 2]);
  for (const n of [1, 2, 3]) t.deepEqual(await answer(provider, batches[n]), ['stored', n + 1]);
  t.is(store.totals().readings, 12);
  t.deepEqual(decodeBatchAnswer(provider.greeting(), macKey).counter, 5);
});

test('another batch under a counter that was used, or an epoch that goes back, is refused', async (t) => {
  const { provider, store } = setUp(t);
  await provider.receive(batch(1, await items(START_SLOT, 100, 200, 300)));
  t.deepEqual(await answer(provider, batch(1, await items(START_SLOT, 1, 2, 3))), ['refused', 1]);
  const older = batch(2, await items(START_SLOT + 1, 1, 2, 3), { epoch: EPOCH - 1 });
  t.deepEqual(await answer(provider, older), ['refused', 2]);
  t.like(store.totals(), { readings: 3, importWh: 600 });
});

test('a forged or malformed batch changes nothing and gets no answer', async (t) => {
  const { provider, store } = setUp(t);
  const good = batch(1, await items(START_SLOT, 100, 200, 300));
  const altered = Uint8Array.from(good);
  altered[30] ^= 1;
  const otherKey = encodeBatch(
    { kind: 'regular', epoch: EPOCH, counter: 1, slot: START_SLOT, area: AREA, items: [await seal(START_SLOT, 5)] },
    Buffer.alloc(32, 8),
  );
  for (const bytes of [altered, otherKey, good.subarray(0, 40), new Uint8Array(3)])
    t.is(await provider.receive(bytes), undefined);
  t.deepEqual(provider.counters.read(), { batchForged: 3, batchMalformed: 1 });
  t.deepEqual(store.totals(), { readings: 0, importWh: 0, exportWh: 0, rejected: 0 });
  t.deepEqual(await answer(provider, good), ['stored', 1]);
});

test('items that are no reading of this slot are refused one by one, the others count', async (t) => {
  const { provider, store } = setUp(t);
  const other = await generateHpkeKeyPair();
  const twice = await seal(START_SLOT, 300);
  const aad = Buffer.concat([Buffer.alloc(4), Buffer.from([AREA.length]), Buffer.from(AREA)]);
  aad.writeUInt32BE(START_SLOT);
  // sealed rightly, but what is inside is no reading, or one of another slot
  const noReading = await sealTo(keys.publicKey, LABELS.sealedReading, aad, new Uint8Array(16).fill(7));
  const otherInside = Buffer.from(`01${(START_SLOT + 1).toString(16).padStart(8, '0')}${'00'.repeat(11)}`, 'hex');
  const bad = [
    await sealReading({ slot: START_SLOT, importWh: 10, exportWh: 0 }, AREA, other.publicKey),
    await seal(START_SLOT + 1, 10),
    await seal(START_SLOT, 10, 0, 'south-2'),
    new Uint8Array(64),
    noReading,
    await sealTo(keys.publicKey, LABELS.sealedReading, aad, otherInside),
    await seal(START_SLOT, 15_001),
    await seal(START_SLOT, 0, 15_001),
    twice,
  ];
  const good = [await seal(START_SLOT, 100), await seal(START_SLOT, 200), twice];
  t.deepEqual(await answer(provider, batch(1, [...bad, ...good])), ['stored', 1]);
  t.deepEqual(store.totals(), { readings: 3, importWh: 600, exportWh: 0, rejected: 9 });
  t.deepEqual(provider.counters.read(), { itemImplausible: 2, itemTwice: 1, itemUnreadable: 6 });
});

test('an item that was counted does not count again in a settlement, nor a slot twice', async (t) => {
  const { provider, store } = setUp(t);
  const counted = await items(START_SLOT, 100, 200, 300);
  await provider.receive(batch(1, counted));
  await provider.receive(batch(2, counted, { kind: 'settlement', slot: START_SLOT }));
  await provider.receive(batch(3, await items(START_SLOT, 7, 8, 9), { slot: START_SLOT }));
  t.deepEqual(store.totals(), { readings: 3, importWh: 600, exportWh: 150, rejected: 6 });
  t.deepEqual(store.areaSums()[0].regular, { readings: 3, importWh: 600, exportWh: 150 }, 'published once');
  t.is(store.areaSums()[0].settlement, null);
});
