import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import test from 'ava';
import { startPage } from '../../../gateway/web/server.ts';
import { openTestPage } from '../../page/browser.ts';
import { DAY_START_MS, MemoryHousehold } from '../../page/household.ts';
import { Client } from './client.ts';

const HOUR_MS = 3_600_000;

async function open(t: { teardown(fn: () => Promise<void>): void }, view = new MemoryHousehold()) {
  const made = await openTestPage(view);
  t.teardown(made.close);
  return { ...made, client: new Client(made) };
}

test('nothing but login, help, the authority and the page’s own files is seen without a session', async (t) => {
  const { client } = await open(t);
  for (const path of ['/login', '/help', '/ca.crt', '/page/main.ts', '/web/page/style.css']) {
    t.is((await client.request(path)).status, 200, path);
  }
  for (const path of [
    '/api/live',
    '/api/status',
    '/api/day?from=1&to=2',
    '/api/reports',
    '/api/readings.csv',
    '/api/none',
  ]) {
    const { status, text } = await client.request(path);
    t.is(status, 401, path);
    t.deepEqual(JSON.parse(text), { error: 'log in first' });
  }
  t.is((await client.request('/api/check-clamp', { method: 'POST' })).status, 401);
  for (const path of ['/', '/password', '/nothing', '/login/', '//login', '/page', '/page/main.ts/../../x']) {
    const { status, headers } = await client.request(path);
    t.is(status, 303, path);
    t.is(headers.location, '/login');
  }
});

