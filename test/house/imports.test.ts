// The house stands while imports point one way (architecture): hardware, protocol, web <- firmware, gateway, operator <- bench.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import test from 'ava';

const root = resolve(import.meta.dirname, '../..');
const mayImport: Record<string, string[]> = {
  hardware: ['hardware'],
  protocol: ['protocol'],
  // what every page for people stands on: it knows none of our words
  web: ['web'],
  firmware: ['firmware', 'protocol', 'hardware'],
  gateway: ['gateway', 'web', 'protocol', 'hardware'],
  operator: ['operator', 'web', 'protocol', 'hardware'],
  bench: ['bench', 'firmware', 'gateway', 'operator', 'web', 'protocol', 'hardware', 'scripts'],
};

/** Every `from '…'`, `import '…'` and `import('…')` of a source text that names a file of ours. */
function relativeImports(source: string): string[] {
  return [...source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\1/g)].map((match) => match[2]);
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|mjs|js)$/.test(file) && !file.includes('node_modules'))
    .map((file) => join(folder, file));
}

const graph = new Map<string, string[]>();
for (const folder of Object.keys(mayImport)) {
  for (const file of sources(folder)) {
    const source = readFileSync(join(root, file), 'utf8');
    graph.set(
      file,
      relativeImports(source).map((path) => relative(root, resolve(root, dirname(file), path))),
    );
  }
}

/** Why the import is against the rules, or null. */
function objection(from: string, to: string): string | null {
  const [house] = from.split('/');
  const [target] = to.split('/');
  if (!mayImport[house]?.includes(target)) return `${from} imports ${to}: ${house} may not import ${target}`;
  // A party is a folder; nothing else reaches it.
  if (house === 'operator' && target === 'operator') {
    const [party, other] = [from.split('/')[1], to.split('/')[1]];
    if (party !== other && other !== 'shared') return `${from} imports ${to}: a party reaches into another`;
  }
  return null;
}

test('imports point one way', (t) => {
  t.true(graph.size > 20, 'the walk found the sources');
  const wrong = [...graph].flatMap(([from, targets]) => targets.map((to) => objection(from, to)).filter(Boolean));
  t.deepEqual(wrong, []);
});

test('the rule sees a wrong import', (t) => {
  t.truthy(objection('gateway/main.ts', 'operator/collector/main.ts'));
  t.truthy(objection('protocol/wire/bytes.ts', 'gateway/store.ts'));
  t.truthy(objection('operator/provider/steps.ts', 'operator/collector/store.ts'));
  t.is(objection('bench/main.ts', 'gateway/config.ts'), null);
  t.deepEqual(relativeImports(`import type { A } from './a.ts';\nawait import("../b.ts");`), ['./a.ts', '../b.ts']);
});

test('no file imports itself through others', (t) => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (file: string, path: string[]): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) walk(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
  t.deepEqual(cycles, []);
});

test('protocol does no input or output', (t) => {
  const forbidden =
    /from '(node:(fs|net|tls|http|http2|https|dgram|child_process|sqlite|worker_threads)|mqtt|aedes|fastify)/;
  const wrong = [...graph.keys()].filter(
    (file) => file.startsWith('protocol/') && forbidden.test(readFileSync(join(root, file), 'utf8')),
  );
  t.deepEqual(wrong, []);
});
