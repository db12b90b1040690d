/**
 * A day's signers of readings, with the pseudonym key in a real (software) TPM.
 */
import test from 'ava';
import { makeReadingSigner, ReadingSigners, type SignerSource } from '../../../gateway/identity/reading-signer.ts';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { verifyP256 } from '../../../protocol/crypto/p256.ts';
import {
  CertificateError,
  decodeCertificate,
  encodeCertificate,
  verifyCertificate,
} from '../../../protocol/readings/certificate.ts';
import { householdTpm } from '../tpm/household-tpm.ts';

const DAY = 19_800;
const SLOT = DAY * 96 + 40;
const MESSAGE = Buffer.from('a submission');
/** Is passed on as it is; who made it is of no matter here. */
const PSEUDONYM_CERTIFICATE = Buffer.from('of the third party');

interface Identity extends SignerSource {
  readonly pseudonym: Uint8Array;
}

async function household(t: Parameters<typeof householdTpm>[0]) {
  const swtpm = await householdTpm(t);
  const tpm = await Tpm.open(swtpm.tcti);
  t.teardown(() => tpm.close());
  return { swtpm, tpm, blob: await tpm.createSigningKey() };
}

async function signersOf(
  tpm: Pick<Tpm, 'loadKey' | 'sign'>,
  blob: Awaited<ReturnType<Tpm['createSigningKey']>>,
): Promise<Identity> {
  const key = await tpm.loadKey(blob);
  const signers = new ReadingSigners((day) => makeReadingSigner(tpm, key, day, PSEUDONYM_CERTIFICATE));
  return { pseudonym: key.publicKey, signerFor: (slot) => signers.ofSlot(slot) };
}

/** The collector's two checks: the certificate under the pseudonym, the message under the certified key. */
async function accepted(identity: Identity, slot: number, pseudonym = identity.pseudonym): Promise<boolean> {
  const signer = await identity.signerFor(slot);
  const certificate = decodeCertificate(signer.certificate);
  verifyCertificate(certificate, pseudonym, slot);
  return verifyP256(certificate.publicKey, MESSAGE, await signer.sign(MESSAGE));
}

test('a submission is signed by a key that the pseudonym certified for its day', async (t) => {
  const { tpm, blob } = await household(t);
  const identity = await signersOf(tpm, blob);
  t.true(await accepted(identity, SLOT));
  const signer = await identity.signerFor(SLOT);
  t.deepEqual(signer.pseudonym, identity.pseudonym);
  t.is(signer.pseudonymCertificate, PSEUDONYM_CERTIFICATE);
  const { firstSlot, lastSlot, pseudonym } = decodeCertificate(signer.certificate);
  t.deepEqual([firstSlot, lastSlot], [DAY * 96, DAY * 96 + 95], 'a whole day of UTC, as for every other household');
  t.deepEqual(Buffer.from(pseudonym), Buffer.from(identity.pseudonym));
});

test('expired slots, another pseudonym, a tampered certificate: refused', async (t) => {
  const { tpm, blob } = await household(t);
  const identity = await signersOf(tpm, blob);
  const certificate = decodeCertificate((await identity.signerFor(SLOT)).certificate);
  const refused = (pseudonym: Uint8Array, slot: number, changed = certificate): string =>
    t.throws(() => verifyCertificate(changed, pseudonym, slot), { instanceOf: CertificateError })!.message;
  t.regex(refused(identity.pseudonym, SLOT + 96), /has expired/);
  t.regex(refused(identity.pseudonym, SLOT - 96), /is not valid yet/);
  const stranger = (await tpm.loadKey(await tpm.createSigningKey())).publicKey;
  t.regex(refused(stranger, SLOT), /is not the pseudonym that is expected here/);
  const stretched = decodeCertificate(encodeCertificate({ ...certificate, lastSlot: certificate.lastSlot + 96 }));
  t.regex(refused(identity.pseudonym, SLOT + 96, stretched), /was not made by the pseudonym key/);
});

test('one software key a day, another one the next day, an old one for a backlog', async (t) => {
  const { tpm, blob } = await household(t);
  const identity = await signersOf(tpm, blob);
  const keyOf = async (slot: number): Promise<string> => {
    const { publicKey } = decodeCertificate((await identity.signerFor(slot)).certificate);
    return Buffer.from(publicKey).toString('hex');
  };
  t.is(await keyOf(DAY * 96), await keyOf(DAY * 96 + 95));
  t.not(await keyOf(DAY * 96 + 95), await keyOf(DAY * 96 + 96), 'or two days of one household could be linked by it');
  const backlog = await Promise.all(Array.from({ length: 35 }, (_, i) => keyOf((DAY - i) * 96)));
  t.is(new Set(backlog).size, 35);
  for (let i = 0; i < 35; i++) t.true(await accepted(identity, (DAY - i) * 96 + i));
});

test('asked many times at once, the TPM signs once', async (t) => {
  const { tpm, blob } = await household(t);
  let signatures = 0;
  const counting = {
    loadKey: tpm.loadKey.bind(tpm),
    sign: (...parameters: Parameters<Tpm['sign']>) => {
      signatures++;
      return tpm.sign(...parameters);
    },
  };
  const identity = await signersOf(counting, blob);
  const signers = await Promise.all(Array.from({ length: 20 }, (_, i) => identity.signerFor(DAY * 96 + i)));
  t.is(signatures, 1);
  t.is(new Set(signers).size, 1);
});

test('after a restart of process and TPM the same pseudonym certifies another software key; what was signed holds', async (t) => {
  const { swtpm, tpm, blob } = await household(t);
  const first = await signersOf(tpm, blob);
  const submitted = await first.signerFor(SLOT);
  const signature = await submitted.sign(MESSAGE);
  await tpm.close();
  await swtpm.stop();
  await swtpm.start();
  const reopened = await Tpm.open(swtpm.tcti);
  t.teardown(() => reopened.close());
  const second = await signersOf(reopened, blob);
  t.deepEqual(second.pseudonym, first.pseudonym);
  t.true(await accepted(second, SLOT, first.pseudonym));
  const { publicKey } = decodeCertificate(submitted.certificate);
  t.notDeepEqual(
    decodeCertificate((await second.signerFor(SLOT)).certificate).publicKey,
    publicKey,
    'it was in memory only',
  );
  t.true(verifyP256(publicKey, MESSAGE, signature));
});

test('the TPM gone: today goes on, tomorrow says so, and succeeds when it is back', async (t) => {
  const { swtpm, tpm, blob } = await household(t);
  const identity = await signersOf(tpm, blob);
  t.true(await accepted(identity, SLOT));
  await swtpm.kill();
  t.true(await accepted(identity, SLOT + 1), 'the software key is certified already');
  for (let i = 0; i < 2; i++) {
    const error = await t.throwsAsync(identity.signerFor(SLOT + 96), { instanceOf: TpmError });
    t.is(error.kind, 'gone');
  }
  await swtpm.start();
  t.true(await accepted(identity, SLOT + 96));
});
