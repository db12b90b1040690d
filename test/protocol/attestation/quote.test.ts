/**
 * What a real TPM said, then changed; and what a forger with a key of their own makes up.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { ESYS_TR } from '../../../gateway/tpm/esys.ts';
import { withStorageRoot } from '../../../gateway/tpm/keys.ts';
import { ATTESTATION_KEY, NO_PCRS, NO_SECRET } from '../../../gateway/tpm/structures.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { nvName, pcrDigest } from '../../../protocol/attestation/policy.ts';
import {
  AttestError,
  type AttestTrouble,
  readAttest,
  readAttestationKey,
  type Shown,
  verifyKeyCertification,
  verifyNvCertification,
  verifyQuote,
} from '../../../protocol/attestation/quote.ts';
import { EMPTY, OBJECT, pcrSelection, sized, TPM_ALG, u8, u16, u32 } from '../../../protocol/attestation/tpm-wire.ts';
import { generateSigningKey, signP256, uncompressPublicKey } from '../../../protocol/crypto/p256.ts';
import { householdTpm } from '../../gateway/tpm/household-tpm.ts';

const PCRS = [8, 9];

/** A quote of a real TPM, and everything that it is checked against. */
async function shown(tpm: Tpm) {
  const key = await tpm.loadKey(await tpm.createAttestationKey());
  await tpm.extendPcr(8, randomBytes(32));
  const nonce = randomBytes(32);
  const attestationKey = readAttestationKey(key.blob.publicBlob);
  const quote: Shown = { ...(await tpm.quote(key, nonce, PCRS)), attestationKey, nonce };
  const pcrs = [...(await tpm.readPcrs(PCRS))].map(([pcr, value]) => ({ pcr, value }));
  return { key, attestationKey, nonce, quote, pcrs };
}
const codeOf = (f: () => unknown): AttestTrouble | null => {
  try {
    f();
    return null;
  } catch (error) {
    if (error instanceof AttestError) return error.code;
    throw error;
  }
};

test('altered in any byte, of what was said or of the signature, nothing is believed', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const { quote, pcrs } = await shown(tpm);
  t.is(
    codeOf(() => verifyQuote(quote, pcrs)),
    null,
  );
  for (const field of ['attest', 'signature'] as const) {
    for (let i = 0; i < quote[field].length; i++) {
      const altered = Uint8Array.from(quote[field], (byte, at) => (at === i ? byte ^ 1 : byte));
      t.is(
        codeOf(() => verifyQuote({ ...quote, [field]: altered }, pcrs)),
        'signature',
        `${field}[${i}]`,
      );
    }
    for (const length of [0, 1, quote[field].length - 1])
      t.is(
        codeOf(() => verifyQuote({ ...quote, [field]: quote[field].subarray(0, length) }, pcrs)),
        'signature',
      );
  }
  await tpm.close();
});

test('another nonce, other PCRs, other values, another key', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const { key, quote, pcrs, nonce, attestationKey } = await shown(tpm);
  t.is(
    codeOf(() => verifyQuote({ ...quote, nonce: randomBytes(32) }, pcrs)),
    'nonce',
  );
  t.is(
    codeOf(() => verifyQuote({ ...quote, nonce: nonce.subarray(1) }, pcrs)),
    'nonce',
  );
  t.is(
    codeOf(() => verifyQuote(quote, pcrs.slice(0, 1))),
    'selection',
  );
  t.is(
    codeOf(() => verifyQuote(quote, [...pcrs, { pcr: 10, value: Buffer.alloc(32) }])),
    'selection',
  );
  t.is(
    codeOf(() =>
      verifyQuote(
        quote,
        pcrs.map(({ pcr, value }) => ({ pcr: pcr + 1, value })),
      ),
    ),
    'selection',
  );
  t.is(
    codeOf(() => verifyQuote(quote, [pcrs[0], { pcr: 9, value: randomBytes(32) }])),
    'pcr values',
  );
  t.is(
    codeOf(() => verifyQuote(quote, [...pcrs].reverse())),
    null,
    'their order is not the message',
  );
  t.is(
    codeOf(() => verifyQuote(quote, [])),
    'empty selection',
  );
  const other = readAttestationKey((await tpm.createAttestationKey()).publicBlob);
  t.is(
    codeOf(() => verifyQuote({ ...quote, attestationKey: other }, pcrs)),
    'signature',
  );
  // what a TPM is willing to sign, too
  const ask = async (selection: number[]) => ({ ...(await tpm.quote(key, nonce, selection)), attestationKey, nonce });
  const nothing = await ask([]);
  t.is(
    codeOf(() => verifyQuote(nothing, pcrs)),
    'empty selection',
  );
  t.is(
    codeOf(() => verifyQuote(nothing, [])),
    'empty selection',
    'not even where nothing is asked for',
  );
  const resettable = await ask([16, 23]);
  t.is(
    codeOf(() => verifyQuote(resettable, pcrs)),
    'selection',
  );
  await tpm.close();
});

