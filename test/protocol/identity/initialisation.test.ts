// Initialisation's messages: constant size, only for whom they are meant, every field checked. PINs and lists.
import { randomBytes, scryptSync } from 'node:crypto';
import test from 'ava';
import { generateHpkeKeyPair } from '../../../protocol/crypto/hpke.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  type Certificates,
  certifiedOver,
  decryptCertificates,
  encryptCertificates,
  openAnswer,
  openRequest,
  sealAnswer,
  sealRequest,
  transactionOf,
} from '../../../protocol/identity/initialisation.ts';
import { drawPin, hashPin, normalisePin, pinMatches } from '../../../protocol/identity/pin.ts';
import { issueRevokedCertificates, openRevokedCertificates } from '../../../protocol/identity/revoked-certificates.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const thirdParty = await generateHpkeKeyPair();
const REQUEST = {
  ekCertificate: randomBytes(900),
  ekPublic: randomBytes(314),
  akPublic: randomBytes(88),
  name: 'Erika Mustermann',
  address: 'Musterweg 5, 12345 Musterstadt',
  provider: 'provider',
  customerNumber: 'C-1001',
  pin: '01234567',
};
const certified = () => ({ public: randomBytes(88), attest: randomBytes(120), signature: randomBytes(64) });
const keys = () => ({
  identifier: certified(),
  household: certified(),
  pseudonyms: Array.from({ length: 35 }, (_, i) => ({ day: 20_000 + i, ...certified() })),
});
const TRANSACTION = Buffer.alloc(16, 3);

test('a request opens for the third party, whole, and its length tells nothing', async (t) => {
  const sealed = await sealRequest(REQUEST, thirdParty.publicKey);
  const opened = await openRequest(sealed, thirdParty.privateKey);
  t.like(opened, { name: REQUEST.name, pin: REQUEST.pin });
  t.deepEqual(Buffer.from(opened.ekCertificate), REQUEST.ekCertificate);
  const short = await sealRequest({ ...REQUEST, name: 'A', address: 'B' }, thirdParty.publicKey);
  t.is(short.length, sealed.length);
  t.false(Buffer.from(sealed).includes('Mustermann'));
  t.notDeepEqual(transactionOf(sealed), transactionOf(short));
  t.is(transactionOf(sealed).length, 16);
  const stranger = await generateHpkeKeyPair();
  await t.throwsAsync(openRequest(sealed, stranger.privateKey), {
    instanceOf: MalformedError,
    message: 'request: was not sealed to this party, or altered',
  });
});

test('a field that is wrong is named', async (t) => {
  for (const [more, message] of [
    [{ pin: '123' }, 'request.pin: is not eight digits'],
    [{ name: '' }, 'request.name: is empty'],
    [{ name: 'x'.repeat(101) }, 'request.name: is longer than 100 characters'],
    [{ ekPublic: Buffer.alloc(2) }, 'request.ekPublic: is not 60 to 700 bytes long'],
    [{ customerNumber: 'C 1' }, 'request.customerNumber: is no customer number'],
  ] as const)
    await t.throwsAsync(
      sealRequest({ ...REQUEST, ...more }, thirdParty.publicKey).then((sealed) =>
        openRequest(sealed, thirdParty.privateKey),
      ),
      { instanceOf: MalformedError, message },
    );
});

test('an answer is bound to its transaction, and believed only with the secret', async (t) => {
  const secret = randomBytes(32);
  const sent = keys();
  const sealed = await sealAnswer(sent, { transaction: TRANSACTION, secret }, thirdParty.publicKey);
  const opened = await openAnswer(sealed, { transaction: TRANSACTION, secret }, thirdParty.privateKey);
  t.true(opened.activated);
  t.deepEqual(
    opened.keys.pseudonyms.map(({ day }) => day),
    sent.pseudonyms.map(({ day }) => day),
  );
  t.deepEqual(Buffer.from(opened.keys.identifier.attest), sent.identifier.attest);
  const wrong = { transaction: TRANSACTION, secret: randomBytes(32) };
  t.false((await openAnswer(sealed, wrong, thirdParty.privateKey)).activated);
  await t.throwsAsync(openAnswer(sealed, { transaction: Buffer.alloc(16, 4), secret }, thirdParty.privateKey), {
    message: 'answer: was not sealed to this party, or altered',
  });
});

test('what is certified says for which day, and for which challenge', (t) => {
  const nonce = Buffer.alloc(32, 1);
  const all = [
    certifiedOver(nonce, null),
    certifiedOver(nonce, 1),
    certifiedOver(nonce, 2),
    certifiedOver(Buffer.alloc(32, 2), 1),
  ];
  t.is(new Set(all.map((over) => Buffer.from(over).toString('hex'))).size, 4);
  t.true(all.every(({ length }) => length === 32));
});

test('certificates open with the secret only', (t) => {
  const certificates: Certificates = {
    identifier: randomBytes(500),
    household: randomBytes(500),
    attestation: randomBytes(500),
    area: 'north-1',
    pseudonyms: [randomBytes(110)],
  };
  const secret = randomBytes(32);
  const sealed = encryptCertificates(certificates, secret);
  t.deepEqual(Buffer.from(decryptCertificates(sealed, secret).identifier), certificates.identifier);
  const message = 'certificates: do not open with the secret that the TPM activated';
  t.throws(() => decryptCertificates(sealed, randomBytes(32)), { instanceOf: MalformedError, message });
  const altered = Buffer.from(sealed);
  altered[3] ^= 1;
  t.throws(() => decryptCertificates(altered, secret), { message });
});

test('a PIN: eight digits, spaces do not count, scrypt by its parameters, nothing matches for nobody', async (t) => {
  t.is(
    drawPin(() => 42),
    '00000042',
  );
  t.regex(drawPin(), /^\d{8}$/);
  t.is(normalisePin(' 0123-4567 '), '01234567');
  const { salt, hash } = await hashPin('01234567', Buffer.alloc(16, 9));
  t.deepEqual(Buffer.from(hash), scryptSync('01234567', salt, 32, { N: 2 ** 14, r: 8, p: 1 }));
  t.true(await pinMatches('01234567', { salt, hash }));
  t.false(await pinMatches('01234568', { salt, hash }));
  t.false(await pinMatches('01234567', undefined));
});

test('revoked certificates: sorted, signed, read back; another key, another order, one byte more: refused', async (t) => {
  const key = generateSigningKey();
  const sign = (message: Uint8Array) => signP256(key.privateKey, message);
  const serialNumbers = new Set(['41'.repeat(16), '7f'.repeat(16)]);
  const list = await issueRevokedCertificates(
    { number: 5, serialNumbers: new Set([...serialNumbers].reverse()) },
    sign,
  );
  t.is(list.length, 9 + 32 + 64);
  t.is(Buffer.from(list).subarray(0, 9).toString('hex'), '010000000500000002');
  t.deepEqual(openRevokedCertificates(list, [key.publicKey]), { number: 5, serialNumbers });
  t.throws(() => openRevokedCertificates(list, [generateSigningKey().publicKey]), {
    message: /not made by a trusted third party/,
  });
  const swapped = Buffer.concat([list.subarray(0, 9), list.subarray(25, 41), list.subarray(9, 25), list.subarray(41)]);
  t.throws(() => openRevokedCertificates(swapped, [key.publicKey]), { message: /is out of order/ });
  t.throws(() => openRevokedCertificates(Buffer.concat([list, Buffer.of(0)]), [key.publicKey]), {
    instanceOf: MalformedError,
  });
});
