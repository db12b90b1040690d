import { createHash, randomBytes } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import test from 'ava';
import { EquationBatch } from '../../../protocol/crypto/equations.ts';
import { generators, PRODUCT_BASE } from '../../../protocol/crypto/generators.ts';
import {
  BASE,
  type Element,
  foldBlocks,
  GroupError,
  hashToElement,
  invert,
  modulo,
  multiScalar,
  ORDER,
  scalarOf,
} from '../../../protocol/crypto/group.ts';
import {
  innerProduct,
  innerProductEquation,
  powers,
  proveInnerProduct,
} from '../../../protocol/crypto/inner-product.ts';
import { LABELS } from '../../../protocol/crypto/labels.ts';
import {
  type LookupStatement,
  lookupEquations,
  lookupProofBytes,
  proveLookup,
} from '../../../protocol/crypto/lookup-proof.ts';
import { commitment, VALUE_BASE } from '../../../protocol/crypto/pedersen.ts';
import { proveRange, rangeEquations } from '../../../protocol/crypto/range-proof.ts';
import { Transcript } from '../../../protocol/crypto/transcript.ts';

const scalar = (): bigint => scalarOf(randomBytes(64));
const transcript = (context = 'test'): Transcript =>
  new Transcript(LABELS.payment).absorb('context', Buffer.from(context));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('generators do not depend on each other, and H is none of them', (t) => {
  const all = [BASE, VALUE_BASE, PRODUCT_BASE, ...generators('g', 8), ...generators('h', 8)];
  t.is(new Set(all.map((element) => hex(element.encode()))).size, all.length);
  t.true(generators('g', 3)[2].equals(hashToElement('vector/g/2')));
});

test('blocks folded onto each other, against the oracle', (t) => {
  const elements = generators('g', 12);
  const scalars = [1n, scalar(), ORDER - 1n, 16n];
  const folded = foldBlocks(elements, scalars);
  t.is(folded.length, 3);
  const noble = (element: Element) => p256.Point.fromHex(hex(element.encode()));
  for (const [i, result] of folded.entries()) {
    const expected = scalars.reduce((sum, s, j) => sum.add(noble(elements[i + 3 * j]).multiply(s)), p256.Point.ZERO);
    t.is(hex(result.encode()), expected.toHex(true));
  }
});

test('inner products of every length', (t) => {
  for (const n of [1, 2, 4, 8, 16, 32]) {
    const [l, r] = [0, 1].map(() => Array.from({ length: n }, scalar));
    const [y, q] = [scalar(), scalar()];
    const inverse = invert(y);
    const scale = powers(inverse, n, inverse);
    const P = multiScalar(
      [...generators('g', n), ...generators('h', n), PRODUCT_BASE],
      [...l, ...r.map((value, i) => value * scale[i]), innerProduct(l, r) * q],
    );
    const proof = proveInnerProduct(transcript(), y, PRODUCT_BASE.multiply(q), l, r);
    const holds = (about: Element, changed = proof): boolean => {
      const batch = new EquationBatch(randomBytes);
      batch.next();
      batch.term(about, 1n);
      innerProductEquation(batch, transcript(), y, q, n, changed);
      return batch.holds();
    };
    t.true(holds(P));
    t.false(holds(P.add(PRODUCT_BASE)), 'another product');
    t.false(holds(P.add(generators('g', 1)[0])), 'another vector');
    t.false(holds(P, { ...proof, l: modulo(proof.l + 1n) }));
    t.false(holds(P, { ...proof, r: modulo(proof.r + 1n) }));
    for (const [j, [left, right]] of proof.halvings.entries())
      t.false(holds(P, { ...proof, halvings: proof.halvings.with(j, [right, left]) }));
  }
});

// ── ranges ──

const openings = (values: readonly bigint[]) => {
  const randomness = values.map(scalar);
  return { values, randomness, commitments: values.map((value, i) => commitment(modulo(value), randomness[i])) };
};
const inRange = (commitments: readonly Element[], bits: number, proof: Uint8Array, context?: string): boolean => {
  const batch = new EquationBatch(randomBytes);
  rangeEquations(batch, transcript(context), commitments, bits, proof);
  return batch.holds();
};

test('values in their range, at its borders too', (t) => {
  for (const [bits, values] of [
    [6, [0n]],
    [6, [63n, 0n, 1n]],
    [12, [4095n, 64n, 63n, 0n]],
    [36, [2n ** 36n - 1n, 0n, 123_456_789n]],
  ] as const) {
    const { commitments, randomness } = openings(values);
    const proof = proveRange(transcript(), commitments, bits, values, randomness, randomBytes);
    t.true(inRange(commitments, bits, proof));
    t.false(inRange(commitments, bits, proof, 'other'), 'bound to its context');
    t.false(inRange([...commitments.slice(0, -1), commitments[commitments.length - 1].add(VALUE_BASE)], bits, proof));
    t.false(inRange([...commitments.slice(0, -1), commitments[commitments.length - 1].add(BASE)], bits, proof));
  }
});

