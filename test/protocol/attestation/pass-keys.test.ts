import test from 'ava';
import {
  joinPassKeys,
  openPassKeys,
  PassKeysError,
  passKeyOf,
  passKeysDigest,
  publishPassKeys,
} from '../../../protocol/attestation/pass-keys.ts';
import { generateBlindSigningKey } from '../../../protocol/crypto/blind-rsa.ts';
import { Ed25519Error, generateEd25519Key, signEd25519, verifyEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const master = generateEd25519Key();
const sign = (message: Uint8Array): Uint8Array => signEd25519(master.privateKey, message);
const moduli = (await Promise.all([1, 2, 3, 4].map(() => generateBlindSigningKey()))).map(({ modulus }) => modulus);
const DAY = 20_522;
const bytes = publishPassKeys({ firstDay: DAY, moduli: moduli.slice(0, 3) }, sign);
const open = (list: Uint8Array) => openPassKeys(list, master.publicKey);

test('RFC 8032 7.1: a published signature verifies', (t) => {
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  const publicKey = hex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  const signature = hex(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
  t.true(verifyEd25519(publicKey, hex('72'), signature));
  t.false(verifyEd25519(publicKey, hex('73'), signature));
  t.false(verifyEd25519(publicKey, hex('72'), signature.subarray(1)));
  t.throws(() => verifyEd25519(publicKey.subarray(1), hex('72'), signature), { instanceOf: Ed25519Error });
});

test('the layout is the one in the comment; the same keys are the same bytes', (t) => {
  t.is(Buffer.from(bytes.subarray(0, 7)).toString('hex'), `01${DAY.toString(16).padStart(8, '0')}0003`);
  t.is(bytes.length, 7 + 3 * 256 + 64);
  t.deepEqual(Buffer.from(bytes.subarray(7 + 256, 7 + 512)), Buffer.from(moduli[1]));
  t.deepEqual(publishPassKeys({ firstDay: DAY, moduli: moduli.slice(0, 3) }, sign), bytes);
  t.deepEqual(passKeysDigest(open(bytes)), passKeysDigest({ firstDay: DAY, moduli: moduli.slice(0, 3) }));
});

test('each day has its key, and no other', (t) => {
  const keys = open(bytes);
  for (const [i, modulus] of moduli.slice(0, 3).entries())
    t.deepEqual(Buffer.from(passKeyOf(keys, DAY + i)!.modulus), Buffer.from(modulus));
  for (const day of [DAY - 1, DAY + 3, 0]) t.is(passKeyOf(keys, day), undefined);
});

test('what the master key did not sign is refused', (t) => {
  for (const at of [1, 4, 6, 7, 300, bytes.length - 1]) {
    const altered = Uint8Array.from(bytes);
    altered[at] ^= 1;
    const error = t.throws(() => open(altered));
    t.true(error instanceof PassKeysError || error instanceof MalformedError, `byte ${at}`);
  }
  t.throws(() => openPassKeys(bytes, generateEd25519Key().publicKey), { message: /^passKeys\.signature/ });
  t.throws(() => open(bytes.subarray(0, 300)), { instanceOf: MalformedError });
  t.throws(() => open(Buffer.concat([bytes, Buffer.of(0)])), { instanceOf: MalformedError });
  t.throws(() => open(publishPassKeys({ firstDay: DAY, moduli: [] }, sign)), { message: /^passKeys\.moduli/ });
  const even = Uint8Array.from(moduli[0]);
  even[255] &= 0xfe;
  t.throws(() => open(publishPassKeys({ firstDay: DAY, moduli: [even] }, sign)), { message: /^passKeys\.moduli\[0\]/ });
});

test('A16: the key of a day never changes; new days may come, old ones go', (t) => {
  const known = open(bytes);
  const later = { firstDay: DAY + 1, moduli: moduli.slice(1) };
  t.is(joinPassKeys(known, later), later);
  t.is(joinPassKeys(undefined, later), later);
  const other = { firstDay: DAY + 1, moduli: [moduli[1], moduli[3]] };
  t.throws(() => joinPassKeys(known, other), {
    instanceOf: PassKeysError,
    message: `passKeys.moduli[1] is another key for day ${DAY + 2} than was published`,
  });
});
