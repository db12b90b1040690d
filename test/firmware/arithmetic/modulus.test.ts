// Multiplication against BigInt: at the extremes, for random numbers, and with a machine that computes wrongly.
import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { limbsFor } from '../../../firmware/arithmetic/limbs.ts';
import { Modulus } from '../../../firmware/arithmetic/modulus.ts';
import { Multiplier } from '../../../firmware/arithmetic/multiplier.ts';
import { LIMB_BITS } from '../../../firmware/arithmetic/natives.ts';
import { nodeNatives } from './natives.ts';
import { bytesOf, fromLimbs, integer, modulusOf, readyModulus, run, toLimbs } from './numbers.ts';

/** Moduli of so many bits: as small, as large and as regular as they can be, and one as they are. */
function moduliOf(bits: number): bigint[] {
  const top = 1n << BigInt(bits - 1);
  const one = integer(randomBytes(bits / 8)) | top | 1n;
  return [top + 1n, 2n * top - 1n, top + top / 2n + 1n, one];
}
const inverseOf = (value: bigint, n: bigint): bigint => {
  let [r0, r1, s0, s1] = [n, value % n, 0n, 1n];
  while (r1 > 0n) [r0, r1, s0, s1] = [r1, r0 % r1, s1, s0 - (r0 / r1) * s1];
  return ((s0 % n) + n) % n;
};

for (const bits of [2048, 3072, 4096]) {
  test(`${bits} bits: products of 0, 1, n − 1, 2 n − 1, all-ones limbs and powers of two`, (t) => {
    const limbs = limbsFor(bits / 8);
    const r = 1n << BigInt(LIMB_BITS * limbs);
    for (const n of moduliOf(bits)) {
      const modulus = readyModulus(bytesOf(n, bits / 8));
      const inverse = inverseOf(r, n);
      const ones = (count: number) => (1n << BigInt(LIMB_BITS * count)) - 1n;
      const extremes = [0n, 1n, 2n, n - 1n, n, n + 1n, 2n * n - 1n, ones(1), ones(limbs - 2)];
      extremes.push(n - ones(3), ones(limbs - 2) << BigInt(LIMB_BITS), 1n << BigInt(bits - 1), (r - 1n) % n, r % n);
      for (const a of extremes) {
        for (const b of extremes) {
          const product = fromLimbs(modulus.multiply(toLimbs(a, limbs), toLimbs(b, limbs)));
          t.true(product < 2n * n);
          if (product % n !== (a * b * inverse) % n) t.fail(`${bits} bits: ${a.toString(16)} · ${b.toString(16)}`);
        }
      }
    }
  });

  test(`${bits} bits: products of random numbers`, (t) => {
    const n = moduliOf(bits)[3];
    const modulus = readyModulus(bytesOf(n, bits / 8));
    const limbs = limbsFor(bits / 8);
    const numbers = fc.bigInt({ min: 0n, max: 2n * n - 1n });
    const inverse = inverseOf(1n << BigInt(LIMB_BITS * limbs), n);
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const product = modulus.multiply(toLimbs(a, limbs), toLimbs(b, limbs));
        t.is(fromLimbs(modulus.reduce(product)), (a * b * inverse) % n);
      }),
      { numRuns: 100 },
    );
  });
}

test('into Montgomery’s form and out of it, from bytes to bytes', (t) => {
  const n = moduliOf(2048)[3];
  const modulus = readyModulus(bytesOf(n, 256));
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: n - 1n }), (a) => {
      const bytes = bytesOf(a, 256);
      t.deepEqual(modulus.write(modulus.fromForm(modulus.toForm(modulus.read(bytes, 'a')))), bytes);
    }),
    { numRuns: 50 },
  );
  t.true(modulus.isOne(toLimbs(n + 1n, 94)));
  t.false(modulus.isOne(toLimbs(n, 94)));
});

