// One collector, two providers: a stream of batches for each, k counted for each, every reading to one of them.
import test from 'ava';
import fc from 'fast-check';
import { Party } from '../../bench/party.ts';
import { generateHpkeKeyPair } from '../../protocol/crypto/hpke.ts';
import { decodeBatch } from '../../protocol/readings/batch.ts';
import { openReading } from '../../protocol/readings/reading.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { macKey, provider as quiet, report, setUp, verdicts } from './collector-bench.ts';
import { AREA, afterSlot, closed, mainOf, START_SLOT, startGrid, TestHousehold } from './grid.ts';

const sun = await generateHpkeKeyPair();
const sunMacKey = Buffer.alloc(32, 7);
const PROVIDERS = [
  { party: 'provider', readingKeys: [quiet.publicKey], macKey },
  { party: 'provider-sun', readingKeys: [sun.publicKey], macKey: sunMacKey },
];
const SETTLEMENT_MS = Date.UTC(2026, 3, 1) + 35 * DAY_MS;
const SLOTS = 4;

/** Readings of a party by slot: what it opens with its key. */
async function opened(
  store: ReturnType<typeof setUp>['store'],
  n: number,
): Promise<{ slot: number; kind: string; importWh: number }[]> {
  const { party, macKey: key } = PROVIDERS[n];
  const { privateKey } = [quiet, sun][n];
  const found = [];
  for (const { bytes } of store.batchesFrom(party, 0, 1e6)) {
    const { slot, area, kind, items } = decodeBatch(bytes, key);
    for (const item of items) found.push({ kind, ...(await openReading(item, slot, area, privateKey)) });
  }
  return found;
}

test('property: whenever households change, and however late readings come, each goes to the provider of its slot, once', async (t) => {
  const homes = Array.from({ length: 5 }, () => new TestHousehold());
  const household = fc.record({
    /** The slot from which on it is the other provider's customer. */
    changes: fc.integer({ min: 0, max: SLOTS }),
    /** By slot: in time, late, or without a pass. */
    comes: fc.array(fc.constantFrom('in time', 'late', 'without a pass'), { minLength: SLOTS, maxLength: SLOTS }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(household, { minLength: 5, maxLength: 5 }), async (plans) => {
      const { collector, store } = setUp(t, { providers: PROVIDERS, k: 2 });
      const expected = [new Map<number, number>(), new Map<number, number>()];
      const late: Uint8Array[] = [];
      /** `slot provider` of those that wait for the settlement. */
      const waiting = new Map<string, number>();
      for (let i = 0; i < SLOTS; i++) {
        const slot = START_SLOT + i;
        collector.advance(afterSlot(slot));
        const now: Uint8Array[] = [];
        for (const [h, { changes, comes }] of plans.entries()) {
          const n = i < changes ? 0 : 1;
          const importWh = 1000 * (h + 1) + i;
          homes[h].attested = comes[i] !== 'without a pass';
          const bytes = await homes[h].submission({ slot, importWh, exportWh: 0 }, [quiet, sun][n].publicKey);
          if (comes[i] === 'late') late.push(bytes);
          else now.push(bytes);
          if (comes[i] === 'in time') expected[n].set(slot * 10_000 + importWh, 1);
          else waiting.set(`${slot} ${n}`, (waiting.get(`${slot} ${n}`) ?? 0) + 1);
        }
        t.true(verdicts(collector, ...now, ...now).every((verdict) => verdict === 'stored'));
        collector.advance(closed(slot));
      }
      t.true(verdicts(collector, ...late, ...late).every((verdict) => verdict === 'stored'));
      for (const n of [0, 1]) {
        const got = (await opened(store, n)).map(({ slot, importWh }) => slot * 10_000 + importWh);
        t.deepEqual(got.sort(), [...expected[n].keys()].sort());
      }
      collector.advance(SETTLEMENT_MS + DAY_MS);
      for (const n of [0, 1])
        for (let slot = START_SLOT; slot < START_SLOT + SLOTS; slot++) {
          const settled = (await opened(store, n)).filter((one) => one.slot === slot && one.kind === 'settlement');
          const waited = waiting.get(`${slot} ${n}`) ?? 0;
          t.is(settled.length, waited >= 2 ? waited : 0, 'k is counted for each provider');
        }
      const { stored, settled, withheld } = collector.deliveries();
      t.is(stored, 5 * SLOTS);
      t.is(
        settled + withheld,
        [...waiting.values()].reduce((sum, n) => sum + n, 0),
      );
      store.close();
    }),
    { numRuns: 8 },
  );
});

test('a reading for both providers is one reading; a provider that nobody knows is asked to wait', async (t) => {
  const { collector } = setUp(t, { providers: PROVIDERS });
  const home = new TestHousehold();
  collector.advance(afterSlot(START_SLOT));
  const toSun = await home.submission({ slot: START_SLOT, importWh: 100, exportWh: 0 }, sun.publicKey);
  t.deepEqual(verdicts(collector, toSun, await report(home, START_SLOT)), ['stored', 'conflict']);
  const stranger = await generateHpkeKeyPair();
  const lost = await new TestHousehold().submission({ slot: START_SLOT, importWh: 1, exportWh: 0 }, stranger.publicKey);
  t.deepEqual(verdicts(collector, lost), ['unknownProvider']);
  t.is(collector.deliveries().rejected, 1, 'the conflict: what waits is not rejected');
});

test('two provider processes at the broker: each hears its own batches only', async (t) => {
  const grid = await startGrid(t, { otherProviders: { sun: {} } });
  const { config, publicKey } = grid.side.otherProviders.sun;
  const other = new Party({
    name: 'provider-sun',
    main: mainOf('provider'),
    configPath: config,
    logPath: `${config}.log`,
  });
  t.teardown(() => other.kill());
  await other.start();
  await grid.advance(afterSlot(START_SLOT));
  const gateways = grid.households.map(() => grid.gateway());
  const more = Array.from({ length: 3 }, () => new TestHousehold());
  const send = [...grid.households, ...more].map(async (home, h) => {
    const key = h < 3 ? grid.side.providerPublicKey : publicKey;
    const bytes = await home.submission({ slot: START_SLOT, importWh: 100 * (h + 1), exportWh: 0 }, key);
    return (await (gateways[h] ?? grid.gateway()).submit(bytes, AREA)).verdict;
  });
  t.deepEqual(await Promise.all(send), Array(6).fill('stored'));
  await grid.advance(closed(START_SLOT));
  t.like(await grid.provider.ask('totals'), { readings: 3, importWh: 600, rejected: 0 });
  t.like(await other.ask('totals'), { readings: 3, importWh: 1500, rejected: 0 });
});
