// Blind RSA: the RFC's vector, another implementation, what must hold for every message, and what must not pass.
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  webcrypto,
} from 'node:crypto';
import { RSABSSA } from '@cloudflare/blindrsa-ts';
import test from 'ava';
import fc from 'fast-check';
import {
  BlindRsaError,
  type BlindSigningKey,
  blind,
  blindSign,
  blindSigningKey,
  finalize,
  generateBlindSigningKey,
  importBlindRsaKey,
  verifyBlindRsa,
} from '../../../protocol/crypto/blind-rsa.ts';
import { RFC9474_A4 } from './rfc9474.ts';

const integer = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let [b, e] = [base % modulus, exponent]; e > 0n; e >>= 1n, b = (b * b) % modulus)
    if (e & 1n) result = (result * b) % modulus;
  return result;
}
function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, s0, s1] = [modulus, value % modulus, 0n, 1n];
  while (r1 > 0n) [r0, r1, s0, s1] = [r1, r0 % r1, s1, s0 - (r0 / r1) * s1];
  return ((s0 % modulus) + modulus) % modulus;
}

const signer = await generateBlindSigningKey();
const key = importBlindRsaKey(signer.modulus);
const n = integer(signer.modulus);

/** The vector's key, as OpenSSL takes it. */
function vectorKey(): BlindSigningKey {
  const { p, q, n: modulus, d } = RFC9474_A4;
  const base64url = (value: bigint, length: number): string => bytesOf(value, length).toString('base64url');
  const half = p.length;
  const jwk = {
    kty: 'RSA',
    n: modulus.toString('base64url'),
    e: 'AQAB',
    d: base64url(integer(d), modulus.length),
    p: base64url(integer(p), half),
    q: base64url(integer(q), half),
    dp: base64url(integer(d) % (integer(p) - 1n), half),
    dq: base64url(integer(d) % (integer(q) - 1n), half),
    qi: base64url(inverse(integer(q), integer(p)), half),
  };
  return blindSigningKey(createPrivateKey({ key: jwk, format: 'jwk' }));
}

test('RFC 9474 A.4: every value of the published vector', (t) => {
  const { n: modulus, msg, inv, blindedMsg, blindSig, sig } = RFC9474_A4;
  const published = importBlindRsaKey(modulus);
  const factor = bytesOf(inverse(integer(inv), integer(modulus)), modulus.length);
  const [blinded] = blind(published, [msg], () => factor);
  t.deepEqual(Buffer.from(blinded.blinded), blindedMsg);
  t.deepEqual(Buffer.from(blinded.inverse), inv);
  const answer = blindSign(vectorKey(), blinded.blinded);
  t.deepEqual(Buffer.from(answer), blindSig);
  t.deepEqual(Buffer.from(finalize(published, msg, answer, blinded.inverse)), sig);
  t.true(verifyBlindRsa(published, msg, sig));
});

test('another implementation agrees, in every role', async (t) => {
  const suite = RSABSSA.SHA384.PSSZero.Deterministic();
  const algorithm = { name: 'RSA-PSS', hash: 'SHA-384' };
  const jwk = { alg: 'PS384', ext: true };
  const theirPublic = await webcrypto.subtle.importKey(
    'jwk',
    { ...createPublicKey(signer.privateKey).export({ format: 'jwk' }), ...jwk } as webcrypto.JsonWebKey,
    algorithm,
    true,
    ['verify'],
  );
  const theirPrivate = await webcrypto.subtle.importKey(
    'jwk',
    { ...signer.privateKey.export({ format: 'jwk' }), ...jwk } as webcrypto.JsonWebKey,
    algorithm,
    true,
    ['sign'],
  );
  const message = randomBytes(90);
  const theirs = await suite.blind(theirPublic, message);
  const ourAnswer = blindSign(signer, theirs.blindedMsg);
  const theirSignature = await suite.finalize(theirPublic, message, ourAnswer, theirs.inv);
  t.true(verifyBlindRsa(key, message, theirSignature), 'their client, our signer');
  const [ours] = blind(key, [message]);
  const theirAnswer = await suite.blindSign(theirPrivate, ours.blinded);
  const ourSignature = finalize(key, message, theirAnswer, ours.inverse);
  t.true(await suite.verify(theirPublic, ourSignature, message), 'our client, their signer');
  t.deepEqual(
    Buffer.from(ourSignature),
    Buffer.from(theirSignature),
    'a salt of length 0: one signature for a message',
  );
});

test('whatever the messages, however many at once: each gets its signature, and no other', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 5 }), (messages) => {
      const blinded = blind(key, messages);
      const signatures = messages.map((message, i) =>
        finalize(key, message, blindSign(signer, blinded[i].blinded), blinded[i].inverse),
      );
      for (const [i, message] of messages.entries()) {
        t.true(verifyBlindRsa(key, message, signatures[i]));
        t.false(verifyBlindRsa(key, Buffer.concat([message, Buffer.of(0)]), signatures[i]));
      }
    }),
    { numRuns: 20 },
  );
});

