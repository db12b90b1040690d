// kill -9 of a real process at any moment of an update: the next one ends it; nothing is measured twice, nothing is left half.
import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ReleaseFolder, releaseKey } from './updating-home.ts';

test('kill -9 after kill -9 until the release is in', async (t) => {
  t.timeout(120_000);
  const releases = new ReleaseFolder();
  await releases.put(4);
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-killed-updater-'));
  const script = new URL('killed-updater.ts', import.meta.url).pathname;
  let kills = 0;
  let seed = 7;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const states = new Set<string>();
  for (let start = 0; start < 200 && !existsSync(join(folder, 'done')); start++) {
    const child = fork(script, [folder, releases.folder, Buffer.from(releaseKey).toString('hex')], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const state = join(folder, 'updates', 'state.json');
    // starting takes most of the time: wait for the first sign of life, then not long
    const before = existsSync(state) ? readFileSync(state, 'utf8') : '';
    for (let ms = 0; ms < 5000 && start < 15; ms += 2) {
      if (existsSync(state) && readFileSync(state, 'utf8') !== before) break;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, start < 15 ? random() * 30 : 10_000))]);
    if (child.exitCode === null && child.signalCode === null) kills++;
    child.kill('SIGKILL');
    await ended;
    states.add(JSON.parse(readFileSync(state, 'utf8')).phase);
  }
  t.is(readFileSync(join(folder, 'done'), 'utf8'), '4');
  t.is(readFileSync(join(folder, 'counter'), 'utf8'), '4');
  t.is(readFileSync(join(folder, 'measured'), 'utf8').trim().split('\n').length, 1, 'measured once');
  t.true(kills >= 3, `${kills} kills`);
  t.log(`${kills} kills; seen: ${[...states].join(', ')}`);
});