test('two moduli of one length take turns at one multiplier', (t) => {
  const [n, m] = [moduliOf(2048)[3], moduliOf(2048)[3]];
  const [first, second] = [modulusOf(bytesOf(n, 256)), modulusOf(bytesOf(m, 256))];
  for (let done = false; !done; ) {
    done = first.step();
    done = second.step() && done;
  }
  const a = integer(randomBytes(255));
  for (const [modulus, value] of [
    [first, n],
    [second, m],
    [first, n],
  ] as const) {
    const limbs = toLimbs(a, 94);
    t.is(fromLimbs(modulus.reduce(modulus.multiply(modulus.toForm(limbs), limbs))), (a * a) % value);
  }
});

test('what is no modulus is refused, and so is what is no number below it', (t) => {
  const n = bytesOf(moduliOf(2048)[3], 256);
  const spoiled = (at: number, and: number) => n.map((byte, i) => (i === at ? byte & and : byte));
  t.throws(() => modulusOf(spoiled(255, 0xfe)), { message: /even/ });
  t.throws(() => modulusOf(spoiled(0, 0x7f)), { message: /shorter/ });
  t.throws(() => new Modulus(new Multiplier(nodeNatives, 94), new Uint8Array(384).fill(255)), { message: /384 bytes/ });
  const modulus = modulusOf(n);
  t.throws(() => modulus.read(n, 'blinded'), { message: /^blinded: not below/ });
  t.throws(() => modulus.read(n.subarray(1), 'answer'), { message: /^answer: 255 bytes/ });
  t.is(modulus.write(modulus.read(bytesOf(integer(n) - 1n, 256), 'a')).length, 256);
  t.false(modulus.isBetween(n));
  t.false(modulus.isBetween(new Uint8Array(256)));
  t.false(modulus.isBetween(new Uint8Array(255).fill(1)));
  t.true(modulus.isBetween(bytesOf(1n, 256)));
  t.true(modulus.isBetween(bytesOf(integer(n) - 1n, 256)));
});

test('a column that comes out wrong is noticed, whichever it is', (t) => {
  let call = 0;
  let wrong = -1;
  const natives = {
    ...nodeNatives,
    product: (a: Int32Array, b: Int32Array) => {
      const right = nodeNatives.product(a, b);
      return (offset: number) => right(offset) + (call++ === wrong ? 1 : 0);
    },
  };
  const n = bytesOf(moduliOf(2048)[3], 256);
  const modulus = new Modulus(new Multiplier(natives, 94), n);
  run(modulus);
  const a = modulus.toForm(modulus.read(new Uint8Array(randomBytes(256)).fill(0, 0, 1), 'a'));
  call = 0;
  const right = modulus.multiply(a, a);
  const calls = call;
  let noticed = 0;
  for (wrong = 0; wrong < calls; wrong++) {
    call = 0;
    try {
      // a column far below the carry that it decides makes no difference to it
      t.deepEqual(modulus.multiply(a, a), right);
    } catch (error) {
      t.regex(String(error), /a product is wrong/);
      noticed++;
    }
  }
  t.true(calls - noticed <= 3, `${noticed} of ${calls}`);
  wrong = -1;
  t.deepEqual(modulus.multiply(a, a), right);
});

test('a modulus that comes out wrong is not used', (t) => {
  let wrong = -1;
  let call = 0;
  const natives = {
    ...nodeNatives,
    filling: (offsets: Uint8Array, to: Float64Array, f: (offset: number) => number) => {
      const fill = nodeNatives.filling(offsets, to, f);
      return () => {
        fill();
        if (call++ === wrong) to[0] += 1;
      };
    },
  };
  const n = bytesOf(moduliOf(2048)[3], 256);
  run(new Modulus(new Multiplier(natives, 94), n));
  const calls = call;
  for (wrong = 0; wrong < calls; wrong += 7) {
    call = 0;
    const modulus = new Modulus(new Multiplier(natives, 94), n);
    try {
      run(modulus);
      // the fault fell where nothing depends on it: then everything is right
      t.true(modulus.isOne(modulus.fromForm(modulus.toForm(toLimbs(1n, 94)))));
    } catch (error) {
      t.regex(String(error), /arithmetic: |modulus: /);
      t.false(modulus.ready);
    }
  }
});