test("one kind of attestation is no other, and a TPM's keys are told apart", async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const { key, quote, pcrs, nonce, attestationKey } = await shown(tpm);
  const signing = await tpm.loadKey(await tpm.createSigningKey());
  const stranger = await tpm.createSigningKey();
  await tpm.defineArea(0x01810300, 8);
  await tpm.writeArea(0x01810300, Buffer.alloc(8));
  const certified: Shown = { ...(await tpm.certify(signing, key, nonce)), attestationKey, nonce };
  const certifiedNv: Shown = { ...(await tpm.certifyNv(key, 0x01810300, nonce)), attestationKey, nonce };
  t.is(
    codeOf(() => verifyQuote(certified, pcrs)),
    'type',
  );
  t.is(
    codeOf(() => verifyQuote(certifiedNv, pcrs)),
    'type',
  );
  t.is(
    codeOf(() => verifyKeyCertification(quote, signing.blob.publicBlob)),
    'type',
  );
  t.is(
    codeOf(() => verifyNvCertification(quote, 0x01810300, 8)),
    'type',
  );
  t.is(
    codeOf(() => verifyKeyCertification(certified, signing.blob.publicBlob)),
    null,
  );
  t.is(
    codeOf(() => verifyKeyCertification(certified, stranger.publicBlob)),
    'name',
    'another key than the certified one',
  );
  t.is(
    codeOf(() => verifyKeyCertification(certified, key.blob.publicBlob)),
    'key',
    'restricted: signs no readings',
  );
  t.is(
    codeOf(() => verifyKeyCertification({ ...certified, nonce: randomBytes(32) }, signing.blob.publicBlob)),
    'nonce',
  );
  t.is(
    codeOf(() => verifyNvCertification(certifiedNv, 0x01810300, 8)),
    null,
  );

  // a software key said to be in the TPM: nothing that the TPM signed names it
  const { x, y } = coordinates(generateSigningKey().publicKey);
  const software = describe(x, y, OBJECT.fixedTPM | OBJECT.fixedParent | OBJECT.sensitiveDataOrigin | OBJECT.sign);
  t.is(
    codeOf(() => verifyKeyCertification(certified, software)),
    'name',
  );
  t.is(
    codeOf(() => readAttestationKey(signing.blob.publicBlob)),
    'attestation key',
    'a signing key signs what it is given',
  );
  await tpm.close();
});

