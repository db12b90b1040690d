/**
 * Real commands against a swtpm.
 */
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { ESYS_TR, Esys } from '../../../gateway/tpm/esys.ts';
import { withKey } from '../../../gateway/tpm/keys.ts';
import { NO_PCRS, NO_SECRET, STORAGE_ROOT } from '../../../gateway/tpm/structures.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { loadTss } from '../../../gateway/tpm/tss.ts';
import {
  EMPTY,
  OBJECT,
  readSigningPublic,
  TPM_GENERATED,
  TPM_ST,
  TpmReader,
} from '../../../protocol/attestation/tpm-wire.ts';
import { uncompressPublicKey, verifyP256 } from '../../../protocol/crypto/p256.ts';
import { householdTpm } from './household-tpm.ts';

const MESSAGE = Buffer.from('a quarter hour');
const DIGEST = createHash('sha256').update(MESSAGE).digest();

/** How many objects lie in the TPM's memory now. */
const transientObjects = (tpm: Tpm): Promise<number> =>
  tpm.run(async (esys) => (await esys.call('GetCapability', [], 1, 0x80000000, 64))[1].readUInt32BE(4));

/** node:crypto's own verification, with the key brought in as coordinates. */
function verifiedByNode(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const point = Buffer.from(uncompressPublicKey(publicKey));
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((coordinate) => coordinate.toString('base64url'));
  const key = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } });
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

test('a key made in the TPM signs, and node:crypto verifies', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  t.is(key.publicKey.length, 33);
  // a TPM leaves leading zeros of r and s out: one signature in 128 has some
  for (let i = 0; i < 300; i++) {
    const message = Buffer.from(`quarter hour ${i}`);
    const signature = await tpm.sign(key, createHash('sha256').update(message).digest());
    t.is(signature.length, 64);
    t.true(verifiedByNode(key.publicKey, message, signature));
    t.false(verifiedByNode(key.publicKey, MESSAGE, signature));
  }
  await tpm.close();
});

test('200 signatures leave no object behind, nor do failures', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  for (let i = 0; i < 200; i++) await tpm.sign(key, DIGEST);
  t.is(await transientObjects(tpm), 0);
  for (let i = 0; i < 5; i++) await t.throwsAsync(tpm.sign(key, Buffer.alloc(31)), { instanceOf: TpmError });
  t.is(await transientObjects(tpm), 0);
  await tpm.close();
});

test('two keys of one TPM differ, and each verifies its own only', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const one = await tpm.loadKey(await tpm.createSigningKey());
  const other = await tpm.loadKey(await tpm.createSigningKey());
  t.notDeepEqual(one.publicKey, other.publicKey);
  t.false(verifyP256(other.publicKey, MESSAGE, await tpm.sign(one, DIGEST)));
  await tpm.close();
});

test('what is made in the TPM cannot leave it, and cannot lock it', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const signing = readSigningPublic((await tpm.createSigningKey()).publicBlob);
  const attestation = readSigningPublic((await tpm.createAttestationKey()).publicBlob);
  const bound = OBJECT.fixedTPM | OBJECT.fixedParent | OBJECT.sensitiveDataOrigin | OBJECT.userWithAuth | OBJECT.noDA;
  t.is(signing.attributes, bound | OBJECT.sign);
  t.is(attestation.attributes, bound | OBJECT.sign | OBJECT.restricted);
  await tpm.close();
});

test('the attestation key certifies that a key is in its TPM', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  const attestationKey = await tpm.loadKey(await tpm.createAttestationKey());
  const nonce = randomBytes(32);
  const { attest, signature } = await tpm.certify(key, attestationKey, nonce);
  t.true(verifiedByNode(attestationKey.publicKey, attest, signature));

  const reader = new TpmReader(attest, 'attest'); // TPMS_ATTEST
  t.is(reader.u32('magic'), TPM_GENERATED);
  t.is(reader.u16('type'), TPM_ST.ATTEST_CERTIFY);
  reader.sized('qualifiedSigner');
  t.deepEqual(reader.sized('extraData'), nonce);
  reader.take(8 + 4 + 4 + 1 + 8, 'clockInfo and firmwareVersion');
  t.deepEqual(Uint8Array.from(reader.sized('name')), Uint8Array.from(key.name));
  reader.sized('qualifiedName');
  t.notThrows(() => reader.end());
  t.is(await transientObjects(tpm), 0);

  const refused = await t.throwsAsync(tpm.sign(attestationKey, DIGEST), { instanceOf: TpmError });
  t.is(refused.kind, 'refused', 'a restricted key signs no digest from outside');
  await tpm.close();
});

