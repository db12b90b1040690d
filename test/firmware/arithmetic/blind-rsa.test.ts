// Blind signatures as the meter makes them: the RFC's vector, our other half, another implementation, liars.
import { constants, createPublicKey, randomBytes, verify, webcrypto } from 'node:crypto';
import { RSABSSA } from '@cloudflare/blindrsa-ts';
import test from 'ava';
import fc from 'fast-check';
import { Blinding, drawBelow, Inverse, Unblinding, Verification } from '../../../firmware/arithmetic/blind-rsa.ts';
import { invertAll } from '../../../gateway/helper/inverse.ts';
import {
  blind,
  blindSign,
  finalize,
  generateBlindSigningKey,
  importBlindRsaKey,
} from '../../../protocol/crypto/blind-rsa.ts';
import { RFC9474_A4 } from '../../protocol/crypto/rfc9474.ts';
import { bytesOf, integer, readyModulus, run } from './numbers.ts';

const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
const signers = { 2048: await generateBlindSigningKey(2048), 3072: await generateBlindSigningKey(3072) };
const modulus = readyModulus(signers[2048].modulus);
const key = importBlindRsaKey(signers[2048].modulus);

test('RFC 9474 A.4: blinded message, inverse and signature of the published vector', (t) => {
  const { n, msg, inv, blindedMsg, blindSig, sig } = RFC9474_A4;
  const published = readyModulus(n);
  const [factor] = invertAll(n, [inv]);
  const mask = drawBelow(published, random);
  const blinding = new Blinding(published, new Uint8Array(msg), factor, mask);
  t.is(run(blinding), 20);
  t.deepEqual(Buffer.from(blinding.blinded), blindedMsg);
  const [answer] = invertAll(n, [blinding.question]);
  const inverse = new Inverse(published, factor, mask, answer);
  run(inverse);
  t.deepEqual(Buffer.from(inverse.inverse!), inv);
  const unblinding = new Unblinding(published, new Uint8Array(msg), new Uint8Array(blindSig), inverse.inverse!);
  t.is(run(unblinding), 20);
  t.deepEqual(Buffer.from(unblinding.signature!), sig);
});

for (const bits of [2048, 3072] as const) {
  test(`${bits} bits: for every message what our other half comes to, byte for byte`, (t) => {
    const signer = signers[bits];
    const theirs = importBlindRsaKey(signer.modulus);
    const ours = readyModulus(signer.modulus);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
        const [factor, mask] = [drawBelow(ours, random), drawBelow(ours, random)];
        const blinding = new Blinding(ours, message, factor, mask);
        run(blinding);
        const [expected] = blind(theirs, [message], () => factor);
        t.deepEqual(blinding.blinded, new Uint8Array(expected.blinded));
        const inverse = new Inverse(ours, factor, mask, invertAll(signer.modulus, [blinding.question])[0]);
        run(inverse);
        t.deepEqual(inverse.inverse, new Uint8Array(expected.inverse));
        const answer = new Uint8Array(blindSign(signer, blinding.blinded));
        const unblinding = new Unblinding(ours, message, answer, inverse.inverse!);
        run(unblinding);
        t.deepEqual(unblinding.signature, new Uint8Array(finalize(theirs, message, answer, expected.inverse)));
      }),
      { numRuns: 6 },
    );
  });
}

test('another implementation signs what the meter blinded; OpenSSL verifies what came of it', async (t) => {
  const suite = RSABSSA.SHA384.PSSZero.Deterministic();
  const jwk = { ...signers[2048].privateKey.export({ format: 'jwk' }), alg: 'PS384', ext: true };
  const theirKey = await webcrypto.subtle.importKey(
    'jwk',
    jwk as webcrypto.JsonWebKey,
    { name: 'RSA-PSS', hash: 'SHA-384' },
    true,
    ['sign'],
  );
  const message = random(64);
  const [factor, mask] = [drawBelow(modulus, random), drawBelow(modulus, random)];
  const blinding = new Blinding(modulus, message, factor, mask);
  run(blinding);
  const answer = await suite.blindSign(theirKey, blinding.blinded);
  const inverse = new Inverse(modulus, factor, mask, invertAll(key.modulus, [blinding.question])[0]);
  run(inverse);
  const unblinding = new Unblinding(modulus, message, new Uint8Array(answer), inverse.inverse!);
  run(unblinding);
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 };
  const publicKey = createPublicKey(signers[2048].privateKey);
  t.true(verify('sha384', message, { key: publicKey, ...pss }, unblinding.signature!));
});

