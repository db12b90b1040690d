/**
 * Credentials against another implementation's vectors; that a real TPM opens them: test/gateway/tpm/endorsement.test.ts.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import test from 'ava';
import { makeCredential, nameOf, readEndorsementPublic } from '../../../protocol/attestation/credential.ts';
import {
  EMPTY,
  OBJECT,
  sized,
  TPM_ALG,
  TPM_ECC_NIST_P256,
  TpmWireError,
  u16,
  u32,
} from '../../../protocol/attestation/tpm-wire.ts';

const base64 = (text: string): Buffer => Buffer.from(text, 'base64');
const FIT = OBJECT.fixedTPM | OBJECT.fixedParent | OBJECT.sensitiveDataOrigin | OBJECT.restricted | OBJECT.decrypt;
const AES_128_CFB = [u16(TPM_ALG.AES), u16(128), u16(TPM_ALG.CFB)];

/** TPM2B_PUBLIC of an endorsement key. */
function ekPublic(key: KeyObject, attributes: number = FIT, cipher = AES_128_CFB): Buffer {
  const { kty, n, x, y } = key.export({ format: 'jwk' });
  const head = (type: number) => [u16(type), u16(TPM_ALG.SHA256), u32(attributes), EMPTY, ...cipher, u16(TPM_ALG.NULL)];
  const bytes = (text?: string): Buffer => Buffer.from(text!, 'base64url');
  return kty === 'RSA'
    ? sized(...head(TPM_ALG.RSA), u16(8 * bytes(n).length), u32(0), sized(bytes(n)))
    : sized(...head(TPM_ALG.ECC), u16(TPM_ECC_NIST_P256), u16(TPM_ALG.NULL), sized(bytes(x)), sized(bytes(y)));
}

// go-tpm, legacy/tpm2/credactivation/credential_activation_test.go (Apache-2.0), with randomness of zeros
const NAME = Buffer.concat([u16(TPM_ALG.SHA256), base64('5snpf9qRfKD2Tb72eLAZqC/a/MyUhg+IvdwDZkTJK9w=')]);
const SECRET = base64('AQIDBAUGBwgBAgMEBQYHCAECAwQFBgcIAQIDBAUGBwg=');
const P256_KEY = createPublicKey(`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsIfixqsUp8cJBSeYDhJKCZ32eAHF
3rS7HdTMOnoFj1MrX+PutPTxa6SFdhWGLnhEQyfcwRni8veQX/dSP2on2w==
-----END PUBLIC KEY-----`);
const RSA_KEY = createPublicKey(`-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArIqmuAvuIcakIEPd2hZl
avob21ehQ7zaHduJQNbNuKVSc1HTlvw9DkWN03b0SktcRIfsjw/omqPl60RhCx0j
qxsYnf5Gk4jhfCnUeQVicAqHnUGrKjMkLIGTZVOpyqBEXHsdhugw6M5HVIKyfwNO
KhvLZKRH8JkvtElVhLQ6E2+H83XoSpkt9oCnGPyN2Z5qRP+fhQiRylMCD8Rz8ABn
YVqGBBrG+2cBt/0uFLjxHx2mm/4sI/1scG5xrcrDLva9WZB40MehW5VlS6Fwqq05
dKtLGpk7ludjH38m2zhM5/UdKZ34skJaS/Aiyj+P5AT1BpJL2ZtjCbBdnMDUSbRF
1QIDAQAB
-----END PUBLIC KEY-----`);

test('P-256: as go-tpm makes it', (t) => {
  // what elliptic.GenerateKey of Go makes of zeros
  const scalar = Buffer.alloc(32);
  scalar[1] = 0x42;
  const { idObject, encryptedSecret } = makeCredential(ekPublic(P256_KEY), NAME, SECRET, () => scalar);
  t.deepEqual(
    Buffer.concat([idObject, encryptedSecret]),
    base64(
      'AEQAIE4SquOcMAzLi7f3ru6P8nuIpSmzr8OTACXpzLo3PTOe/oBazv+fZF2JiKDZqNPNeHISCsZMdEtEfvyYjqmzZ/CB7ABEACAeGDfvDRlR' +
        'iDV1cbXlVFsSLo8JZ/2nJCA+slYczpcoXgAg+CstT57xB59sS1uDVuIyQulYttdJprVoGkEDVmvcWok=',
    ),
  );
});