test('random bytes come in the length asked for, and differ', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  for (const length of [0, 1, 32, 33, 100]) t.is((await tpm.randomBytes(length)).length, length);
  const seen = new Set(await Promise.all(Array.from({ length: 50 }, async () => `${await tpm.randomBytes(16)}`)));
  t.is(seen.size, 50);
  await tpm.close();
});

test('calls made at once queue and all succeed', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const blob = await tpm.createSigningKey();
  const attestationKey = await tpm.loadKey(await tpm.createAttestationKey());
  const key = await tpm.loadKey(blob);
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      i % 4 === 0 ? tpm.certify(key, attestationKey, DIGEST) : i % 4 === 1 ? tpm.randomBytes(8) : tpm.sign(key, DIGEST),
    ),
  );
  const signatures = results.filter((_, i) => i % 4 > 1) as Uint8Array[];
  t.true(signatures.every((signature) => verifyP256(key.publicKey, MESSAGE, signature)));
  await tpm.close();
});

test('a failed job does not hold up the next one', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  const failing = tpm.run(async () => {
    throw new Error('of the job');
  });
  const signing = tpm.sign(key, DIGEST);
  await t.throwsAsync(failing, { message: 'of the job' });
  t.true(verifyP256(key.publicKey, MESSAGE, await signing));
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('a key survives a restart of the TPM and of everything else', async (t) => {
  const household = await householdTpm(t);
  const before = await Tpm.open(household.tcti);
  const key = await before.loadKey(await before.createSigningKey());
  await before.close();
  await household.stop();
  await household.start();
  const after = await Tpm.open(household.tcti);
  const again = await after.loadKey(key.blob);
  t.deepEqual(again.publicKey, key.publicKey);
  t.true(verifyP256(key.publicKey, MESSAGE, await after.sign(again, DIGEST)));
  await after.close();
});

test('killed between two calls and back: nobody notices', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  await household.kill();
  await household.start();
  t.true(verifyP256(key.publicKey, MESSAGE, await tpm.sign(key, DIGEST)));
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('killed for a while: a clear state, and the first call after its return succeeds', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const key = await tpm.loadKey(await tpm.createSigningKey());
  await household.kill();
  for (let i = 0; i < 3; i++) {
    const error = await t.throwsAsync(tpm.sign(key, DIGEST), { instanceOf: TpmError });
    t.is(error.kind, 'gone');
    t.regex(error.message, /the TPM went away: no TPM can be reached at swtpm:host=127\.0\.0\.1,port=\d+/);
    t.is(tpm.state, 'gone');
  }
  await household.start();
  t.true(verifyP256(key.publicKey, MESSAGE, await tpm.sign(key, DIGEST)));
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('killed in the middle of a job: the job is done again, from its start', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  let runs = 0;
  const bytes = await tpm.run(async (esys) => {
    runs++;
    await esys.call('GetRandom', [], 8);
    if (runs === 1) await household.kill().then(() => household.start());
    return (await esys.call('GetRandom', [], 8))[0];
  });
  t.is(bytes.length, 10);

  // the TPM is there again at once, but has forgotten what was loaded
  const key = await tpm.loadKey(await tpm.createSigningKey());
  runs = 0;
  const name = await tpm.run((esys) =>
    withKey(esys, key.blob, async (handle) => {
      runs++;
      if (runs === 1) await household.kill().then(() => household.start());
      return (await esys.call('Certify', handle, handle, [0xff, 0xff], Buffer.of(0, 0), Buffer.of(0, 0x10)))[0];
    }),
  );
  t.is(runs, 2);
  t.true(name.length > 0);
  t.is(await transientObjects(tpm), 0);
  await tpm.close();
});

test('a TPM that hangs is given up, not waited for again, and taken back when it answers', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti, { timeoutMs: 2_000 });
  const key = await tpm.loadKey(await tpm.createSigningKey());
  process.kill(household.pid(), 'SIGSTOP');
  const error = await t.throwsAsync(tpm.sign(key, DIGEST), { instanceOf: TpmError });
  t.is(error.kind, 'gone');
  t.regex(error.message, /has not answered an earlier command yet/);
  t.is(tpm.state, 'gone');
  process.kill(household.pid(), 'SIGCONT');
  let signature: Uint8Array | undefined;
  while (!signature) {
    await sleep(20);
    signature = await tpm.sign(key, DIGEST).catch(() => undefined);
  }
  t.true(verifyP256(key.publicKey, MESSAGE, signature));
  t.is(await transientObjects(tpm), 0);
  await tpm.close();
});