test('what the signer saw says nothing of the message: every message could be behind it', (t) => {
  // For any (blinded, signature) pair there is exactly one blinding factor that joins them: with all factors equally likely,
  // what was seen at issue is as likely for one message as for every other.
  const messages = [randomBytes(40), randomBytes(40)];
  const seen = blind(key, messages);
  const signatures = messages.map((m, i) => finalize(key, m, blindSign(signer, seen[i].blinded), seen[i].inverse));
  for (const { blinded } of seen) {
    for (const [i, signature] of signatures.entries()) {
      const factor = (integer(blindSign(signer, blinded)) * inverse(integer(signature), n)) % n;
      const [again] = blind(key, [messages[i]], () => bytesOf(factor, 256));
      t.deepEqual(again.blinded, blinded);
    }
  }
  const [one, two] = [blind(key, [messages[0]]), blind(key, [messages[0]])];
  t.notDeepEqual(one[0].blinded, two[0].blinded, 'and the same message is never blinded alike');
});

test('factors outside 1 … n − 1 are drawn again', (t) => {
  const draws = [new Uint8Array(256), signer.modulus, new Uint8Array(256).fill(0xff), bytesOf(2n, 256)];
  const [{ inverse: found }] = blind(key, [Buffer.from('m')], () => draws.shift()!);
  t.is(draws.length, 0);
  t.is((integer(found) * 2n) % n, 1n);
});

test('a message that shares a factor with the modulus is not blinded', (t) => {
  // a key that its own maker spoiled: every value is a multiple of 3 one time in three
  const modulus = Buffer.alloc(256, 0xff);
  let spoiled = 0;
  for (let i = 0; i < 60; i++) {
    try {
      blind(importBlindRsaKey(modulus), [Buffer.of(i)]);
    } catch (error) {
      t.true(error instanceof BlindRsaError);
      spoiled++;
    }
  }
  t.true(spoiled > 0, '2^2048 − 1 is a multiple of 3, 5, 17, 257 …');
});

test('A1, A8: the product of two signatures is none, and a bare power of the hash is none', (t) => {
  const messages = [randomBytes(40), randomBytes(40)];
  const signed = blind(key, messages).map(({ blinded, inverse: inv }, i) =>
    finalize(key, messages[i], blindSign(signer, blinded), inv),
  );
  const product = bytesOf((integer(signed[0]) * integer(signed[1])) % n, 256);
  t.false(messages.some((message) => verifyBlindRsa(key, message, product)));
  t.false(verifyBlindRsa(key, Buffer.concat(messages), product));
  // textbook RSA: a signer that signs what it cannot read would sign this, too; it verifies as no message's signature
  const textbook = blindSign(signer, bytesOf(integer(messages[0]), 256));
  t.is(power(integer(textbook), 65_537n, n), integer(messages[0]));
  t.false(verifyBlindRsa(key, messages[0], textbook));
});

test('A4: one exponent for every key; a salt of another length does not verify', (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
  t.throws(() => blindSigningKey(privateKey), { instanceOf: BlindRsaError, message: /exponent 65537/ });
  const { privateKey: curve } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  t.throws(() => blindSigningKey(curve), { instanceOf: BlindRsaError });
  const message = randomBytes(32);
  for (const saltLength of [0, 1, 48]) {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const signature = sign('sha384', message, { key: signer.privateKey, padding, saltLength });
    t.is(verifyBlindRsa(key, message, signature), saltLength === 0);
  }
});

test('what is not of the right form is refused by field', (t) => {
  const field = (act: () => unknown): string => t.throws(act, { instanceOf: BlindRsaError })!.field;
  const odd = Buffer.from(signer.modulus);
  odd[255] &= 0xfe;
  t.is(
    field(() => importBlindRsaKey(odd)),
    'modulus',
  );
  t.is(
    field(() => importBlindRsaKey(Buffer.alloc(256, 1))),
    'modulus',
  );
  t.is(
    field(() => importBlindRsaKey(new Uint8Array(128).fill(255))),
    'modulus',
  );
  t.is(
    field(() => blindSign(signer, new Uint8Array(255))),
    'blinded',
  );
  t.is(
    field(() => blindSign(signer, signer.modulus)),
    'blinded',
  );
  const message = randomBytes(32);
  const [{ blinded, inverse: inv }] = blind(key, [message]);
  const answer = blindSign(signer, blinded);
  t.is(
    field(() => finalize(key, randomBytes(32), answer, inv)),
    'blindSignature',
    'another message',
  );
  t.is(
    field(() => finalize(key, message, answer.subarray(1), inv)),
    'blindSignature',
  );
  const altered = Uint8Array.from(answer);
  altered[200] ^= 1;
  t.is(
    field(() => finalize(key, message, altered, inv)),
    'blindSignature',
  );
  t.false(verifyBlindRsa(key, message, new Uint8Array(3)));
  t.false(verifyBlindRsa(key, message, new Uint8Array()));
});

test('another key signs nothing for this one', async (t) => {
  const other = await generateBlindSigningKey();
  const message = randomBytes(32);
  const [{ blinded, inverse: inv }] = blind(key, [message]);
  const bounded = bytesOf(integer(blinded) % integer(other.modulus), 256);
  t.throws(() => finalize(key, message, blindSign(other, bounded), inv), { instanceOf: BlindRsaError });
});
