// What was spent: each once, with its answer, on disk before anybody is told; in groups, and over kills.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SpentSet } from '../../../operator/shared/spent-set.ts';
import { openStore } from '../../../operator/shared/store.ts';

const id = (name: string): Uint8Array => createHash('sha256').update(name).digest();
const answerOf = (name: string): Uint8Array => Buffer.from(`answer to ${name}`);

function open(t: ExecutionContext, directory = mkdtempSync(join(tmpdir(), 'quietmeter-spent-'))) {
  const file = join(directory, 'spent.sqlite');
  const database = openStore(file, 'CREATE TABLE IF NOT EXISTS notes (text TEXT UNIQUE) STRICT');
  t.teardown(() => {
    if (database.isOpen) database.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const set = new SpentSet(database, 'coin');
  const spend = (ids: string[], request: string, also?: () => void) =>
    set.spend({ period: 7, ids: ids.map(id), request: id(request), answer: answerOf(request), also });
  return { directory, file, database, set, spend };
}
const said = (outcome: Awaited<ReturnType<SpentSet['spend']>>): string =>
  outcome.outcome === 'conflict' ? 'conflict' : `${outcome.outcome}: ${Buffer.from(outcome.answer)}`;

test('spent once; the same request gets the same answer; another one gets none', async (t) => {
  const { set, spend } = open(t);
  t.is(set.lookUp(7, [id('a')], id('one')), undefined);
  t.is(said(await spend(['a'], 'one')), 'spent: answer to one');
  t.is(said(await spend(['a'], 'one')), 'again: answer to one');
  t.is(said(await spend(['a'], 'two')), 'conflict');
  t.is(said(set.lookUp(7, [id('a')], id('one'))!), 'again: answer to one');
  t.is(said(set.lookUp(7, [id('a')], id('two'))!), 'conflict');
  t.is(set.lookUp(8, [id('a')], id('one')), undefined, 'another period');
});

test('several are all or none', async (t) => {
  const { set, spend } = open(t);
  t.is(said(await spend(['a', 'b', 'c'], 'one')), 'spent: answer to one');
  t.is(said(await spend(['a', 'b', 'c'], 'one')), 'again: answer to one');
  t.is(said(await spend(['x', 'c', 'y'], 'two')), 'conflict');
  t.is(said(await spend(['x', 'y'], 'three')), 'spent: answer to three', 'and they are still there');
  t.is(said(await spend(['a', 'new'], 'one')), 'conflict', 'nor do others join later');
  t.is(set.count(7), 5);
  await t.throwsAsync(spend(['z', 'z'], 'four'), { message: /twice in one spend/ });
  t.false(set.has(7, id('z')));
});

test('a thousand at once, committed in groups: one of each, whoever is first', async (t) => {
  const { set, spend } = open(t);
  const outcomes = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => spend([`coin ${i % 100}`], `request ${i}`)),
  );
  t.is(outcomes.filter(({ outcome }) => outcome === 'spent').length, 100);
  t.is(outcomes.filter(({ outcome }) => outcome === 'conflict').length, 900);
  t.is(set.count(7), 100);
});

test('one that fails takes nothing of the others in its group with it', async (t) => {
  const { database, set, spend } = open(t);
  const note = (text: string) => () => database.prepare('INSERT INTO notes VALUES (?)').run(text);
  const results = await Promise.allSettled([
    spend(['a'], 'one', note('first')),
    spend(['b'], 'two', note('first')),
    spend(['c'], 'three', note('third')),
    spend(['a'], 'four', note('fourth')),
  ]);
  t.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value.outcome : 'failed')),
    ['spent', 'failed', 'spent', 'conflict'],
  );
  t.false(set.has(7, id('b')), 'neither the mark nor what goes with it');
  const notes = database.prepare('SELECT text FROM notes ORDER BY text').all();
  t.deepEqual(
    notes.map(({ text }) => text),
    ['first', 'third'],
    'a conflict writes nothing more',
  );
});

test('a period that is over is dropped whole', async (t) => {
  const { database, set } = open(t);
  for (const period of [5, 6, 7]) await set.spend({ period, ids: [id('a')], request: id('r'), answer: answerOf('r') });
  set.dropBefore(7);
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'spent_%'").all();
  t.deepEqual(
    tables.map(({ name }) => name),
    ['spent_coin_log_7', 'spent_coin_index_7'],
  );
  t.true(set.has(7, id('a')));
  t.throws(() => set.count(-1), { message: /is no period/ });
  t.throws(() => new SpentSet(database, 'x; DROP'), { message: /is no name/ });
});

test('beyond what is held in memory: the index is entered, found, and found again by a new process', async (t) => {
  const { directory, database, set, spend } = open(t);
  const most = 16_384;
  await Promise.all(Array.from({ length: most + 500 }, (_, i) => spend([`coin ${i}`], `request ${i}`)));
  t.true((database.prepare('SELECT count(*) AS n FROM spent_coin_index_7').get()!.n as number) >= most);
  for (const one of [set, open(t, directory).set])
    for (const i of [0, most - 1, most, most + 499]) {
      t.is(said(one.lookUp(7, [id(`coin ${i}`)], id(`request ${i}`))!), `again: answer to request ${i}`);
      t.is(said(one.lookUp(7, [id(`coin ${i}`)], id('another'))!), 'conflict');
    }
  t.is(set.count(7), most + 500);
  t.is(said(await spend(['coin 3', 'new'], 'mixed')), 'conflict');
});

test('what a promise has resolved for is there after kill -9', async (t) => {
  const { directory, file, database } = open(t);
  database.close();
  const child = `
    import { SpentSet } from ${JSON.stringify(new URL('../../../operator/shared/spent-set.ts', import.meta.url).href)};
    import { openStore } from ${JSON.stringify(new URL('../../../operator/shared/store.ts', import.meta.url).href)};
    import { createHash } from 'node:crypto';
    const id = (name) => createHash('sha256').update(name).digest();
    const set = new SpentSet(openStore(${JSON.stringify(file)}, ''), 'coin');
    let told = 0;
    for (let i = 0; i < 1000; i++)
      set.spend({ period: 7, ids: [id('coin ' + i)], request: id('request ' + i), answer: Buffer.from(String(i)) }).then(() => {
        process.stdout.write('.');
        if (++told === 300) process.kill(process.pid, 'SIGKILL');
      });
  `;
  const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', child], { encoding: 'utf8' });
  t.is(signal, 'SIGKILL');
  const back = open(t, directory);
  t.true(stdout.length > 0 && back.set.count(7) >= stdout.length);
  for (let i = 0; i < stdout.length; i++) t.true(back.set.has(7, id(`coin ${i}`)));
  t.is(said(back.set.lookUp(7, [id('coin 0')], id('request 0'))!), 'again: 0');
});
