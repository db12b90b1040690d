// Attestation passes: the bytes, what the verifier sees of them, and what must not pass.
import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {
  blindPasses,
  checkPassClaims,
  decodePass,
  encodePass,
  finishPass,
  NO_PASS,
  PASS_BYTES,
  PassError,
  verifyPass,
} from '../../../protocol/attestation/pass.ts';
import { passRequest } from '../../../protocol/attestation/pass-issue.ts';
import {
  BlindRsaError,
  blind,
  blindSign,
  finalize,
  generateBlindSigningKey,
  importBlindRsaKey,
  verifyBlindRsa,
} from '../../../protocol/crypto/blind-rsa.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { encodeBody, fitting } from '../../../protocol/services/call.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const signer = await generateBlindSigningKey();
const key = importBlindRsaKey(signer.modulus);
const DAY = 20_522;
const pseudonym = generateSigningKey().publicKey;
const [{ blinded, inverse, ...claims }] = blindPasses([{ key, day: DAY, pseudonym }], randomBytes);
const bytes = finishPass(key, claims, blindSign(signer, blinded), inverse);

test('the layout is the one in the comment, and what is signed too', (t) => {
  const plain = encodePass({
    day: 0x01020304,
    pseudonym: new Uint8Array(33).fill(0xaa),
    random: new Uint8Array(32).fill(0xbb),
    signature: new Uint8Array(256).fill(0xcc),
  });
  t.is(Buffer.from(plain).toString('hex'), `01${'01020304'}${'aa'.repeat(33)}${'bb'.repeat(32)}${'cc'.repeat(256)}`);
  t.is(PASS_BYTES, 326);
  const message = Buffer.concat([Buffer.from('quietmeter/v1/attestation-pass\0'), bytes.subarray(1, 70)]);
  t.true(verifyBlindRsa(key, message, bytes.subarray(70)));
});

test('a pass holds for its day, its pseudonym and its key', async (t) => {
  const pass = decodePass(bytes)!;
  t.is(pass.day, DAY);
  t.notThrows(() => checkPassClaims(pass, DAY, pseudonym));
  t.notThrows(() => verifyPass(pass, key));
  const flaw = (act: () => void): string => t.throws(act, { instanceOf: PassError })!.flaw;
  t.is(
    flaw(() => checkPassClaims(pass, DAY + 1, pseudonym)),
    'another day',
  );
  t.is(
    flaw(() => checkPassClaims(pass, DAY, generateSigningKey().publicKey)),
    'another pseudonym',
  );
  const other = importBlindRsaKey((await generateBlindSigningKey()).modulus);
  t.is(
    flaw(() => verifyPass(pass, other)),
    'forged',
  );
  t.throws(() => checkPassClaims(pass, DAY + 1, pseudonym, 'submission.pass'), {
    message: "submission.pass.day is 20522, not 20523: it is another day's",
  });
});

test('no byte of it can be changed', (t) => {
  for (let i = 0; i < bytes.length; i++) {
    const altered = Uint8Array.from(bytes);
    altered[i] ^= 1;
    const error = t.throws(() => {
      const pass = decodePass(altered)!;
      checkPassClaims(pass, DAY, pseudonym);
      verifyPass(pass, key);
    });
    t.true(error instanceof PassError || error instanceof MalformedError, `byte ${i}: ${error?.name}`);
  }
});

test('none is all zeros and nothing else; what is no pass is refused by field', (t) => {
  t.is(decodePass(NO_PASS), null);
  for (const at of [1, 5, 100, 325]) {
    const almost = Uint8Array.from(NO_PASS);
    almost[at] = 1;
    t.throws(() => decodePass(almost), { instanceOf: MalformedError, message: /pass\.padding/ });
  }
  t.throws(() => decodePass(bytes.subarray(1)), { instanceOf: MalformedError });
  t.throws(() => decodePass(Buffer.concat([bytes, Buffer.of(0)])), { instanceOf: MalformedError });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 300, maxLength: 340 }), (noise) => {
      try {
        decodePass(noise);
      } catch (error) {
        t.true(error instanceof MalformedError);
      }
    }),
  );
});

test('the verifier sees neither pseudonym nor random, and could have signed any other pass as well', (t) => {
  for (const secret of [pseudonym, claims.random, bytes.subarray(70)])
    t.false(Buffer.from(blinded).includes(Buffer.from(secret.subarray(0, 8))));
  // two households ask; the answers crossed are good for nobody
  const wanted = [0, 1].map(() => ({ key, day: DAY, pseudonym: generateSigningKey().publicKey }));
  const [one, two] = blindPasses(wanted, randomBytes);
  t.throws(() => finishPass(key, one, blindSign(signer, two.blinded), one.inverse), { instanceOf: BlindRsaError });
  t.notThrows(() => finishPass(key, two, blindSign(signer, two.blinded), two.inverse));
});

test('A1: passes multiplied are no pass', (t) => {
  const integer = (value: Uint8Array): bigint => BigInt(`0x${Buffer.from(value).toString('hex')}`);
  const [other] = blindPasses([{ key, day: DAY, pseudonym }], randomBytes);
  const second = finishPass(key, other, blindSign(signer, other.blinded), other.inverse);
  const product = (integer(bytes.subarray(70)) * integer(second.subarray(70))) % key.n;
  const signature = Buffer.from(product.toString(16).padStart(512, '0'), 'hex');
  for (const random of [claims.random, other.random, randomBytes(32)])
    t.throws(() => verifyPass({ day: DAY, pseudonym, random, signature }, key), { instanceOf: PassError });
});

test('what was signed for a pass is good for nothing else, and the other way round', (t) => {
  const elsewhere = Buffer.concat([Buffer.from('quietmeter/v1/batch\0'), bytes.subarray(1, 70)]);
  t.false(verifyBlindRsa(key, elsewhere, bytes.subarray(70)));
  const [asked] = blind(key, [elsewhere]);
  const signature = finalize(key, elsewhere, blindSign(signer, asked.blinded), asked.inverse);
  t.throws(() => verifyPass({ ...claims, signature }, key), { instanceOf: PassError });
});

test('a request names days and blinded bytes, a few of them', (t) => {
  const body = (passes: unknown) => JSON.parse(Buffer.from(encodeBody({ passes })).toString());
  const path = (passes: unknown): string => (fitting(passRequest, body(passes)) as { path: string }).path;
  t.deepEqual(fitting(passRequest, body([{ day: DAY, blinded }])), {
    value: { passes: [{ day: DAY, blinded: new Uint8Array(blinded) }] },
  });
  t.is(path([]), 'passes');
  t.is(path([1, 2, 3, 4].map((day) => ({ day, blinded }))), 'passes');
  t.is(path([{ day: -1, blinded }]), 'passes.0.day');
  t.is(path([{ day: DAY, blinded: blinded.subarray(1) }]), 'passes.0.blinded');
});
