import test from 'ava';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  isRevoked,
  issueRevocationList,
  openRevocationList,
  RevocationListError,
} from '../../../protocol/identity/revocation-list.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const thirdParty = generateSigningKey();
const issuers = [generateSigningKey().publicKey, thirdParty.publicKey];
const sign = (message: Uint8Array): Uint8Array => signP256(thirdParty.privateKey, message);
const pseudonyms = Array.from({ length: 40 }, () => generateSigningKey().publicKey);
const bytes = await issueRevocationList(7, pseudonyms, sign);

test('what is listed is revoked, nothing else', (t) => {
  const list = openRevocationList(bytes, issuers);
  t.is(list.number, 7);
  t.true(pseudonyms.every((pseudonym) => isRevoked(list, pseudonym)));
  t.false(isRevoked(list, generateSigningKey().publicKey));
  t.is(list.revoked.size, 40);
});

test('the list does not tell in which order or how often somebody was put on it, nor names anybody', async (t) => {
  const body = bytes.subarray(0, -64);
  const again = await issueRevocationList(7, [...pseudonyms, ...pseudonyms].reverse(), sign);
  t.deepEqual(again.subarray(0, -64), body);
  t.false(pseudonyms.some((pseudonym) => Buffer.from(bytes).includes(Buffer.from(pseudonym.subarray(1)))));
});

test('an empty list is a list', async (t) => {
  const list = openRevocationList(await issueRevocationList(1, [], sign), issuers);
  t.is(list.revoked.size, 0);
});

test('a list that was changed, or is from somebody else, is refused', async (t) => {
  for (const at of [0, 1, 8, 9, 500, bytes.length - 1]) {
    const altered = Uint8Array.from(bytes);
    altered[at] ^= 1;
    const error = t.throws(() => openRevocationList(altered, issuers));
    t.true(error instanceof RevocationListError || error instanceof MalformedError, `byte ${at}`);
  }
  t.throws(() => openRevocationList(bytes, issuers.slice(0, 1)), { message: /^revocationList\.signature/ });
  t.throws(() => openRevocationList(bytes.subarray(0, 100), issuers), { instanceOf: MalformedError });
  t.throws(() => openRevocationList(Buffer.concat([bytes, Buffer.of(0)]), issuers), { instanceOf: MalformedError });
  const [first, second] = [bytes.subarray(9, 41), bytes.subarray(41, 73)];
  const swapped = Buffer.concat([bytes.subarray(0, 9), second, first, bytes.subarray(73)]);
  t.throws(() => openRevocationList(swapped, issuers), { message: /entries\[1\]: is out of order/ });
});
