// The gateway's own software: staged beside, linked by one rename, given up after some starts that did not come up.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Installation, STARTS_MOST } from '../../../gateway/update/installation.ts';
import { nextStart, RESTART_MACHINE_CODE } from '../../../gateway/update/launcher.ts';
import { archiveDigest, decodeArchive, encodeArchive } from '../../../protocol/updates/archive.ts';
import { gatewayFiles, UpdatingHome } from './updating-home.ts';

function install(version: number): Installation {
  const root = mkdtempSync(join(tmpdir(), 'quietmeter-installation-'));
  const folder = join(root, 'releases', String(version));
  for (const { path, bytes } of gatewayFiles(version)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  symlinkSync(join('releases', String(version)), join(root, 'current'));
  return new Installation(root);
}
const run = (installation: Installation) =>
  execFileSync(process.execPath, [join(installation.root, 'current/gateway/main.ts')], { encoding: 'utf8' }).trim();

test('a release is staged and linked; it comes up and stays', (t) => {
  const installation = install(1);
  installation.stage(2, gatewayFiles(2));
  t.is(run(installation), 'gateway 1');
  installation.switchTo(2);
  t.is(nextStart(installation), 2);
  t.is(run(installation), 'gateway 2');
  installation.confirm();
  for (let start = 0; start < 6; start++) t.is(nextStart(installation), 2);
  t.is(installation.failed(), null);
});

test('a release that does not come up: after three starts the one before is linked again', (t) => {
  const installation = install(1);
  installation.stage(2, gatewayFiles(2));
  installation.switchTo(2);
  for (let start = 0; start < STARTS_MOST; start++) t.is(nextStart(installation), 2);
  t.is(nextStart(installation), 1);
  t.is(run(installation), 'gateway 1');
  t.is(installation.failed(), 2);
  t.is(nextStart(installation), 1);
});

test('cut between any two changes on the disk: what is started is one of the two releases, whole', (t) => {
  const marks: string[] = [];
  const snapshot = (root: string) => {
    const copy = mkdtempSync(join(tmpdir(), 'quietmeter-cut-'));
    cpSync(root, copy, { recursive: true, verbatimSymlinks: true });
    marks.push(copy);
  };
  const installation = install(1);
  snapshot(installation.root);
  // half unpacked: never linked
  mkdirSync(join(installation.root, 'releases/2.new/gateway'), { recursive: true });
  writeFileSync(join(installation.root, 'releases/2.new/gateway/main.ts'), 'console.');
  snapshot(installation.root);
  installation.stage(2, gatewayFiles(2));
  snapshot(installation.root);
  installation.writeTrial({ version: 2, previous: 1, starts: 0 });
  snapshot(installation.root);
  symlinkSync('releases/2', join(installation.root, 'current.new'));
  snapshot(installation.root);
  installation.switchTo(2);
  snapshot(installation.root);
  for (const root of marks) {
    const left = new Installation(root);
    t.true([1, 2].includes(nextStart(left)!));
    t.regex(run(left), /^gateway [12]$/);
    // and the switch can be made again
    left.stage(3, gatewayFiles(3));
    left.switchTo(3);
    t.is(nextStart(left), 3);
    t.is(run(left), 'gateway 3');
  }
});

test('other packages, and a gateway that was not installed in releases, are told', (t) => {
  const installation = install(1);
  const other = gatewayFiles(2).map((file) =>
    file.path === 'package-lock.json' ? { ...file, bytes: Buffer.from('{"other":1}') } : file,
  );
  t.throws(() => installation.stage(2, other), { message: /needs other packages: install them with npm ci/ });
  const none = new Installation(mkdtempSync(join(tmpdir(), 'quietmeter-none-')));
  t.throws(() => none.switchTo(2), { message: /was not installed in releases/ });
});

test('an archive comes back as it was; what leads out of the folder is refused', (t) => {
  const files = gatewayFiles(4);
  const archive = encodeArchive(files);
  t.deepEqual(archiveDigest(decodeArchive(archive)), archiveDigest(files));
  t.deepEqual(encodeArchive([...files].reverse()), archive);
  for (const path of ['../x', '/etc/passwd', 'a/../../b', 'a//b', '.', 'a/./b', ''])
    t.throws(() => encodeArchive([{ path, bytes: new Uint8Array() }]), { message: /files\[0\]\.path/ }, path);
  t.throws(() => decodeArchive(archive.subarray(1)), { message: /archive/ });
});

test('the updater stages the gateway and asks to be started anew; the new release confirms itself and counts', async (t) => {
  const home = await UpdatingHome.build();
  home.installation = install(1);
  home.startGateway();
  await home.releases.put(2);
  t.true(await home.until(() => home.restarts === 1), home.log.join('\n'));
  t.is(home.updater.view.state, 'switching');
  t.is(home.counter, 0);
  t.is(nextStart(home.installation), 2);
  t.is(run(home.installation), 'gateway 2');
  home.startGateway();
  t.true(await home.until(() => home.updater.view.version === 2, 200));
  t.is(home.counter, 2);
  t.is(home.installation.trial(), null, 'confirmed');

  // the next one does not come up
  await home.releases.put(3);
  home.updater.look();
  t.true(await home.until(() => home.restarts === 2), home.log.join('\n'));
  for (let start = 0; start <= STARTS_MOST; start++) nextStart(home.installation);
  t.is(home.installation.current(), 2);
  home.startGateway();
  t.true(await home.until(() => home.updater.view.state === 'failed', 200));
  t.is(home.updater.view.reason, "the gateway's release 3 did not come up; the one before runs");
  t.is(home.counter, 2, 'the way back is open as long as the new one has not come up');
});

test('the launcher as a process: starts anew into the next release, and back from one that ends at once', async (t) => {
  const installation = install(1);
  const said = join(installation.root, 'said');
  const program = (version: number, rest: string) => [
    {
      path: 'gateway/main.ts',
      bytes: Buffer.from(
        `import { appendFileSync } from 'node:fs';\nappendFileSync(${JSON.stringify(said)}, '${version} ');\n${rest}\n`,
      ),
    },
  ];
  installation.stage(2, program(2, 'process.exit(1);'));
  installation.stage(1 + 2, program(3, 'setInterval(() => {}, 1000);'));
  installation.link(3);
  installation.switchTo(2);
  const launcher = new URL('../../../gateway/update/launcher.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [launcher, installation.root], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const until = Date.now() + 30_000;
  const text = () => (existsSync(said) ? readFileSync(said, 'utf8') : '');
  while (!text().includes('3') && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 100));
  t.is(text().trim(), '2 2 2 3');
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('close', resolve));
});

test('a gateway that wants the machine started anew: the launcher ends with the code that says so', (t) => {
  const installation = install(1);
  const ends = Buffer.from(`process.exit(${RESTART_MACHINE_CODE});\n`);
  installation.stage(2, [{ path: 'gateway/main.ts', bytes: ends }]);
  installation.link(2);
  const launcher = join(import.meta.dirname, '../../../gateway/update/launcher.ts');
  t.is(spawnSync(process.execPath, [launcher, installation.root]).status, RESTART_MACHINE_CODE);
});
