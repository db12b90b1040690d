// The broker's parts that need no network: packet borders, rates, who may what.
import test from 'ava';
import fc from 'fast-check';
import { Admission } from '../../operator/broker/admission.ts';
import { ExcessError, PacketGuard } from '../../operator/broker/guarded-connection.ts';
import { connectObjection, mayPublish, maySubscribe, type Role } from '../../operator/broker/permissions.ts';
import { TokenBucket } from '../../operator/broker/token-bucket.ts';
import { TOPICS } from '../../protocol/readings/topics.ts';

const ADDRESS = '0123456789abcdef0123';
const OTHER = 'ffffffffffffffffffff';

/** An MQTT packet with so many bytes after its header. */
function packet(length: number): Buffer {
  const header = [0x30];
  let left = length;
  do {
    header.push((left % 128) | (left >= 128 ? 128 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(length, 0xff)]);
}
const limits = { packetBytes: 1000, packetBurst: 1e9, packetsPerSecond: 1 };

test('packets up to the limit pass, however they are cut; the first longer one does not', (t) => {
  const lengths = fc.array(fc.oneof(fc.nat(1000), fc.constantFrom(0, 127, 128, 1000)), { maxLength: 12 });
  fc.assert(
    fc.property(
      lengths,
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1001, max: 3_000_000 }),
      (sizes, cut, over) => {
        const good = Buffer.concat(sizes.map(packet));
        const guard = new PacketGuard(limits, () => 0);
        for (let at = 0; at < good.length; at += cut) guard.look(good.subarray(at, at + cut));
        t.is(t.throws(() => guard.look(packet(over).subarray(0, 5)), { instanceOf: ExcessError })!.excess, 'oversize');
      },
    ),
  );
});

test('a length that never ends is no length', (t) => {
  const guard = new PacketGuard(limits, () => 0);
  const error = t.throws(() => guard.look(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff])), { instanceOf: ExcessError });
  t.is(error!.excess, 'badLength');
});

test('packets beyond the burst come no faster than the rate', (t) => {
  let nowMs = 0;
  const guard = new PacketGuard({ packetBytes: 10, packetBurst: 5, packetsPerSecond: 2 }, () => nowMs);
  for (let i = 0; i < 5; i++) guard.look(packet(3));
  nowMs += 1000;
  guard.look(packet(3));
  guard.look(packet(3));
  t.is(t.throws(() => guard.look(packet(3)), { instanceOf: ExcessError })!.excess, 'flood');
});

test('a bucket never holds more than its most, and never gives more than it was filled with', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(3000), { maxLength: 60 }), (waits) => {
      let nowMs = 0;
      let taken = 0;
      const bucket = new TokenBucket(4, 2, () => nowMs);
      for (const wait of waits) {
        nowMs += wait;
        while (bucket.take()) taken++;
      }
      t.true(taken <= 4 + (nowMs * 2) / 1000 + 1e-9);
    }),
  );
});

test('a network address has so many connections and opens so many per second', (t) => {
  let nowMs = 0;
  const admission = new Admission({ connectionsPerAddress: 3, newConnectionsPerSecond: 10 }, () => nowMs);
  t.deepEqual(
    Array.from({ length: 4 }, () => admission.enter('a')),
    [true, true, true, false],
  );
  t.true(admission.enter('b'), 'another address is not held back');
  admission.leave('a');
  t.true(admission.enter('a'));
  let opened = 0;
  for (; admission.enter('c'); opened++) admission.leave('c');
  t.is(opened, 10);
  nowMs = 500;
  for (; admission.enter('c'); opened++) admission.leave('c');
  t.is(opened, 15);
});

test('every role may do what the table says and nothing else', (t) => {
  const topics = [
    TOPICS.submit('north-1', ADDRESS),
    TOPICS.submit('north-1', OTHER),
    TOPICS.answer(ADDRESS),
    TOPICS.answer(OTHER),
    TOPICS.listening,
    TOPICS.batches('provider'),
    TOPICS.batches('provider-sun'),
    TOPICS.batchAnswers('provider'),
    TOPICS.batchAnswers('provider-sun'),
    TOPICS.everyBatchAnswer,
    TOPICS.everySubmit,
    'quietmeter/#',
    '#',
    '+/+/+',
    'quietmeter/readings/answer/+',
    '$SYS/#',
    '$SYS/broker/heartbeat',
    'something/else',
  ];
  const allowed = (role: Role, clientId: string, how: 'publish' | 'subscribe'): string[] =>
    topics.filter((topic) =>
      how === 'publish'
        ? mayPublish(role, clientId, { topic, qos: 1, retain: false })
        : maySubscribe(role, clientId, topic),
    );
  t.deepEqual(allowed('gateway', ADDRESS, 'publish'), [TOPICS.submit('north-1', ADDRESS)]);
  t.deepEqual(allowed('gateway', ADDRESS, 'subscribe'), [TOPICS.answer(ADDRESS), TOPICS.listening]);
  t.deepEqual(allowed('collector', 'collector', 'publish'), [
    TOPICS.answer(ADDRESS),
    TOPICS.answer(OTHER),
    TOPICS.listening,
    TOPICS.batches('provider'),
    TOPICS.batches('provider-sun'),
  ]);
  t.deepEqual(allowed('collector', 'collector', 'subscribe'), [TOPICS.everyBatchAnswer, TOPICS.everySubmit]);
  for (const name of ['provider', 'provider-sun']) {
    t.deepEqual(allowed('provider', name, 'publish'), [TOPICS.batchAnswers(name)]);
    t.deepEqual(allowed('provider', name, 'subscribe'), [TOPICS.batches(name)]);
  }
});

test('nothing is retained, and nothing is sent in four steps', (t) => {
  const topic = TOPICS.submit('north-1', ADDRESS);
  t.false(mayPublish('gateway', ADDRESS, { topic, qos: 1, retain: true }));
  t.false(mayPublish('gateway', ADDRESS, { topic, qos: 2, retain: false }));
  t.true(mayPublish('gateway', ADDRESS, { topic, qos: 0, retain: false }));
});

test('a gateway comes without anything that tells it from others', (t) => {
  t.is(connectObjection('gateway', { clientId: ADDRESS, clean: true }), undefined);
  for (const introduction of [
    { clientId: 'house-1', clean: true },
    { clientId: 'collector', clean: true },
    { clientId: ADDRESS, clean: true, username: 'house-1' },
    { clientId: ADDRESS, clean: false },
  ])
    t.is(typeof connectObjection('gateway', introduction), 'string');
  t.is(connectObjection('collector', { clientId: 'collector', clean: true }), undefined);
  t.is(typeof connectObjection('collector', { clientId: 'provider', clean: true }), 'string');
});
