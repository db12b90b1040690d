// The checkers are tests: types, style.
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import test from 'ava';

const root = resolve(import.meta.dirname, '../..');
const tool = (name: string, ...args: string[]): Promise<{ code: number; output: string }> =>
  new Promise((done) => {
    execFile(
      resolve(root, 'node_modules/.bin', name),
      args,
      { cwd: root, maxBuffer: 1 << 24 },
      (error, stdout, stderr) => done({ code: error ? 1 : 0, output: stdout + stderr }),
    );
  });

test('every type holds (tsc --noEmit)', async (t) => {
  const { code, output } = await tool('tsc', '--noEmit');
  t.is(code, 0, output);
});

test('the firmware holds against what Espruino has (tsc, own lib)', async (t) => {
  const { code, output } = await tool('tsc', '--noEmit', '-p', 'tsconfig.firmware.json');
  t.is(code, 0, output);
});

test('style and lint (biome)', async (t) => {
  const { code, output } = await tool('biome', 'check', '--diagnostic-level=warn', '--error-on-warnings', '.');
  t.is(code, 0, output);
});
