import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { Browser, Page as Tab } from 'playwright-core';
import { Client } from '../../gateway/web/client.ts';
import { DESKTOP, hasChromium, type Look, launch, openContext, PHONE, withChromium } from '../../page/browser.ts';
import { logInToConsole, MemoryParties, openTestConsole } from './fleet.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
const browse = hasChromium ? test.serial : test.serial.skip;
const SCREENSHOTS = join(import.meta.dirname, '../../../build/screenshots');
type Context = { context: { browser: Browser }; teardown(fn: () => Promise<void>): void };

test.before(async (t) => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

const picture = (tab: Tab, name: string) =>
  tab.screenshot({ path: join(SCREENSHOTS, `console-${name}.png`), fullPage: true });

async function open(t: Context, look: Look = DESKTOP) {
  const made = await openTestConsole();
  const context = await openContext(t.context.browser, look);
  t.teardown(async () => {
    await context.close();
    await made.close();
  });
  const faults: string[] = [];
  const requested = new Set<string>();
  context.on('request', (request) => void requested.add(request.url()));
  context.on('weberror', (error) => void faults.push(error.error().message));
  context.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())));
  context.setDefaultTimeout(10_000);
  const tab = await context.newPage();
  await logInToConsole(tab, made);
  return { ...made, tab, faults, requested };
}

/** The verifier filters: the rows come a moment later. */
async function rows(tab: Tab, expected: number): Promise<number> {
  const lines = tab.locator('#devices tbody tr');
  for (let look = 0; look < 100 && (await lines.count()) !== expected; look++) await tab.waitForTimeout(50);
  return lines.count();
}
const row = async (tab: Tab, index: number) => (await tab.locator('#devices tbody tr').nth(index).textContent())!;

browse(
  `the fleet: who is trusted, who is not and why, the gravest first; filters and search; ${withChromium}`,
  async (t) => {
    const { tab, faults, requested, page } = await open(t);
    t.is(
      await tab.locator('#fleet-summary').textContent(),
      '58 of 64 devices are trusted. 3 want somebody to look at.',
    );
    t.regex(
      await row(tab, 1),
      /^FailedVia Roma 10district-4 · 3f355384540fThe meter runs another image than the gateway flashed to it\. and 1 more21 minutes ago4$/,
    );
    t.regex(
      await row(tab, 2),
      /^ExpiredVia Roma 34.*The last result has expired: no evidence came since 15 Jun 2026, 19:16\.3 days ago/,
    );
    t.regex(await row(tab, 5), /^Never seenIn stock\w+The device has never been attested\.––$/);
    t.is(await tab.locator('#devices tbody tr').count(), 20);
    await tab.getByRole('button', { name: 'Show more' }).click();
    t.is(await rows(tab, 64), 64);

    const filter = (name: RegExp) => tab.locator('#filters').getByRole('button', { name });
    await filter(/^Suspended/).click();
    t.is(await rows(tab, 1), 1);
    t.regex(
      await row(tab, 0),
      /^SuspendedVicolo Stretto 43.*The device is suspended: the seal of its housing was broken\./,
    );
    t.is(await filter(/^Suspended/).getAttribute('aria-pressed'), 'true');
    await filter(/^All/).click();
    await tab.getByRole('searchbox').fill('DISTRICT-2');
    t.is(await rows(tab, 16), 16);
    t.is(await filter(/^All/).locator('b').textContent(), '16');
    await tab.getByRole('searchbox').fill('nowhere');
    await tab.getByText('No device like this.').waitFor();

    t.deepEqual(await tab.locator('.roll-out h3').allTextContents(), ['Release 5accepted', 'Release 4retired']);
    t.deepEqual((await tab.locator('.bar b').allTextContents()).slice(0, 2), ['50 of 64', '42 of 64']);
    t.is(await tab.locator('#revocations li').count(), 2);
    t.is(await tab.locator('#control-summary').textContent(), '3 messages: 1 in force, 1 to come.');
    t.regex(
      (await tab.locator('#messages tbody tr').nth(1).textContent())!,
      /^In forcedistrict-1ev-charger: off18 Jun 2026/,
    );
    await tab.locator('#fees').waitFor();
    t.is(await tab.locator('#fees-summary').textContent(), '1 reading of registers, 1 invoice.');
    await tab.locator('#selling').waitFor();
    t.regex(
      (await tab.locator('#selling-summary').textContent())!,
      /^12 households sell: .*310 shown.*Paid in all: 12\.35\./,
    );
    t.is(await tab.locator('#sales rect').count(), 2);
    t.is(await tab.locator('#invoices tbody').textContent(), '3Quiet Power20256421100015,297.50');
    t.regex((await tab.locator('#registers tbody').textContent())!, /^0a1b2c.*year345678$/);
    t.deepEqual(faults, []);
    t.deepEqual(
      [...new Set([...requested].map((url) => new URL(url).origin))],
      [page.url],
      'nothing is asked elsewhere',
    );
  },
);

