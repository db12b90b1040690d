import { createHash } from 'node:crypto';
import test from 'ava';
import { SIGNING_KEY, STORAGE_ROOT } from '../../../gateway/tpm/structures.ts';
import {
  readEcdsaSignature,
  readSigningPublic,
  sized,
  TpmWireError,
  u16,
} from '../../../protocol/attestation/tpm-wire.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const refused = (path: string, message: string) => ({ instanceOf: TpmWireError, message: `${path} ${message}` });

/** TPM2B_PUBLIC of a signing key, written out by hand from Part 2, 12.2.4 and 12.2.3.6. */
const AREA = hex(
  '0023' + // TPM_ALG_ECC
    '000b' + // nameAlg SHA-256
    '00040472' + // sign, noDA, userWithAuth, sensitiveDataOrigin, fixedParent, fixedTPM
    '0000' + // no policy
    '0010' + // no symmetric algorithm
    '0018000b' + // ECDSA with SHA-256
    '0003' + // NIST P-256
    '0010' + // no key derivation
    `0020${'11'.repeat(32)}` +
    `001f${'22'.repeat(31)}`, // a leading zero left out
);

test('a public area is read field by field, and its name is its digest', (t) => {
  const { attributes, x, y, name } = readSigningPublic(sized(AREA));
  t.is(attributes, 0x40472);
  t.deepEqual(x, Buffer.alloc(32, 0x11));
  t.deepEqual(y, Buffer.alloc(31, 0x22));
  t.deepEqual(name, Buffer.concat([hex('000b'), createHash('sha256').update(AREA).digest()]));
});

test('the template of a signing key is that area without its point', (t) => {
  t.deepEqual(SIGNING_KEY, sized(AREA.subarray(0, 20), hex('00000000')));
});

test('other keys, and areas that are cut or continue, are refused with the field', (t) => {
  t.throws(() => readSigningPublic(STORAGE_ROOT), refused('public.symmetric', 'is 0x6, not 0x10'));
  t.throws(() => readSigningPublic(SIGNING_KEY), refused('public.unique.x', 'is 0 bytes long'));
  const changed = Buffer.from(AREA);
  changed[17] = 4;
  t.throws(() => readSigningPublic(sized(changed)), refused('public.curveID', 'is 0x4, not 0x3'));
  t.throws(() => readSigningPublic(sized(AREA, Buffer.of(0))), refused('public.end', 'has 1 bytes behind it'));
  for (let length = 0; length < AREA.length; length++)
    t.throws(() => readSigningPublic(sized(AREA.subarray(0, length))), {
      instanceOf: TpmWireError,
      message: /^public\.\S+ is cut short$/,
    });
});

test('a signature comes out in 64 bytes, also where r or s is short', (t) => {
  const signature = (r: string, s: string): Buffer => Buffer.concat([hex('0018000b'), sized(hex(r)), sized(hex(s))]);
  t.deepEqual(
    readEcdsaSignature(signature('11'.repeat(31), '22'.repeat(30))),
    hex(`00${'11'.repeat(31)}0000${'22'.repeat(30)}`),
  );
  t.throws(() => readEcdsaSignature(signature('11'.repeat(33), '22')), refused('signature.r', 'is 33 bytes long'));
  t.throws(() => readEcdsaSignature(u16(0x14)), refused('signature.sigAlg', 'is 0x14, not 0x18'));
  const whole = signature('11'.repeat(32), '22'.repeat(32));
  t.throws(() => readEcdsaSignature(whole.subarray(0, -1)), refused('signature.s', 'is cut short'));
  t.throws(() => readEcdsaSignature(Buffer.concat([whole, whole])), refused('signature.end', 'has 72 bytes behind it'));
});
