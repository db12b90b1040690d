// Frames on the power line: round trip, and everything that is dropped and counted.
import { createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import {
  BUS_FRAME_BYTES,
  BUS_MOST_BYTES,
  BusReceiver,
  busBytes,
  encodeBusFrames,
} from '../../../protocol/wire/bus-frame.ts';

const KEY = Buffer.alloc(32, 7);
const encode = (message: Uint8Array, epoch = 100, nonce: Uint8Array = randomBytes(12), key: Uint8Array = KEY) =>
  encodeBusFrames(nodeNatives, key, epoch, nonce, message);
function receiver(limits?: { perEpoch: number; unfinished: number }): BusReceiver {
  const made = new BusReceiver(nodeNatives, KEY, limits);
  made.enterEpoch(100);
  return made;
}

test('the tag is HMAC-SHA256 with the native counter behind the message', (t) => {
  const [frame] = encode(Buffer.from('a message'));
  const body = frame.subarray(0, -8);
  const tag = createHmac('sha256', KEY)
    .update(body)
    .update(Buffer.of(0, 0, 0, 1))
    .digest()
    .subarray(0, 8);
  t.deepEqual(Buffer.from(frame.subarray(-8)), tag);
  t.is(Buffer.from(frame.subarray(0, 5)).toString('hex'), '0100000064');
});

test('messages of any length come whole, parts in any order and mixed with others’', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 2000 }),
      fc.uint8Array({ minLength: 1, maxLength: 900 }),
      (a, b) => {
        const frames = [...encode(a).reverse(), ...encode(b)].sort((x, y) => x[30] - y[30]);
        const one = receiver();
        const got = frames.map((frame) => one.push(frame)).filter((message) => message !== null);
        const size = encode(a).reduce((sum, { length }) => sum + length, 0);
        const texts = (list: Uint8Array[]): string[] => list.map((bytes) => Buffer.from(bytes).toString('hex')).sort();
        return (
          frames.every(({ length }) => length <= BUS_FRAME_BYTES) &&
          size === busBytes(a.length) &&
          `${texts(got)}` === `${texts([a, b])}`
        );
      },
    ),
    { numRuns: 50 },
  );
  t.throws(() => encode(new Uint8Array(0)), { message: /busFrame.message: 0 bytes/ });
  t.throws(() => encode(new Uint8Array(BUS_MOST_BYTES + 1)));
  t.throws(() => encode(Buffer.from('x'), 1, new Uint8Array(3)), { message: /nonce: 3 bytes/ });
});

test('a wrong HMAC, an old epoch, a repeated nonce, a bad length: dropped and counted', (t) => {
  const one = receiver();
  const [frame] = encode(Buffer.from('hello'));
  const changed = Buffer.from(frame);
  changed[22] ^= 1;
  t.is(one.push(changed), null);
  t.is(one.push(encode(Buffer.from('x'), 100, randomBytes(12), Buffer.alloc(32, 8))[0]), null);
  t.is(one.push(encode(Buffer.from('x'), 98)[0]), null);
  t.is(one.push(frame.subarray(0, 20)), null);
  t.is(one.push(Buffer.concat([frame, Buffer.alloc(300)])), null);
  t.truthy(one.push(frame));
  t.is(one.push(frame), null);
  t.truthy(one.push(encode(Buffer.from('hello'), 99)[0]), 'the epoch before is taken');
  t.deepEqual(one.counters, { messages: 2, badLength: 2, badTag: 2, oldEpoch: 1, repeated: 1, flooded: 0 });
  one.enterEpoch(101);
  t.is(one.push(frame), null, 'nonces of the epoch before are kept');
  one.enterEpoch(150);
  t.is(one.push(frame), null);
  t.is(one.counters.oldEpoch, 2);
  t.is(Object.keys(one.nonces).length, 0);
  t.truthy(one.push(encode(Buffer.from('x'), 170)[0]), 'who has missed beacons hears the next');
});

test('an insider’s flood is limited, in messages and in memory', (t) => {
  const one = receiver({ perEpoch: 10, unfinished: 3 });
  for (let i = 0; i < 50; i++) one.push(encode(Buffer.from('x'))[0]);
  t.like(one.counters, { messages: 10, flooded: 40 });
  for (let i = 0; i < 50; i++) one.push(encode(new Uint8Array(500))[0]);
  t.is(one.waiting.length, 3);
  one.enterEpoch(101);
  t.truthy(one.push(encode(Buffer.from('x'), 101)[0]));
});
