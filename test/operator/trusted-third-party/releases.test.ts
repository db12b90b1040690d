// Releases from the trusted third party's folder over TLS into a household; and scripts/release, which writes that folder.
import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { measureSoftware } from '../../../gateway/attestation/software.ts';
import { releasesOverHttps } from '../../../gateway/update/release-source.ts';
import { startService } from '../../../operator/shared/service.ts';
import { Releases, releaseRoutes } from '../../../operator/trusted-third-party/releases.ts';
import { isAuthorized, NV_INDEX } from '../../../protocol/attestation/policy.ts';
import { listingDigest, replay } from '../../../protocol/attestation/software.ts';
import { compressPoint } from '../../../protocol/crypto/p256.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import { archiveDigest, decodeArchive } from '../../../protocol/updates/archive.ts';
import { openManifest } from '../../../protocol/updates/manifest.ts';
import { makeRelease, readKeys } from '../../../scripts/release.ts';
import { gatewayFiles, keys, ReleaseFolder, releaseKey, UpdatingHome } from '../../gateway/update/updating-home.ts';

const directory = mkdtempSync(join(tmpdir(), 'quietmeter-release-service-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const ca = await GridCa.open(join(directory, 'ca'));
const server = await ca.server('releases', ['127.0.0.1']);

const serve = (folder: string) =>
  startService({
    name: 'trusted-third-party',
    access: { host: '127.0.0.1', port: 0, ...server, caFile: ca.caFile, requestsPerMinute: 1000 },
    routes: releaseRoutes(new Releases(folder, releaseKey)),
  });
const sourceOf = (url: string) => releasesOverHttps({ url, ca: readFileSync(ca.caFile, 'utf8') });

test('over TLS, in parts, into a meter', async (t) => {
  const releases = new ReleaseFolder();
  const service = await serve(releases.folder);
  t.teardown(() => service.close());
  const source = sourceOf(service.url);
  t.is(await source.newest(), null, 'nothing was released yet');
  await releases.put(1);
  const manifest = openManifest((await source.newest())!, releaseKey);
  t.is(manifest.version, 1);
  const home = await UpdatingHome.build(releases);
  home.source = source;
  home.startGateway();
  t.true(await home.until(() => home.updater.view.state === 'flashing', 600), home.log.join('\n'));
  t.true(await home.until(() => home.updater.view.version === 1), home.log.join('\n'));

  await t.throwsAsync(source.part({ version: 2, of: 'firmware', offset: 0 }), {
    instanceOf: ServiceError,
    message: 'release 2 is not the newest one',
  });
  const error = await t.throwsAsync(source.part({ version: 1, of: 'gateway', offset: 10_000_000 }), {
    instanceOf: ServiceError,
  });
  t.regex(error!.message, /the gateway has \d+ bytes/);
});

test('what is not signed by the release key is not served', async (t) => {
  const releases = new ReleaseFolder();
  await releases.put(1, { signer: { ...keys, release: generateKeyPairSync('ed25519').privateKey } });
  t.throws(() => new Releases(releases.folder, releaseKey).newest(), { message: /signed by another key/ });
});

test('a release authorizes the states on the way to it, for the policy key to be believed by the TPM', (t) => {
  const firmware = [Buffer.from('old'), Buffer.from('new')];
  const make = (version: number, previous: Parameters<typeof makeRelease>[0]['previous']) =>
    openManifest(
      makeRelease(
        {
          version,
          firmware: firmware[version - 1],
          files: gatewayFiles(version),
          previous,
          notBeforeMs: 1000,
          retiresMs: 2000,
        },
        keys,
      ).manifest,
      releaseKey,
    );
  const first = make(1, null);
  const second = make(2, first);
  const { x, y } = createPublicKey(keys.policy).export({ format: 'jwk' });
  const policyKey = compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url'));
  const states = second.authorizations!;
  for (const state of states) {
    t.true(isAuthorized(policyKey, state));
    t.true(state.counterMost <= 2);
    t.is(state.counterIndex, NV_INDEX.version);
  }
  const has = (gateway: Uint8Array, meter: Uint8Array) =>
    states.some(
      ({ pcrs }) => Buffer.compare(pcrs[0].value, gateway) === 0 && Buffer.compare(pcrs[1].value, meter) === 0,
    );
  const [g1, g2] = [first.gateway.digest, second.gateway.digest];
  const [m1, m2] = [first.firmware.digest, second.firmware.digest];
  t.true(has(replay([g1]), replay([m1])), 'before');
  t.true(has(replay([g1]), replay([m1, m2])), 'the meter is flashed');
  t.true(has(replay([g1, g2]), replay([m1, m2])), 'the gateway has switched');
  t.true(has(replay([g2]), replay([m2])), 'after a restart');
  t.false(has(replay([g2]), replay([m2, m1])), 'not the way back');
  const lasting = states.filter(({ counterMost }) => counterMost === 2);
  t.deepEqual(
    lasting.map(({ pcrs }) => pcrs.map(({ value }) => Buffer.from(value).toString('hex'))),
    [replay([m1, m2]), replay([m2])].map((m) => [replay([g2]), m].map((value) => Buffer.from(value).toString('hex'))),
    'when the counter is raised the release before opens nothing',
  );
  t.throws(() => make(1, second), { message: /version: 1 is not above 2/ });
});

test('scripts/release: keys of mode 0600, a release of this very software, the next number', async (t) => {
  t.timeout(60_000);
  const [keyFolder, folder] = [join(directory, 'keys'), join(directory, 'served')];
  const script = new URL('../../../scripts/release.ts', import.meta.url).pathname;
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [script, ...args]);
  const { stdout } = await run('--new-keys', keyFolder);
  t.is(statSync(join(keyFolder, 'release.key')).mode & 0o777, 0o600);
  const publicKey = /release key {2}([0-9a-f]{64})/.exec(stdout)![1];
  t.false(stdout.includes('PRIVATE'));
  await t.throwsAsync(run('--new-keys', keyFolder), { message: /EEXIST/ }, 'keys are not overwritten');
  await run('--keys', keyFolder, '--into', folder, '--notes', 'first', '--not-before', '2026-03-01T00:00Z');
  await run(
    '--keys',
    keyFolder,
    '--into',
    folder,
    '--stage',
    '5@2026-03-02T00:00Z',
    '--stage',
    '100@2026-03-03T00:00Z',
  );
  t.deepEqual(readdirSync(folder).sort(), ['1', '2']);
  const manifest = openManifest(readFileSync(join(folder, '2/manifest.bin')), Buffer.from(publicKey, 'hex'));
  t.is(manifest.version, 2);
  t.is(manifest.stages.length, 2);
  const files = decodeArchive(readFileSync(join(folder, '2/gateway.bin')));
  t.deepEqual(archiveDigest(files), manifest.gateway.digest);
  t.deepEqual(
    listingDigest(measureSoftware()),
    Buffer.from(manifest.gateway.digest),
    'what the gateway measures of itself',
  );
  await t.throwsAsync(run('--keys', keyFolder, '--into', folder, '--version', '2'), {
    message: /version: 2 is not above 2/,
  });
  chmodSync(join(keyFolder, 'release.key'), 0o644);
  t.throws(() => readKeys(keyFolder), { message: /others may read it/ });
  writeFileSync(join(keyFolder, 'release.key'), '');
});