test('an attestation key that could leave a TPM, or that it did not make, is no attestation key', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const create = (attributes: number): Promise<Buffer> =>
    tpm.run((esys) =>
      withStorageRoot(esys, 'attestation', async (root) => {
        const template = Buffer.from(ATTESTATION_KEY);
        template.writeUInt32BE(attributes, 6);
        const [, made] = await esys.call('Create', root, [ESYS_TR.PASSWORD], NO_SECRET, template, EMPTY, NO_PCRS);
        return made;
      }),
    );
  const good = ATTESTATION_KEY.readUInt32BE(6);
  t.is(
    codeOf(() => readAttestationKey(Buffer.from(ATTESTATION_KEY))),
    'attestation key',
    'a template is no key',
  );
  readAttestationKey(await create(good));
  const movable = await create(good & ~(OBJECT.fixedTPM | OBJECT.fixedParent));
  t.throws(() => readAttestationKey(movable), {
    instanceOf: AttestError,
    message: 'the attestation key is unfit: it could be moved to another TPM',
  });
  const unrestricted = await create(good & ~OBJECT.restricted);
  t.throws(() => readAttestationKey(unrestricted), {
    instanceOf: AttestError,
    message: 'the attestation key is unfit: it is not restricted, so it signs anything that it is given',
  });
  await t.throwsAsync(
    create(good | OBJECT.decrypt),
    { instanceOf: TpmError },
    'a TPM does not make one that does both',
  );
  await tpm.close();
});

// A forger: software, but the bytes are in order

const FORGER = generateSigningKey();
function coordinates(publicKey: Uint8Array): { x: Buffer; y: Buffer } {
  const point = Buffer.from(uncompressPublicKey(publicKey));
  return { x: point.subarray(1, 33), y: point.subarray(33) };
}
const describe = (x: Uint8Array, y: Uint8Array, attributes: number): Buffer =>
  sized(
    ...[u16(TPM_ALG.ECC), u16(TPM_ALG.SHA256), u32(attributes), EMPTY, u16(TPM_ALG.NULL)],
    ...[u16(TPM_ALG.ECDSA), u16(TPM_ALG.SHA256), u16(3), u16(TPM_ALG.NULL), sized(x), sized(y)],
  );
const ATTRIBUTES = ATTESTATION_KEY.readUInt32BE(6);
const NONCE = randomBytes(32);
const VALUES = PCRS.map((pcr) => ({ pcr, value: randomBytes(32) }));
const head = (
  type: number,
  { magic = 0xff544347, nonce = NONCE }: { magic?: number; nonce?: Uint8Array } = {},
): Buffer =>
  Buffer.concat([u32(magic), u16(type), sized(Buffer.alloc(34)), sized(nonce), Buffer.alloc(8 + 4 + 4 + 1 + 8)]);
const forged = (...parts: Uint8Array[]): Shown => {
  const attest = Buffer.concat(parts);
  const { x, y } = coordinates(FORGER.publicKey);
  const attestationKey = readAttestationKey(describe(x, y, ATTRIBUTES));
  return { attest, signature: signP256(FORGER.privateKey, attest), attestationKey, nonce: NONCE };
};
const QUOTE = 0x8018;
const BODY = [pcrSelection(PCRS), sized(pcrDigest(VALUES))];
/** TPML_PCR_SELECTION of several banks. */
const selections = (...banks: [hash: number, ...bits: number[]][]): Buffer =>
  Buffer.concat([
    u32(banks.length),
    ...banks.map(([hash, ...bits]) => Buffer.concat([u16(hash), u8(bits.length), Buffer.from(bits)])),
  ]);
const SHA1 = 0x0004;