test('what is out of the range cannot be proved: negative, too large, and as if it were another number', (t) => {
  for (const value of [-1n, 64n, ORDER - 1n, 2n ** 64n]) {
    const { commitments, randomness } = openings([value, 5n]);
    t.throws(() => proveRange(transcript(), commitments, 6, [value, 5n], randomness, randomBytes), {
      instanceOf: RangeError,
    });
    // a prover that lies about the number has a proof about other commitments
    const lie = proveRange(transcript(), commitments, 6, [modulo(value) % 64n, 5n], randomness, randomBytes);
    t.false(inRange(commitments, 6, lie));
  }
  t.throws(() => proveRange(transcript(), [], 6, [], [], randomBytes), { instanceOf: RangeError });
  t.throws(() => proveRange(transcript(), [BASE], 7, [1n], [1n], randomBytes), { message: /no multiple of 6/ });
});

// ── tables ──

const SQUARES = Array.from({ length: 16 }, (_, v) => BigInt(v * v) - 40n);
function squares(values: readonly bigint[], table = SQUARES) {
  const { commitments, randomness } = openings(values);
  const totalRandomness = scalar();
  const sum = values.reduce((all, value) => all + table[Number(value)], 0n);
  const total = commitment(modulo(sum), totalRandomness);
  const statement: LookupStatement = { commitments, digitBits: 4, digits: 1, images: { table, total } };
  return { statement, witness: { values, randomness, totalRandomness } };
}
const holds = (statement: LookupStatement, proof: Uint8Array): boolean => {
  const batch = new EquationBatch(randomBytes);
  lookupEquations(batch, transcript(), statement, proof);
  return batch.holds();
};

test('the sum of what a table makes of hidden values', (t) => {
  for (const values of [[3n], [0n, 15n, 15n, 7n, 1n], Array.from({ length: 40 }, (_, i) => BigInt(i % 16))]) {
    const { statement, witness } = squares(values);
    const proof = proveLookup(transcript(), statement, witness, randomBytes);
    t.is(proof.length, lookupProofBytes(statement));
    t.true(holds(statement, proof));
    const { images, commitments } = statement;
    const off = (element: Element) => ({ ...statement, images: { ...images!, total: images!.total.add(element) } });
    t.false(holds(off(VALUE_BASE), proof), 'a sum higher by one');
    t.false(holds(off(BASE), proof));
    const cheaper = { ...statement, images: { ...images!, table: SQUARES.with(3, 0n) } };
    t.false(holds(cheaper, proof), 'another table');
    const other = commitments.with(0, commitments[0].add(VALUE_BASE));
    t.false(holds({ ...statement, commitments: other }, proof), 'another value');
    if (commitments.length > 1) {
      t.false(holds({ ...statement, commitments: commitments.toReversed() }, proof), 'another order');
    }
  }
});

test('a cheat that looks its values up in a table of its own', (t) => {
  const values = [3n, 9n, 12n];
  const mine = SQUARES.map((image) => image - 1n);
  const { statement, witness } = squares(values, mine);
  const proof = proveLookup(transcript(), statement, witness, randomBytes);
  t.true(holds(statement, proof));
  t.false(holds({ ...statement, images: { ...statement.images!, table: SQUARES } }, proof));
});

test('a valid proof with one bit flipped, whichever byte', (t) => {
  const { statement, witness } = squares([1n, 2n, 3n]);
  const proof = proveLookup(transcript(), statement, witness, randomBytes);
  let refused = 0;
  for (let at = 0; at < proof.length; at++) {
    const altered = Buffer.from(proof);
    altered[at] ^= 1 << (at % 8);
    try {
      if (!holds(statement, altered)) refused++;
    } catch (error) {
      t.true(error instanceof GroupError, `byte ${at}`);
      refused++;
    }
  }
  t.is(refused, proof.length);
  t.throws(() => holds(statement, proof.subarray(1)), { instanceOf: GroupError, message: /^proof: / });
  t.throws(() => holds(statement, Buffer.concat([proof, proof])), { instanceOf: GroupError });
});

test('many proofs in one batch: one that is wrong makes it wrong', (t) => {
  const all = Array.from({ length: 4 }, (_, i) => squares([BigInt(i), 15n]));
  const proofs = all.map(({ statement, witness }) => proveLookup(transcript(), statement, witness, randomBytes));
  const together = (wrongAt: number): boolean => {
    const batch = new EquationBatch(randomBytes);
    for (const i of all.keys()) lookupEquations(batch, transcript(), all[i === wrongAt ? 0 : i].statement, proofs[i]);
    return batch.holds();
  };
  t.true(together(-1));
  t.false(together(2));
});

test('proofs of the same are different bytes each time', (t) => {
  const { statement, witness } = squares([5n, 5n]);
  const [a, b] = [0, 1].map(() => proveLookup(transcript(), statement, witness, randomBytes));
  t.true(holds(statement, a) && holds(statement, b));
  const same = [...a].filter((byte, i) => byte === b[i]).length;
  t.true(same < a.length / 4, `${same} of ${a.length} bytes`);
});

test('the same randomness gives the same bytes: whoever changes the format changes this', (t) => {
  let counter = 0;
  const seeded = (bytes: number): Uint8Array =>
    createHash('shake256', { outputLength: bytes }).update(`seed ${counter++}`).digest();
  const randomness = [1n, 2n, 3n];
  const values = [0n, 63n, 41n];
  const commitments = values.map((value, i) => commitment(value, randomness[i]));
  const proof = proveRange(transcript(), commitments, 12, values, randomness, seeded);
  t.true(inRange(commitments, 12, proof));
  t.is(
    hex(createHash('sha256').update(proof).digest()),
    'f12026354dc45cb7cea92f9abe73139641376dda6b92f18420f3f559bd5810f9',
  );
});
