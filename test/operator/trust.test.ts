// The collector's two keys and two files: what they make it believe, and what it does when they are written anew.
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { trustConfig } from '../../operator/collector/config.ts';
import { TrustFiles } from '../../operator/collector/trust.ts';
import { ConfigError } from '../../operator/shared/config.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';
import { decodePseudonymCertificate, PseudonymError } from '../../protocol/identity/pseudonym-certificate.ts';
import { replaceFile, TestAuthority } from '../support/authority.ts';
import { AREA, authority, START_DAY, START_SLOT } from './grid.ts';

let writings = 1;
/** Whole seconds apart, however coarse the file system's clock. */
function write(file: string, bytes: Uint8Array): void {
  replaceFile(file, bytes);
  utimesSync(file, writings, writings++);
}
async function setUp(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-trust-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const files = await authority.trustOf(directory, START_DAY, 10);
  const open = (change: object = {}) => new TrustFiles(v.parse(trustConfig, { ...files, ...change }));
  return { ...files, open };
}

test('believes the third party that is pinned, and knows the days that are published', async (t) => {
  const { open } = await setUp(t);
  const trust = open();
  const { publicKey } = generateSigningKey();
  const own = decodePseudonymCertificate(await authority.certify(START_DAY, publicKey, AREA));
  t.notThrows(() => trust.believe(own, START_SLOT));
  const stranger = await TestAuthority.create();
  const foreign = decodePseudonymCertificate(await stranger.certify(START_DAY, publicKey, AREA));
  t.throws(() => trust.believe(foreign, START_SLOT), { instanceOf: PseudonymError });
  t.deepEqual(Buffer.from(trust.passKeyOf(START_DAY)!.modulus), Buffer.from(authority.passKey(START_DAY).modulus));
  t.is(trust.passKeyOf(START_DAY + 10), undefined);
  t.false(trust.isRevoked(publicKey));
});

test('both files are read again when they were written, and an older list of revocations is not', async (t) => {
  const { open, revocationFile, passKeysFile } = await setUp(t);
  const trust = open();
  t.false(trust.refresh());
  const [one, two] = [generateSigningKey().publicKey, generateSigningKey().publicKey];
  write(revocationFile, await authority.revocations([one], 50));
  write(passKeysFile, authority.passKeys(START_DAY, 12));
  t.true(trust.refresh());
  t.false(trust.refresh());
  t.true(trust.isRevoked(one));
  t.truthy(trust.passKeyOf(START_DAY + 11));
  write(revocationFile, await authority.revocations([two], 49));
  t.is(t.throws(() => trust.refresh(), { instanceOf: ConfigError })!.path, 'revocationList.number');
  t.true(trust.isRevoked(one), 'what was read before holds');
  t.false(trust.isRevoked(two));
  t.false(trust.refresh(), 'said once for each writing');
});

test('what is not signed by the key that is pinned, or is another key for a day, is refused by field', async (t) => {
  const { open, revocationFile, passKeysFile } = await setUp(t);
  const trust = open();
  const stranger = await TestAuthority.create();
  const path = (): string => t.throws(() => trust.refresh(), { instanceOf: ConfigError })!.path;
  write(revocationFile, await stranger.revocations([], 99));
  t.is(path(), 'revocationList.signature');
  write(passKeysFile, stranger.passKeys(START_DAY, 10));
  t.is(path(), 'passKeys.signature');
  write(passKeysFile, authority.passKeys(START_DAY, 10).subarray(9));
  t.regex(path(), /^passKeys\./);
  // the same keys, a day later: each day has another one than was published
  const shifted = authority.passKeys(START_DAY + 1, 10);
  Buffer.from(shifted.buffer, shifted.byteOffset).writeUInt32BE(START_DAY, 1);
  write(passKeysFile, shifted);
  t.is(path(), 'passKeys.signature', 'the days are signed, too');
  t.truthy(trust.passKeyOf(START_DAY));
  write(revocationFile, await authority.revocations([], 100));
  rmSync(passKeysFile);
  t.throws(() => trust.refresh(), { message: /is not there/ });
  t.truthy(trust.passKeyOf(START_DAY), 'and what was read goes on to hold');
  t.is(open().passKeyOf(START_DAY), undefined, 'the verifier may publish later');
  rmSync(revocationFile);
  t.throws(() => open(), { instanceOf: ConfigError, message: /is not there/ }, 'but what is revoked must be known');
});

test('keys in the configuration are checked where they stand', async (t) => {
  const { open } = await setUp(t);
  for (const [field, value] of [
    ['pseudonymIssuers', []],
    ['pseudonymIssuers', ['02ab']],
    ['passMasterKey', 'AB'.repeat(32)],
    ['revocationFile', undefined],
  ] as const)
    t.throws(() => open({ [field]: value }), { instanceOf: v.ValiError }, field);
});
