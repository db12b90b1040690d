import test from 'ava';
import fc from 'fast-check';
import { generateHpkeKeyPair } from '../../../protocol/crypto/hpke.ts';
import { generateSigningKey, P256Error, signP256 } from '../../../protocol/crypto/p256.ts';
import { CERTIFICATE_BYTES, CertificateError, issueCertificate } from '../../../protocol/readings/certificate.ts';
import { sealReading } from '../../../protocol/readings/reading.ts';
import {
  SUBMISSION_MOST_BYTES,
  SubmissionForgedError,
  submissionDigest,
} from '../../../protocol/readings/submission.ts';
import {
  claimedPseudonymV1,
  decodeSubmissionV1,
  signSubmissionV1,
  verifySubmissionV1,
} from '../../../protocol/readings/submission-v1.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const provider = await generateHpkeKeyPair();
const tpm = generateSigningKey();
const software = generateSigningKey();
const SLOT = 9600;
const certificate = await issueCertificate(
  { pseudonym: tpm.publicKey, publicKey: software.publicKey, firstSlot: SLOT, lastSlot: SLOT + 95 },
  (message) => signP256(tpm.privateKey, message),
);
const sealed = await sealReading({ slot: SLOT + 3, importWh: 100, exportWh: 0 }, 'north-1', provider.publicKey);
const unsigned = { slot: SLOT + 3, area: 'north-1', certificate, sealed };
const bytes = await signSubmissionV1(unsigned, (message) => signP256(software.privateKey, message));

test('the layout is the one in the comment', async (t) => {
  const plain = await signSubmissionV1(
    {
      slot: 0x01020304,
      area: 'n1',
      certificate: new Uint8Array(139).fill(0xcc),
      sealed: new Uint8Array(64).fill(0x5e),
    },
    () => new Uint8Array(64).fill(0x51),
  );
  const expected = `01${'01020304'}02${'6e31'}${'cc'.repeat(139)}${'5e'.repeat(64)}${'51'.repeat(64)}`;
  t.is(Buffer.from(plain).toString('hex'), expected);
  t.is(CERTIFICATE_BYTES, 139);
});

test('what is signed is the label, a zero byte and everything before the signature', async (t) => {
  let message = new Uint8Array();
  await signSubmissionV1(unsigned, (m) => {
    message = m as Uint8Array<ArrayBuffer>;
    return new Uint8Array(64);
  });
  const label = Buffer.from('quietmeter/v1/submission\0');
  t.deepEqual(Buffer.from(message), Buffer.concat([label, bytes.subarray(0, bytes.length - 64)]));
});

test('what was signed is decoded and holds', (t) => {
  const submission = decodeSubmissionV1(bytes);
  t.is(submission.slot, SLOT + 3);
  t.is(submission.area, 'north-1');
  t.deepEqual(Buffer.from(claimedPseudonymV1(submission)), Buffer.from(tpm.publicKey));
  t.deepEqual(Buffer.from(submission.sealed), Buffer.from(sealed));
  t.notThrows(() => verifySubmissionV1(submission, bytes, tpm.publicKey));
  t.true(bytes.length < SUBMISSION_MOST_BYTES);
  t.is(submissionDigest(bytes).length, 32);
});

test('no byte of it can be changed', (t) => {
  for (let i = 0; i < bytes.length; i++) {
    const altered = Uint8Array.from(bytes);
    altered[i] ^= 1;
    const error = t.throws(
      () => verifySubmissionV1(decodeSubmissionV1(altered), altered, tpm.publicKey),
      undefined,
      `byte ${i}`,
    );
    const known = [MalformedError, CertificateError, SubmissionForgedError].some((type) => error instanceof type);
    t.true(known, `byte ${i}: ${error?.name}`);
  }
});

test('a certificate of another household, or of another day, does not carry it', async (t) => {
  const stranger = generateSigningKey();
  t.throws(() => verifySubmissionV1(decodeSubmissionV1(bytes), bytes, stranger.publicKey), {
    instanceOf: CertificateError,
  });
  const nextDay = await signSubmissionV1({ ...unsigned, slot: SLOT + 96 }, (m) => signP256(software.privateKey, m));
  t.throws(() => verifySubmissionV1(decodeSubmissionV1(nextDay), nextDay, tpm.publicKey), {
    instanceOf: CertificateError,
    message: /expired/,
  });
  const byTpm = await signSubmissionV1(unsigned, (m) => signP256(tpm.privateKey, m));
  t.throws(() => verifySubmissionV1(decodeSubmissionV1(byTpm), byTpm, tpm.publicKey), {
    instanceOf: SubmissionForgedError,
  });
});

test('bytes that are no submission are refused by field, and never otherwise', (t) => {
  const paths = /^submission(\.(version|slot|area|certificate|sealed|signature))?$/;
  const refused = (input: Uint8Array): void => {
    try {
      decodeSubmissionV1(input);
    } catch (error) {
      t.true(error instanceof MalformedError, String(error));
      t.regex((error as MalformedError).path, paths);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: SUBMISSION_MOST_BYTES + 8 }), refused));
  // cuts, additions and changes of a good one
  for (let length = 0; length < bytes.length; length++)
    t.throws(() => decodeSubmissionV1(bytes.subarray(0, length)), { instanceOf: MalformedError });
  t.throws(() => decodeSubmissionV1(Buffer.concat([bytes, new Uint8Array(1)])), { instanceOf: MalformedError });
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const altered = Uint8Array.from(bytes);
      altered[at] ^= change;
      refused(altered);
      try {
        verifySubmissionV1(decodeSubmissionV1(altered), altered, tpm.publicKey);
        t.fail('verified');
      } catch (error) {
        t.false(error instanceof TypeError || error instanceof P256Error, String(error));
      }
    }),
  );
});

test('the area is a name that fits into a topic', async (t) => {
  for (const area of ['', 'North', 'a/b', 'a+', '#', '-a', 'a'.repeat(33), 'ä'])
    await t.throwsAsync(
      signSubmissionV1({ ...unsigned, area }, () => new Uint8Array(64)),
      { message: /submission\.area/ },
    );
});