browse(
  `a device: its evidence as a timeline; suspended after two questions, lifted again; ${withChromium}`,
  async (t) => {
    const { tab, parties, faults } = await open(t);
    await tab.getByRole('button', { name: 'Via Roma 10', exact: true }).click();
    const dialog = tab.getByRole('dialog', { name: 'Via Roma 10' });
    await dialog.getByText(', 5 times since').waitFor();
    t.is(await dialog.locator('#timeline li').count(), 2, 'what says the same is one line');
    t.regex(
      (await dialog.locator('#device-why').textContent())!,
      /another image.*no longer accepted: it has to be updated/,
    );
    await picture(tab, 'device');

    await dialog.getByRole('button', { name: 'Revoke …' }).click();
    await tab.keyboard.press('Enter');
    await dialog.getByText('Give a reason').waitFor();
    await dialog.getByLabel(/^Why/).fill('its meter was opened');
    await tab.keyboard.press('Enter');
    await dialog.getByText('Via Roma 10 gets no new passes').waitFor();
    t.deepEqual(parties.revoked, [], 'one press is not enough');
    await dialog.getByLabel(/^Revoke/).check();
    t.is(await dialog.locator('#confirmation').textContent(), '', 'another severity is another question');
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await dialog.getByText('is revoked for ever').waitFor();
    await picture(tab, 'revoke');
    await dialog.getByLabel(/^Suspend/).check();
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await dialog.getByRole('button', { name: 'Yes, suspend it' }).click();
    await dialog.getByText('The device is suspended: its meter was opened.').waitFor();
    const device = parties.devices[7].device;
    t.deepEqual(parties.revoked, [{ device, severity: 'suspended', reason: 'its meter was opened' }]);

    await dialog.getByRole('button', { name: 'Lift the suspension' }).click();
    await dialog.locator('#device-state', { hasText: 'Trusted' }).waitFor();
    await tab.keyboard.press('Escape');
    t.is(
      await tab.locator('#fleet-summary').textContent(),
      '59 of 64 devices are trusted. 2 want somebody to look at.',
    );
    t.deepEqual(faults, []);
  },
);

browse(`a party that is away is said, and what it said last stays; ${withChromium}`, async (t) => {
  const { tab, parties } = await open(t);
  parties.silent = { verifier: 'https://verifier: connection refused' };
  await tab.getByText('The verifier does not answer.').waitFor({ timeout: 15_000 });
  t.is(await tab.locator('#devices tbody tr').count(), 20);
  await tab.getByRole('button', { name: 'Via Roma 10', exact: true }).click();
  await tab.getByText('No answer: https://verifier: connection refused').waitFor();
  await tab.getByRole('button', { name: 'Revoke …' }).click();
  await tab.getByLabel(/^Why/).fill('gone');
  await tab.getByRole('button', { name: 'Continue' }).click();
  await tab.getByRole('button', { name: 'Yes, suspend it' }).click();
  await tab.getByText('Nothing is certain: https://verifier: connection refused.').waitFor();
  parties.silent = {};
  await tab.getByText('The verifier does not answer.').waitFor({ state: 'detached', timeout: 15_000 });
});

browse(`by keyboard alone: a device is found, opened and closed; ${withChromium}`, async (t) => {
  const { tab } = await open(t);
  const focused = () =>
    tab.evaluate('document.activeElement.id || document.activeElement.innerText.split("\\n")[0]') as Promise<string>;
  const order: string[] = [];
  for (let presses = 0; presses < 10; presses++) {
    await tab.keyboard.press('Tab');
    order.push(await focused());
  }
  t.deepEqual(order, [
    'Skip to the devices',
    'search',
    'All',
    'Failed',
    'Expired',
    'Suspended',
    'Revoked',
    'Never seen',
    'Trusted',
    'Via dei Mille 26',
  ]);
  await tab.keyboard.press('Enter');
  await tab.getByRole('dialog', { name: 'Via dei Mille 26' }).waitFor();
  await tab.keyboard.press('Escape');
  t.is(await focused(), 'Via dei Mille 26', 'the focus is where it was');
});

const LOOKS: Record<string, Look> = {
  desktop: { ...DESKTOP, width: 1280 },
  'desktop-dark': { ...DESKTOP, dark: true },
  phone: PHONE,
  'phone-dark': { ...PHONE, dark: true },
};
for (const [name, look] of Object.entries(LOOKS)) {
  browse(`${name}: nothing is cut off; ${withChromium}`, async (t) => {
    const { tab, page } = await open(t, look);
    const width = () => tab.evaluate('document.documentElement.scrollWidth');
    await picture(tab, name);
    t.is(await width(), look.width);
    await tab.getByRole('button', { name: 'Via Roma 10', exact: true }).click();
    await tab.locator('#timeline code').first().waitFor();
    await tab.screenshot({ path: join(SCREENSHOTS, `console-device-${name}.png`) });
    t.true(await tab.evaluate("((d) => d.scrollWidth <= d.clientWidth)(document.getElementById('device'))"));
    await tab.goto(`${page.url}/help`);
    t.is(await width(), look.width);
  });
}