test("RSA-2048: as go-tpm makes it, but for OAEP's own randomness", (t) => {
  const { idObject, encryptedSecret } = makeCredential(ekPublic(RSA_KEY), NAME, SECRET, () => Buffer.alloc(16));
  const expected = 'AEQAIFjKZAUo3Wmgxu+CqHFzsQZr7BqawtprBmpXpZa77nb5S+iN6IcSPQLCKPZMNuunv7BIb4/VJA/xjMrj8RnQbjspCw==';
  t.deepEqual(Buffer.from(idObject), base64(expected));
  t.is(encryptedSecret.length, 2 + 256);
});

test('every credential is another one, and long secrets do not fit', (t) => {
  for (const key of [P256_KEY, RSA_KEY]) {
    const [one, two] = [1, 2].map(() => makeCredential(ekPublic(key), NAME, SECRET));
    t.notDeepEqual(one.idObject, two.idObject);
    t.notDeepEqual(one.encryptedSecret, two.encryptedSecret);
    t.false(Buffer.from(one.idObject).includes(SECRET));
  }
  for (const length of [0, 33])
    t.throws(() => makeCredential(ekPublic(P256_KEY), NAME, Buffer.alloc(length)), { instanceOf: RangeError });
});

test('zero and numbers beyond the group are no ephemeral keys: drawn again', (t) => {
  const draws = [Buffer.alloc(32), Buffer.alloc(32, 0xff), randomBytes(32).fill(0, 0, 1)];
  const { encryptedSecret } = makeCredential(ekPublic(P256_KEY), NAME, SECRET, () => draws.shift()!);
  t.is(draws.length, 0);
  t.is(encryptedSecret.length, 2 + 2 * (2 + 32));
});

test('what is no endorsement key is refused with the field', (t) => {
  const refused = (publicBlob: Uint8Array, path: string): void => {
    const error = t.throws(() => readEndorsementPublic(publicBlob), { instanceOf: TpmWireError });
    t.is(error.path, `ekPublic.${path}`);
  };
  for (const key of [P256_KEY, RSA_KEY]) {
    for (const missing of [
      OBJECT.fixedTPM,
      OBJECT.fixedParent,
      OBJECT.sensitiveDataOrigin,
      OBJECT.restricted,
      OBJECT.decrypt,
    ])
      refused(ekPublic(key, FIT & ~missing), 'objectAttributes');
    refused(ekPublic(key, FIT | OBJECT.sign), 'objectAttributes');
    refused(ekPublic(key, FIT, [u16(TPM_ALG.AES), u16(64), u16(TPM_ALG.CFB)]), 'symmetric.keyBits');
    refused(ekPublic(key, FIT, [u16(TPM_ALG.NULL)]), 'symmetric');
    const good = ekPublic(key);
    for (let length = 0; length < good.length; length++)
      t.throws(() => readEndorsementPublic(good.subarray(0, length)), { instanceOf: TpmWireError });
    refused(Buffer.concat([good, Buffer.of(0)]), 'end');
  }
  refused(ekPublic(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), 'unique');
  const offCurve = ekPublic(P256_KEY);
  offCurve[offCurve.length - 1] ^= 1;
  refused(offCurve, 'unique');
});

test('a name is the digest of the public area', (t) => {
  const blob = ekPublic(P256_KEY);
  t.is(nameOf(blob).length, 34);
  t.notDeepEqual(nameOf(ekPublic(P256_KEY, FIT | OBJECT.noDA)), nameOf(blob));
});
