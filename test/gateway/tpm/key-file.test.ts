/** A TPM key on disk, with a real (software) TPM that is to load it. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'ava';
import { TpmError } from '../../../gateway/tpm/error.ts';
import { KeyFileError, readKeyFile, writeKeyFile } from '../../../gateway/tpm/key-file.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { householdTpm } from './household-tpm.ts';

async function household(t: Parameters<typeof householdTpm>[0]) {
  const swtpm = await householdTpm(t);
  const tpm = await Tpm.open(swtpm.tcti);
  t.teardown(() => tpm.close());
  const dataDir = join(swtpm.directory, 'data');
  const file = join(dataDir, 'some.tpmkey');
  const blob = await tpm.createSigningKey();
  t.is(await readKeyFile(file), null);
  await writeKeyFile(file, blob);
  return { tpm, dataDir, file, blob };
}

test('there is one file, for its owner only, and nothing in it but the blobs', async (t) => {
  const { dataDir, file, blob } = await household(t);
  t.deepEqual(await readdir(dataDir), [basename(file)]);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.is((await stat(dataDir)).mode & 0o777, 0o700);
  const read = (await readKeyFile(file))!;
  t.deepEqual(Buffer.from(read.privateBlob), Buffer.from(blob.privateBlob));
  t.deepEqual(Buffer.from(read.publicBlob), Buffer.from(blob.publicBlob));
  t.is((await readFile(file)).length, 6 + blob.privateBlob.length + blob.publicBlob.length);
});

test('a temporary file that a power cut left is of no matter', async (t) => {
  const { tpm, dataDir, file, blob } = await household(t);
  const { publicKey } = await tpm.loadKey(blob);
  await writeFile(`${file}.new`, 'half', { mode: 0o644 });
  t.deepEqual((await tpm.loadKey((await readKeyFile(file))!)).publicKey, publicKey);
  await writeKeyFile(file, blob);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(dataDir), [basename(file)]);
});

test('a damaged file is refused, here or by the TPM, and no blob is quoted', async (t) => {
  const { tpm, file } = await household(t);
  const whole = await readFile(file);
  const flipped = Buffer.from(whole);
  flipped[20] ^= 1;
  const unknown = Buffer.from(whole);
  unknown[5] = 'x'.charCodeAt(0);
  const load = async () => tpm.loadKey((await readKeyFile(file))!);
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
    const error = (await t.throwsAsync(load(), { message }))!;
    t.true(error instanceof KeyFileError || error instanceof TpmError);
    const secret = whole.subarray(8);
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      t.false(
        `${error.message} ${error.stack}`.includes(secret.toString(encoding).slice(0, 24)),
        'no blob in the error',
      );
  }
  await writeFile(file, whole);
  await t.notThrowsAsync(load());
});
