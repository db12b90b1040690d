// The helper: inverses in batch, and the bytes of question and answer.
import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { answerHelperQuestion, invertAll } from '../../../gateway/helper/inverse.ts';
import {
  decodeHelperAnswer,
  decodeHelperQuestion,
  encodeHelperAnswer,
  encodeHelperQuestion,
  HELPER_MOST_VALUES,
} from '../../../protocol/wire/helper.ts';

const integer = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (value: bigint, length: number): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'));

// a product of two primes, small enough to know its factors
const P = 2n ** 127n - 1n;
const Q = 2n ** 89n - 1n;
const N = P * Q;
const LENGTH = 32;
const modulus = bytesOf(N, LENGTH);

test('value times inverse is 1, for any batch', (t) => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 1n, max: P - 1n }), { minLength: 1, maxLength: 40 }), (values) => {
      const units = values.filter((value) => value % Q !== 0n);
      const inverses = invertAll(
        modulus,
        units.map((value) => bytesOf(value, LENGTH)),
      );
      t.is(inverses.length, units.length);
      for (const [i, inverse] of inverses.entries()) {
        t.is(inverse.length, LENGTH);
        t.is((units[i] * integer(inverse)) % N, 1n);
      }
    }),
  );
});

test('a value without an inverse is answered by no bytes, and does not spoil the others', (t) => {
  const values = [3n, 0n, P, 5n, N - 1n, 2n * Q].map((value) => bytesOf(value, LENGTH));
  const inverses = invertAll(modulus, values);
  t.deepEqual(
    inverses.map((inverse) => inverse.length),
    [LENGTH, 0, 0, LENGTH, LENGTH, 0],
  );
  t.is((3n * integer(inverses[0])) % N, 1n);
  t.is(integer(inverses[4]), N - 1n);
  t.deepEqual(invertAll(new Uint8Array(LENGTH), values)[0].length, 0);
});

test('question and answer go over the line as they are', (t) => {
  const question = {
    request: 0xbeef,
    modulus: new Uint8Array(randomBytes(256)),
    values: [new Uint8Array(randomBytes(256)), new Uint8Array(randomBytes(256))],
  };
  t.deepEqual(decodeHelperQuestion(encodeHelperQuestion(question)), question);
  const answer = { request: 7, inverses: [new Uint8Array(0), new Uint8Array(randomBytes(384))] };
  const body = encodeHelperAnswer(answer, 384);
  t.is(body.length, 4 + 2 * 384);
  t.deepEqual(decodeHelperAnswer(body), answer);
  const whole = answerHelperQuestion(
    decodeHelperQuestion(encodeHelperQuestion({ request: 9, modulus, values: [bytesOf(3n, LENGTH)] })),
  );
  t.is((3n * integer(decodeHelperAnswer(encodeHelperAnswer(whole, LENGTH)).inverses[0])) % N, 1n);
});

test('what is no question or answer is refused, and says which field', (t) => {
  const value = new Uint8Array(32).fill(1);
  const body = encodeHelperQuestion({ request: 1, modulus, values: [value] });
  const spoiled = (at: number, byte: number) => body.map((old, i) => (i === at ? byte : old));
  t.throws(() => decodeHelperQuestion(new Uint8Array(3)), { message: /^helperQuestion: 3 bytes/ });
  t.throws(() => decodeHelperQuestion(body.slice(1)), { message: /^helperQuestion/ });
  t.throws(() => decodeHelperQuestion(spoiled(2, 0)), { message: 'helperQuestion.words: 0' });
  t.throws(() => decodeHelperQuestion(spoiled(3, 0)), { message: 'helperQuestion.count: 0' });
  t.throws(() => decodeHelperQuestion(spoiled(3, 2)), { message: /^helperQuestion: 68 bytes/ });
  t.throws(() => decodeHelperAnswer(spoiled(3, 41)), { message: 'helperAnswer.count: 41' });
  const many = new Array<Uint8Array>(HELPER_MOST_VALUES + 1).fill(value);
  t.throws(() => encodeHelperQuestion({ request: 1, modulus, values: many }), { message: 'helperQuestion.count: 41' });
  t.throws(() => encodeHelperQuestion({ request: 1, modulus, values: [value.slice(1)] }), { message: /31 bytes/ });
  t.throws(() => encodeHelperAnswer({ request: 1, inverses: [value.slice(0, 31)] }, 31), { message: /words: 31/ });
});
