import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { LoginGuard, networkOf } from '../../web/login/guard.ts';
import { Password } from '../../web/login/password.ts';
import { Sessions } from '../../web/login/sessions.ts';

const DAY_MS = 86_400_000;

function folder(t: { teardown(fn: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-login-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('the first password: known letters from known randomness, uneven bytes thrown away', async (t) => {
  // 31 letters: bytes from 248 on would favour the first ones.
  const bytes = [255, 0, 1, 2, 30, 248, 31, 32, 33, 34, 247, 0, 0, 0, 100, 101, 102, 103];
  const random = (size: number) => (size === 1 ? Buffer.from([bytes.shift()!]) : Buffer.alloc(size, 7));
  const { first } = await Password.open(join(folder(t), 'password.json'), random);
  t.is(first, '234z-2345-z222-9abc');
});

test('a password is kept as a salted scrypt hash, and only the right one matches', async (t) => {
  const path = join(folder(t), 'password.json');
  const { password, first } = await Password.open(path);
  t.regex(first!, /^([2-9a-hjkmnp-z]{4}-){3}[2-9a-hjkmnp-z]{4}$/);
  t.true(await password.matches(first!));
  t.true(await password.matches(` ${first}\n`), 'as copied from a terminal');
  t.false(await password.matches(first!.toUpperCase()));
  t.false(await password.matches(''));
  const stored = JSON.parse(readFileSync(path, 'utf8'));
  t.like(stored, { version: 1, N: 32768, r: 8, p: 1 });
  t.is(stored.saltHex.length, 32);

  await password.change('grüße aus dem keller');
  t.false(await password.matches(first!));
  const again = await Password.open(path);
  t.is(again.first, undefined);
  t.true(
    await again.password.matches('gru\u0308ße aus dem keller'),
    'the same letters, written otherwise by another keyboard',
  );
  t.not(JSON.parse(readFileSync(path, 'utf8')).saltHex, stored.saltHex);
});

test('a broken password file is an error that says what to do, never an open door', async (t) => {
  const path = join(folder(t), 'password.json');
  for (const text of ['', '{}', '{"version":1,"N":1,"r":1,"p":1,"saltHex":"zz","hashHex":"00"}']) {
    writeFileSync(path, text);
    await t.throwsAsync(Password.open(path), { message: /password\.json: not a password file; delete it/ });
  }
});

test('sessions: survive a restart, end after thirty days, and the file holds no token', (t) => {
  const path = join(folder(t), 'sessions.json');
  let nowMs = 1_000;
  const sessions = new Sessions(path, () => nowMs);
  const token = sessions.begin();
  t.true(sessions.isValid(token));
  t.false(sessions.isValid(`${token}x`));
  t.false(sessions.isValid(''));
  t.false(sessions.isValid(undefined));
  t.false(readFileSync(path, 'utf8').includes(token));
  const restarted = new Sessions(path, () => nowMs);
  nowMs += 30 * DAY_MS - 1;
  t.true(restarted.isValid(token));
  nowMs += 1;
  t.false(restarted.isValid(token));
  writeFileSync(path, 'torn');
  t.false(new Sessions(path, () => 1_000).isValid(token));
});

test('sessions: fifty at most, the oldest go', (t) => {
  const sessions = new Sessions(join(folder(t), 'sessions.json'), () => 0);
  const tokens = Array.from({ length: 52 }, () => sessions.begin());
  t.deepEqual(
    tokens.filter((token) => !sessions.isValid(token)),
    tokens.slice(0, 2),
  );
});

test('guard: three free tries, then waits of 2 s, 4 s, 8 s … a quarter hour', (t) => {
  let nowMs = 0;
  const guard = new LoginGuard(() => nowMs);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 30; attempt++) {
    const waitMs = guard.begin('192.168.1.9');
    if (waitMs > 0) waits.push(waitMs);
    else if (attempt > 3) t.true(waits.length > 0);
    nowMs += waitMs;
  }
  t.deepEqual(waits.slice(0, 5), [2_000, 4_000, 8_000, 16_000, 32_000]);
  t.is(Math.max(...waits), 900_000);
  nowMs += 3_600_001;
  t.is(guard.begin('192.168.1.9'), 0, 'forgotten after an hour of quiet');
});

test('guard: the right password clears its address, not another’s', (t) => {
  const guard = new LoginGuard(() => 0);
  for (let attempt = 0; attempt < 4; attempt++) {
    guard.begin('a');
    guard.begin('b');
  }
  t.is(guard.begin('a'), 2_000);
  guard.succeeded('a');
  t.is(guard.begin('a'), 0);
  t.is(guard.begin('b'), 2_000);
});

test('guard: from however many addresses and whenever, never more than 40 and one per five seconds', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ waitMs: fc.integer({ min: 0, max: 20_000 }), address: fc.integer({ min: 0, max: 5_000 }) }),
        {
          minLength: 60,
          maxLength: 400,
        },
      ),
      (attempts) => {
        let nowMs = 0;
        const guard = new LoginGuard(() => nowMs);
        let allowed = 0;
        for (const { waitMs, address } of attempts) {
          nowMs += waitMs;
          const wait = guard.begin(`10.0.${address >> 8}.${address & 255}`);
          if (wait === 0) allowed++;
          else if (wait < 0) return false;
        }
        return allowed <= 40 + nowMs / 5_000;
      },
    ),
  );
  const guard = new LoginGuard(() => 0);
  const allowed = Array.from({ length: 100 }, (_, index) => guard.begin(`10.0.0.${index}`)).filter(
    (wait) => wait === 0,
  );
  t.is(allowed.length, 40);
});

test('guard: an IPv6 network of one machine counts as one address', (t) => {
  t.is(networkOf('2001:db8:1:2:aaaa:bbbb:cccc:dddd'), networkOf('2001:db8:1:2::7'));
  t.not(networkOf('2001:db8:1:3::7'), networkOf('2001:db8:1:2::7'));
  t.is(networkOf('fe80::1%eth0'), 'fe80:0:0:0');
  t.is(networkOf('::1'), '0:0:0:0');
  t.is(networkOf('::ffff:192.168.1.9'), '192.168.1.9');
});