test('the login: wrong is refused, right sets a cookie that only this host’s TLS pages get', async (t) => {
  const { client, password } = await open(t);
  const wrong = await client.logIn('not the password');
  t.is(wrong.status, 403);
  t.deepEqual(wrong.cookies, []);
  t.regex(wrong.text, /That is not the password/);

  const right = await client.logIn(password);
  t.is(right.status, 303);
  t.is(right.headers.location, '/');
  t.regex(
    right.cookies[0],
    /^__Host-quietmeter-[0-9a-f]{8}=[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  );
  t.is((await client.request('/')).status, 200);
  t.is((await client.request('/login')).headers.location, '/');
});

test('logging out ends the session, its cookie and its live stream', async (t) => {
  const { client, password } = await open(t);
  await client.logIn(password);
  const stream = client.events(() => false);
  await client.events((events) => events.length > 0);
  const out = await client.request('/logout', { method: 'POST' });
  t.is(out.headers.location, '/login');
  t.regex(out.cookies[0], /=; .*Expires=Thu, 01 Jan 1970/);
  await stream; // Ends because the server ended it.
  t.is((await client.request('/api/status')).status, 401);
});

test('after wrong passwords the wait grows, for the right password too, and Retry-After says how long', async (t) => {
  let nowMs = Date.now();
  const made = await openTestPage(new MemoryHousehold(), () => nowMs);
  t.teardown(made.close);
  const client = new Client(made);
  for (let attempt = 0; attempt < 4; attempt++) t.is((await client.logIn(`wrong ${attempt}`)).status, 403);
  const early = await client.logIn(made.password);
  t.is(early.status, 429);
  t.is(early.headers['retry-after'], '2');
  t.regex(early.text, /Too many wrong passwords\. Try again in 2 seconds\./);
  t.deepEqual(early.cookies, []);
  t.is(made.logged.filter((line) => line === 'login refused: wrong password from 127.0.0.1').length, 4);
  nowMs += 2_000;
  t.is((await client.logIn(made.password)).status, 303);
});

test('a session survives a restart of the gateway; the first password is told once only', async (t) => {
  const first = await openTestPage();
  const client = new Client(first);
  await client.logIn(first.password);
  await first.page.close();
  const port = Number(new URL(first.page.url).port);
  const page = await startPage({ view: first.view, dataDir: first.dataDir, port, host: '127.0.0.1' });
  t.teardown(() => page.close());
  t.false('firstPassword' in page);
  t.is(page.authorityFingerprint, first.page.authorityFingerprint);
  t.is((await client.request('/api/status')).status, 200);
  t.is((await new Client({ page, dataDir: first.dataDir }).logIn(first.password)).status, 303);
});

test('a changed password: the old no longer opens, other browsers are out, this one stays', async (t) => {
  const { client, password, page, dataDir } = await open(t);
  const other = new Client({ page, dataDir });
  await client.logIn(password);
  await other.logIn(password);
  const change = (current: string, next: string, again = next) =>
    client.request('/password', { form: { current, next, again } });
  t.regex((await change(password, 'short')).text, /at least 10 letters/);
  t.regex((await change(password, 'long enough now', 'but different')).text, /two new passwords differ/);
  t.is((await change('wrong', 'long enough now')).status, 403);
  const done = await change(password, 'long enough now');
  t.is(done.status, 303);
  t.is((await client.request('/api/status')).status, 401, 'the old cookie is dead, even of this browser');
  client.cookie = done.cookies[0].split(';')[0];
  t.is((await client.request('/api/status')).status, 200);
  t.is((await other.request('/api/status')).status, 401);
  t.is((await other.logIn(password)).status, 403);
  t.is((await other.logIn('long enough now')).status, 303);
});

test('what changes something must come from this very origin', async (t) => {
  const { client, password } = await open(t);
  await client.logIn(password);
  const elsewhere = ['https://localhost:1', 'https://example.org', 'null', client.origin.replace('https', 'http')];
  for (const origin of elsewhere) {
    for (const path of ['/login', '/logout', '/password', '/api/check-clamp']) {
      const { status } = await client.request(path, { form: { password }, headers: { origin } });
      t.is(status, 403, `${path} from ${origin}`);
    }
  }
  t.is((await client.request('/api/status')).status, 200, 'still logged in');
});

test('every answer, live stream and refusal too, carries the headers that keep everything at home', async (t) => {
  const { client, password } = await open(t);
  const before = [
    await client.request('/login'),
    await client.request('/api/status'),
    await client.request('/page/main.ts'),
  ];
  await client.logIn(password);
  const paths = ['/', '/api/status', '/none', '/api/day?from=x'];
  const answers = [...before, ...(await Promise.all(paths.map((path) => client.request(path))))];
  const session = client.open();
  const live = session.request({ ':path': '/api/live', cookie: client.cookie });
  const liveHeaders = await new Promise<Record<string, string>>((resolve) =>
    live.on('response', (h) => resolve(h as never)),
  );
  session.destroy();
  for (const headers of [...answers.map((answer) => answer.headers), liveHeaders]) {
    t.is(
      headers['content-security-policy'],
      "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    t.is(headers['x-content-type-options'], 'nosniff');
    t.is(headers['referrer-policy'], 'same-origin');
    t.regex(headers['cache-control'], /no-store|no-cache/);
    t.false('strict-transport-security' in headers, 'it would break the host’s other ports');
  }
});

test('documents carry no script, style or address from elsewhere', async (t) => {
  const { client, password } = await open(t);
  await client.logIn(password);
  for (const path of ['/', '/login', '/password', '/help']) {
    client.cookie = path === '/login' ? '' : client.cookie;
    const { text } = await client.request(path);
    t.notRegex(text, /<script(?! type="module" src="\/page\/[\w-]+\.ts">)/);
    t.notRegex(text, /<style|\sstyle=|\son\w+=/);
    t.notRegex(text, /(src|href|action)="(?!\/|#|\?)/);
    if (path === '/login') await client.logIn(password);
  }
});

test('the household’s name is free text, and stays text', async (t) => {
  const { client } = await open(t, new MemoryHousehold('<img src=x onerror=alert(1)> & "Söhne"'));
  const { text } = await client.request('/login');
  t.notRegex(text, /<img src=x/);
  t.true(text.includes('&#60;img src=x onerror=alert(1)&#62; &#38; &#34;Söhne&#34;'));
});

test('live values: at once what is known, then each new one, and a changed connection', async (t) => {
  const { client, password, view } = await open(t);
  await client.logIn(password);
  let step = 0;
  const events = await client.events((seen) => {
    const values = seen.filter(({ event }) => event === 'live');
    if (values.length === step + 1 && step < 2) {
      step++;
      if (step === 2) view.state = { meter: true, grid: false, pendingReports: 9 };
      view.measure(step === 1 ? 777 : -1234);
    }
    return seen.some(({ event, data }) => event === 'status' && !data.grid);
  });
  t.deepEqual(
    events.map(({ event }) => event),
    ['status', 'live', 'live', 'live', 'status'],
  );
  t.deepEqual(
    events.slice(2, 4).map(({ data }) => data.powerW),
    [777, -1234],
  );
  const { unixMs, importMwh, exportMwh } = view.latest()!;
  t.like(events[3].data, { unixMs, importMwh, exportMwh, nowMs: view.nowMs() });
  t.deepEqual(events[4].data, { nowMs: view.nowMs(), meter: true, grid: false, pendingReports: 9 });
});

test('HTTP/1.1 serves as well, for scripts', async (t) => {
  const { page, dataDir } = await open(t);
  const ca = readFileSync(join(dataDir, 'web/ca.crt'));
  const status = await new Promise((resolve, reject) =>
    https.get(`${page.url}/help`, { ca }, (answer) => resolve(answer.resume().statusCode)).on('error', reject),
  );
  t.is(status, 200);
});

test('registers under their OBIS codes', async (t) => {
  const { client, password, view } = await open(t);
  await client.logIn(password);
  view.measure(-2310);
  const { registers, measuredMs } = JSON.parse((await client.request('/api/registers')).text);
  t.is(measuredMs, view.nowMs());
  const byCode = Object.fromEntries(
    registers.map((row: { code: string; value: number; unit: string }) => [row.code, `${row.value} ${row.unit}`]),
  );
  t.deepEqual(byCode, {
    '1-0:1.8.0': '4218.37825 kWh',
    '1-0:2.8.0': '2964.0185 kWh',
    '1-0:16.7.0': '-2310 W',
    '1-0:32.7.0': '231.4 V',
    '1-0:31.7.0': '-10.18 A',
    '1-0:14.7.0': '49.99 Hz',
    '1-0:13.7.0': '0.98 ',
  });
  view.forget();
  const unknown = JSON.parse((await client.request('/api/registers')).text);
  t.is(unknown.measuredMs, null);
  t.true(
    unknown.registers.every((row: { value: unknown }) => row.value === null),
    'never 0 for what is not known',
  );
});

test('a day: what the household says, minute by minute, with the gap as a gap', async (t) => {
  const { client, password, view } = await open(t);
  await client.logIn(password);
  const range = [DAY_START_MS, DAY_START_MS + 24 * HOUR_MS] as const;
  const day = JSON.parse((await client.request(`/api/day?from=${range[0]}&to=${range[1]}`)).text);
  t.deepEqual(day, { nowMs: view.nowMs(), minutes: view.minutes(...range), quarterHours: view.quarterHours(...range) });
  const reports = JSON.parse((await client.request(`/api/reports?from=${range[0]}&to=${range[1]}`)).text);
  t.deepEqual(reports, { nowMs: view.nowMs(), pendingReports: 2, reports: view.reports(...range) });
});

test('malformed questions are refused with the field and what is right', async (t) => {
  const { client, password } = await open(t);
  await client.logIn(password);
  const from = DAY_START_MS;
  const refused: [string, string][] = [
    ['/api/day', 'query.from is missing: give Unix time in milliseconds'],
    [`/api/day?from=${from}`, 'query.to is missing: give Unix time in milliseconds'],
    [`/api/day?from=yesterday&to=${from}`, 'query.from is not a whole number: give Unix time in milliseconds'],
    [`/api/day?from=-1&to=${from}`, 'query.from is not a whole number: give Unix time in milliseconds'],
    [`/api/day?from=1e12&to=${from}`, 'query.from is not a whole number: give Unix time in milliseconds'],
    [`/api/day?from=${from / 1000}&to=${from}`, 'query.from lies before the year 2000: give Unix time in milliseconds'],
    [`/api/day?from=${from}&from=${from}&to=${from}`, 'query.from is given twice'],
    [`/api/day?from=${from}&to=${from}`, 'query.to must lie after query.from'],
    [
      `/api/day?from=${from}&to=${from + 49 * HOUR_MS}`,
      'query.to lies too far from query.from: at most 2 days at once',
    ],
    [
      `/api/reports?from=${from}&to=${from + 32 * 24 * HOUR_MS}`,
      'query.to lies too far from query.from: at most 31 days at once',
    ],
    [
      `/api/readings.csv?from=${from}&to=${from + 367 * 24 * HOUR_MS}`,
      'query.to lies too far from query.from: at most 366 days at once',
    ],
    [
      `/api/readings.csv?from=${from}&to=${from + 1}&zone=Mars/Base`,
      'query.zone is no time zone of the IANA list, such as Europe/Rome',
    ],
  ];
  for (const [path, error] of refused) {
    const answer = await client.request(path);
    t.deepEqual([answer.status, JSON.parse(answer.text)], [400, { error }], path);
  }
  t.is((await client.request('/login', { body: '{}', headers: { 'content-type': 'application/json' } })).status, 400);
  t.is((await client.request('/login', { body: 'x', headers: { 'content-type': 'image/png' } })).status, 415);
  t.is((await client.request('/login', { form: { password: 'x'.repeat(5000) } })).status, 413);
  t.is((await client.request('/login', { form: { password: 'x'.repeat(300) } })).status, 403);
  t.is((await client.request('/', { method: 'PUT', headers: { origin: client.origin } })).status, 404);
  for (const path of [
    '/page/..%2fserver.ts',
    '/page/index.html',
    '/page/toString',
    '/page/main.ts?x',
    '/page/style.css',
    '/web/page/login.html',
    '/web/page/..%2fserver.ts',
  ]) {
    t.is((await client.request(path)).status, 404, path);
  }
});

test('a household that fails is answered with 500 and nothing of its inside', async (t) => {
  const view = new MemoryHousehold();
  view.minutes = () => {
    throw new Error('SQLITE_CORRUPT in /home/pi/store.sqlite');
  };
  const { client, password, logged } = await open(t, view);
  await client.logIn(password);
  const { status, text } = await client.request(`/api/day?from=${DAY_START_MS}&to=${DAY_START_MS + 1}`);
  t.is(status, 500);
  t.deepEqual(JSON.parse(text), { error: 'the gateway could not answer' });
  t.true(logged.includes('page: GET /api/day: SQLITE_CORRUPT in /home/pi/store.sqlite'));
});

test('the clamp check asks the meter, one at a time', async (t) => {
  const { client, password, view } = await open(t);
  await client.logIn(password);
  const asked: ((verdict: MemoryHousehold['verdict']) => void)[] = [];
  view.checkClamp = () => new Promise((resolve) => asked.push(resolve));
  const first = client.request('/api/check-clamp', { method: 'POST' });
  while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.is((await client.request('/api/check-clamp', { method: 'POST' })).status, 409);
  asked[0]({ verdict: 'reversed', powerW: -1980, powerFactor: 0.99 });
  t.deepEqual(JSON.parse((await first).text), { verdict: 'reversed', powerW: -1980, powerFactor: 0.99 });
  view.checkClamp = async () => {
    throw new Error('no answer');
  };
  t.is((await client.request('/api/check-clamp', { method: 'POST' })).status, 504);
  t.is(asked.length, 1);
});

test('files: secrets are the owner’s only, the password is nowhere, nothing secret is logged', async (t) => {
  const { client, password, dataDir, logged } = await open(t);
  await client.logIn('a wrong password');
  await client.logIn(password);
  const folder = join(dataDir, 'web');
  t.is(statSync(folder).mode & 0o777, 0o700);
  const modes = Object.fromEntries(
    readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );
  t.deepEqual(modes, {
    'ca.crt': '644',
    'ca.key': '600',
    'password.json': '600',
    'server.crt': '644',
    'server.key': '600',
    'sessions.json': '600',
  });
  const token = client.cookie.split('=')[1];
  const texts = [...readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')), ...logged];
  for (const text of texts) {
    t.false(text.includes(password));
    t.false(text.includes(token));
    t.false(text.includes('a wrong password'));
  }
  t.false(existsSync(join(folder, 'password.json.new')));
});

test('closing does not wait for open tabs, and lets go of the household', async (t) => {
  const made = await openTestPage();
  const client = new Client(made);
  await client.logIn(made.password);
  const ended = client.events(() => false).catch(() => []);
  while (made.view.listeners === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await made.close();
  await ended;
  t.is(made.view.listeners, 0);
});
