import { createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {
  BATCH_MOST_BYTES,
  BATCH_MOST_ITEMS,
  type Batch,
  batchDigest,
  decodeBatch,
  decodeBatchAnswer,
  encodeBatch,
  encodeBatchAnswer,
  expecting,
  ForgedError,
} from '../../../protocol/readings/batch.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const key = Buffer.alloc(32, 0x11);
const batch: Batch = {
  kind: 'regular',
  epoch: 674,
  counter: 7,
  slot: 1_968_000,
  area: 'n1',
  items: [new Uint8Array(64).fill(0xaa), new Uint8Array(64).fill(0xbb)],
};
const plain = (b: Batch): unknown => ({ ...b, items: b.items.map((item) => Buffer.from(item).toString('hex')) });

test('layout and MAC are the ones in the comment', (t) => {
  const body = `01${'01'}${'000002a2'}${'00000007'}${'001e0780'}02${'6e31'}${'0002'}${'aa'.repeat(64)}${'bb'.repeat(64)}`;
  // by hand: the month's key from the shared one, then the batch under it
  const monthKey = createHmac('sha256', key)
    .update('quietmeter/v1/batch-key\0')
    .update(Buffer.from('000002a2', 'hex'))
    .digest();
  const mac = createHmac('sha256', monthKey)
    .update('quietmeter/v1/batch\0')
    .update(Buffer.from(body, 'hex'))
    .digest('hex');
  t.is(Buffer.from(encodeBatch(batch, key)).toString('hex'), body + mac);

  const digest = batchDigest(encodeBatch(batch, key));
  const answer = `01${'01'}${'000002a2'}${'00000007'}${Buffer.from(digest).toString('hex')}`;
  const answerMac = createHmac('sha256', monthKey)
    .update('quietmeter/v1/batch-acknowledged\0')
    .update(Buffer.from(answer, 'hex'))
    .digest('hex');
  const encoded = encodeBatchAnswer({ status: 'stored', epoch: 674, counter: 7, digest }, key);
  t.is(Buffer.from(encoded).toString('hex'), answer + answerMac);
});

test('what was encoded is decoded', (t) => {
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const anyBatch = fc.record({
    kind: fc.constantFrom('regular' as const, 'settlement' as const),
    epoch: u32,
    counter: u32,
    slot: u32,
    area: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/),
    items: fc.array(fc.uint8Array({ minLength: 64, maxLength: 64 }), { minLength: 1, maxLength: 9 }),
  });
  fc.assert(
    fc.property(anyBatch, (b) => {
      t.deepEqual(plain(decodeBatch(encodeBatch(b, key), key)), plain(b));
    }),
  );
  const most = { ...batch, items: Array.from({ length: BATCH_MOST_ITEMS }, () => new Uint8Array(64)) };
  const bytes = encodeBatch(most, key);
  t.true(bytes.length <= BATCH_MOST_BYTES);
  t.is(decodeBatch(bytes, key).items.length, BATCH_MOST_ITEMS);
});

test('whoever has not the key changes nothing: every byte, the length, another key', (t) => {
  const bytes = encodeBatch(batch, key);
  for (let i = 0; i < bytes.length; i++) {
    const altered = Uint8Array.from(bytes);
    altered[i] ^= 0x40;
    t.throws(() => decodeBatch(altered, key), { instanceOf: ForgedError }, `byte ${i}`);
  }
  t.throws(() => decodeBatch(bytes.subarray(1), key), { instanceOf: ForgedError });
  t.throws(() => decodeBatch(bytes, Buffer.alloc(32, 0x12)), { instanceOf: ForgedError });
  t.throws(() => decodeBatch(randomBytes(200), key), { instanceOf: ForgedError });
});

test('a batch is no answer and an answer no batch; an answer of one month is none of another', (t) => {
  const bytes = encodeBatch(batch, key);
  const answer = encodeBatchAnswer({ status: 'stored', epoch: 674, counter: 7, digest: batchDigest(bytes) }, key);
  t.throws(() => decodeBatchAnswer(bytes, key), { instanceOf: ForgedError });
  t.throws(() => decodeBatch(answer, key), { instanceOf: ForgedError });
  const moved = Uint8Array.from(answer);
  moved[5]++;
  t.throws(() => decodeBatchAnswer(moved, key), { instanceOf: ForgedError });
});

test('answers come back as they were said', (t) => {
  const digest = batchDigest(encodeBatch(batch, key));
  for (const answer of [
    { status: 'stored' as const, epoch: 674, counter: 7, digest },
    { status: 'refused' as const, epoch: 674, counter: 7, digest },
    expecting(674, 8),
  ]) {
    const decoded = decodeBatchAnswer(encodeBatchAnswer(answer, key), key);
    t.deepEqual({ ...decoded, digest: [...decoded.digest] }, { ...answer, digest: [...answer.digest] });
  }
});

test('even with the key, what has not the layout is refused by field, and never otherwise', (t) => {
  const monthKey = (epoch: Uint8Array) =>
    createHmac('sha256', key).update('quietmeter/v1/batch-key\0').update(epoch).digest();
  const sealed = (body: Uint8Array, label: string) =>
    Buffer.concat([
      body,
      createHmac('sha256', monthKey(body.subarray(2, 6)))
        .update(`quietmeter/v1/${label}\0`)
        .update(body)
        .digest(),
    ]);
  const good = Buffer.from(encodeBatch(batch, key)).subarray(0, -32);
  const paths =
    /^(batch|answer)(\.(version|kind|status|epoch|counter|slot|area|items|items\[\d+\]|digest|header|mac))?$/;
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, value]) => {
      const body = Uint8Array.from(good);
      body[at] = value;
      return body;
    }),
    fc.nat(good.length).map((length) => Uint8Array.from(good.subarray(0, length))),
  );
  fc.assert(
    fc.property(input, (body) => {
      for (const work of [
        () => decodeBatch(sealed(body, 'batch'), key),
        () => decodeBatchAnswer(sealed(body, 'batch-acknowledged'), key),
        () => decodeBatch(body, key),
      ]) {
        try {
          work();
        } catch (error) {
          t.true(error instanceof MalformedError || error instanceof ForgedError, String(error));
          t.regex((error as MalformedError | ForgedError).path, paths);
        }
      }
    }),
  );
  const empty = Buffer.concat([good.subarray(0, 17), Buffer.from([0, 0])]);
  t.is(t.throws(() => decodeBatch(sealed(empty, 'batch'), key), { instanceOf: MalformedError })!.path, 'batch.items');
});
