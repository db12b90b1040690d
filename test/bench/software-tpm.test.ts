import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { cloneTpm, findTool, SoftwareTpmError, setUpTpm, setUpTpms, startTpm } from '../../bench/software-tpm.ts';
import { Tpm } from '../../gateway/tpm/tpm.ts';

let directory: string;
test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quietmeter-swtpm-'));
});
test.after.always(() => rm(directory, { recursive: true, force: true }));

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test.serial('several are made, with certificates of an authority of their own, and kept', async (t) => {
  const ca = join(directory, 'ca');
  const states = [0, 1, 2].map((household) => join(directory, `household-${household}`));
  // what an interrupted set-up leaves behind
  await mkdir(`${states[1]}.new`);
  await writeFile(join(`${states[1]}.new`, 'tpm2-00.permall'), 'half');

  // and what somebody else keeps there stays
  await mkdir(states[2]);
  await writeFile(join(states[2], 'note'), 'kept');
  await chmod(states[2], 0o700);

  const progress: string[] = [];
  await setUpTpms(states, { ca, onProgress: (ready, all) => progress.push(`${ready}/${all}`) });
  t.deepEqual(progress, ['1/3', '2/3', '3/3']);
  const contents = await Promise.all(states.map((state) => readFile(join(state, 'tpm2-00.permall'))));
  t.is(new Set(contents.map(String)).size, 3);
  for (const state of states) t.is((await stat(state)).mode & 0o077, 0);

  t.is(await readFile(join(states[2], 'note'), 'utf8'), 'kept');

  const [root, issuer] = await Promise.all(
    ['swtpm-localca-rootca-cert.pem', 'issuercert.pem'].map(
      async (name) => new X509Certificate(await readFile(join(ca, name))),
    ),
  );
  t.true(issuer.verify(root.publicKey));
  t.is(await readFile(join(ca, 'certserial'), 'utf8'), '10', 'the authority and three for each TPM');

  await setUpTpms(states, { ca });
  const again = await Promise.all(states.map((state) => readFile(join(state, 'tpm2-00.permall'))));
  t.deepEqual(again, contents, 'a TPM that is there stays what it is');
});

test.serial('it answers as soon as it has started, and stops', async (t) => {
  const swtpm = await startTpm(join(directory, 'household-0'));
  const tpm = await Tpm.open(swtpm.tcti);
  t.is((await tpm.randomBytes(8)).length, 8);
  await tpm.close();
  t.true(alive(swtpm.pid));
  await swtpm.stop();
  t.false(alive(swtpm.pid));
  await t.notThrowsAsync(swtpm.stop());
  const again = await startTpm(join(directory, 'household-0'), { port: swtpm.port });
  t.is(again.tcti, swtpm.tcti);
  await again.kill();
  t.false(alive(again.pid));
});

test.serial('what a killed run left running on the same state is ended first', async (t) => {
  const left = await startTpm(join(directory, 'household-0'));
  const fresh = await startTpm(join(directory, 'household-0'));
  t.false(alive(left.pid));
  t.true(alive(fresh.pid));
  await fresh.stop();
  // a pid that is somebody else's by now
  await writeFile(join(directory, 'household-0', 'swtpm.pid'), `${process.pid}\n`);
  const other = await startTpm(join(directory, 'household-0'));
  await other.stop();
  t.pass('this process is still here');
});

test.serial('a copy is the same TPM', async (t) => {
  await cloneTpm(join(directory, 'household-1'), join(directory, 'copy'));
  const copy = await startTpm(join(directory, 'copy'));
  const original = await startTpm(join(directory, 'household-1'));
  const [one, other] = [await Tpm.open(copy.tcti), await Tpm.open(original.tcti)];
  const blob = await one.createSigningKey();
  t.deepEqual((await other.loadKey(blob)).publicKey, (await one.loadKey(blob)).publicKey);
  await Promise.all([one.close(), other.close()]);
  await Promise.all([copy.stop(), original.stop()]);

  const stranger = await startTpm(join(directory, 'household-2'));
  const tpm = await Tpm.open(stranger.tcti);
  await t.throwsAsync(tpm.loadKey(blob), {
    message: /^this TPM does not take the signing key: it was made by another TPM/,
  });
  await tpm.close();
  await stranger.stop();
});

test.serial('errors say what to do', async (t) => {
  t.throws(() => findTool('swtpm', '/nowhere:/neither'), {
    instanceOf: SoftwareTpmError,
    message: 'swtpm is not installed: apt install swtpm swtpm-tools gnutls-bin',
  });
  await t.throwsAsync(startTpm(join(directory, 'nothing')), {
    instanceOf: SoftwareTpmError,
    message: /holds no TPM: set one up first$/,
  });
  const damaged = join(directory, 'damaged');
  await mkdir(damaged);
  await writeFile(join(damaged, 'tpm2-00.permall'), 'no state');
  await t.throwsAsync(startTpm(damaged), { instanceOf: SoftwareTpmError, message: /does not start/ });
  const file = join(directory, 'file');
  await writeFile(file, '');
  await t.throwsAsync(setUpTpm(join(directory, 'more'), { ca: join(file, 'ca') }), { message: /ENOTDIR/ });

  const first = await startTpm(join(directory, 'household-0'));
  await t.throwsAsync(startTpm(join(directory, 'household-1'), { port: first.port }), {
    instanceOf: SoftwareTpmError,
    message: /does not start/,
  });
  await first.stop();
});
