import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { buildFirmware } from '../../../scripts/build.mjs';

const folder = mkdtempSync(join(tmpdir(), 'mangle-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

async function built(name: string, text: string): Promise<{ code: string; output: string[] }> {
  const entry = join(folder, `${name}.ts`);
  writeFileSync(entry, text);
  const { code } = await buildFirmware({ entry });
  const board = new VirtualBoard({ bundle: code, seed: 1, startMs: 0, storage: { household: '{"generator":true}' } });
  board.start();
  return { code, output: board.output };
}

test('names are short, and the program is the same', async (t) => {
  const { code, output } = await built(
    'short',
    `class Register {
      energy: number;
      constructor(first: number) { this.energy = first; }
      increase(energy: number) { this.energy += energy; return this; }
      get doubled() { return 2 * this.energy; }
      static ofNothing() { return new Register(0); }
    }
    const register = Register.ofNothing().increase(20).increase(1);
    print(register.doubled, { energy: 5 }.energy);`,
  );
  t.deepEqual(output, ['42 5']);
  t.notRegex(code, /energy|increase|register|Register|doubled|ofNothing/);
});

test('names that others know stay: the interpreter’s, globals, what a file says, and what the program has as a text', async (t) => {
  const { code, output } = await built(
    'known',
    `const fields = { voltage: 1, something: 2 };
    const name = ['something'][0];
    (global as any).handedOver = fields.voltage;
    const household = require('Storage').readJSON('household', true);
    print((fields as any)[name], household.generator, 'abc'.length, Math.max(1, 2));`,
  );
  t.deepEqual(output, ['2 true 3 2']);
  t.regex(code, /\.handedOver=/);
  t.regex(code, /voltage/, 'a word of the calibration');
});

test('a program that reads or writes JSON keeps its properties', async (t) => {
  const { output } = await built(
    'json',
    'const value = { energy: 1 };\nprint(JSON.stringify(value), JSON.parse(\'{"other":2}\').other);',
  );
  t.deepEqual(output, ['{"energy":1} 2']);
});
