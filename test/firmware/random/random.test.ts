import { createHash, createHmac } from 'node:crypto';
import test from 'ava';
import {
  RANDOM_AS_BEFORE,
  RANDOM_FEW_VALUES,
  RANDOM_READY,
  RANDOM_STUCK,
  RANDOM_WAITING,
  Random,
  type RandomNatives,
  type RandomState,
} from '../../../firmware/random/random.ts';

const natives: RandomNatives = {
  hmac: (key, message) =>
    new Uint8Array(
      createHmac('sha256', key)
        .update(message)
        .update(Uint8Array.of(0, 0, 0, 1))
        .digest(),
    ),
  sha256: (message) => new Uint8Array(createHash('sha256').update(message).digest()),
};
/** A generator of words that begins alike each time it is asked for by the same name. */
const hardware = (name: string) => {
  let n = 0;
  return (count: number) => {
    const bytes = new Uint8Array(4 * count);
    for (let at = 0; at < bytes.length; at += 32)
      bytes.set(
        createHash('sha256')
          .update(`${name} ${n++}`)
          .digest()
          .subarray(0, bytes.length - at),
        at,
      );
    return bytes;
  };
};
class Kept implements RandomState {
  seed: Uint8Array | null = null;
  saved = 0;
  load() {
    return this.seed;
  }
  save(seed: Uint8Array) {
    this.seed = Uint8Array.from(seed);
    this.saved++;
  }
}
const start = (words: (count: number) => Uint8Array, serial = '1', noise = 3) => {
  const random = new Random(natives, { words, noise: () => new Uint8Array(64).fill(noise), serial });
  while (random.tests.words < 1024) random.collect(64);
  return random;
};
const fresh = (n: number) => new Uint8Array(createHash('sha256').update(`fresh ${n}`).digest());
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('known answer: HMAC_DRBG of SP 800-90A with the HMAC that is native, written down a second time', (t) => {
  const random = start(hardware('a'));
  const kept = new Kept();
  kept.seed = Uint8Array.from({ length: 40 }, (_, n) => n);
  let [key, value] = [Buffer.alloc(32, 0), Buffer.alloc(32, 1)];
  const mac = (k: Buffer, ...parts: Uint8Array[]) => Buffer.from(natives.hmac(k, Buffer.concat(parts)));
  const update = (data?: Uint8Array) => {
    key = mac(key, value, Uint8Array.of(0), data ?? new Uint8Array(0));
    value = mac(key, value);
    if (!data) return;
    key = mac(key, value, Uint8Array.of(1), data);
    value = mac(key, value);
  };
  const generate = (length: number) => {
    const out = [];
    for (let n = 0; n < length; n += 32) {
      value = mac(key, value);
      out.push(value);
    }
    update();
    return Buffer.concat(out).subarray(0, length);
  };
  update(Buffer.concat([random.pool, fresh(1), Buffer.from('1')]));
  random.seed(fresh(1));
  t.is(hex(random.rootKey()), hex(generate(32)));
  update(kept.seed);
  random.bind(kept);
  t.is(hex(kept.seed.subarray(0, 32)), hex(generate(32)));
  for (const length of [1, 32, 33, 100]) t.is(hex(random.bytes(length)), hex(generate(length)));
});

test('nothing is drawn before the tests have passed, the gateway has given, and the next seed is kept', (t) => {
  const random = new Random(natives, { words: hardware('a'), noise: () => new Uint8Array(2), serial: '1' });
  random.collect(64);
  t.throws(() => random.seed(fresh(1)), { message: /has not been tested/ });
  while (random.tests.words < 1024) random.collect(64);
  t.throws(() => random.bytes(1), { message: /condition 1/ });
  t.throws(() => random.rootKey(), { message: /not seeded/ });
  t.throws(() => random.bind(new Kept()), { message: /not seeded/ });
  random.seed(fresh(1));
  t.is(random.condition(), RANDOM_WAITING);
  t.throws(() => random.bytes(1), { message: /condition 1/ });
  const torn = new Kept();
  torn.save = () => {
    throw new Error('the power failed');
  };
  t.throws(() => random.bind(torn), { message: 'the power failed' });
  t.throws(() => random.bytes(1), { message: /condition 1/ });
  random.bind(new Kept());
  t.is(random.condition(), RANDOM_READY);
  t.is(random.bytes(5).length, 5);
});

