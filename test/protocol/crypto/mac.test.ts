import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import fc from 'fast-check';
import { LABELS, type Label, labelled } from '../../../protocol/crypto/labels.ts';
import { mac, macMatches } from '../../../protocol/crypto/mac.ts';

const key = Buffer.alloc(32, 7);

test('labels are distinct, plain ASCII, and none holds the zero that ends them', (t) => {
  const labels = Object.values(LABELS);
  t.is(new Set(labels).size, labels.length);
  for (const label of labels) t.regex(label, /^[\x21-\x7e]+$/);
  t.is(
    Buffer.from(labelled(LABELS.batch, Buffer.of(1), Buffer.of(2, 3))).toString('latin1'),
    'quietmeter/v1/batch\0\u0001\u0002\u0003',
  );
});

test('what is made for one purpose is never the input of another', (t) => {
  const label = fc.constantFrom<Label>(...Object.values(LABELS));
  fc.assert(
    fc.property(label, label, fc.uint8Array(), fc.uint8Array(), (one, other, a, b) => {
      fc.pre(one !== other);
      t.notDeepEqual(labelled(one, a), labelled(other, b));
    }),
  );
});

test('a MAC is HMAC-SHA256 over label, zero and parts', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array(), (secret, message) => {
      const expected = hmac(sha256, secret, Buffer.concat([Buffer.from('quietmeter/v1/batch\0'), message]));
      t.deepEqual(Uint8Array.from(mac(secret, LABELS.batch, message)), expected);
      t.true(macMatches(secret, expected, LABELS.batch, message));
    }),
  );
});

test('another key, label, message, or a tag that is altered or cut does not match', (t) => {
  const message = Buffer.from('batch 1');
  const tag = mac(key, LABELS.batch, message);
  t.false(macMatches(Buffer.alloc(32, 8), tag, LABELS.batch, message));
  t.false(macMatches(key, tag, LABELS.batchAcknowledged, message));
  t.false(macMatches(key, tag, LABELS.batch, Buffer.from('batch 2')));
  t.false(macMatches(key, tag.subarray(0, 31), LABELS.batch, message));
  t.false(macMatches(key, Buffer.concat([tag, Buffer.of(0)]), LABELS.batch, message));
  for (let bit = 0; bit < 256; bit++) {
    const altered = Buffer.from(tag);
    altered[bit >> 3] ^= 1 << (bit & 7);
    t.false(macMatches(key, altered, LABELS.batch, message));
  }
});

test('a key and the same key with a zero behind it are not one (A17): only 32 bytes are a key', (t) => {
  for (const length of [0, 31, 33])
    t.throws(() => mac(Buffer.alloc(length, 7), LABELS.batch), {
      instanceOf: RangeError,
      message: `MAC key is ${length} bytes long, not 32`,
    });
});