// The server

async function openServer(t: { teardown(fn: () => Promise<void>): void }, parties = new MemoryParties()) {
  const made = await openTestConsole(parties);
  t.teardown(made.close);
  return { ...made, client: new Client(made) };
}
const json = (body: object, headers: Record<string, string> = {}) => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...headers },
});

test('without a login nothing of the fleet is seen and nothing is done', async (t) => {
  const { client, parties, password } = await openServer(t);
  const device = parties.devices[0].device;
  const revocation = { device, severity: 'revoked', reason: 'x' };
  t.is((await client.request('/api/overview')).status, 401);
  t.is((await client.request(`/api/device?device=${device}`)).status, 401);
  t.is((await client.request('/api/revoke', json(revocation))).status, 401);
  t.is((await client.request('/')).headers.location, '/login');
  await client.logIn(password);
  const foreign = await client.request('/api/revoke', json(revocation, { origin: 'https://example.org' }));
  t.is(foreign.status, 403);
  t.is((await client.request('/api/reinstate', json({ device }, { origin: 'null' }))).status, 403);
  t.deepEqual([parties.revoked, parties.asked], [[], []]);
});

test('what is malformed is refused by its field, what the verifier refuses with its sentence', async (t) => {
  const { client, parties, password, logged } = await openServer(t);
  await client.logIn(password);
  const { device } = parties.devices[0];
  const refused: [object, number, string, string][] = [
    [{}, 400, 'body.device', 'body.device is missing, unknown or of the wrong kind'],
    [{ device: '../x', severity: 'revoked', reason: 'x' }, 400, 'body.device', ''],
    [
      { device, severity: 'grave', reason: 'x' },
      400,
      'body.severity',
      'body.severity is none of advisory, suspended, revoked',
    ],
    [{ device, severity: 'revoked', reason: '  ' }, 400, 'body.reason', 'body.reason is empty'],
    [{ device, severity: 'revoked', reason: 'a\u0000b' }, 400, 'body.reason', ''],
    [{ device, severity: 'revoked', reason: 'x', more: 1 }, 400, 'body.more', ''],
    [{ device: 'abcd', severity: 'revoked', reason: 'x' }, 422, 'device', 'there is no device abcd'],
  ];
  for (const [body, status, path, error] of refused) {
    const answer = await client.request('/api/revoke', json(body));
    t.is(answer.status, status, answer.text);
    t.is(JSON.parse(answer.text).path, path);
    if (error) t.is(JSON.parse(answer.text).error, error);
  }
  t.deepEqual(parties.revoked, []);
  t.is((await client.request('/api/device?device=..')).status, 400);
  const good = { device, severity: 'advisory', reason: 'an old clamp' };
  t.is((await client.request('/api/revoke', json(good))).status, 200);
  t.deepEqual(parties.revoked, [good]);
  t.true(logged.includes(`${device}: advisory`));
  parties.silent = { verifier: 'the verifier is away' };
  const away = await client.request('/api/revoke', json(good));
  t.deepEqual([away.status, JSON.parse(away.text).error], [502, 'the verifier is away']);
});

test('many looks in one moment are one question; addresses and states go out, and nothing of a person', async (t) => {
  const parties = new MemoryParties();
  let questions = 0;
  const fleet = parties.fleet.bind(parties);
  parties.fleet = (look) => {
    questions++;
    return fleet(look);
  };
  const { client, password } = await openServer(t, parties);
  await client.logIn(password);
  const answers = await Promise.all(Array.from({ length: 8 }, () => client.request('/api/overview')));
  t.is(questions, 1);
  const overview = JSON.parse(answers[0].text);
  t.deepEqual(Object.keys(overview), ['fleet', 'releases', 'control', 'troubles']);
  t.is(overview.fleet.all.devices, 64);
  t.is(overview.fleet.devices.length, 20, 'no more than is looked at');
  t.is((await client.request('/api/overview?state=asleep')).status, 400);
  t.is((await client.request('/api/overview?most=5000')).status, 400);
  t.false(/Wh"|pseudonym|customer|bill"/i.test(answers[0].text));
});

test('a console without a provider shows no control messages', async (t) => {
  const parties = new MemoryParties();
  parties.controlSent = null;
  const { client, password } = await openServer(t, parties);
  await client.logIn(password);
  t.is(JSON.parse((await client.request('/api/overview')).text).control, null);
});

test('the console’s scripts pass the type checker', (t) => {
  const project = join(import.meta.dirname, '../../../operator/console/page/tsconfig.json');
  const compiler = join(import.meta.dirname, '../../../node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(compiler, ['-p', project, '--noEmit'], { encoding: 'utf8' });
  t.is(status, 0, stdout);
});
