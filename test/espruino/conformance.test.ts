import { type JsMinifyOptions, minify } from '@swc/core';
import test from 'ava';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { END, espruinoBinary, MARK, runEspruino } from '../../bench/espruino/process.ts';
import { violations } from '../../firmware/dialect/gate.mjs';
import { type Case, printed, readCases } from './cases.ts';

const cases = readCases();
const binary = espruinoBinary();
const onReal = binary ? test : test.skip;

const expected = (c: Case) => printed(c.output);
const programOf = (c: Case, print: string) => `function P(x) { ${print} }\n${c.code}\n`;

test('the cases are there, each name once, each with an output', (t) => {
  t.true(cases.length > 500);
  t.is(new Set(cases.map((c) => `${c.topic} ${c.name}`)).size, cases.length);
  for (const c of cases) t.true(c.output.length > 0 || c.refused !== undefined, c.name);
});

for (const topic of new Set(cases.map((c) => c.topic))) {
  const own = cases.filter((c) => c.topic === topic);

  test(`gate, ${topic}: refuses what is refused, and nothing else`, (t) => {
    for (const c of own) {
      const found = violations(programOf(c, 'print(x);')).map((v) => v.what);
      if (c.refused)
        t.true(
          found.some((what) => what.startsWith(c.refused!)),
          `${c.name}: ${found.join(', ')}`,
        );
      else t.deepEqual(found, [], c.name);
    }
  });

  test(`virtual board, ${topic}: prints what real Espruino prints`, (t) => {
    for (const c of own) {
      if (c.refused) continue;
      const output = onVirtualBoard(c);
      if (c.differs) t.notDeepEqual(output, expected(c), `${c.name}: agrees by now, take its "differs" out`);
      else t.deepEqual(output, expected(c), c.name);
    }
  });
}

/**
 * Those that can share a program with others, each in a function of its own. (The interpreter makes a prototype when it is first asked
 * for: what has a "constructor" depends on what ran before.)
 */
const together = (c: Case) =>
  !c.refused &&
  !c.output.some((line) => line.startsWith('!')) &&
  !/Promise|setTimeout|setInterval|"constructor"/.test(c.code);

onReal(`real Espruino (${binary ?? 'not on the PATH'}), a program each: prints what the cases say`, async (t) => {
  t.timeout(120_000);
  const alone = cases.filter((c) => !together(c));
  await inParallel(alone, async (c) => {
    const end = `setTimeout(function () { print(${JSON.stringify(MARK + END)}); }, 120);`;
    const program = programOf(c, `print(${JSON.stringify(MARK)}+x);`);
    const output = await runEspruino(`${end}\n${program}`, { timeoutMs: 20_000 });
    t.deepEqual(printed(output), expected(c), c.name);
  });
});

onReal(`real Espruino (${binary ?? 'not on the PATH'}), many in a program without white space: the same`, async (t) => {
  t.timeout(120_000);
  const groups = chunks(cases.filter(together), 20);
  t.true(groups.length > 10);
  await inParallel(groups, async (group) => {
    const parts = group.map(
      (c, i) => `(function(P){${c.code}\n})(function(x){print(${JSON.stringify(MARK)}+${i}+":"+x)});`,
    );
    const program = `${parts.join('\n')}\nprint(${JSON.stringify(MARK + END)});\n`;
    // as rollup.config.mjs shortens the bundle
    const options: JsMinifyOptions = { compress: false, mangle: false, module: false, format: { comments: false } };
    const lines = await runEspruino((await minify(program, options)).code, { timeoutMs: 20_000 });
    for (const [i, c] of group.entries()) {
      const own = lines.filter((line) => line.startsWith(`${i}:`)).map((line) => line.slice(`${i}:`.length));
      t.deepEqual(printed(own), expected(c), c.name);
    }
  });
});

if (!binary) test('ran on the virtual board only: no espruino on the PATH', (t) => t.pass());

function onVirtualBoard(c: Case): string[] {
  const board = new VirtualBoard({ bundle: programOf(c, 'print(String(x));'), seed: 1, startMs: 0 });
  try {
    board.start();
    board.advanceTo(100);
  } catch {
    board.output.push('!');
  }
  // of what the interpreter itself says on the console, the real one's lines are not marked
  return printed(board.output.filter((line) => !/^( +at |ERROR: )/.test(line)));
}

function chunks<T>(list: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

/** The interpreter sleeps most of the time it takes to end. */
async function inParallel<T, U>(list: T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = [];
  let next = 0;
  const worker = async () => {
    while (next < list.length) {
      const at = next++;
      results[at] = await work(list[at]);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return results;
}
