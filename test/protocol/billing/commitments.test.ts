import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { identifierReference } from '../../../protocol/billing/bill.ts';
import {
  CommitmentError,
  commitReading,
  HEAD_BYTES,
  isLeaf,
  leafOf,
  monthKey,
  openCommitments,
  openHead,
  openingOf,
  openWeightedSum,
  randomnessOf,
  type Series,
  signCommitments,
  verifyWeightedSum,
  wholePeriod,
} from '../../../protocol/billing/commitments.ts';
import { decodeScalar, Element, ORDER } from '../../../protocol/crypto/group.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { commitment } from '../../../protocol/crypto/pedersen.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';

/** February 2026: 28 days. */
const MONTH = 56 * 12 + 1;
const FIRST = monthFirstSlot(MONTH);
const meter = generateSigningKey();
const sign = (message: Uint8Array): Uint8Array => signP256(meter.privateKey, message);
const SERIES: Series = {
  meter: identifierReference(meter.publicKey),
  month: MONTH,
  purpose: 0,
  register: 'import',
  revision: 0,
  sinceSlot: FIRST - 1000,
  unitMwh: 1,
  bits: 24,
};
const KEY = Buffer.alloc(32, 7);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const readingOf = (slot: number): number => (slot * 7919) % 3_000_000;
const commitments = (firstSlot: number, count: number, series = SERIES): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => commitReading(KEY, series, firstSlot + i, readingOf(firstSlot + i)));
const batch = async (firstSlot: number, count: number, series = SERIES) =>
  openCommitments(
    await signCommitments(series, firstSlot, commitments(firstSlot, count, series), sign),
    meter.publicKey,
  );

test('known answers of ours: whoever derives otherwise opens nothing', (t) => {
  const key = monthKey(Buffer.alloc(32, 1), MONTH);
  t.is(hex(key), 'bd4aa407bd5162d78843a75f1bebc90b2680f2bcbbeee3b95cf5b63fc51c847e');
  t.is(hex(randomnessOf(key, SERIES, FIRST)), '2c2f2b1185a2f8fb46f3a5fa5de9477bd2a0e6b7051f8176afab56cae0b784e6');
  t.is(
    hex(commitReading(key, SERIES, FIRST, 123_456)),
    '03f45756818530481057faa3ffe99f3d2dc7067e07f51d2e1ff5329837a9851caf',
  );
});

test('randomness differs by month, purpose, register, revision and slot', (t) => {
  const all = [
    randomnessOf(KEY, SERIES, FIRST),
    randomnessOf(monthKey(KEY, MONTH), SERIES, FIRST),
    randomnessOf(monthKey(KEY, MONTH + 1), SERIES, FIRST),
    randomnessOf(KEY, { ...SERIES, purpose: 2 }, FIRST),
    randomnessOf(KEY, { ...SERIES, register: 'export' }, FIRST),
    randomnessOf(KEY, { ...SERIES, revision: 1 }, FIRST),
    randomnessOf(KEY, SERIES, FIRST + 1),
  ];
  t.is(new Set(all.map(hex)).size, all.length);
  t.throws(() => randomnessOf(KEY.subarray(1), SERIES, FIRST), { instanceOf: RangeError });
});

test('a commitment opens to its reading, and to no other', (t) => {
  const element = Element.decode(commitReading(KEY, SERIES, FIRST, 4711));
  const { value, randomness } = openingOf(KEY, SERIES, FIRST, 4711);
  t.true(commitment(BigInt(value), decodeScalar(randomness)).equals(element));
  t.false(commitment(BigInt(value + 1), decodeScalar(randomness)).equals(element));
  for (const bad of [-1, 2 ** 24, 1.5]) t.throws(() => commitReading(KEY, SERIES, FIRST, bad), { message: /slot/ });
  t.throws(() => commitReading(KEY, { ...SERIES, bits: 12 }, FIRST, 4096), { message: /2\^12/ });
});

test('a batch arrives as it was signed; one altered byte and it does not', async (t) => {
  const bytes = await signCommitments(SERIES, FIRST, commitments(FIRST, 96), sign);
  t.is(bytes.length, HEAD_BYTES + 96 * 33);
  const opened = openCommitments(bytes, meter.publicKey);
  t.like(opened, { month: MONTH, register: 'import', firstSlot: FIRST, count: 96, unitMwh: 1, bits: 24 });
  const places = [...Array(HEAD_BYTES).keys(), ...Array.from({ length: 40 }, (_, i) => HEAD_BYTES + i * 79)];
  for (const at of places) {
    const altered = Buffer.from(bytes);
    altered[at] ^= 1 << (at % 8);
    t.throws(() => openCommitments(altered, meter.publicKey), { message: /^commitments/ }, `byte ${at}`);
  }
  t.throws(() => openCommitments(bytes.subarray(0, -33), meter.publicKey), { message: /^commitments\.commitments: / });
  t.throws(() => openCommitments(bytes, generateSigningKey().publicKey), { message: /^commitments\.meter: / });
});

