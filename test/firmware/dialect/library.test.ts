import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { END, espruinoBinary, MARK, runEspruino } from '../../../bench/espruino/process.ts';
import { library } from '../../../firmware/dialect/library.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('the firmware is well typed against what Espruino has (tsconfig.firmware.json)', async (t) => {
  t.timeout(120_000);
  const tsc = fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url));
  await t.notThrowsAsync(promisify(execFile)(tsc, ['--noEmit', '-p', 'tsconfig.firmware.json'], { cwd: root }));
});

test('the declarations are read: globals, members, methods', (t) => {
  for (const name of ['Math', 'E', 'analogRead', 'Uint24Array', 'Serial2', 'setTimeout'])
    t.true(library.globals.has(name), name);
  for (const name of ['Symbol', 'Map', 'Reflect', 'Buffer']) t.false(library.globals.has(name), name);
  t.true(library.members.get('Math')!.has('round'));
  t.false(library.members.get('Math')!.has('trunc'));
  t.true(library.members.get('E')!.has('convolve'));
  t.true(library.members.get('process')!.has('memory'));
});

(espruinoBinary() ? test : test.skip)('every name that is declared exists on real Espruino', async (t) => {
  // instances to ask for the names of their types
  const samples: Record<string, string> = {
    Array: '[]',
    String: '""',
    Number: '1.5',
    DataView: 'new DataView(new ArrayBuffer(4))',
    Promise: 'Promise.resolve(1)',
    RegExp: '/a/',
    Uint8Array: 'new Uint8Array(2)',
    Error: 'new Error("x")',
    Serial: 'Serial2',
    FlashModule: 'require("Flash")',
    StorageModule: 'require("Storage")',
    CryptoModule: 'require("crypto")',
  };
  const questions: string[] = [];
  const ask = (name: string, expression: string) =>
    questions.push(`if (${expression}) print(${JSON.stringify(`${MARK}missing ${name}`)});`);
  for (const name of library.globals) ask(name, `typeof ${name} === "undefined" && "${name}" !== "undefined"`);
  for (const [name, members] of library.members) {
    if (name in samples || samples[library.types.get(name)!]) continue;
    for (const member of members) ask(`${name}.${member}`, `${name}.${member} === undefined`);
  }
  for (const [type, sample] of Object.entries(samples))
    for (const member of library.interfaces.get(type) ?? library.interfaces.get('TypedArray')!)
      if (!['iterator', 'message', 'stack'].includes(member))
        ask(`${type}.${member}`, `(${sample}).${member} === undefined`);
  const lines = await runEspruino(`${questions.join('\n')}\nprint(${JSON.stringify(MARK + END)});\n`);
  t.deepEqual(lines, []);
  t.true(questions.length > 150, `${questions.length} questions`);
});
