import { createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import {
  checkClaim,
  claimDelayDays,
  decodeClaim,
  decodeOrder,
  encodeClaim,
  encodeOrder,
  measurementHash,
  type RewardClaim,
  slipOf,
} from '../../../protocol/tokens/reward.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const [secret, salt, task] = [randomBytes(32), randomBytes(32), randomBytes(16)];
const result = Buffer.from('0000000c', 'hex');
const hash = measurementHash(result, salt);
const slip = slipOf(secret, hash, task);
const order = decodeOrder(encodeOrder({ hash, task, slip, amount: 50 }));
const claim = decodeClaim(encodeClaim({ hash, task, slip, secret }));

test('who made the slip is paid for it, nobody else', (t) => {
  t.is(checkClaim(claim, order), null);
  t.is(checkClaim(claim, undefined), 'no such order');
  const wrong = (change: Partial<RewardClaim>) => checkClaim({ ...claim, ...change }, order);
  t.is(wrong({ secret: randomBytes(32) }), 'not its owner');
  t.is(wrong({ slip: randomBytes(32) }), 'no such order');
  t.is(wrong({ task: randomBytes(16) }), 'not its owner');
  t.is(wrong({ hash: measurementHash(Buffer.from('0000000d', 'hex'), salt) }), 'not its owner');
});

test('A17: in print N and N ‖ 00 make one s and claim twice; ours has one length', (t) => {
  const short = secret.subarray(0, 20);
  const printed = (key: Uint8Array) => createHmac('sha256', key).update(hash).update(task).digest('hex');
  t.is(printed(short), printed(Buffer.concat([short, Buffer.of(0)])));
  t.throws(() => slipOf(short, hash, task), { instanceOf: RangeError });
  t.throws(() => slipOf(Buffer.concat([secret, Buffer.of(0)]), hash, task), { instanceOf: RangeError });
  t.throws(() => encodeClaim({ ...claim, secret: Buffer.concat([secret, Buffer.of(0)]) }), {
    instanceOf: MalformedError,
    message: /claim\.secret/,
  });
  t.throws(() => decodeClaim(Buffer.concat([encodeClaim(claim), Buffer.of(0)])), { instanceOf: MalformedError });
});

test('the bank cannot look a small measurement up without the salt', (t) => {
  const found = (with_: Uint8Array) => {
    for (let value = 0; value < 100; value++) {
      const guess = Buffer.alloc(4);
      guess.writeUInt32BE(value);
      if (Buffer.compare(measurementHash(guess, with_), hash) === 0) return value;
    }
    return null;
  };
  t.is(found(salt), 12);
  t.is(found(randomBytes(32)), null);
  t.throws(() => measurementHash(result, salt.subarray(1)), { instanceOf: RangeError });
});

test('claims come days later, on any of fourteen', (t) => {
  const days = new Set(Array.from({ length: 400 }, () => claimDelayDays(randomBytes)));
  t.deepEqual(
    [...days].sort((a, b) => a - b),
    Array.from({ length: 14 }, (_, i) => i + 1),
  );
});
