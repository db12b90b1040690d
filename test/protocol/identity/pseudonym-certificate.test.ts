import test from 'ava';
import fc from 'fast-check';
import { generateSigningKey, P256Error, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  dayOfSlot,
  decodePseudonymCertificate,
  encodePseudonymCertificate,
  issuePseudonymCertificate,
  PSEUDONYM_CERTIFICATE_MOST_BYTES,
  PseudonymError,
  verifyPseudonymCertificate,
} from '../../../protocol/identity/pseudonym-certificate.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const thirdParty = generateSigningKey();
const sign = (message: Uint8Array): Uint8Array => signP256(thirdParty.privateKey, message);
const { publicKey } = generateSigningKey();
const DAY = 20_522;
const SLOT = DAY * 96;
const bytes = await issuePseudonymCertificate({ day: DAY, publicKey, area: 'north-1' }, sign);
const believed = (slot: number, issuers = [thirdParty.publicKey], of = bytes): void =>
  verifyPseudonymCertificate(decodePseudonymCertificate(of), issuers, slot);

test('the layout is the one in the comment, and what is signed too', async (t) => {
  const plain = encodePseudonymCertificate({
    day: 0x01020304,
    publicKey: new Uint8Array(33).fill(0xaa),
    area: 'n1',
    signature: new Uint8Array(64).fill(0xbb),
  });
  t.is(Buffer.from(plain).toString('hex'), `01${'01020304'}${'aa'.repeat(33)}02${'6e31'}${'bb'.repeat(64)}`);
  let signed = Buffer.alloc(0);
  await issuePseudonymCertificate({ day: DAY, publicKey, area: 'north-1' }, (message) => {
    signed = Buffer.from(message);
    return new Uint8Array(64);
  });
  const label = Buffer.from('quietmeter/v1/pseudonym-certificate\0');
  t.deepEqual(signed, Buffer.concat([label, bytes.subarray(0, -64)]));
});

test('it holds on each slot of its day and on no other, under each issuer that is believed', (t) => {
  t.deepEqual([dayOfSlot(SLOT), dayOfSlot(SLOT + 95), dayOfSlot(SLOT + 96)], [DAY, DAY, DAY + 1]);
  const other = generateSigningKey().publicKey;
  for (const slot of [SLOT, SLOT + 95]) t.notThrows(() => believed(slot, [other, thirdParty.publicKey]));
  for (const slot of [SLOT - 1, SLOT + 96])
    t.throws(() => believed(slot), { instanceOf: PseudonymError, message: /^pseudonymCertificate\.day is 20522, but/ });
  t.throws(() => believed(SLOT, [other]), { instanceOf: PseudonymError, message: /^pseudonymCertificate\.signature/ });
});

test('no byte of it can be changed', (t) => {
  for (let i = 0; i < bytes.length; i++) {
    const altered = Uint8Array.from(bytes);
    altered[i] ^= 1;
    const error = t.throws(() => believed(SLOT, undefined, altered), undefined, `byte ${i}`);
    t.true(error instanceof PseudonymError || error instanceof MalformedError, `byte ${i}: ${error?.name}`);
  }
});

test('what is none is refused by field, and never otherwise', async (t) => {
  for (let length = 0; length < bytes.length; length++)
    t.throws(() => decodePseudonymCertificate(bytes.subarray(0, length)), { instanceOf: MalformedError });
  t.throws(() => decodePseudonymCertificate(Buffer.concat([bytes, Buffer.of(0)])), { instanceOf: MalformedError });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: PSEUDONYM_CERTIFICATE_MOST_BYTES + 4 }), (noise) => {
      try {
        decodePseudonymCertificate(noise);
      } catch (error) {
        t.true(error instanceof MalformedError);
      }
    }),
  );
  await t.throwsAsync(issuePseudonymCertificate({ day: DAY, publicKey: new Uint8Array(33), area: 'north-1' }, sign), {
    instanceOf: P256Error,
  });
  await t.throwsAsync(issuePseudonymCertificate({ day: DAY, publicKey, area: 'North' }, sign), {
    instanceOf: MalformedError,
    message: /pseudonymCertificate\.area/,
  });
});

test('two days of one household have no eight bytes in common but version and area', async (t) => {
  const { publicKey: next } = generateSigningKey();
  const tomorrow = Buffer.from(
    await issuePseudonymCertificate({ day: DAY + 1, publicKey: next, area: 'north-1' }, sign),
  );
  for (let at = 0; at + 8 <= bytes.length; at++) {
    const common = Buffer.from(bytes.subarray(at, at + 8));
    t.true(!tomorrow.includes(common) || `\u0007north-1`.includes(common.toString('latin1')), `${at}`);
  }
});
