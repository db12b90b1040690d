// Two names for the program in Storage: commissioning a meter anew leaves the old program startable until the new one is whole.
import test from 'ava';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { buildLoader } from '../../../scripts/build.mjs';

async function started(storage: Record<string, string>): Promise<string> {
  const board = new VirtualBoard({ bundle: (await buildLoader()).code, storage, seed: 1, startMs: 0 });
  board.start();
  board.advanceTo(10);
  return board.output.join(' ');
}
const says = (text: string) => `print("${text}",JSON.stringify(global.bootedImage))`;
const unfinished = (program: string) => program.slice(0, 8) + '\xff'.repeat(program.length - 8);

test('the program that is whole is started, under either name; of two whole ones the first', async (t) => {
  t.regex(await started({ firmware: says('one') }), /^one .*"area":-1/);
  t.regex(await started({ 'firmware.b': says('two') }), /^two .*"area":-2/);
  t.regex(await started({ firmware: says('one'), 'firmware.b': unfinished(says('two')) }), /^one /);
  t.regex(await started({ firmware: unfinished(says('one')), 'firmware.b': says('two') }), /^two /);
  t.regex(await started({ firmware: says('one'), 'firmware.b': says('two') }), /^one /);
  t.is(await started({ firmware: unfinished(says('one')) }), 'boot loader: no program');
  t.is(await started({}), 'boot loader: no program');
});
