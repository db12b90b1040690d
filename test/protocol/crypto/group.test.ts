import { createHash, randomBytes } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import test from 'ava';
import fc from 'fast-check';
import {
  BASE,
  decodeElements,
  decodeScalar,
  Element,
  encodeScalar,
  GroupError,
  hashToElement,
  invertAll,
  modulo,
  multiplyAdd,
  multiplyBase,
  multiScalar,
  NEUTRAL,
  ORDER,
  power,
  sum,
} from '../../../protocol/crypto/group.ts';

/** @noble/curves knows nothing of OpenSSL and mcl: the oracle. */
const { Point } = p256;
type NoblePoint = InstanceType<typeof Point>;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const noble = (element: Element): NoblePoint => (element.isNeutral ? Point.ZERO : Point.fromHex(hex(element.encode())));
const times = (point: NoblePoint, scalar: bigint): NoblePoint =>
  modulo(scalar) === 0n ? Point.ZERO : point.multiply(modulo(scalar));
const random = (): Element => multiplyBase(randomBytes(32));

test('known answers: the base point and its multiples (NIST, SEC 2)', (t) => {
  t.is(hex(BASE.encode()), '036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296');
  t.is(
    hex(multiplyBase(encodeScalar(2n)).encode()),
    '037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978',
  );
  t.is(hex(multiplyBase(encodeScalar(ORDER - 1n)).encode()), `02${hex(BASE.encode()).slice(2)}`);
  t.true(BASE.multiply(ORDER).isNeutral);
});

test('both engines and the oracle agree', (t) => {
  const scalar = fc.bigInt({ min: 1n, max: ORDER - 1n });
  fc.assert(
    fc.property(scalar, scalar, (a, b) => {
      const [p, q] = [multiplyBase(encodeScalar(a)), multiplyBase(encodeScalar(b))];
      const [np, nq] = [times(Point.BASE, a), times(Point.BASE, b)];
      t.is(hex(p.encode()), np.toHex(true));
      t.true(BASE.multiply(a).equals(p));
      t.true(noble(p.add(q)).equals(np.add(nq)));
      t.true(noble(p.subtract(q)).equals(np.subtract(nq)));
      t.true(noble(q.multiply(a)).equals(times(nq, a)));
      t.true(noble(multiplyAdd([p], b, [q])[0]).equals(times(np, b).add(nq)));
      t.true(p.subtract(p).isNeutral && p.add(NEUTRAL).equals(p) && p.add(p).equals(p.multiply(2n)));
    }),
    { numRuns: 6 },
  );
});

test('sums of many: weights short and long, of both signs, few and many different ones', (t) => {
  const elements = Array.from({ length: 30 }, random);
  const points = elements.map(noble);
  for (const count of [0, 1, 5, 30])
    for (const bits of [1, 13, 33, 64, 255, 256])
      for (const distinct of [2, 30]) {
        const weights = Array.from({ length: count }, (_, i) => {
          const size =
            BigInt(
              `0x${hex(
                createHash('sha256')
                  .update(`${bits} ${i % distinct}`)
                  .digest(),
              )}`,
            ) >> BigInt(256 - bits);
          return i % 3 === 0 ? -size : size;
        });
        const expected = weights.reduce((total, w, i) => total.add(times(points[i], w)), Point.ZERO);
        t.true(noble(multiScalar(elements.slice(0, count), weights)).equals(expected), `${count} ${bits} ${distinct}`);
      }
  const edges = [
    0n,
    1n,
    -1n,
    ORDER - 1n,
    ORDER,
    ORDER + 1n,
    -ORDER,
    ORDER >> 1n,
    (ORDER >> 1n) + 1n,
    2n ** 256n,
    65535n,
    65536n,
  ];
  const expected = edges.reduce((total, w, i) => total.add(times(points[i], w)), Point.ZERO);
  t.true(noble(multiScalar(elements.slice(0, edges.length), edges)).equals(expected));
  t.true(noble(multiScalar([elements[0], elements[0]], [5n, -5n])).equals(Point.ZERO));
  t.true(noble(sum(elements)).equals(points.reduce((total, p) => total.add(p), Point.ZERO)));
  t.throws(() => multiScalar(elements, [1n]), { instanceOf: RangeError });
});

test('what is no element is refused with its place', (t) => {
  const good = random().encode();
  const bad = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };
  const offCurve = Buffer.from(good);
  do offCurve.set(randomBytes(32), 1);
  while (isPoint(offCurve));
  const prime = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n;
  // x = 5 is on the curve; p + 5 would be a second encoding of it
  const canonical = Buffer.from(`02${5n.toString(16).padStart(64, '0')}`, 'hex');
  t.true(isPoint(canonical) && Element.decode(canonical).encode().length === 33);
  const wrong: [string, Uint8Array][] = [
    ['too short', good.subarray(1)],
    ['uncompressed', bad((b) => b.fill(4, 0, 1))],
    ['prefix 0', bad((b) => b.fill(0, 0, 1))],
    ['all zero', Buffer.alloc(33)],
    ['02 and zero', Buffer.from(`02${prime.toString(16)}`, 'hex')],
    ['x above the prime', Buffer.from(`02${(prime + 5n).toString(16)}`, 'hex')],
    ['not on the curve', offCurve],
  ];
  for (const [what, bytes] of wrong)
    t.throws(() => Element.decode(bytes, 'c'), { instanceOf: GroupError, message: /^c: / }, what);
  t.throws(() => decodeElements(Buffer.concat([good, offCurve]), 'c'), { message: /^c\.1: / });
  t.throws(() => decodeElements(good.subarray(1)), { instanceOf: GroupError });
  t.throws(() => decodeScalar(Buffer.from(ORDER.toString(16), 'hex'), 's'), { message: /^s: / });
  t.throws(() => decodeScalar(Buffer.alloc(31)), { instanceOf: GroupError });
  t.is(decodeScalar(encodeScalar(-1n)), ORDER - 1n);
  t.throws(() => NEUTRAL.encode(), { instanceOf: RangeError });
  t.throws(() => multiplyBase(Buffer.alloc(32)));
});
function isPoint(bytes: Uint8Array): boolean {
  try {
    Point.fromHex(hex(bytes));
    return true;
  } catch {
    return false;
  }
}

test('inverses, many at once', (t) => {
  const scalars = [1n, 2n, ORDER - 1n, 12345n, decodeScalar(randomBytes(32).fill(0, 0, 1))];
  for (const [i, inverse] of invertAll(scalars).entries()) t.is(modulo(inverse * scalars[i]), 1n);
  t.throws(() => invertAll([3n, 0n]), { instanceOf: RangeError });
  t.is(power(3n, 5n), 243n);
});

test('generators are what the documentation says', (t) => {
  // by the oracle, step by step
  for (const text of ['pedersen/value', 'x']) {
    for (let counter = 0; ; counter++) {
      const x = createHash('sha256')
        .update(`quietmeter/v1/generator\0${text}\0`)
        .update(Uint8Array.of(counter))
        .digest();
      const bytes = Buffer.concat([Uint8Array.of(2), x]);
      if (!isPoint(bytes)) continue;
      t.is(hex(hashToElement(text).encode()), hex(bytes));
      break;
    }
  }
});