test('a head that makes no sense is refused with its field', async (t) => {
  const wrong: [Partial<Series>, number, number, string][] = [
    [{ unitMwh: 0 }, FIRST, 1, 'unitMwh'],
    [{ bits: 0 }, FIRST, 1, 'bits'],
    [{ bits: 25 }, FIRST, 1, 'bits'],
    [{ sinceSlot: FIRST + 1 }, FIRST, 1, 'firstSlot'],
    [{}, FIRST - 1, 1, 'firstSlot'],
    [{}, FIRST, 0, 'count'],
    [{}, FIRST, 28 * 96 + 1, 'count'],
    [{ purpose: 256 }, FIRST, 1, 'purpose'],
  ];
  for (const [change, firstSlot, count, field] of wrong)
    await t.throwsAsync(
      signCommitments({ ...SERIES, ...change }, firstSlot, Array(count).fill(Buffer.alloc(33, 2)), sign),
      { message: new RegExp(`^commitments\\.${field}: `) },
    );
});

test('a period is every slot once', async (t) => {
  const day = (d: number) => batch(FIRST + 96 * d, 96);
  const days = await Promise.all([2, 0, 1].map(day));
  const period = { firstSlot: FIRST, endSlot: FIRST + 288 };
  const whole = wholePeriod(days, period);
  t.like(whole, { firstSlot: FIRST, endSlot: FIRST + 288 });
  t.is(whole.elements.length, 288);
  t.true(whole.elements[100].equals(days[2].elements[4]), 'in their order');
  t.throws(() => wholePeriod(days), { instanceOf: CommitmentError, message: /slot .* is missing/ });
  t.throws(() => wholePeriod(days.slice(1), period), { message: `commitments.count: slot ${FIRST + 192} is missing` });
  t.throws(() => wholePeriod([days[0], days[1]], period), {
    message: `commitments.firstSlot: slot ${FIRST + 96} is missing`,
  });
  t.throws(() => wholePeriod([...days, days[2]], period), { message: /comes twice/ });
  t.throws(() => wholePeriod([], period), { message: /are missing/ });
  for (const change of [{ register: 'export' }, { purpose: 1 }, { revision: 1 }, { unitMwh: 1000 }] as const)
    t.throws(() => wholePeriod([days[1], { ...days[2], ...change }, days[0]], period), { message: /differs/ });
  // a period that begins and ends within batches
  const part = wholePeriod(days, { firstSlot: FIRST + 10, endSlot: FIRST + 200 });
  t.is(part.elements.length, 190);
  t.true(part.elements[0].equals(days[1].elements[10]));
  // a meter that came in the middle of the month
  const since = { ...SERIES, sinceSlot: FIRST + 28 * 96 - 96 };
  t.is(wholePeriod([await batch(since.sinceSlot, 96, since)]).elements.length, 96);
});

test('a leaf shows one commitment under the signed head', async (t) => {
  const all = commitments(FIRST, 100);
  const bytes = await signCommitments(SERIES, FIRST, all, sign);
  const head = openHead(bytes.subarray(0, HEAD_BYTES), meter.publicKey);
  const leaf = leafOf(FIRST, all, FIRST + 37);
  t.true(isLeaf(head, leaf));
  t.false(isLeaf(head, { ...leaf, slot: leaf.slot + 1 }));
  t.false(isLeaf(head, { ...leaf, commitment: all[36] }));
});

test('a weighted sum opens to what it is, whatever the weights, and to nothing else', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 2 ** 24 - 1 }), fc.bigInt({ min: -100_000n, max: 100_000n })), {
        minLength: 1,
        maxLength: 12,
      }),
      (pairs) => {
        const openings = pairs.map(([value], i) => openingOf(KEY, SERIES, FIRST + i, value));
        const elements = pairs.map(([value], i) => Element.decode(commitReading(KEY, SERIES, FIRST + i, value)));
        const weights = pairs.map(([, weight]) => weight);
        const opened = openWeightedSum(weights, openings);
        t.is(
          opened.sum,
          pairs.reduce((sum, [value, weight]) => sum + BigInt(value) * weight, 0n),
        );
        t.true(verifyWeightedSum(elements, weights, opened));
        for (const off of [1n, -1n, ORDER, -ORDER])
          t.false(verifyWeightedSum(elements, weights, { ...opened, sum: opened.sum + off }));
        t.false(verifyWeightedSum(elements, weights, { ...opened, randomness: randomBytes(32).fill(0, 0, 1) }));
        if (weights[0] !== 0n)
          t.false(
            verifyWeightedSum(
              elements.with(0, Element.decode(commitReading(KEY, SERIES, FIRST + 99, 1))),
              weights,
              opened,
            ),
          );
      },
    ),
    { numRuns: 20 },
  );
});
