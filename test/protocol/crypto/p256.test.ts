import { p256 } from '@noble/curves/nist.js';
import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import fc from 'fast-check';
import {
  compressPoint,
  generateSigningKey,
  importPublicKey,
  P256Error,
  signP256,
  uncompressPublicKey,
  verifyP256,
} from '../../../protocol/crypto/p256.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** RFC 6979, appendix A.2.5: P-256 with SHA-256. */
const X = hex('60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6');
const Y = hex('7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299');
const SIGNATURES = {
  sample: hex(
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
      'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  ),
  test: hex(
    'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367' +
      '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
  ),
};
const PUBLIC_KEY = compressPoint(X, Y);

test('RFC 6979 A.2.5: the published signatures verify', (t) => {
  t.is(Buffer.from(PUBLIC_KEY).toString('hex'), `03${X.toString('hex')}`);
  t.deepEqual(Buffer.from(uncompressPublicKey(PUBLIC_KEY)), Buffer.concat([Buffer.of(4), X, Y]));
  t.true(verifyP256(PUBLIC_KEY, Buffer.from('sample'), SIGNATURES.sample));
  t.true(verifyP256(PUBLIC_KEY, Buffer.from('test'), SIGNATURES.test));
  t.false(verifyP256(PUBLIC_KEY, Buffer.from('test'), SIGNATURES.sample));
  t.false(verifyP256(compressPoint(X, hex(`${'00'.repeat(31)}04`)), Buffer.from('sample'), SIGNATURES.sample), '−Y');
});

test('@noble/curves verifies what we sign, and we verify what it signs', (t) => {
  const ours = generateSigningKey();
  const theirs = p256.utils.randomSecretKey();
  const theirPublicKey = p256.getPublicKey(theirs, true);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
      const digest = sha256(message);
      t.true(p256.verify(signP256(ours.privateKey, message), digest, ours.publicKey, { prehash: false, lowS: false }));
      t.true(verifyP256(theirPublicKey, message, p256.sign(digest, theirs, { prehash: false, lowS: false })));
    }),
    { numRuns: 25 },
  );
});

test('any altered bit of signature or message is refused', (t) => {
  const { publicKey, privateKey } = generateSigningKey();
  const message = Buffer.from('a submission');
  const signature = signP256(privateKey, message);
  for (const [bytes, verify] of [
    [signature, (altered: Buffer) => verifyP256(publicKey, message, altered)],
    [message, (altered: Buffer) => verifyP256(publicKey, altered, signature)],
  ] as const)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3] ^= 1 << (bit & 7);
      t.false(verify(altered), `bit ${bit}`);
    }
  for (const value of ['00', 'ff']) t.false(verifyP256(publicKey, message, hex(value.repeat(64))));
});

test('(r, n − s) verifies as well: a signature is no identifier', (t) => {
  const { publicKey, privateKey } = generateSigningKey();
  const message = Buffer.from('a submission');
  const signature = Buffer.from(signP256(privateKey, message));
  const s = BigInt(`0x${signature.subarray(32).toString('hex')}`);
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n; // order of the group (SEC 2, 2.4.2)
  const twin = Buffer.concat([signature.subarray(0, 32), hex((n - s).toString(16).padStart(64, '0'))]);
  t.notDeepEqual(twin, signature);
  t.true(verifyP256(publicKey, message, twin));
});

test('malformed keys and signatures are named', (t) => {
  const signature = SIGNATURES.sample;
  const off = Buffer.from(PUBLIC_KEY);
  while (off[32] !== 0 && isOnCurve(off)) off[32]--;
  for (const [key, message] of [
    [PUBLIC_KEY.subarray(1), 'publicKey: is 32 bytes long, not 33'],
    [Buffer.concat([Buffer.of(4), X]), 'publicKey: is not a compressed point'],
    [off, 'publicKey: is not a point on P-256'],
    [Buffer.concat([Buffer.of(2), Buffer.alloc(32, 255)]), 'publicKey: is not a point on P-256'],
  ] as const)
    t.throws(() => verifyP256(key, Buffer.from('sample'), signature), { instanceOf: P256Error, message });
  t.throws(() => verifyP256(PUBLIC_KEY, Buffer.from('sample'), signature.subarray(1)), {
    instanceOf: P256Error,
    message: 'signature: is 63 bytes long, not 64',
  });
});

const isOnCurve = (point: Uint8Array): boolean => {
  try {
    p256.Point.fromBytes(point);
    return true;
  } catch {
    return false;
  }
};

test('a buffer that is used again does not change the key that was imported from it', (t) => {
  const buffer = Buffer.from(PUBLIC_KEY);
  importPublicKey(buffer);
  buffer.set(generateSigningKey().publicKey);
  t.false(verifyP256(buffer, Buffer.from('sample'), SIGNATURES.sample));
  t.true(verifyP256(PUBLIC_KEY, Buffer.from('sample'), SIGNATURES.sample));
});

test('leading zeros of coordinates may be missing', (t) => {
  const short = compressPoint(X.subarray(1), Y.subarray(1));
  t.is(short.length, 33);
  t.is(short[1], 0);
  t.deepEqual(Buffer.from(short.subarray(2)), X.subarray(1));
});
