/**
 * The endorsement key and what it proves, against real swtpms with certificates of their own maker.
 */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import test from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import {
  isCertified,
  makeCredential,
  nameOf,
  readEndorsementPublic,
} from '../../../protocol/attestation/credential.ts';
import { EkRoots } from '../../../protocol/attestation/ek-chain.ts';
import { householdTpm, loaded, tpmMakers } from './household-tpm.ts';

const SECRET = randomBytes(32);

for (const kind of ['rsa2048', 'p384'] as const) {
  test(`${kind}: the maker's certificate is of the key that the TPM derives, and leads to the maker`, async (t) => {
    const tpm = await Tpm.open((await householdTpm(t)).tcti);
    const { certificate, publicBlob } = await tpm.endorsement(kind);
    t.true(isCertified(readEndorsementPublic(publicBlob), new X509Certificate(certificate)));
    t.deepEqual((await tpm.endorsement(kind)).publicBlob, publicBlob, 'always the same');
    const { ekSerial } = new EkRoots(await tpmMakers()).checkWithKey(certificate, publicBlob, Date.now());
    const issuer = new X509Certificate((await tpmMakers()).intermediates[0]).publicKey;
    const maker = createHash('sha256')
      .update(issuer.export({ format: 'der', type: 'spki' }))
      .digest('hex');
    t.is(ekSerial, maker.slice(0, 16) + new X509Certificate(certificate).serialNumber.toLowerCase());
    await tpm.close();
  });

  test(`${kind}: a credential opens in that TPM, for that key, and for no other`, async (t) => {
    const tpm = await Tpm.open((await householdTpm(t)).tcti);
    const { publicBlob } = await tpm.endorsement(kind);
    const key = await tpm.loadKey(await tpm.createAttestationKey());
    t.deepEqual(Buffer.from(key.name), nameOf(key.blob.publicBlob));
    const credential = makeCredential(publicBlob, key.name, SECRET);
    t.deepEqual(Buffer.from(await tpm.activateCredential(key, credential, kind)), SECRET);
    t.deepEqual(Buffer.from(await tpm.activateCredential(key, credential, kind)), SECRET, 'asked twice, the same');

    const foreign = { instanceOf: TpmError, message: /^the credential was made for another endorsement key, or for/ };
    const other = await tpm.loadKey(await tpm.createAttestationKey());
    const wrongName = await t.throwsAsync(tpm.activateCredential(other, credential, kind), foreign);
    t.is(wrongName.kind, 'foreign credential');
    for (const field of ['idObject', 'encryptedSecret'] as const) {
      const altered = Buffer.from(credential[field]);
      altered[altered.length - 1] ^= 1;
      const error = await t.throwsAsync(
        tpm.activateCredential(key, { ...credential, [field]: altered }, kind),
        foreign,
      );
      t.false(error.message.includes(SECRET.toString('hex')));
    }
    t.is(await loaded(tpm), 0);
    t.is(tpm.state, 'ready');
    await tpm.close();
  });

  test(`${kind}: another TPM cannot activate it, nor may a software key stand in`, async (t) => {
    const one = await Tpm.open((await householdTpm(t)).tcti);
    const other = await Tpm.open((await householdTpm(t, { fresh: true })).tcti);
    const { publicBlob, certificate } = await one.endorsement(kind);
    const others = await other.endorsement(kind);
    t.notDeepEqual(others.publicBlob, publicBlob);
    const key = await other.loadKey(await other.createAttestationKey());
    const error = await t.throwsAsync(
      other.activateCredential(key, makeCredential(publicBlob, key.name, SECRET), kind),
      { instanceOf: TpmError },
    );
    t.is(error.kind, 'foreign credential');
    // the certificate of one with the key of the other
    t.throws(() => new EkRoots({ ...makers }).checkWithKey(certificate, others.publicBlob, Date.now()), {
      message: 'the certificate is of another endorsement key than the one that is described',
    });
    await one.close();
    await other.close();
  });
}
let makers: Awaited<ReturnType<typeof tpmMakers>>;
test.before(async () => {
  makers = await tpmMakers();
});

test('a kind that the maker did not give is told so', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  await t.throwsAsync(tpm.endorsement('p256'), {
    instanceOf: TpmError,
    message: 'the TPM has no certificate of its maker for a p256 endorsement key',
  });
  await tpm.close();
});

test('a secret of another length than the longest', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const { publicBlob } = await tpm.endorsement();
  const key = await tpm.loadKey(await tpm.createAttestationKey());
  for (const length of [1, 16, 31]) {
    const secret = randomBytes(length);
    const activated = await tpm.activateCredential(key, makeCredential(publicBlob, key.name, secret));
    t.deepEqual(Buffer.from(activated), secret);
  }
  await tpm.close();
});
