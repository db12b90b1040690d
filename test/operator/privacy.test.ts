// What lies on the disks of collector and provider, byte by byte: the collector is blind to content, the provider to origin.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { CollectorStore } from '../../operator/collector/store.ts';
import { encodeReading } from '../../protocol/readings/reading.ts';
import { decodeSubmission } from '../../protocol/readings/submission.ts';
import { AREA, afterSlot, bytesOf, closed, START_MS, START_SLOT, startGrid } from './grid.ts';

/** In each form in which a value could have been written down. */
const forms = (value: Uint8Array): Buffer[] => [
  Buffer.from(value),
  Buffer.from(Buffer.from(value).toString('hex')),
  Buffer.from(Buffer.from(value).toString('base64')),
];
const holds = (haystack: Buffer, needle: Uint8Array): boolean => forms(needle).some((form) => haystack.includes(form));

test('neither party has on its disk what it must not know', async (t) => {
  const grid = await startGrid(t);
  await grid.advance(START_MS);
  const gateways = grid.households.map(() => grid.gateway());
  const canaries = [7_351, 9_973, 11_311];
  const readings = canaries.map((importWh) => ({ slot: START_SLOT, importWh, exportWh: importWh - 1 }));
  const submissions = await Promise.all(
    grid.households.map((household, h) => household.submission(readings[h], grid.side.providerPublicKey)),
  );
  const sealed = submissions.map((bytes) => decodeSubmission(bytes).sealed);
  const days = await Promise.all(grid.households.map((household) => household.day(START_SLOT)));
  await Promise.all(submissions.map((bytes, h) => gateways[h].submit(bytes)));

  const collectorDir = join(grid.directory, 'collector');
  const providerDir = join(grid.directory, 'provider');
  const logs = (): Buffer =>
    Buffer.concat(['broker', 'collector', 'provider'].map((p) => readFileSync(join(grid.directory, `${p}.log`))));
  const contentIn = (bytes: Buffer): boolean =>
    readings.some(
      (reading) => holds(bytes, encodeReading(reading)) || holds(bytes, encodeReading(reading).subarray(5, 13)),
    );

  const before = bytesOf(collectorDir);
  t.true(
    sealed.every((item) => holds(before, item)),
    'the search finds what is there: items wait for their slot',
  );
  t.true(
    days.every(({ pseudonym }) => holds(before, pseudonym.publicKey)),
    'and pseudonyms are remembered',
  );
  t.false(contentIn(before));

  await grid.advance(afterSlot(START_SLOT));
  await grid.advance(closed(START_SLOT));
  t.like(await grid.provider.ask('totals'), { readings: 3, importWh: 28_635 });
  for (const household of grid.households)
    t.like(
      await gateways[0].submit(
        await household.submission({ ...readings[0], slot: START_SLOT + 1 }, grid.side.providerPublicKey),
      ),
      { verdict: 'stored' },
    );

  const collector = bytesOf(collectorDir);
  t.false(
    sealed.some((item) => holds(collector, item)),
    'delivered items are overwritten, in the file and in its log',
  );
  t.false(
    sealed.some((item) => holds(collector, item.subarray(0, 16))),
    'and no part of them is left',
  );
  t.false(submissions.some((bytes) => holds(collector, decodeSubmission(bytes).signature)));
  t.false(contentIn(collector));

  const provider = bytesOf(providerDir);
  for (const [h, { pseudonym }] of days.entries()) {
    const submission = decodeSubmission(submissions[h]);
    t.false(holds(provider, pseudonym.publicKey.subarray(1)), 'no pseudonym');
    t.false(holds(provider, submission.pseudonym.signature), 'no certificate of one');
    t.false(holds(provider, submission.pass!.random), 'no pass');
    t.false(holds(provider, submission.certificate.subarray(34, 67)), 'no software key');
    t.false(holds(provider, submission.signature), 'no signature');
    t.false(holds(provider, gateways[h].address ? Buffer.from(gateways[h].address) : Buffer.alloc(1)), 'no address');
    t.false(holds(provider, sealed[h]), 'no sealed reading');
  }
  t.false(contentIn(provider), 'no single reading');

  for (const { pseudonym } of days) t.false(holds(logs(), pseudonym.publicKey), 'logs name nobody');
  for (const { address } of gateways) t.false(logs().includes(address));
  t.false(contentIn(logs()));
});

test('the files are for their owner only', async (t) => {
  const grid = await startGrid(t, { households: 1 });
  const secrets = [
    'collector/collector.sqlite',
    'provider/provider.sqlite',
    'provider-hpke.key',
    'collector-provider.key',
  ];
  for (const file of [...secrets, 'grid-ca/ca.key', 'grid-ca/collector.key', 'revocations.bin'])
    t.is(statSync(join(grid.directory, file)).mode & 0o077, 0, file);
});

test('late readings that stay do not tell by their place in the file when they came', (t) => {
  const pseudonyms = Array.from({ length: 20 }, (_, i) => Buffer.alloc(33, 100 + i));
  const items = Array.from({ length: 20 }, (_, i) => Buffer.alloc(64, (i * 7) % 20));
  const places = (order: number[]): number[] => {
    const directory = mkdtempSync(join(tmpdir(), 'quietmeter-order-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'collector.sqlite');
    const store = new CollectorStore(file);
    store.setState('closedThroughSlot', START_SLOT + 10);
    for (const i of order)
      store.accept([
        {
          slot: START_SLOT,
          area: AREA,
          provider: 'provider',
          pseudonym: pseudonyms[i],
          digest: Buffer.alloc(32, i),
          sealed: items[i],
          pass: null,
          heldBack: true,
        },
      ]);
    store.closeSlots(START_SLOT + 11, () => new Uint8Array());
    const log = `${file}-wal`;
    t.true(!existsSync(log) || statSync(log).size === 0, 'the log is empty');
    const bytes = readFileSync(file);
    store.close();
    return items.map((item) => bytes.indexOf(item));
  };
  const forward = Array.from({ length: 20 }, (_, i) => i);
  const first = places(forward);
  t.true(first.every((place) => place > 0));
  t.deepEqual(first, places([...forward].reverse()));
  t.deepEqual(first, places([...forward].sort((a, b) => ((a * 13) % 20) - ((b * 13) % 20))));
});

test('no table of the collector ties a pseudonym to a sealed item, or tells when something came', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-schema-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'collector.sqlite');
  new CollectorStore(file).close();
  const database = new DatabaseSync(file);
  const tables = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").all() as {
    name: string;
    sql: string;
  }[];
  const columns = Object.fromEntries(
    tables.map(({ name }) => [
      name,
      database
        .prepare(`PRAGMA table_info(${name})`)
        .all()
        .map((column) => column.name),
    ]),
  );
  t.deepEqual(columns, {
    batches: ['provider', 'counter', 'bytes'],
    counters: ['provider', 'counter'],
    held: ['slot', 'area', 'sealed', 'provider', 'late'],
    passes: ['day', 'pseudonym', 'digest'],
    seen: ['slot', 'pseudonym', 'digest'],
    state: ['name', 'value'],
  });
  for (const { name, sql } of tables) t.regex(sql, /WITHOUT ROWID/, name);
  database.close();
});