test('a helper that lies is found out, and what it says never becomes an inverse', (t) => {
  const [factor, mask] = [drawBelow(modulus, random), drawBelow(modulus, random)];
  const question = bytesOf((integer(factor) * integer(mask)) % key.n, 256);
  const [right] = invertAll(key.modulus, [question]);
  const ask = (answer: Uint8Array) => {
    const job = new Inverse(modulus, factor, mask, answer);
    run(job);
    return job.inverse;
  };
  t.not(ask(right), null);
  const lies = [0n, 1n, key.n - 1n, integer(question), (integer(right) + 1n) % key.n, key.n - integer(right)];
  for (const lie of lies) t.is(ask(bytesOf(lie, 256)), null);
  for (let bit = 0; bit < 2048; bit += 97) {
    const flipped = right.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    if (integer(flipped) < key.n) t.is(ask(flipped), null);
  }
  t.throws(() => ask(bytesOf(key.n, 256)), { message: /^answer: not below/ });
  t.throws(() => ask(new Uint8Array(0)), { message: /^answer: 0 bytes/ });
});

test('a signer that does not sign what was blinded is found out', (t) => {
  const message = random(40);
  const [factor, mask] = [drawBelow(modulus, random), drawBelow(modulus, random)];
  const blinding = new Blinding(modulus, message, factor, mask);
  run(blinding);
  const [{ inverse }] = blind(key, [message], () => factor);
  const answer = new Uint8Array(blindSign(signers[2048], blinding.blinded));
  const unblind = (text: Uint8Array, signature: Uint8Array, by: Uint8Array = inverse) => {
    const job = new Unblinding(modulus, text, signature, by);
    run(job);
    return job.signature;
  };
  t.not(unblind(message, answer), null);
  const flipped = answer.map((byte, n) => (n === 200 ? byte ^ 4 : byte));
  t.is(unblind(message, flipped), null);
  t.is(unblind(message, blinding.blinded), null);
  t.is(unblind(message, new Uint8Array(256)), null);
  t.is(unblind(random(40), answer), null);
  t.is(unblind(message, answer, factor), null);
  t.throws(() => unblind(message, new Uint8Array(256).fill(255)), { message: /^blindSignature: not below/ });
});

test('verification: a signature holds for its message and key alone', (t) => {
  const message = random(33);
  const [{ blinded, inverse }] = blind(key, [message]);
  const signature = new Uint8Array(finalize(key, message, blindSign(signers[2048], blinded), inverse));
  const holds = (text: Uint8Array, value: Uint8Array) => {
    const job = new Verification(modulus, text, value);
    t.is(run(job), 19);
    return job.holds;
  };
  t.true(holds(message, signature));
  t.false(holds(message.slice(1), signature));
  t.false(holds(message, bytesOf(key.n - integer(signature), 256)));
  t.false(holds(message, bytesOf(1n, 256)));
  t.false(holds(message, bytesOf(0n, 256)));
});

test('a factor is the first of the draws that lies in range', (t) => {
  const draws = [bytesOf(key.n, 256), new Uint8Array(256).fill(255), new Uint8Array(256), bytesOf(key.n - 1n, 256)];
  t.deepEqual(
    drawBelow(modulus, () => draws.shift()!),
    bytesOf(key.n - 1n, 256),
  );
  t.is(draws.length, 0);
});

test('random numbers below the modulus are blinded as well where they are as small or as large as can be', (t) => {
  const message = random(20);
  for (const factor of [1n, 2n, key.n - 1n, key.n - 2n]) {
    const blinding = new Blinding(modulus, message, bytesOf(factor, 256), bytesOf(1n, 256));
    run(blinding);
    const [expected] = blind(key, [message], () => bytesOf(factor, 256));
    t.deepEqual(blinding.blinded, new Uint8Array(expected.blinded));
    t.is(integer(blinding.question), factor);
  }
});