test('each source alone makes another generator', (t) => {
  const drawn = (name: string, serial: string, noise: number, given: number, seed: number) => {
    const random = start(hardware(name), serial, noise);
    const kept = new Kept();
    if (seed) kept.seed = new Uint8Array(40).fill(seed);
    random.seed(fresh(given));
    random.bind(kept);
    return hex(random.bytes(32));
  };
  const first = drawn('a', '1', 3, 1, 0);
  t.is(drawn('a', '1', 3, 1, 0), first, 'and nothing else is in it');
  const others = [
    drawn('b', '1', 3, 1, 0),
    drawn('a', '2', 3, 1, 0),
    drawn('a', '1', 4, 1, 0),
    drawn('a', '1', 3, 2, 0),
    drawn('a', '1', 3, 1, 9),
    drawn('a', '1', 3, 1, 10),
  ];
  t.is(new Set([first, ...others]).size, 7);
});

test('starts upon starts: no value comes twice, also where the image is put back, or the gateway gives old bytes', (t) => {
  const seen = new Set<string>();
  const draw = (random: Random, count = 20) => {
    for (let n = 0; n < count; n++) {
      const value = hex(random.bytes(16));
      t.false(seen.has(value));
      seen.add(value);
    }
  };
  const kept = new Kept();
  for (let n = 0; n < 100; n++) {
    // every third start the image is an old one; every fifth the gateway gives what it gave before, and the seed has moved on
    const image = kept.seed && Uint8Array.from(kept.seed);
    const putBack = n % 3 === 0;
    const random = start(hardware(`start ${n % 7}`));
    random.seed(fresh(n % 5 === 4 && !putBack && (n - 1) % 3 !== 0 ? n - 1 : n));
    random.bind(kept);
    draw(random);
    if (putBack) kept.seed = image;
  }
  t.is(seen.size, 2000);
});

test('a source that is stuck is refused at the start and later, with its condition', (t) => {
  const stuck = start((count) => new Uint8Array(4 * count).fill(5));
  t.is(stuck.condition(), RANDOM_STUCK);
  t.throws(() => stuck.seed(fresh(1)));
  const few = start((count) => Uint8Array.from({ length: 4 * count }, (_, n) => n % 8));
  t.is(few.condition(), RANDOM_FEW_VALUES);
  let good = true;
  const sound = hardware('a');
  const random = start((count) => (good ? sound(count) : new Uint8Array(4 * count)));
  random.seed(fresh(1));
  random.bind(new Kept());
  t.is(random.condition(), RANDOM_READY);
  good = false;
  random.collect(4);
  t.is(random.condition(), RANDOM_STUCK);
  t.throws(() => random.bytes(1), { message: /condition 2/ });
});

test('words that are those of the start before are refused: a generator with a fixed seed', (t) => {
  const kept = new Kept();
  const once = (name: string, n: number) => {
    const random = start(hardware(name));
    random.seed(fresh(n));
    random.bind(kept);
    return random;
  };
  t.is(once('a', 1).condition(), RANDOM_READY);
  t.is(once('b', 2).condition(), RANDOM_READY);
  const again = once('b', 3);
  t.is(again.condition(), RANDOM_AS_BEFORE);
  t.throws(() => again.bytes(1), { message: /condition 4/ });
});

test('a megabit looks like one', (t) => {
  const random = start(hardware('a'));
  random.seed(fresh(1));
  random.bind(new Kept());
  const bytes = Buffer.concat(Array.from({ length: 300 }, () => random.bytes(437)));
  const counts = new Array(256).fill(0);
  let ones = 0;
  let same = 0; // neighbouring bits that are equal
  let before = 0;
  for (const byte of bytes) {
    counts[byte]++;
    for (let bit = 0; bit < 8; bit++) {
      const one = (byte >> bit) & 1;
      ones += one;
      if (one === before) same++;
      before = one;
    }
  }
  const bits = 8 * bytes.length;
  const expected = bytes.length / 256;
  const chi = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  // five standard deviations; the input is fixed, so that this is right always or never
  t.true(Math.abs(ones - bits / 2) < 2.5 * Math.sqrt(bits));
  t.true(Math.abs(same - bits / 2) < 2.5 * Math.sqrt(bits));
  t.true(Math.abs(chi - 255) < 5 * Math.sqrt(510), `${chi}`);
  const blocks = Array.from({ length: bytes.length / 8 }, (_, n) => bytes.toString('hex', 8 * n, 8 * n + 8));
  t.is(new Set(blocks).size, blocks.length);
});