test('each thing that may be wrong in what was signed has its own code', (t) => {
  const digest = sized(pcrDigest(VALUES));
  const cases: Record<string, [Shown, AttestTrouble | null]> = {
    'all in order': [forged(head(QUOTE), ...BODY), null],
    'forged magic': [forged(head(QUOTE, { magic: 0xff544348 }), ...BODY), 'magic'],
    'no magic': [forged(head(QUOTE, { magic: 0 }), ...BODY), 'magic'],
    'time attestation': [forged(head(0x8019), ...BODY), 'type'],
    'no such type': [forged(head(0), ...BODY), 'type'],
    'empty nonce': [forged(head(QUOTE, { nonce: EMPTY.subarray(2) }), ...BODY), 'nonce'],
    'no selection': [forged(head(QUOTE), u32(0), digest), 'empty selection'],
    'selection without bits': [forged(head(QUOTE), selections([TPM_ALG.SHA256, 0, 0, 0]), digest), 'empty selection'],
    'bank of SHA-1': [forged(head(QUOTE), selections([SHA1, 0, 3, 0]), digest), 'bank'],
    'a second bank': [forged(head(QUOTE), selections([TPM_ALG.SHA256, 0, 3, 0], [SHA1, 0, 3, 0]), digest), 'bank'],
    'the bank in two parts': [
      forged(head(QUOTE), selections([TPM_ALG.SHA256, 0, 1, 0], [TPM_ALG.SHA256, 0, 2, 0]), digest),
      'selection',
    ],
    'a PCR more': [forged(head(QUOTE), selections([TPM_ALG.SHA256, 1, 3, 0]), digest), 'selection'],
    'a longer selection': [forged(head(QUOTE), selections([TPM_ALG.SHA256, 0, 3, 0, 1]), digest), 'selection'],
    'other values': [forged(head(QUOTE), pcrSelection(PCRS), sized(randomBytes(32))), 'pcr values'],
    'digest cut': [forged(head(QUOTE), pcrSelection(PCRS), sized(pcrDigest(VALUES).subarray(1))), 'pcr values'],
    'bytes behind the end': [forged(head(QUOTE), ...BODY, u8(0)), 'malformed'],
    'cut short': [forged(head(QUOTE), pcrSelection(PCRS)), 'malformed'],
    'too many selections': [forged(head(QUOTE), u32(0xffff), digest), 'malformed'],
    'nothing at all': [forged(), 'malformed'],
  };
  for (const [why, [given, code]] of Object.entries(cases))
    t.is(
      codeOf(() => verifyQuote(given, VALUES)),
      code,
      why,
    );
});

test('a forged key is refused for what its description says', (t) => {
  const { x, y } = coordinates(FORGER.publicKey);
  const { restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, decrypt } = OBJECT;
  for (const missing of [restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin])
    t.is(
      codeOf(() => readAttestationKey(describe(x, y, ATTRIBUTES & ~missing))),
      'attestation key',
    );
  t.is(
    codeOf(() => readAttestationKey(describe(x, y, ATTRIBUTES | decrypt))),
    'attestation key',
  );
  t.is(
    codeOf(() => readAttestationKey(describe(x, y, ATTRIBUTES).subarray(0, 40))),
    'attestation key',
  );
  for (const other of [Buffer.alloc(32, 7), Buffer.alloc(32, 8)])
    t.is(
      codeOf(() => readAttestationKey(describe(x, other, ATTRIBUTES))),
      'attestation key',
      'no point of the curve',
    );
});

test('NV: another index, another kind, an offset', (t) => {
  const INDEX = 0x01810100;
  const nv = (name: Uint8Array, offset = 0): Shown =>
    forged(head(0x8014), sized(name), u16(offset), sized(Buffer.alloc(8)));
  t.is(
    codeOf(() => verifyNvCertification(nv(nvName(INDEX, 'counter')), INDEX, 'counter')),
    null,
  );
  t.is(
    codeOf(() => verifyNvCertification(nv(nvName(INDEX, 8)), INDEX, 'counter')),
    'name',
    'an area can be written down',
  );
  t.is(
    codeOf(() => verifyNvCertification(nv(nvName(INDEX + 1, 'counter')), INDEX, 'counter')),
    'name',
  );
  t.is(
    codeOf(() => verifyNvCertification(nv(nvName(INDEX, 'counter'), 1), INDEX, 'counter')),
    'name',
  );
});

test('random bytes are read or refused, never anything else', (t) => {
  for (let i = 0; i < 500; i++) {
    const bytes = randomBytes(Math.floor(Math.random() * 200));
    if (i % 2) head(QUOTE).copy(bytes);
    t.is(typeof codeOf(() => readAttest(bytes)), 'string');
  }
});
