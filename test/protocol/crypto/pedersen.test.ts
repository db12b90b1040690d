import { randomBytes } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import test from 'ava';
import { decodeScalar, encodeScalar, ORDER } from '../../../protocol/crypto/group.ts';
import { isInTree, merklePath, merkleRoot } from '../../../protocol/crypto/merkle.ts';
import { commit, commitment, hide, VALUE_BASE } from '../../../protocol/crypto/pedersen.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('G^r H^v, as the oracle computes it', (t) => {
  const { Point } = p256;
  const H = Point.fromHex(hex(VALUE_BASE.encode()));
  t.is(hex(VALUE_BASE.encode()), VALUE_BASE_HEX);
  for (const value of [0, 1, 15, 16, 255, 4095, 4096, 0xabcdef, 2 ** 24 - 1]) {
    const secret = randomBytes(32).fill(0, 0, 1);
    const r = decodeScalar(secret);
    const expected = Point.BASE.multiply(r).add(value === 0 ? Point.ZERO : H.multiply(BigInt(value)));
    t.is(hex(commit(value, secret).encode()), expected.toHex(true), `${value}`);
    t.true(commitment(BigInt(value), r).equals(commit(value, secret)));
    t.true(hide(BigInt(value), r).equals(commit(value, secret)));
  }
});
/** Whoever changes it makes every commitment anew. */
const VALUE_BASE_HEX = '0213889d1bed91696583aa701dd09e6d8b5bbc448d2a8652b5dd3621fa432fa560';

test('what cannot be committed to', (t) => {
  const r = randomBytes(32).fill(0, 0, 1);
  for (const value of [-1, 2 ** 24, 0.5, Number.NaN]) t.throws(() => commit(value, r), { instanceOf: RangeError });
  for (const bad of [Buffer.alloc(32), encodeScalar(0n), Buffer.from(ORDER.toString(16), 'hex'), r.subarray(1).fill(0)])
    t.throws(() => commit(1, bad));
});

test('Merkle trees: the values of RFC 6962 as certificate transparency tests them, and every leaf of every size', (t) => {
  // google/certificate-transparency, merkle tree test vectors
  const leaves = [
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
  ].map((text) => Buffer.from(text, 'hex'));
  t.is(hex(merkleRoot([])), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  t.is(hex(merkleRoot(leaves.slice(0, 1))), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
  t.is(hex(merkleRoot(leaves)), '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328');
  for (let count = 1; count <= leaves.length; count++) {
    const some = leaves.slice(0, count);
    const root = merkleRoot(some);
    for (let index = 0; index < count; index++) {
      const path = merklePath(some, index);
      t.true(isInTree(root, some[index], { index, count, path }));
      t.false(isInTree(root, Buffer.from('other'), { index, count, path }));
      t.false(isInTree(root, some[index], { index, count: count + 8, path }));
      t.false(isInTree(root, some[index], { index: index + count, count, path }));
      t.false(isInTree(root, some[index], { index, count, path: [...path, root] }));
      if (count > 1) {
        t.false(isInTree(root, some[index], { index: (index + 1) % count, count, path }));
        t.false(isInTree(root, some[index], { index, count, path: path.slice(1) }));
      }
    }
  }
});
