import { join } from 'node:path';
import test from 'ava';
import { addApi } from '../../../gateway/web/api.ts';
import { OPENAPI } from '../../../gateway/web/openapi.ts';
import { makeToken } from '../../../web/login/bearer.ts';
import type { PageServer } from '../../../web/page-server.ts';
import { TOKEN_FILE } from '../../../web/server.ts';
import { openTestPage } from '../../page/browser.ts';
import { DAY_START_MS, MemoryHousehold } from '../../page/household.ts';
import { Client } from './client.ts';

// biome-ignore lint/suspicious/noExplicitAny: a document of any shape
type Schema = Record<string, any>;

/** Where a value is not what a schema says; only the words that the document uses are understood. */
// biome-ignore lint/suspicious/noExplicitAny: what a server answered
function faults(value: any, schema: Schema, path = 'answer'): string[] {
  if (schema.$ref) return faults(value, (OPENAPI.components.schemas as Schema)[schema.$ref.split('/').pop()], path);
  if (schema.anyOf) {
    const all = schema.anyOf.map((one: Schema) => faults(value, one, path));
    return all.some((list: string[]) => list.length === 0) ? [] : all[0];
  }
  if (schema.enum) return schema.enum.includes(value) ? [] : [`${path} is ${value}`];
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const right = schema.type === 'integer' ? Number.isInteger(value) : kind === schema.type;
  if (!right) return [`${path} is ${kind}, not ${schema.type}`];
  if (kind === 'array') return value.flatMap((one: unknown, n: number) => faults(one, schema.items, `${path}[${n}]`));
  if (kind !== 'object') return [];
  const missing = (schema.required ?? [])
    .filter((name: string) => !(name in value))
    .map((name: string) => `${path}.${name} is missing`);
  const wrong = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) =>
    name in value ? faults(value[name], inner as Schema, `${path}.${name}`) : [],
  );
  return [...missing, ...wrong];
}

test('every route that reads is described, and no other', (t) => {
  const routes: string[] = [];
  const server = { get: (path: string) => routes.push(path), post: () => {} } as unknown as PageServer;
  addApi(server, { view: new MemoryHousehold(), live: {} as never, isAllowed: () => true });
  // other providers are asked of the grid operator: nothing for a script
  const unlisted = ['/api/openapi.json', '/api/supply/others'];
  t.deepEqual(Object.keys(OPENAPI.paths).sort(), routes.filter((path) => !unlisted.includes(path)).sort());
});

test('with a token a script reads what is described, and changes nothing', async (t) => {
  const made = await openTestPage(new MemoryHousehold());
  t.teardown(made.close);
  const client = new Client(made);
  const token = makeToken(join(made.dataDir, 'web', TOKEN_FILE));
  const headers = { authorization: `Bearer ${token}` };
  const range = `from=${DAY_START_MS}&to=${DAY_START_MS + 3_600_000}`;
  let checked = 0;
  for (const [path, { get }] of Object.entries(OPENAPI.paths) as [string, Schema][]) {
    if (path === '/api/live') continue; // never ends
    const { status, text } = await client.request(`${path}?${range}`, { headers });
    t.is(status, 200, `${path}: ${text.slice(0, 200)}`);
    const [[type, { schema }]] = Object.entries<Schema>(get.responses[200].content);
    if (type === 'application/json') t.deepEqual(faults(JSON.parse(text), schema), [], path);
    checked++;
  }
  t.true(checked >= 8);
  t.is((await client.request('/api/check-clamp', { method: 'POST', headers })).status, 401);
  t.is((await client.request('/password', { headers })).status, 303);
});

test('a wrong token, an old one and none are refused', async (t) => {
  const made = await openTestPage(new MemoryHousehold());
  t.teardown(made.close);
  const client = new Client(made);
  const file = join(made.dataDir, 'web', TOKEN_FILE);
  const ask = async (token: string): Promise<number> =>
    (await client.request('/api/status', { headers: { authorization: `Bearer ${token}` } })).status;
  t.is(await ask('A'.repeat(43)), 401, 'none was made');
  const old = makeToken(file);
  t.is(await ask(old), 200);
  const token = makeToken(file);
  t.is(await ask(old), 401);
  t.is(await ask(token), 200);
  t.is(await ask(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`), 401);
  t.is(await ask(''), 401);
});
