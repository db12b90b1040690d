/**
 * The gateway's identity in a real (software) TPM.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { type Identity, openIdentity, PSEUDONYM_KEY_FILE } from '../../../gateway/identity/identity.ts';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { KeyFileError, readKeyFile, writeKeyFile } from '../../../gateway/tpm/key-file.ts';
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

async function household(t: Parameters<typeof householdTpm>[0]) {
  const swtpm = await householdTpm(t);
  const tpm = await Tpm.open(swtpm.tcti);
  t.teardown(() => tpm.close());
  const dataDir = join(swtpm.directory, 'data');
  return { swtpm, tpm, dataDir, file: join(dataDir, PSEUDONYM_KEY_FILE) };
}

/** The collector's two checks: the certificate under the registered pseudonym, the message under the certified key. */
async function accepted(identity: Identity, slot: number, pseudonym = identity.pseudonym): Promise<boolean> {
  const signer = await identity.signerFor(slot);
  const certificate = decodeCertificate(signer.certificate);
  verifyCertificate(certificate, pseudonym, slot);
  return verifyP256(certificate.publicKey, MESSAGE, await signer.sign(MESSAGE));
}

test('a submission is signed by a key that the pseudonym certified for its day', async (t) => {
  const { tpm, dataDir } = await household(t);
  const identity = await openIdentity({ tpm, dataDir });
  t.true(await accepted(identity, SLOT));
  const signer = await identity.signerFor(SLOT);
  t.deepEqual(signer.pseudonym, identity.pseudonym);
  const { firstSlot, lastSlot, pseudonym } = decodeCertificate(signer.certificate);
  t.deepEqual([firstSlot, lastSlot], [DAY * 96, DAY * 96 + 95], 'a whole day of UTC, as for every other household');
  t.deepEqual(Buffer.from(pseudonym), Buffer.from(identity.pseudonym));
});

test('expired slots, another pseudonym, a tampered certificate: refused', async (t) => {
  const { tpm, dataDir } = await household(t);
  const identity = await openIdentity({ tpm, dataDir });
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
  const { tpm, dataDir } = await household(t);
  const identity = await openIdentity({ tpm, dataDir });
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
  const { tpm, dataDir } = await household(t);
  let signatures = 0;
  const counting = {
    createSigningKey: () => tpm.createSigningKey(),
    loadKey: tpm.loadKey.bind(tpm),
    sign: (...parameters: Parameters<Tpm['sign']>) => {
      signatures++;
      return tpm.sign(...parameters);
    },
  };
  const identity = await openIdentity({ tpm: counting, dataDir });
  const signers = await Promise.all(Array.from({ length: 20 }, (_, i) => identity.signerFor(DAY * 96 + i)));
  t.is(signatures, 1);
  t.is(new Set(signers).size, 1);
});

test('the pseudonym survives a restart of the process and of the TPM', async (t) => {
  const { swtpm, tpm, dataDir } = await household(t);
  const first = await openIdentity({ tpm, dataDir });
  const submitted = await first.signerFor(SLOT);
  const signature = await submitted.sign(MESSAGE);
  await tpm.close();
  await swtpm.stop();
  await swtpm.start();

  const module = (path: string): string => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  const program = `
    const { Tpm } = await import(${module('gateway/tpm/tpm.ts')});
    const { openIdentity } = await import(${module('gateway/identity/identity.ts')});
    const tpm = await Tpm.open(${JSON.stringify(swtpm.tcti)});
    const identity = await openIdentity({ tpm, dataDir: ${JSON.stringify(dataDir)} });
    const signer = await identity.signerFor(${SLOT});
    console.log(JSON.stringify([identity.pseudonym, signer.certificate].map((b) => Buffer.from(b).toString('hex'))));
    await tpm.close();`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  t.is(stderr, '');
  const [pseudonym, certificate] = JSON.parse(stdout).map((text: string) => Buffer.from(text, 'hex'));
  t.deepEqual(pseudonym, Buffer.from(first.pseudonym));
  t.notThrows(() => verifyCertificate(decodeCertificate(certificate), first.pseudonym, SLOT));
  t.notDeepEqual(certificate, Buffer.from(submitted.certificate), 'a new software key: the old one was in memory only');
  // and what was signed before the restart stays valid
  t.true(verifyP256(decodeCertificate(submitted.certificate).publicKey, MESSAGE, signature));
});

test('the TPM gone: today goes on, tomorrow says so, and succeeds when it is back', async (t) => {
  const { swtpm, tpm, dataDir } = await household(t);
  const identity = await openIdentity({ tpm, dataDir });
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

test('on disk there is one file, for its owner only, and it is no use without the TPM', async (t) => {
  const { tpm, dataDir, file } = await household(t);
  const identity = await openIdentity({ tpm, dataDir });
  await identity.signerFor(SLOT);
  t.deepEqual(await readdir(dataDir), [PSEUDONYM_KEY_FILE]);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.is((await stat(dataDir)).mode & 0o777, 0o700);
  const blob = (await readKeyFile(file))!;
  t.true(
    (await readFile(file)).length === 6 + blob.privateBlob.length + blob.publicBlob.length,
    'nothing but the blobs',
  );
});

test('a temporary file that a power cut left is of no matter', async (t) => {
  const { tpm, dataDir, file } = await household(t);
  const identity = await openIdentity({ tpm, dataDir });
  const blob = (await readKeyFile(file))!;
  await writeFile(`${file}.new`, 'half', { mode: 0o644 });
  t.deepEqual((await openIdentity({ tpm, dataDir })).pseudonym, identity.pseudonym);
  await writeKeyFile(file, blob);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(dataDir), [PSEUDONYM_KEY_FILE]);
});

test('a damaged key file is refused and never replaced: the pseudonym in it is registered', async (t) => {
  const { tpm, dataDir, file } = await household(t);
  await openIdentity({ tpm, dataDir });
  const whole = await readFile(file);
  const flipped = Buffer.from(whole);
  flipped[20] ^= 1;
  const unknown = Buffer.from(whole);
  unknown[5] = 'x'.charCodeAt(0);
  for (const [bytes, message] of [
    [Buffer.alloc(0), /is not a key file/],
    [randomBytes(200), /is not a key file/],
    [unknown, /holds a key of a purpose that is not known here/],
    [whole.subarray(0, 6), /is cut short/],
    [whole.subarray(0, 100), /is cut short/],
    [whole.subarray(0, -1), /is cut short/],
    [Buffer.concat([whole, Buffer.of(0)]), /has something behind its end/],
    [flipped, /this TPM does not take the signing key/],
  ] as const) {
    await writeFile(file, bytes);
    const error = (await t.throwsAsync(openIdentity({ tpm, dataDir }), { message }))!;
    t.true(error instanceof KeyFileError || error instanceof TpmError);
    t.deepEqual(await readFile(file), Buffer.from(bytes));
    const secret = whole.subarray(8);
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      t.false(
        `${error.message} ${error.stack}`.includes(secret.toString(encoding).slice(0, 24)),
        'no blob in the error',
      );
  }
  await writeFile(file, whole);
  await t.notThrowsAsync(openIdentity({ tpm, dataDir }));
});
