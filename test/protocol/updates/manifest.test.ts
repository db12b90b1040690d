import { createHash, generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { NV_INDEX } from '../../../protocol/attestation/policy.ts';
import {
  checkFirmware,
  checkInstallable,
  isIncluded,
  type Manifest,
  ManifestError,
  type ManifestTrouble,
  openManifest,
  rawReleaseKey,
  shareOf,
  signManifest,
} from '../../../protocol/updates/manifest.ts';
import { measurementOfImage } from '../../../protocol/updates/measurement.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const releaseKey = rawReleaseKey(publicKey);
const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const image = Buffer.from('var meter = 1;'.repeat(1000));
const NOW = Date.UTC(2026, 2, 1);
const manifest: Manifest = {
  version: 7,
  firmware: { digest: sha256(image), length: image.length },
  gateway: { digest: sha256(Buffer.from('gateway')), length: 400_000 },
  notBeforeMs: NOW,
  retiresMs: NOW + 30 * 86_400_000,
  stages: [
    { percent: 5, fromMs: NOW },
    { percent: 100, fromMs: NOW + 86_400_000 },
  ],
  accepted: { gateway: [sha256(Buffer.of(1))], meter: [sha256(Buffer.of(2)), sha256(Buffer.of(3))] },
  authorizations: [
    {
      pcrs: [
        { pcr: 8, value: sha256(Buffer.of(4)) },
        { pcr: 9, value: sha256(Buffer.of(5)) },
      ],
      counterIndex: NV_INDEX.version,
      counterMost: 7,
      signature: Buffer.alloc(64, 6),
    },
  ],
  notes: 'Erases pages ahead; „Zähler“ spelt right.',
};
const refusal = (action: () => unknown): { trouble: ManifestTrouble; message: string } => {
  try {
    action();
  } catch (error) {
    if (error instanceof ManifestError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

test('what is signed is read again, byte for byte', (t) => {
  const signed = signManifest(manifest, privateKey);
  t.deepEqual(openManifest(signed, releaseKey), manifest);
  t.deepEqual(signManifest(openManifest(signed, releaseKey), privateKey), signed, 'one form only');
});

test('known answer: the first bytes of the layout', (t) => {
  const signed = Buffer.from(signManifest(manifest, privateKey));
  t.is(signed.subarray(0, 5).toString('hex'), '0100000007');
  t.deepEqual(signed.subarray(5, 37), manifest.firmware.digest);
  t.is(signed.readUInt32BE(37), image.length);
  t.is(signed.readUIntBE(77, 6), NOW);
});

test('signed by the wrong key', (t) => {
  const other = generateKeyPairSync('ed25519').privateKey;
  t.like(
    refusal(() => openManifest(signManifest(manifest, other), releaseKey)),
    {
      trouble: 'wrong key',
      message: 'the manifest was signed by another key than the release key that is pinned here',
    },
  );
});

test('property: any changed bit, any cut, is refused', (t) => {
  const signed = signManifest(manifest, privateKey);
  fc.assert(
    fc.property(fc.nat(signed.length * 8 - 1), (bit) => {
      const changed = Uint8Array.from(signed);
      changed[bit >> 3] ^= 1 << (bit & 7);
      t.true(['altered', 'wrong key'].includes(refusal(() => openManifest(changed, releaseKey)).trouble));
    }),
  );
  fc.assert(
    fc.property(fc.nat(signed.length - 1), (length) => {
      t.truthy(refusal(() => openManifest(signed.subarray(0, length), releaseKey)));
    }),
  );
  const altered = Uint8Array.from(signed);
  altered[4] = 99;
  t.like(
    refusal(() => openManifest(altered, releaseKey)),
    { trouble: 'altered', message: 'the manifest was changed after it was signed' },
  );
});

test('what is out of range is not signed, and the field is named', (t) => {
  const sign = (changes: Partial<Manifest>) => () => signManifest({ ...manifest, ...changes }, privateKey);
  for (const [changes, path] of [
    [{ version: 0 }, 'manifest.version'],
    [{ version: 1.5 }, 'manifest.version'],
    [{ firmware: { digest: new Uint8Array(31), length: 1 } }, 'manifest.firmware.digest'],
    [{ firmware: { digest: new Uint8Array(32), length: 0 } }, 'manifest.firmware.length'],
    [{ retiresMs: NOW - 1 }, 'manifest.retiresMs'],
    [{ stages: [{ percent: 101, fromMs: NOW }] }, 'manifest.stages[0].percent'],
    [{ stages: [...manifest.stages].reverse() }, 'manifest.stages[1].percent'],
    [{ notes: 'x'.repeat(4001) }, 'manifest.notes.length'],
  ] as const) {
    t.is(t.throws(sign(changes), { instanceOf: MalformedError })!.path, path);
  }
});

test('older than the counter, not yet valid, and a stage that has not come', (t) => {
  const device = { counter: 7, nowMs: NOW, share: 3 };
  t.notThrows(() => checkInstallable(manifest, device), 'the same release again is no way back');
  t.like(
    refusal(() => checkInstallable(manifest, { ...device, counter: 8 })),
    { trouble: 'older', message: 'release 7 is older than release 8, which has run here: no way back' },
  );
  t.like(
    refusal(() => checkInstallable(manifest, { ...device, nowMs: NOW - 1 })),
    { trouble: 'not yet', message: 'release 7 is not to be installed before 2026-03-01T00:00:00.000Z' },
  );
  t.regex(refusal(() => checkInstallable(manifest, { ...device, share: 5 })).message, /stage has not come/);
  t.notThrows(() => checkInstallable(manifest, { ...device, share: 99.9, nowMs: NOW + 86_400_000 }));
});

test('an image that does not match: a byte, a length', (t) => {
  t.notThrows(() => checkFirmware(manifest, image));
  const changed = Uint8Array.from(image);
  changed[500] ^= 1;
  t.like(
    refusal(() => checkFirmware(manifest, changed)),
    { trouble: 'image', message: "the meter's image is not the one that the manifest names" },
  );
  t.regex(
    refusal(() => checkFirmware(manifest, image.subarray(1))).message,
    /13999 bytes long, the manifest says 14000/,
  );
});

test('a roll-out takes about the share that its stage names, and others the next time', (t) => {
  const secrets = Array.from({ length: 2000 }, (_, i) => sha256(Buffer.from(`household ${i}`)));
  const first = secrets.filter((secret) => isIncluded(manifest, shareOf(secret, 7), NOW));
  t.true(first.length > 60 && first.length < 140, `${first.length} of 2000 in the first 5 %`);
  t.true(first.filter((secret) => shareOf(secret, 8) < 5).length < 30);
  t.true(isIncluded({ ...manifest, stages: [] }, 99.9, NOW));
});

test('the answer to a nonce', (t) => {
  const nonce = new Uint8Array(32).fill(9);
  const one = image.subarray(0, 4096);
  t.deepEqual(Buffer.from(measurementOfImage(nonce, one)), sha256(nonce, one), 'one block: a plain hash');
  const two = sha256(
    sha256(sha256(sha256(nonce, one), image.subarray(4096, 8192)), image.subarray(8192, 12288)),
    image.subarray(12288),
  );
  t.deepEqual(Buffer.from(measurementOfImage(nonce, image)), two);
  const changed = Uint8Array.from(image);
  changed[13_999] ^= 1;
  t.notDeepEqual(measurementOfImage(nonce, changed), measurementOfImage(nonce, image));
  t.notDeepEqual(measurementOfImage(nonce, image.subarray(0, 13_999)), measurementOfImage(nonce, image));
  t.throws(() => measurementOfImage(new Uint8Array(31), image), { message: /nonce/ });
});
