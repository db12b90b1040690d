import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../../bench/espruino/process.ts';
import { runOnEspruino } from '../../../bench/espruino/run.ts';
import { buildFirmware } from '../../../scripts/build.mjs';

const folder = mkdtempSync(join(tmpdir(), 'dialect-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function source(text: string): string {
  const file = join(folder, `source${files++}.ts`);
  writeFileSync(file, text);
  return file;
}

/** What TypeScript says, the place where the gate has to find it, and what it says there. */
const refused: [name: string, text: string, line: number, column: number, what: RegExp][] = [
  ['a call before its function', 'print(1);\nlater();\nfunction later() { print(2); }\n', 2, 1, /nothing is hoisted/],
  [
    'a call that needs what comes later',
    'function early(): void { print(limit); }\nearly();\nconst limit = getTime();\nprint(limit);\n',
    2,
    1,
    /needs `limit`/,
  ],
  [
    'an object whose class needs what comes later',
    'class A {\n  constructor() { print(scale); }\n}\nconst a = new A();\nconst scale = getTime();\nprint(a, scale);\n',
    4,
    11,
    /needs `scale`/,
  ],
  [
    'a function that keeps a loop variable',
    'for (let i = 0; i < 3; i++) {\n  setTimeout(() => print(i), 5);\n}\n',
    2,
    26,
    /the loop's `i`/,
  ],
  ['async', 'export const x = 1;\nasync function f() { await x; }\nf();\n', 2, 16, /`async`/],
  ['generators', 'export const x = 1;\nfunction* f() { yield x; }\nprint(f());\n', 2, 1, /generators/],
  ['rest parameters', 'function f(...a: number[]) { return a.length; }\nprint(f(1, 2));\n', 1, 12, /`arguments`/],
  [
    'the rest of an object',
    'const o = { a: getTime(), b: 2 };\nconst { a, ...r } = o;\nprint(a, r);\n',
    2,
    15,
    /rest of an object/,
  ],
  [
    'an initialised field in a derived class',
    'class A {}\nclass B extends A {\n  n = getTime();\n}\nprint(new B().n);\n',
    2,
    17,
    /rest parameters/,
  ],
  ['labels', 'print(1);\nouter: for (;;) {\n  for (;;) {\n    print(2);\n    break outer;\n  }\n}\n', 2, 1, /labels/],
  ['BigInt', 'print(1);\nprint(2n);\n', 2, 7, /BigInt/],
  ['a computed name', "const k = 'a' + getTime();\nprint({ [k]: 1 });\n", 2, 9, /computed/],
  ['Map', 'print(1);\nprint(new Map());\n', 2, 11, /`Map` does not exist/],
  ['Math.trunc', 'print(1);\nprint(Math.trunc(getTime()));\n', 2, 7, /`Math.trunc` does not exist/],
  ['Number.isInteger', 'print(Number.isInteger(getTime()));\n', 1, 7, /`Number.isInteger` does not exist/],
  ['Object.freeze', 'print(Object.freeze({ a: getTime() }));\n', 1, 7, /`Object.freeze` does not exist/],
  ['Array.from', 'print(Array.from([getTime()]));\n', 1, 7, /`Array.from` does not exist/],
  ['lastIndexOf', 'print([getTime()].lastIndexOf(1));\n', 1, 7, /`.lastIndexOf` does not exist/],
  ['Array.prototype.slice', 'print(Array.prototype.slice.call([getTime()]));\n', 1, 7, /no readable methods/],
  [
    'a length that is assigned',
    'const a = [getTime()];\na.length = 0;\nprint(a);\n',
    2,
    1,
    /`length` cannot be assigned/,
  ],
  ['extends Error', 'class E1 extends Error {}\nprint(new E1());\n', 1, 18, /`Error` cannot be extended/],
  [
    'an inherited static',
    'class A {\n  static s() { print(1); }\n}\nclass B extends A {}\nB.s();\n',
    5,
    1,
    /not inherited/,
  ],
  [
    'case after default',
    'switch (getTime()) {\n  default:\n    print(1);\n    break;\n  case 2:\n    print(2);\n}\n',
    5,
    3,
    /after `default`/,
  ],
  ['a regular expression with counts', 'print(/a{2,3}/.test(getSerial()));\n', 1, 7, /`\{n,m\}`/],
  ['a lazy regular expression', 'print(/a+?b/.test(getSerial()));\n', 1, 7, /lazy/],
  ['a lookahead', 'print(/a(?=b)/.test(getSerial()));\n', 1, 7, /lookahead/],
  ['Math.random', 'print(1);\nprint(Math.random());\n', 2, 7, /fixed seed/],
  ['E.hwRand', 'print(E.hwRand());\n', 1, 7, /fixed-seed/],
  ['eval', "eval('1');\n", 1, 1, /not in the build/],
];

for (const [name, text, line, column, what] of refused) {
  test(`refused with file, line and column: ${name}`, async (t) => {
    const entry = source(text);
    const error = await t.throwsAsync(buildFirmware({ entry }));
    const place = `${entry.split('/').at(-1)}:${line}:${column}`;
    t.true(error!.message.includes(place), `${place} is not in: ${error!.message}`);
    t.regex(error!.message, what);
  });
}

test('the place is told in the file that was imported, not in the bundle', async (t) => {
  const other = source('export function f(): number {\n  return Math.trunc(getTime());\n}\n');
  const entry = source(`import { f } from './${other.split('/').at(-1)}';\nprint(f());\n`);
  const error = await t.throwsAsync(buildFirmware({ entry }));
  t.true(error!.message.includes(`${other.split('/').at(-1)}:2:10`), error!.message);
});

test('all violations are told at once', async (t) => {
  const error = await t.throwsAsync(buildFirmware({ entry: source('print(new Map(), 2n);\nprint(new Set());\n') }));
  t.is(error!.message.split('\n').length, 4);
});

test('modules that import each other in a circle are refused', async (t) => {
  const a = source('');
  const b = source(`import { f } from './${a.split('/').at(-1)}';\nexport const g = (): number => f();\n`);
  writeFileSync(a, `import { g } from './${b.split('/').at(-1)}';\nexport const f = (): number => g();\nprint(f());\n`);
  const error = await t.throwsAsync(buildFirmware({ entry: a }));
  t.regex(error!.message, /[Cc]ircular/);
});

/** What TypeScript may write because swc says it in Espruino's words. */
const written = `
interface Options { a: number; b?: { c: number } }
function withDefault(x: number, y = 3): number { return x + y; }
function unpacked({ a, b }: Options): number { return a + (b?.c ?? 4); }
class A {
  v = 1;
  readonly list: number[] = [];
  unset: number | undefined;
  static count = 4;
  constructor(w: number) { this.unset = w; this.list.push(w); }
  largest(xs: number[]): number { return Math.max(...xs) ** 2; }
  get double(): number { return this.v * 2; }
}
class B extends A {
  own: number;
  constructor() { super(7); this.own = 2; this.v += 1; }
  override largest(xs: number[]): number { return super.largest(xs) + 1; }
}
const [first, second] = [getTime() * 0 + 1, 2];
const merged = { ...{ x: first }, y: second };
let missing: number | null = null;
missing ??= 3;
const b = new B();
new A(9);
print(withDefault(1), withDefault(1, 2), unpacked({ a: 1 }), unpacked({ a: 1, b: { c: 5 } }));
print(b.largest([1, 2]), b.double, b.own, b.list.join(), b.unset, A.count, JSON.stringify(merged), missing);
for (const [key, value] of Object.entries({ p: 1, q: 2 })) print(key, value);
const later: (() => number)[] = [];
for (let i = 0; i < 3; i++) { const own = i * 2; later.push(() => own); }
print([...later, () => 9].map((f) => f()).join());
setTimeout(() => print('timer', \`\${first}-\${second}\`), 5);
Promise.resolve(1).then((x) => print('kept', x));
`;
const prints = ['4 3 5 6', '5 4 2 7 7 4 {"x":1,"y":2} 3', 'p 1', 'q 2', '0,2,4,9', 'kept 1', 'timer 1-2'];

test('what swc writes in Espruino’s words runs on the virtual board', async (t) => {
  const { code } = await buildFirmware({ entry: source(written) });
  const board = new VirtualBoard({ bundle: code, seed: 1, startMs: 0 });
  board.start();
  board.advanceTo(100);
  t.deepEqual(board.output, prints);
});

(espruinoBinary() ? test : test.skip)('and on real Espruino (where one is on the PATH)', async (t) => {
  const { code } = await buildFirmware({ entry: source(written) });
  const run = await runOnEspruino({ bundle: code, steps: [{ toMs: 100 }] });
  t.deepEqual([...run.output].sort(), [...prints].sort());
});

test('a bundle is built once in a process, and the same source gives the same digest', async (t) => {
  const text = 'print(getTime());\n';
  const [one, two] = [source(text), source(text)];
  t.is(await buildFirmware({ entry: one }), await buildFirmware({ entry: one }));
  t.is((await buildFirmware({ entry: one })).digest, (await buildFirmware({ entry: two })).digest);
});
