import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { BackupError, makeBackup, restoreBackup } from '../../../gateway/appliance/backup.ts';

const PASSPHRASE = 'correct horse battery';
const folder = (): string => mkdtempSync(join(tmpdir(), 'quietmeter-backup-'));

/** A data folder with a database in use, keys, and a folder of its own for the page. */
function household(): { dataDir: string; database: DatabaseSync } {
  const dataDir = folder();
  const database = new DatabaseSync(join(dataDir, 'household.db'));
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE record (n INTEGER PRIMARY KEY, wh INTEGER)');
  for (let n = 0; n < 500; n++) database.prepare('INSERT INTO record VALUES (?, ?)').run(n, n * 7);
  writeFileSync(join(dataDir, 'identity.db'), '');
  new DatabaseSync(join(dataDir, 'identity.db')).exec('CREATE TABLE name (a); INSERT INTO name VALUES (1)');
  mkdirSync(join(dataDir, 'web'));
  writeFileSync(join(dataDir, 'web', 'server.key'), 'SECRET', { mode: 0o600 });
  writeFileSync(join(dataDir, 'web', 'authority.crt'), 'public', { mode: 0o644 });
  chmodSync(join(dataDir, 'web', 'authority.crt'), 0o644);
  return { dataDir, database };
}
const rows = (file: string): number =>
  (new DatabaseSync(file).prepare('SELECT count(*) AS n FROM record').get() as { n: number }).n;

test('a back-up of a household in use comes back whole, modes and all', async (t) => {
  const { dataDir, database } = household();
  const file = join(folder(), 'house.qmb');
  database.exec('BEGIN; INSERT INTO record VALUES (1000, 1)'); // not committed: not in the copy
  t.is(await makeBackup(dataDir, file, PASSPHRASE), 4);
  database.exec('COMMIT');
  t.is(statSync(file).mode & 0o777, 0o600);

  const restored = join(folder(), 'data');
  t.is(await restoreBackup(file, restored, PASSPHRASE), 4);
  t.is(rows(join(restored, 'household.db')), 500);
  t.is(readFileSync(join(restored, 'web/server.key'), 'utf8'), 'SECRET');
  t.is(statSync(join(restored, 'web/server.key')).mode & 0o777, 0o600);
  t.is(statSync(join(restored, 'web/authority.crt')).mode & 0o777, 0o644);
  t.is(statSync(restored).mode & 0o777, 0o700);
});

test('nothing of it can be read without the passphrase, and nothing changed', async (t) => {
  const { dataDir } = household();
  const file = join(folder(), 'house.qmb');
  await makeBackup(dataDir, file, PASSPHRASE);
  const bytes = readFileSync(file);
  t.false(bytes.includes('SECRET') || bytes.includes('household.db') || bytes.includes('SQLite'));

  const to = join(folder(), 'data');
  const wrong = await t.throwsAsync(restoreBackup(file, to, `${PASSPHRASE}!`), { instanceOf: BackupError });
  t.regex(wrong!.message, /passphrase is wrong/);
  for (const at of [4, 21, 40, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] ^= 1;
    const other = join(folder(), 'changed.qmb');
    writeFileSync(other, changed);
    await t.throwsAsync(restoreBackup(other, to, PASSPHRASE), { instanceOf: BackupError }, `byte ${at}`);
  }
  writeFileSync(file, 'something else');
  await t.throwsAsync(restoreBackup(file, to, PASSPHRASE), { message: /no back-up/ });
  t.false(existsSync(to), 'a refused back-up leaves nothing');
});

test('a data folder in use is not overwritten', async (t) => {
  const { dataDir } = household();
  const file = join(folder(), 'house.qmb');
  await makeBackup(dataDir, file, PASSPHRASE);
  const before = readdirSync(dataDir);
  await t.throwsAsync(restoreBackup(file, dataDir, PASSPHRASE), { message: /not empty: stop the gateway/ });
  t.deepEqual(readdirSync(dataDir), before);
});

test('on another gateway what only the old TPM could use stays behind', async (t) => {
  const { dataDir } = household();
  const file = join(folder(), 'house.qmb');
  await makeBackup(dataDir, file, PASSPHRASE);
  const to = join(folder(), 'data');
  t.is(await restoreBackup(file, to, PASSPHRASE, { withoutTpm: true }), 3);
  t.false(existsSync(join(to, 'identity.db')));
  t.is(rows(join(to, 'household.db')), 500);
});

test('a short passphrase is refused before anything is read', async (t) => {
  await t.throwsAsync(makeBackup('/nowhere', join(folder(), 'x'), 'short'), { message: /fewer than 12 letters/ });
});

test('a damaged database is found while it is copied, and no back-up is written', async (t) => {
  const { dataDir, database } = household();
  database.close();
  const store = join(dataDir, 'household.db');
  const bytes = readFileSync(store);
  bytes.fill(0x5a, 4096, 4096 + 600); // in the middle of the first table
  writeFileSync(store, bytes);
  const file = join(folder(), 'house.qmb');
  await t.throwsAsync(makeBackup(dataDir, file, PASSPHRASE));
  t.false(existsSync(file));
});
