import { createHash } from 'node:crypto';
import test from 'ava';
import {
  EQUAL_BYTES,
  FEW_VALUES,
  HEALTHY,
  HealthTests,
  REPEATED_WORDS,
  START_WORDS,
  STUCK,
  WINDOW_BYTES,
} from '../../../firmware/random/health.ts';

const sound = (length: number, name = 'sound') =>
  Buffer.concat(Array.from({ length: length / 32 }, (_, n) => createHash('sha256').update(`${name} ${n}`).digest()));
const verdictOf = (bytes: Uint8Array) => {
  const tests = new HealthTests();
  // in pieces, as they come
  for (let at = 0; at < bytes.length; at += 64) tests.take(bytes.subarray(at, at + 64));
  return tests.verdict;
};
const words = (of: (n: number) => number) => {
  const bytes = new Uint8Array(4 * START_WORDS);
  const view = new DataView(bytes.buffer);
  for (let n = 0; n < START_WORDS; n++) view.setUint32(4 * n, of(n) >>> 0, true);
  return bytes;
};

test('the cut-offs are those of SP 800-90B §4.4 at 6 bits of entropy a byte and 2^-30', (t) => {
  t.is(REPEATED_WORDS, 1 + Math.ceil(30 / 24));
  const p = 2 ** -6;
  // the upper tail of the binomial, summed from its far end
  const log = (n: number) => Array.from({ length: n }, (_, k) => Math.log(k + 1)).reduce((a, b) => a + b, 0);
  const chance = (k: number) =>
    Math.exp(
      log(WINDOW_BYTES) - log(k) - log(WINDOW_BYTES - k) + k * Math.log(p) + (WINDOW_BYTES - k) * Math.log(1 - p),
    );
  let above = 0;
  let k = WINDOW_BYTES;
  while (above + chance(k) <= 2 ** -30) above += chance(k--);
  t.is(EQUAL_BYTES, 1 + k);
});

test('sound words pass, and only after enough of them', (t) => {
  const tests = new HealthTests();
  tests.take(sound(4 * START_WORDS - 32));
  t.false(tests.isProven());
  tests.take(sound(32));
  t.true(tests.isProven());
  t.is(verdictOf(sound(1 << 18)), HEALTHY);
});

test('a source that is stuck, or gives few values, is refused, and stays refused', (t) => {
  t.is(verdictOf(words(() => 0)), STUCK);
  t.is(verdictOf(words(() => 0xffffffff)), STUCK);
  t.is(verdictOf(words(() => 0x9e3779b9)), STUCK);
  t.is(verdictOf(words((n) => (n & 1 ? 0x12345678 : 0x9abcdef0))), FEW_VALUES, 'two words in turn');
  t.is(verdictOf(words((n) => n % 256)), FEW_VALUES, 'a counter in one byte');
  t.is(verdictOf(words((n) => Math.imul(n, 0x01010101) & 0x03030303)), FEW_VALUES);
  const tests = new HealthTests();
  const late = sound(8192);
  late.fill(7, 5000, 5012);
  tests.take(late);
  t.is(tests.verdict, STUCK, 'in the middle, too');
  tests.take(sound(8192));
  t.is(tests.verdict, STUCK);
  t.false(tests.isProven());
});
