// The signing engine against the RFC's vector and another implementation; batches, flaws, keys that come and go.
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import { RSABSSA } from '@cloudflare/blindrsa-ts';
import test from 'ava';
import { SigningEngine, UnknownKeyError } from '../../../operator/shared/signing-engine.ts';
import {
  blind,
  blindSign,
  finalize,
  generateBlindSigningKey,
  importBlindRsaKey,
} from '../../../protocol/crypto/blind-rsa.ts';
import { RFC9474_A4 } from '../../protocol/crypto/rfc9474.ts';

const integer = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, s0, s1] = [modulus, value % modulus, 0n, 1n];
  while (r1 > 0n) [r0, r1, s0, s1] = [r1, r0 % r1, s1, s0 - (r0 / r1) * s1];
  return ((s0 % modulus) + modulus) % modulus;
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const signer = await generateBlindSigningKey();
const other = await generateBlindSigningKey();
const key = importBlindRsaKey(signer.modulus);
const [KEY, OTHER, VECTOR] = [1, 2, 3].map((i) => Buffer.alloc(32, i));

const engine = new SigningEngine({ workers: 2 });
engine.addKey(KEY, signer.modulus, signer.privateKey);
engine.addKey(OTHER, other.modulus);
test.after.always(() => engine.close());

test('RFC 9474 A.4: blind signature and verification of the published vector', async (t) => {
  const { p, q, d, n, msg, blindedMsg, blindSig, sig } = RFC9474_A4;
  const part = (value: bigint, length = p.length): string => bytesOf(value, length).toString('base64url');
  const [P, Q, D] = [p, q, d].map(integer);
  const privateKey = createPrivateKey({
    key: {
      ...{ kty: 'RSA', n: n.toString('base64url'), e: 'AQAB', d: part(D, n.length), p: part(P), q: part(Q) },
      ...{ dp: part(D % (P - 1n)), dq: part(D % (Q - 1n)), qi: part(inverse(Q, P)) },
    },
    format: 'jwk',
  });
  engine.addKey(VECTOR, n, privateKey);
  const signed = await engine.signBlinded(VECTOR, [blindedMsg]);
  t.is(hex((signed as Uint8Array[])[0]), hex(blindSig));
  t.true(await engine.verify({ keyId: VECTOR, message: msg, signature: sig }));
  t.false(await engine.verify({ keyId: VECTOR, message: Buffer.concat([msg, msg]), signature: sig }));
});

test('another implementation agrees: what it blinded is signed, what we sign it verifies', async (t) => {
  const suite = RSABSSA.SHA384.PSSZero.Deterministic();
  const jwk = { ...createPublicKey(signer.privateKey).export({ format: 'jwk' }), alg: 'PS384', ext: true };
  const theirs = await webcrypto.subtle.importKey(
    'jwk',
    jwk as webcrypto.JsonWebKey,
    { name: 'RSA-PSS', hash: 'SHA-384' },
    true,
    ['verify'],
  );
  const message = randomBytes(40);
  const { blindedMsg, inv } = await suite.blind(theirs, message);
  const [answer] = (await engine.signBlinded(KEY, [blindedMsg])) as Uint8Array[];
  const signature = await suite.finalize(theirs, message, answer, inv);
  t.true(await engine.verify({ keyId: KEY, message, signature }));
  const [ours] = blind(key, [message]);
  const [ourAnswer] = (await engine.signBlinded(KEY, [ours.blinded])) as Uint8Array[];
  t.true(await suite.verify(theirs, finalize(key, message, ourAnswer, ours.inverse), message));
});

test('hundreds at once, in several batches on two cores: each gets its own', async (t) => {
  const blinded = Array.from({ length: 300 }, () => Buffer.concat([Buffer.alloc(1), randomBytes(255)]));
  const answers = (await engine.signBlinded(KEY, blinded)) as Uint8Array[];
  t.is(answers.length, 300);
  for (const i of [0, 1, 63, 64, 65, 150, 298, 299]) t.is(hex(answers[i]), hex(blindSign(signer, blinded[i])));
});

test('a job signs only where all of it holds', async (t) => {
  const message = randomBytes(40);
  const [{ blinded, inverse: unblinding }] = blind(key, [message]);
  const [blindSignature] = (await engine.signBlinded(KEY, [blinded])) as Uint8Array[];
  const good = { keyId: KEY, message, signature: finalize(key, message, blindSignature, unblinding) };
  const asked = { keyId: KEY, blinded };
  t.deepEqual(await engine.redeem([good, good], [asked]), [blindSignature]);
  t.deepEqual(await engine.redeem([good], []), []);
  t.is(await engine.redeem([good, { ...good, message: randomBytes(40) }], [asked]), 'forged');
  t.is(await engine.redeem([{ ...good, keyId: OTHER }], [asked]), 'forged', "another key's");
  t.is(await engine.redeem([{ ...good, signature: Buffer.alloc(255) }], [asked]), 'malformed');
  for (const value of [0n, 1n, key.n - 1n, key.n, key.n + 1n, (1n << 2048n) - 1n])
    t.is(await engine.redeem([good], [{ keyId: KEY, blinded: bytesOf(value, 256) }]), 'malformed');
  t.true(Array.isArray(await engine.redeem([], [{ keyId: KEY, blinded: bytesOf(2n, 256) }])));
  t.true(Array.isArray(await engine.redeem([], [{ keyId: KEY, blinded: bytesOf(key.n - 2n, 256) }])));
  await t.throwsAsync(engine.redeem([], [{ keyId: OTHER, blinded }]), { instanceOf: UnknownKeyError });
  await t.throwsAsync(engine.redeem([{ ...good, keyId: Buffer.alloc(32) }], []), { instanceOf: UnknownKeyError });
});

test('a key that was taken away signs no more; a closed engine says so', async (t) => {
  const own = new SigningEngine({ workers: 1 });
  own.addKey(KEY, signer.modulus);
  own.addKey(KEY, signer.modulus, signer.privateKey);
  const blinded = bytesOf(5n, 256);
  const underWay = own.redeem([], [{ keyId: KEY, blinded }]);
  own.removeKey(KEY);
  await t.throwsAsync(own.redeem([], [{ keyId: KEY, blinded }]), { instanceOf: UnknownKeyError });
  own.addKey(KEY, signer.modulus, signer.privateKey);
  t.true(Array.isArray(await underWay));
  const lost = own.redeem([], [{ keyId: KEY, blinded }]);
  await Promise.all([own.close(), t.throwsAsync(lost, { message: /closed/ })]);
  await t.throwsAsync(own.redeem([], []), { message: /closed/ });
});
