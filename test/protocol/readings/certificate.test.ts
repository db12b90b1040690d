import test from 'ava';
import fc from 'fast-check';
import { LABELS } from '../../../protocol/crypto/labels.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  CERTIFICATE_BYTES,
  CertificateError,
  type CertifiedKey,
  decodeCertificate,
  encodeCertificate,
  issueCertificate,
  verifyCertificate,
} from '../../../protocol/readings/certificate.ts';

const pseudonym = generateSigningKey();
const software = generateSigningKey();
const FIRST = 1_900_800; // a midnight of UTC
const LAST = FIRST + 95;
const fields: CertifiedKey = {
  pseudonym: pseudonym.publicKey,
  publicKey: software.publicKey,
  firstSlot: FIRST,
  lastSlot: LAST,
};
const issue = (changes: Partial<CertifiedKey> = {}): Promise<Uint8Array> =>
  issueCertificate({ ...fields, ...changes }, (message) => signP256(pseudonym.privateKey, message));

test('the layout is the documented one', async (t) => {
  let signed: Uint8Array = Buffer.alloc(0);
  const bytes = Buffer.from(
    await issueCertificate(fields, (message) => {
      signed = message;
      return Buffer.alloc(64, 0xab);
    }),
  );
  t.is(bytes.length, 139);
  t.is(CERTIFICATE_BYTES, 139);
  const body = Buffer.concat([
    Buffer.of(1),
    pseudonym.publicKey,
    software.publicKey,
    Buffer.from('001d0100', 'hex'),
    Buffer.from('001d015f', 'hex'),
  ]);
  t.deepEqual(bytes, Buffer.concat([body, Buffer.alloc(64, 0xab)]));
  t.deepEqual(Buffer.from(signed), Buffer.concat([Buffer.from(`${LABELS.readingKey}\0`), body]));
});

test('encode and decode are inverse', (t) => {
  const slot = fc.integer({ min: 0, max: 0xffffffff - 95 });
  fc.assert(
    fc.property(
      slot,
      fc.integer({ min: 0, max: 95 }),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      (first, n, s) => {
        const certificate = { ...fields, firstSlot: first, lastSlot: first + n, signature: s };
        const bytes = encodeCertificate(certificate);
        const decoded = decodeCertificate(bytes);
        t.deepEqual(encodeCertificate(decoded), bytes);
        t.deepEqual([decoded.firstSlot, decoded.lastSlot], [first, first + n]);
      },
    ),
  );
});

test('a certificate verifies for its own slots, first and last included', async (t) => {
  const certificate = decodeCertificate(await issue());
  for (const slot of [FIRST, FIRST + 40, LAST])
    t.notThrows(() => verifyCertificate(certificate, pseudonym.publicKey, slot));
});

test('what is not to be believed is refused, each with its own sentence', async (t) => {
  const good = await issue();
  const refused = (bytes: Uint8Array, trusted: Uint8Array, slot: number): CertificateError =>
    t.throws(() => verifyCertificate(decodeCertificate(bytes), trusted, slot), { instanceOf: CertificateError })!;

  t.is(
    refused(good, pseudonym.publicKey, FIRST - 1).message,
    `certificate is not valid yet: slot ${FIRST - 1} lies before ${FIRST}`,
  );
  t.is(
    refused(good, pseudonym.publicKey, LAST + 1).message,
    `certificate has expired: slot ${LAST + 1} lies after ${LAST}`,
  );
  t.is(
    refused(good, generateSigningKey().publicKey, FIRST).message,
    'certificate.pseudonym is not the pseudonym that is expected here',
  );
  // made by another key, in the name of the pseudonym
  const forged = await issueCertificate(fields, (message) => signP256(software.privateKey, message));
  t.is(
    refused(forged, pseudonym.publicKey, FIRST).message,
    'certificate.signature was not made by the pseudonym key over this certificate',
  );
  // the signature of another certificate of the same pseudonym
  const other = decodeCertificate(await issue({ firstSlot: FIRST + 96, lastSlot: LAST + 96 }));
  const pasted = encodeCertificate({ ...decodeCertificate(good), signature: other.signature });
  t.is(refused(pasted, pseudonym.publicKey, FIRST).path, 'certificate.signature');
  // a signature over the same bytes for another purpose
  const purpose = await issueCertificate(fields, (message) =>
    signP256(pseudonym.privateKey, message.subarray(LABELS.readingKey.length + 1)),
  );
  t.is(refused(purpose, pseudonym.publicKey, FIRST).path, 'certificate.signature');
});

test('every altered bit is refused', async (t) => {
  const good = await issue();
  for (let bit = 0; bit < good.length * 8; bit++) {
    const altered = Buffer.from(good);
    altered[bit >> 3] ^= 1 << (bit & 7);
    t.throws(
      () => verifyCertificate(decodeCertificate(altered), pseudonym.publicKey, FIRST + 40),
      { instanceOf: CertificateError },
      `bit ${bit}`,
    );
  }
});

test('malformed bytes are refused with the path of the field', async (t) => {
  const good = Buffer.from(await issue());
  const changed = (at: number, ...bytes: number[]): Buffer => {
    const copy = Buffer.from(good);
    copy.set(bytes, at);
    return copy;
  };
  for (const [bytes, path, message] of [
    [good.subarray(1), 'submission.certificate', 'is 138 bytes long, not 139'],
    [Buffer.alloc(0), 'submission.certificate', 'is 0 bytes long, not 139'],
    [changed(0, 2), 'submission.certificate.version', 'is 2, not 1'],
    [changed(1, 4), 'submission.certificate.pseudonym', 'is not a compressed point'],
    [changed(34, 2, ...Buffer.alloc(32, 255)), 'submission.certificate.publicKey', 'is not a point on P-256'],
    [changed(71, 0, 0, 0, 1), 'submission.certificate.lastSlot', `(1) lies before firstSlot (${FIRST})`],
    [changed(71, 255), 'submission.certificate.lastSlot', 'makes the key valid for more than 672 slots'],
  ] as const) {
    const error = t.throws(() => decodeCertificate(bytes, 'submission.certificate'), { instanceOf: CertificateError })!;
    t.is(error.path, path);
    t.is(error.message, `${path} ${message}`);
  }
});

test('a key that may sign for longer than a week, or for no time at all, is not even issued', async (t) => {
  await t.throwsAsync(issue({ lastSlot: FIRST + 672 }), {
    instanceOf: CertificateError,
    message: /more than 672 slots/,
  });
  await t.throwsAsync(issue({ lastSlot: FIRST - 1 }), {
    instanceOf: CertificateError,
    message: /lies before firstSlot/,
  });
});

test('what was decoded does not change when the buffer is used again', async (t) => {
  const buffer = Buffer.from(await issue());
  const certificate = decodeCertificate(buffer);
  buffer.fill(0);
  t.notThrows(() => verifyCertificate(certificate, pseudonym.publicKey, FIRST));
});