test('what a client that died has left loaded is swept away', async (t) => {
  const household = await householdTpm(t);
  const dying = await Esys.open(household.tcti, 10_000);
  t.teardown(() => dying.close());
  const primary = (): Promise<unknown> =>
    dying.call('CreatePrimary', ESYS_TR.OWNER, [ESYS_TR.PASSWORD], NO_SECRET, STORAGE_ROOT, EMPTY, NO_PCRS);
  for (let i = 0; i < 3; i++) await primary();
  const full = await t.throwsAsync(primary(), { instanceOf: TpmError });
  t.is(full.kind, 'refused', 'there is room for three');
  const tpm = await Tpm.open(household.tcti);
  t.is(await transientObjects(tpm), 0);
  await t.notThrowsAsync(tpm.createSigningKey());
  await tpm.close();
});

test('a key of another TPM is refused in words that say so', async (t) => {
  const household = await householdTpm(t);
  const tpm = await Tpm.open(household.tcti);
  const blob = await tpm.createSigningKey();
  const altered = Buffer.from(blob.privateBlob);
  altered[altered.length - 1] ^= 1;
  const error = await t.throwsAsync(tpm.loadKey({ ...blob, privateBlob: altered }), { instanceOf: TpmError });
  t.is(error.kind, 'foreign key');
  t.regex(
    error.message,
    /^this TPM does not take the signing key: it was made by another TPM, or this one was cleared/,
  );
  t.false(error.message.includes(altered.toString('hex').slice(8, 40)));
  t.is(tpm.state, 'ready');
  await tpm.close();
});

test('malformed structures never reach C', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const blob = await tpm.createSigningKey();
  for (const publicBlob of [Buffer.alloc(0), blob.publicBlob.subarray(0, 20), Buffer.concat([blob.publicBlob, DIGEST])])
    await t.throwsAsync(tpm.loadKey({ ...blob, publicBlob }), { instanceOf: TpmError, message: /TPM2B_PUBLIC/ });
  t.is(await transientObjects(tpm), 0);
  await tpm.close();
});

test('closing tells the TPM, so that its next start counts as an orderly one', async (t) => {
  /** TPM_PT_STARTUP_CLEAR, bit 31 (Part 2, 8.7): the TPM was shut down before its last reset. */
  const orderly = (tpm: Tpm): Promise<boolean> =>
    tpm.run(async (esys) => {
      const [, properties] = await esys.call('GetCapability', [], 6, 0x201, 1);
      return properties.readUInt32BE(12) >>> 31 === 1;
    });
  const household = await householdTpm(t);
  const first = await Tpm.open(household.tcti);
  await first.close();
  await household.kill();
  await household.start();
  const second = await Tpm.open(household.tcti);
  t.true(await orderly(second));
  await second.randomBytes(1);
  await household.kill();
  await household.start();
  t.false(await orderly(second), 'a kill is none');
  await second.close();
});

test('after close every call is refused, and close may be called again', async (t) => {
  const tpm = await Tpm.open((await householdTpm(t)).tcti);
  const last = tpm.randomBytes(4);
  await tpm.close();
  t.is((await last).length, 4, 'what waited was still done');
  t.is(tpm.state, 'closed');
  const error = await t.throwsAsync(tpm.randomBytes(4), { instanceOf: TpmError });
  t.is(error.kind, 'closed');
  await t.notThrowsAsync(tpm.close());
});

test('no TPM there: the message says where', async (t) => {
  const household = await householdTpm(t);
  await household.kill();
  for (const tcti of [household.tcti, 'device:/dev/no-such-tpm', 'nonsense']) {
    const error = await t.throwsAsync(Tpm.open(tcti), { instanceOf: TpmError });
    t.is(error.kind, 'unreachable');
    t.true(error.message.startsWith(`no TPM can be reached at ${tcti}: `), error.message);
    t.not(error.rc, 0);
  }
});

test('no library: the message says what to install', (t) => {
  const error = t.throws(
    () =>
      loadTss(() => {
        throw new Error('cannot open shared object file');
      }),
    { instanceOf: TpmError },
  );
  t.is(error.kind, 'no library');
  t.regex(
    error.message,
    /^libtss2-esys\.so\.0 cannot be loaded: install tpm2-tss \(apt install libtss2-esys-3\.0\.2-0 /,
  );
});
