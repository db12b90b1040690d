import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import test from 'ava';
import fc from 'fast-check';
import {
  generateHpkeKeyPair,
  HPKE_OVERHEAD_BYTES,
  HpkeError,
  hpkeOpener,
  openExporting,
  openSealed,
  sealExporting,
  sealTo,
} from '../../../protocol/crypto/hpke.ts';
import { LABELS } from '../../../protocol/crypto/labels.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** RFC 9180, appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, first encryption. */
const RFC9180_A1 = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  ikmE: hex('7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234'),
  pkRm: hex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'),
  skRm: hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
  enc: hex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
  pt: hex('4265617574792069732074727574682c20747275746820626561757479'),
  aad: hex('436f756e742d30'),
  ct: hex('f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'),
};

test('RFC 9180 A.1.1: sealing and opening give the published values', async (t) => {
  const { info, ikmE, pkRm, skRm, enc, pt, aad, ct } = RFC9180_A1;
  t.deepEqual(Buffer.from(await sealTo(pkRm, info, aad, pt, ikmE)), Buffer.concat([enc, ct]));
  t.deepEqual(Buffer.from(await openSealed(skRm, info, aad, Buffer.concat([enc, ct]))), pt);
});

/** Of the same appendix: exported from the same context. */
const RFC9180_EXPORTED: [string, string][] = [
  ['', '3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee'],
  ['00', '2e8f0b54673c7029649d4eb9d5e33bf1872cf76d623ff164ac185da9e88c21a5'],
  ['54657374436f6e74657874', 'e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931'],
];

test('RFC 9180 A.1.1: both sides export the published values', (t) => {
  const { info, ikmE, pkRm, skRm, pt, aad } = RFC9180_A1;
  for (const [context, value] of RFC9180_EXPORTED) {
    const exporting = { context: hex(context), bytes: 32 };
    const { sealed, exported } = sealExporting(pkRm, info, aad, pt, exporting, ikmE);
    t.is(Buffer.from(exported).toString('hex'), value);
    t.is(Buffer.from(openExporting(hpkeOpener(skRm), info, aad, sealed, exporting).exported).toString('hex'), value);
  }
});

test('another implementation (@hpke/core) opens what we seal, seals what we open, and exports the same', async (t) => {
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
  const { publicKey, privateKey } = await generateHpkeKeyPair();
  const opener = hpkeOpener(privateKey);
  t.deepEqual(opener.publicKey, publicKey);
  const recipientPublicKey = await suite.kem.deserializePublicKey(publicKey);
  const recipientKey = await suite.kem.deserializePrivateKey(privateKey);
  const bytes = fc.uint8Array({ maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(
      bytes,
      bytes,
      bytes,
      bytes,
      fc.integer({ min: 1, max: 200 }),
      async (info, aad, plaintext, context, length) => {
        const exporting = { context, bytes: length };
        const ours = sealExporting(publicKey, info, aad, plaintext, exporting);
        const recipient = await suite.createRecipientContext({ recipientKey, info, enc: ours.sealed.subarray(0, 32) });
        t.deepEqual(new Uint8Array(await recipient.open(ours.sealed.subarray(32), aad)), plaintext);
        t.deepEqual(new Uint8Array(await recipient.export(context, length)), new Uint8Array(ours.exported));
        const sender = await suite.createSenderContext({ recipientPublicKey, info });
        const theirs = Buffer.concat([Buffer.from(sender.enc), Buffer.from(await sender.seal(plaintext, aad))]);
        const opened = openExporting(opener, info, aad, theirs, exporting);
        t.deepEqual(opened.plaintext, plaintext);
        t.deepEqual(new Uint8Array(opened.exported), new Uint8Array(await sender.export(context, length)));
      },
    ),
    { numRuns: 40 },
  );
});

test('what is sealed opens, is longer by the overhead, and never looks the same', async (t) => {
  const { publicKey, privateKey } = await generateHpkeKeyPair();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 50 }), async (plaintext, aad) => {
      const sealed = await sealTo(publicKey, LABELS.sealedReading, aad, plaintext);
      t.is(sealed.length, plaintext.length + HPKE_OVERHEAD_BYTES);
      t.deepEqual(await openSealed(privateKey, LABELS.sealedReading, aad, sealed), plaintext);
      t.notDeepEqual(await sealTo(publicKey, LABELS.sealedReading, aad, plaintext), sealed);
    }),
    { numRuns: 40 },
  );
});

test('altered bytes, another key, purpose or context: refused with one and the same sentence', async (t) => {
  const { publicKey, privateKey } = await generateHpkeKeyPair();
  const other = await generateHpkeKeyPair();
  const aad = Buffer.from('slot 7');
  const sealed = await sealTo(publicKey, LABELS.sealedReading, aad, Buffer.from('300 Wh'));
  const refused = { instanceOf: HpkeError, message: 'sealed does not open: another key, another purpose, or altered' };
  for (let at = 0; at < sealed.length; at++) {
    const altered = Buffer.from(sealed);
    altered[at] ^= 1 << (at % 7); // X25519 ignores bit 7 of the last byte of enc, so that one is left alone
    await t.throwsAsync(openSealed(privateKey, LABELS.sealedReading, aad, altered), refused, `byte ${at}`);
  }
  await t.throwsAsync(openSealed(other.privateKey, LABELS.sealedReading, aad, sealed), refused);
  await t.throwsAsync(openSealed(privateKey, LABELS.submission, aad, sealed), refused);
  await t.throwsAsync(openSealed(privateKey, LABELS.sealedReading, Buffer.from('slot 8'), sealed), refused);
  await t.throwsAsync(openSealed(privateKey, LABELS.sealedReading, aad, sealed.subarray(0, -1)), refused);
});

test('keys and sealed bytes of a wrong length are named', async (t) => {
  const { publicKey, privateKey } = await generateHpkeKeyPair();
  const none = Buffer.alloc(0);
  const seal = (key: Uint8Array): Promise<unknown> => sealTo(key, LABELS.sealedReading, none, none);
  const open = (key: Uint8Array, sealed: Uint8Array): Promise<unknown> =>
    openSealed(key, LABELS.sealedReading, none, sealed);
  for (const [attempt, field, message] of [
    [seal(publicKey.subarray(1)), 'recipientPublicKey', 'recipientPublicKey is 31 bytes long, not 32'],
    [seal(Buffer.alloc(32)), 'recipientPublicKey', 'recipientPublicKey is no X25519 key that can be sealed to'],
    [open(privateKey.subarray(1), Buffer.alloc(48)), 'privateKey', 'privateKey is 31 bytes long, not 32'],
    [open(privateKey, Buffer.alloc(47)), 'sealed', 'sealed is 47 bytes long, less than 48'],
  ] as const) {
    const error = await t.throwsAsync(attempt, { instanceOf: HpkeError, message });
    t.is(error.field, field);
  }
});
