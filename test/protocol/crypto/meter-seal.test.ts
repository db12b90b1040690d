// Sealing by the meter, seen from the party: our vector, the meter's half, every bit, wrong keys.
import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { Sealing, sealedBytes } from '../../../firmware/arithmetic/seal.ts';
import type { CipherNatives } from '../../../firmware/wallet/cipher.ts';
import {
  generateMeterSealKey,
  MeterSealError,
  meterSealedBytes,
  meterSealKey,
  openMeterSeal,
  sealAsMeter,
} from '../../../protocol/crypto/meter-seal.ts';
import { cipherNatives } from '../../firmware/arithmetic/natives.ts';
import { bytesOf, integer, readyModulus, run } from '../../firmware/arithmetic/numbers.ts';
import {
  METER_SEAL_HEADER,
  METER_SEAL_KEY,
  METER_SEAL_PLAINTEXT,
  METER_SEAL_SECRET,
  METER_SEALED,
} from './meter-seal-vector.ts';

const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const key = meterSealKey(createPrivateKey({ key: METER_SEAL_KEY, format: 'jwk' }));
const longer = await generateMeterSealKey(3072);
const modulus = readyModulus(key.modulus);

function seal(header: Uint8Array, plaintext: Uint8Array, natives: CipherNatives = cipherNatives, draw = random) {
  const job = new Sealing(natives, modulus, header, plaintext, draw);
  run(job);
  return job.sealed;
}

test('our vector, both halves', (t) => {
  t.deepEqual(
    seal(METER_SEAL_HEADER, METER_SEAL_PLAINTEXT, cipherNatives, () => METER_SEAL_SECRET),
    METER_SEALED,
  );
  t.deepEqual(
    new Uint8Array(sealAsMeter(key.modulus, METER_SEAL_HEADER, METER_SEAL_PLAINTEXT, () => METER_SEAL_SECRET)),
    METER_SEALED,
  );
  t.deepEqual(new Uint8Array(openMeterSeal(key, METER_SEAL_HEADER, METER_SEALED)), METER_SEAL_PLAINTEXT);
});

test('the vector, computed once more from the description alone', (t) => {
  const n = integer(key.modulus);
  const z = integer(METER_SEAL_SECRET);
  t.deepEqual(METER_SEALED.slice(0, 256), bytesOf((z * z * z) % n, 256));
  const counted = (k: Uint8Array | string, ...parts: (Uint8Array | string)[]) =>
    createHmac('sha256', k)
      .update(Buffer.concat([...parts.map((part) => Buffer.from(part)), Buffer.of(0, 0, 0, 1)]))
      .digest();
  const mac = counted(counted('quietmeter/v1/meter-seal', METER_SEAL_SECRET), 'meter-seal mac');
  const padding = Buffer.from('80000000000000000000000000000000', 'hex');
  const text = [Buffer.of(0, METER_SEAL_HEADER.length), METER_SEAL_HEADER, METER_SEAL_PLAINTEXT, padding];
  t.deepEqual(METER_SEALED.slice(256, 272), new Uint8Array(counted(mac, ...text).subarray(0, 16)));
  t.is(METER_SEALED.length, 256 + 16 + 48);
});

test('what the meter seals, the party opens: any length, any header; sizes as announced', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 700 }), (header, plaintext) => {
      const sealed = seal(header, plaintext);
      t.is(sealed.length, sealedBytes(256, plaintext.length));
      t.is(sealed.length, meterSealedBytes(256, plaintext.length));
      t.deepEqual(new Uint8Array(openMeterSeal(key, header, sealed)), plaintext);
    }),
    { numRuns: 40 },
  );
  const ours = readyModulus(longer.modulus);
  const job = new Sealing(cipherNatives, ours, METER_SEAL_HEADER, METER_SEAL_PLAINTEXT, random);
  t.is(run(job), 3);
  t.deepEqual(new Uint8Array(openMeterSeal(longer, METER_SEAL_HEADER, job.sealed)), METER_SEAL_PLAINTEXT);
});

test('every flipped bit, every wrong length and another header are refused', (t) => {
  const refused = (header: Uint8Array, sealed: Uint8Array) =>
    t.throws(() => openMeterSeal(key, header, sealed), { instanceOf: MeterSealError });
  for (let bit = 0; bit < 8 * METER_SEALED.length; bit += bit < 8 * 250 ? 41 : 1) {
    const flipped = METER_SEALED.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    refused(METER_SEAL_HEADER, flipped);
  }
  for (const length of [0, 16, 255, 256, 272, 287, 288, 304, 319])
    refused(METER_SEAL_HEADER, METER_SEALED.slice(0, length));
  refused(METER_SEAL_HEADER, new Uint8Array([...METER_SEALED, ...new Uint8Array(16)]));
  refused(METER_SEAL_HEADER.slice(1), METER_SEALED);
  refused(new Uint8Array(0), METER_SEALED);
});

test('header and plaintext do not run into each other, nor does a number get a second form', (t) => {
  const [header, plaintext] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
  const sealed = seal(header, plaintext);
  t.throws(() => openMeterSeal(key, new Uint8Array([...header, ...plaintext]), sealed), { instanceOf: MeterSealError });
  // the same number with the modulus added, where that still fits
  const small = seal(header, plaintext, cipherNatives, (n) => bytesOf(5n, n));
  t.is(integer(small.slice(0, 256)), 125n);
  const again = new Uint8Array([...bytesOf(125n + integer(key.modulus), 256), ...small.slice(256)]);
  t.deepEqual(new Uint8Array(openMeterSeal(key, header, small)), plaintext);
  t.throws(() => openMeterSeal(key, header, again), { message: /begins with no number below/ });
});

test('two seals of one message have nothing in common', (t) => {
  const [one, two] = [seal(METER_SEAL_HEADER, METER_SEAL_PLAINTEXT), seal(METER_SEAL_HEADER, METER_SEAL_PLAINTEXT)];
  for (let at = 0; at < one.length; at += 16) t.notDeepEqual(one.slice(at, at + 16), two.slice(at, at + 16));
});

test('only a key with exponent 3 seals', (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  t.throws(() => meterSealKey(privateKey, 'sealingKey'), { message: /^sealingKey is no RSA key with exponent 3/ });
  t.throws(() => openMeterSeal(longer, METER_SEAL_HEADER, METER_SEALED), { instanceOf: MeterSealError });
});
