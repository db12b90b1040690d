import test from 'ava';
import fc from 'fast-check';
import { NO_PASS, PASS_BYTES } from '../../../protocol/attestation/pass.ts';
import { generateHpkeKeyPair } from '../../../protocol/crypto/hpke.ts';
import { generateSigningKey, P256Error, signP256 } from '../../../protocol/crypto/p256.ts';
import { issuePseudonymCertificate } from '../../../protocol/identity/pseudonym-certificate.ts';
import { CERTIFICATE_BYTES, CertificateError, issueCertificate } from '../../../protocol/readings/certificate.ts';
import { providerReference } from '../../../protocol/readings/provider.ts';
import { sealReading } from '../../../protocol/readings/reading.ts';
import {
  decodeSubmission,
  SUBMISSION_MOST_BYTES,
  SubmissionForgedError,
  signSubmission,
  submissionDigest,
  verifySubmission,
} from '../../../protocol/readings/submission.ts';
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
const thirdParty = generateSigningKey();
const pseudonymCertificate = await issuePseudonymCertificate(
  { day: SLOT / 96, publicKey: tpm.publicKey, area: 'north-1' },
  (message) => signP256(thirdParty.privateKey, message),
);
const reference = providerReference(provider.publicKey);
const unsigned = { slot: SLOT + 3, pseudonymCertificate, certificate, pass: NO_PASS, provider: reference, sealed };
const bytes = await signSubmission(unsigned, (message) => signP256(software.privateKey, message));

test('the layout is the one in the comment', async (t) => {
  const area = Buffer.from('n1');
  const named = Buffer.concat([Buffer.alloc(1, 1), Buffer.alloc(37, 0xaa), Buffer.of(area.length), area]);
  const plain = await signSubmission(
    {
      slot: 0x01020304,
      pseudonymCertificate: Buffer.concat([named, Buffer.alloc(64, 0xab)]),
      certificate: new Uint8Array(139).fill(0xcc),
      pass: new Uint8Array(326).fill(0xda),
      provider: new Uint8Array(8).fill(0x9f),
      sealed: new Uint8Array(64).fill(0x5e),
    },
    () => new Uint8Array(64).fill(0x51),
  );
  const chain = `01${'aa'.repeat(37)}02${'6e31'}${'ab'.repeat(64)}${'cc'.repeat(139)}`;
  t.is(
    Buffer.from(plain).toString('hex'),
    `03${'01020304'}${chain}${'da'.repeat(326)}${'9f'.repeat(8)}${'5e'.repeat(64)}${'51'.repeat(64)}`,
  );
  t.deepEqual([CERTIFICATE_BYTES, PASS_BYTES], [139, 326]);
});

test('what is signed is the label, a zero byte and everything before the signature', async (t) => {
  let message = new Uint8Array();
  await signSubmission(unsigned, (m) => {
    message = m as Uint8Array<ArrayBuffer>;
    return new Uint8Array(64);
  });
  const label = Buffer.from('quietmeter/v1/submission\0');
  t.deepEqual(Buffer.from(message), Buffer.concat([label, bytes.subarray(0, bytes.length - 64)]));
});

test('what was signed is decoded and holds', (t) => {
  const submission = decodeSubmission(bytes);
  t.is(submission.slot, SLOT + 3);
  t.is(submission.pseudonym.area, 'north-1');
  t.is(submission.pseudonym.day, SLOT / 96);
  t.deepEqual(Buffer.from(submission.pseudonym.publicKey), Buffer.from(tpm.publicKey));
  t.is(submission.pass, null);
  t.deepEqual(Buffer.from(submission.provider), Buffer.from(reference));
  t.deepEqual(Buffer.from(submission.sealed), Buffer.from(sealed));
  t.notThrows(() => verifySubmission(submission, bytes));
  t.true(bytes.length < SUBMISSION_MOST_BYTES);
  t.is(submissionDigest(bytes).length, 32);
});

test('no byte of it can be changed', (t) => {
  for (let i = 0; i < bytes.length; i++) {
    const altered = Uint8Array.from(bytes);
    altered[i] ^= 1;
    const error = t.throws(() => verifySubmission(decodeSubmission(altered), altered), undefined, `byte ${i}`);
    const known = [MalformedError, CertificateError, SubmissionForgedError].some((type) => error instanceof type);
    t.true(known, `byte ${i}: ${error?.name}`);
  }
});

test('a certificate of another household, or of another day, does not carry it', async (t) => {
  const stranger = generateSigningKey();
  const strange = await signSubmission(
    {
      ...unsigned,
      pseudonymCertificate: await issuePseudonymCertificate(
        { day: SLOT / 96, publicKey: stranger.publicKey, area: 'north-1' },
        (message) => signP256(thirdParty.privateKey, message),
      ),
    },
    (message) => signP256(software.privateKey, message),
  );
  t.throws(() => verifySubmission(decodeSubmission(strange), strange), {
    instanceOf: CertificateError,
    message: /is not the pseudonym/,
  });
  const nextDay = await signSubmission({ ...unsigned, slot: SLOT + 96 }, (m) => signP256(software.privateKey, m));
  t.throws(() => verifySubmission(decodeSubmission(nextDay), nextDay), {
    instanceOf: CertificateError,
    message: /expired/,
  });
  const byTpm = await signSubmission(unsigned, (m) => signP256(tpm.privateKey, m));
  t.throws(() => verifySubmission(decodeSubmission(byTpm), byTpm), {
    instanceOf: SubmissionForgedError,
  });
});

test('no other version is read, the one without a pseudonym certificate least', (t) => {
  for (const version of [0, 1, 2, 4]) {
    const other = Buffer.concat([Buffer.of(version), bytes.subarray(1)]);
    t.is(t.throws(() => decodeSubmission(other), { instanceOf: MalformedError })!.path, 'submission.version');
  }
});

test('bytes that are no submission are refused by field, and never otherwise', (t) => {
  const paths = /^submission(\.(version|slot|pseudonymCertificate\.\w+|certificate|pass|pass\.\w+|sealed|signature))?$/;
  const refused = (input: Uint8Array): void => {
    try {
      decodeSubmission(input);
    } catch (error) {
      t.true(error instanceof MalformedError, String(error));
      t.regex((error as MalformedError).path, paths);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: SUBMISSION_MOST_BYTES + 8 }), refused));
  // cuts, additions and changes of a good one
  for (let length = 0; length < bytes.length; length++)
    t.throws(() => decodeSubmission(bytes.subarray(0, length)), { instanceOf: MalformedError });
  t.throws(() => decodeSubmission(Buffer.concat([bytes, new Uint8Array(1)])), { instanceOf: MalformedError });
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const altered = Uint8Array.from(bytes);
      altered[at] ^= change;
      refused(altered);
      try {
        verifySubmission(decodeSubmission(altered), altered);
        t.fail('verified');
      } catch (error) {
        t.false(error instanceof TypeError || error instanceof P256Error, String(error));
      }
    }),
  );
});

test('a submission with a pass is as long as one without', async (t) => {
  const pass = Buffer.concat([Buffer.of(1), new Uint8Array(PASS_BYTES - 1).fill(7)]);
  const attested = await signSubmission({ ...unsigned, pass }, (m) => signP256(software.privateKey, m));
  t.is(attested.length, bytes.length);
  t.is(decodeSubmission(attested).pass!.day, 0x07070707);
  for (const wrong of [pass.subarray(1), new Uint8Array(), certificate])
    await t.throwsAsync(
      signSubmission({ ...unsigned, pass: wrong }, () => new Uint8Array(64)),
      { message: /submission\.pass/ },
    );
});
