import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { Browser, Page as Tab } from 'playwright-core';
import { startPage } from '../../gateway/web/server.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import {
  DESKTOP,
  hasChromium,
  type Look,
  launch,
  logIn,
  openContext,
  openTestPage,
  PHONE,
  withChromium,
} from './browser.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
/** Real browsers on two cores: one test after the other. */
const browse = hasChromium ? test.serial : test.serial.skip;
const SCREENSHOTS = join(import.meta.dirname, '../../build/screenshots');
const hasCertutil = spawnSync('certutil', ['--help']).error === undefined;

test.before(async (t) => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

/** A household's page, and a browser that is logged in on it and keeps a record of whatever goes wrong. */
async function open(
  t: { context: { browser: Browser }; teardown(fn: () => Promise<void>): void },
  look: Look = DESKTOP,
) {
  const made = await openTestPage();
  const context = await openContext(t.context.browser, look);
  t.teardown(async () => {
    await context.close();
    await made.close().catch(() => {}); // Closed by the test already.
  });
  const faults: string[] = [];
  const requested = new Set<string>();
  context.on('request', (request) => void requested.add(request.url()));
  context.on('weberror', (error) => void faults.push(error.error().message));
  context.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())));
  const tab = await context.newPage();
  return { ...made, context, tab, faults, requested };
}

const picture = (tab: Tab, name: string) => tab.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
const figure = async (tab: Tab) => (await tab.locator('.figure').textContent())!;

browse(`log in, see power in words, feed in, log out; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, view, page, faults } = made;
  await tab.goto(page.url);
  t.is(new URL(tab.url()).pathname, '/login');
  await picture(tab, 'login');
  await tab.getByLabel('Password').fill('wrong');
  await tab.keyboard.press('Enter');
  await tab.getByText('That is not the password.').waitFor();
  faults.length = 0; // The refusal itself is logged by the browser.
  await logIn(tab, made);

  view.measure(1240);
  await tab.getByText('1.24').first().waitFor();
  t.regex(await figure(tab), /You are drawing\s*1\.24\s*kW\s*from the grid\s*Live, one value per second/);
  t.is(await tab.title(), '1.24 kW · Via del Sole 12');
  view.measure(-842);
  await tab.locator('#now-says', { hasText: 'You are feeding' }).waitFor();
  t.regex(await figure(tab), /You are feeding\s*842\s*W\s*into the grid/);
  t.is(await tab.title(), '−842 W · Via del Sole 12');
  t.is(await tab.locator('[data-code="1-0:16.7.0"]').textContent(), '-842 W');
  t.is(await tab.locator('[data-code="1-0:1.8.0"]').textContent(), '4,218.379 kWh');
  view.measure(2);
  await tab.locator('#now-says', { hasText: 'Almost nothing flows' }).waitFor();

  await tab.getByRole('button', { name: 'Log out' }).click();
  await tab.getByLabel('Password').waitFor();
  await tab.goBack();
  await tab.waitForURL('**/login');
  t.deepEqual(faults, []);
});

browse(`the day as a chart: import above, export below, the gap hatched, days before; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab } = made;
  await logIn(tab, made);
  const box = async (selector: string) => (await tab.locator(selector).first().boundingBox())!;
  const axis = await box('#chart .axis');
  for (const area of await tab.locator('#chart .area.import').all()) {
    const { y, height } = (await area.boundingBox())!;
    t.true(y + height <= axis.y + 1.5, 'drawn energy stands above the axis');
  }
  for (const area of await tab.locator('#chart .area.export').all()) {
    t.true((await area.boundingBox())!.y >= axis.y - 1.5, 'energy fed in hangs below it');
  }
  t.is(await tab.locator('#chart .area.export').count(), 2, 'a gap parts the day');
  const gap = await box('#chart rect.gap');
  t.true(Math.abs(gap.width / axis.width - 25 / 1440) < 0.003, 'as wide as it lasted');

  await tab.mouse.move(gap.x + gap.width / 2, axis.y);
  t.regex((await tab.locator('#readout').textContent())!, /^11:5\d · no data$/);
  await tab.mouse.move(axis.x + axis.width * (14 / 24), axis.y);
  t.regex((await tab.locator('#readout').textContent())!, /^14:0\d · fed in \d\.\d\d kW$/);
  await tab.mouse.move(axis.x + axis.width * (23 / 24), axis.y);
  t.regex((await tab.locator('#readout').textContent())!, /^23:0\d · still to come$/);

  t.is(await tab.locator('#day-title').textContent(), 'Today, Thursday 18 June');
  await tab.getByRole('button', { name: 'Day before' }).click();
  await tab.getByRole('heading', { name: 'Wednesday 17 June' }).waitFor();
  await tab.getByRole('button', { name: 'Day before' }).click();
  await tab.getByText('Nothing was recorded').waitFor();
  await tab.getByText('On this day nothing left this house.').waitFor();
  await tab.getByRole('button', { name: 'Today', exact: true }).click();
  await tab.getByRole('heading', { name: 'Today, Thursday 18 June' }).waitFor();
  t.true(await tab.getByRole('button', { name: 'Day after' }).isDisabled());
  await tab.getByRole('button', { name: '24 hours' }).click();
  await tab.getByRole('heading', { name: 'Last 24 hours' }).waitFor();
  await tab.getByText(/^In the last 24 hours \d\d sealed readings left this house/).waitFor();
  await tab.getByRole('button', { name: 'Today', exact: true }).click();
  await tab.getByRole('heading', { name: 'Today, Thursday 18 June' }).waitFor();
  const [download] = await Promise.all([
    tab.waitForEvent('download'),
    tab.getByRole('link', { name: 'this day' }).click(),
  ]);
  t.is(download.suggestedFilename(), 'Via-del-Sole-12_2026-06-17_2026-06-18.csv');
});

browse(`what left this house, to whom and when, and what still waits; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, view } = made;
  await logIn(tab, made);
  t.is(
    await tab.locator('#left-summary').textContent(),
    'So far today 73 sealed readings left this house (1 not yet confirmed, 1 still waiting here). One quarter hour each, and nothing else.',
  );
  const row = async (index: number) => (await tab.locator('#reports tbody tr').nth(index).textContent())!;
  t.regex(await row(0), /^19:00–19:15\d+ Wh0 WhWaiting here$/);
  t.regex(await row(1), /^18:45–19:00\d+ Wh0 WhSent, unconfirmed$/);
  t.regex(await row(2), /^18:30–18:45\d+ Wh0 WhDelivered 18:45:0\d$/);
  t.is(await tab.locator('#strip i').count(), 96);
  t.is(await tab.locator('#strip i.none').count(), 3, 'the gap of twenty-five minutes touches three quarter hours');
  t.is(await tab.locator('#reports tbody tr:visible').count(), 6);
  await tab.getByRole('button', { name: 'Show all 74' }).click();
  t.is(await tab.locator('#reports tbody tr:visible').count(), 74);

  view.state = { meter: true, grid: false, pendingReports: 3 };
  view.measure(500);
  await tab.getByText('The grid side cannot be reached.').waitFor();
  await tab.getByText('3 readings wait here and will be sent as soon as it answers again.').waitFor();
  await tab.getByText('(3 still waiting here)').waitFor();
  view.state = { meter: true, grid: true, pendingReports: 0 };
  view.measure(500);
  await tab.getByText('74 sealed readings left this house, all confirmed').waitFor();
  t.is(await tab.locator('.notice').count(), 0);

  view.refused.add(slotOf(view.nowMs()) - 1);
  view.state = { ...view.state, pendingReports: 1 };
  view.measure(500);
  await tab.getByText('(1 refused by the collector)').waitFor();
  t.regex(await row(0), /Refused$/);
});

browse(`three phases: each below their sum; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, view } = made;
  view.phases = [
    { powerW: 2300, voltageV: 230.4, currentA: 9.98 },
    { powerW: -3450, voltageV: 231, currentA: 14.94 },
    { powerW: 460, voltageV: 229.6, currentA: 2 },
  ];
  await logIn(tab, made);
  view.measure(-690);
  await tab.locator('[data-phase="3"]').waitFor();
  t.deepEqual(await tab.locator('[data-phase]').allTextContents(), [
    'Phase L11-0:36.7.02,300 W · 230.4 V · 9.98 A',
    'Phase L21-0:56.7.0-3,450 W · 231.0 V · 14.94 A',
    'Phase L31-0:76.7.0460 W · 229.6 V · 2.00 A',
  ]);
  t.is(await tab.locator('[data-code="1-0:16.7.0"]').textContent(), '-690 W');
  view.phases = [];
  view.measure(500);
  await tab.locator('[data-phase]').first().waitFor({ state: 'detached' });
});

browse(`a silent meter is said, and its last value is never shown as the present; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, view } = made;
  await logIn(tab, made);
  view.measure(1240);
  await tab.getByText('1.24').first().waitFor();
  view.state = { ...view.state, meter: false };
  view.pass(18 * 60_000);
  await tab.getByText('The meter is silent.').waitFor({ timeout: 15_000 });
  t.regex(
    await figure(tab),
    /You were drawing\s*1\.24\s*kW\s*from the grid\s*Not current: 18 minutes old, from 19:16:21/,
  );
  t.is(await tab.title(), 'No live value · Via del Sole 12');
  t.is(await tab.locator('#spoken').textContent(), 'The value shown is no longer current');
  await picture(tab, 'stale');
  view.state = { ...view.state, meter: true };
  view.measure(300);
  await tab.locator('#now-says', { hasText: 'You are drawing' }).waitFor();
});

browse(`after a restart of the gateway the page goes on by itself, still logged in; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, view, page, dataDir } = made;
  await logIn(tab, made);
  await page.close();
  await tab.getByText('This page has lost its gateway.').waitFor();
  const port = Number(new URL(page.url).port);
  const again = await startPage({ view, dataDir, port, host: '127.0.0.1' });
  t.teardown(() => again.close());
  await tab.getByText('This page has lost its gateway.').waitFor({ state: 'detached', timeout: 20_000 });
  view.measure(-555);
  await tab.getByText('555').first().waitFor();
  t.is(new URL(tab.url()).pathname, '/');
});

browse(`eight tabs at once all get every live value; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { context, view, page, tab } = made;
  await logIn(tab, made);
  const tabs = [tab];
  while (tabs.length < 8) tabs.push(await context.newPage());
  await Promise.all(tabs.slice(1).map((other) => other.goto(page.url)));
  await Promise.all(tabs.map((each) => each.locator('#chart svg').waitFor()));
  for (const watts of [611, 622, 633]) {
    view.measure(watts);
    await Promise.all(tabs.map((each) => each.locator('#now-value', { hasText: String(watts) }).waitFor()));
  }
  const protocol = await tab.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol");
  t.is(protocol, 'h2', 'over HTTP/1.1 the seventh tab would hang');
  t.is(view.listeners, 1, 'the household is listened to once for all of them');
});

browse(`the clamp check, guided, by keyboard alone; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, view } = made;
  await tab.goto(made.page.url);
  await tab.locator('#password:focus').waitFor(); // By itself.
  await tab.keyboard.type(made.password);
  await tab.keyboard.press('Enter');
  await tab.locator('#chart svg').waitFor();
  view.warnings = ['clamp looks reversed'];
  view.measure(-1980);
  await tab.getByText('The clamp looks reversed.').waitFor();

  const focused = () =>
    tab.evaluate(
      "document.activeElement.id === 'chart' ? 'chart' : document.activeElement.innerText",
    ) as Promise<string>;
  const order: string[] = [];
  for (let presses = 0; presses < 20; presses++) {
    await tab.keyboard.press('Tab');
    const name = await focused();
    order.push(name);
    if (name === 'Log out') break;
  }
  t.deepEqual(order, [
    'Skip to the chart',
    'Check the clamp …',
    '24 hours',
    '‹',
    'Today',
    'chart',
    'this day',
    'last 12 months',
    'Show all 74',
    'Check the clamp …',
    'Calibrate …',
    'English',
    'Deutsch',
    'Bill and privacy explained',
    'Help',
    'Change password',
    'Log out',
  ]);
  await tab.locator('#chart').focus();
  await tab.keyboard.press('End');
  await tab.keyboard.press('PageDown');
  t.regex((await tab.locator('#chart').getAttribute('aria-valuetext'))!, /^18:1\d · /);
  await tab.keyboard.press('Home');
  t.regex((await tab.locator('#chart').getAttribute('aria-valuetext'))!, /^00:00 · drew \d+ W$/);

  await tab.getByRole('button', { name: 'Check the clamp …' }).first().focus();
  await tab.keyboard.press('Enter');
  await tab.getByRole('dialog', { name: 'Is the clamp the right way round?' }).waitFor();
  view.verdict = { verdict: 'reversed', powerW: -1980, powerFactor: 0.99 };
  await tab.getByRole('button', { name: 'Check now' }).press('Enter');
  await tab.getByText('The clamp is the wrong way round: the meter sees 1.98 kW flowing out').waitFor();
  await picture(tab, 'clamp');
  view.verdict = { verdict: 'load too small', powerW: 120, powerFactor: 0.7 };
  await tab.keyboard.press('Enter'); // The focus is on `Check now` again.
  await tab.getByText('Only 120 W flow just now').waitFor();
  await tab.keyboard.press('Escape');
  t.false(await tab.getByRole('dialog').isVisible());
});

browse(`no request leaves the house; ${withChromium}`, async (t) => {
  const made = await open(t);
  const { tab, page, view, requested, faults } = made;
  await logIn(tab, made);
  view.measure(100);
  for (const path of ['/help', '/password', '/']) await tab.goto(page.url + path, { waitUntil: 'load' });
  await tab.locator('#chart svg').waitFor();
  const origins = new Set([...requested].map((url) => new URL(url).origin));
  t.deepEqual([...origins], [page.url]);
  t.true(requested.size > 10, 'the record did record');
  t.deepEqual(faults, []);
  // And were a script to try, the browser would refuse.
  const outcome = await tab.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')");
  t.is(outcome, 'refused');
  t.regex(faults.join(' '), /Content Security Policy/);
});

const LOOKS: Record<string, Look> = {
  desktop: DESKTOP,
  'desktop-dark': { ...DESKTOP, dark: true },
  phone: PHONE,
  'phone-dark': { ...PHONE, dark: true },
};
for (const [name, look] of Object.entries(LOOKS)) {
  browse(`${name}: nothing is cut off, colours stand out, text is readable; ${withChromium}`, async (t) => {
    const made = await open(t, look);
    const { tab, view, page } = made;
    await logIn(tab, made);
    view.measure(1240);
    await tab.getByText('1.24').first().waitFor();
    await picture(tab, name);
    const width = () => tab.evaluate('document.documentElement.scrollWidth');
    t.is(await width(), look.width);
    for (const [what, ratio] of Object.entries(await contrasts(tab)))
      t.true(ratio >= 4.5, `${what}: ${ratio.toFixed(2)}`);
    await tab.goto(`${page.url}/help`);
    for (const summary of await tab.locator('summary').all()) await summary.click();
    await picture(tab, `help-${name}`);
    t.is(await width(), look.width);
  });
}

/** Contrast (WCAG 2) of texts against the colours behind them. */
function contrasts(tab: Tab): Promise<Record<string, number>> {
  return tab.evaluate(`(() => {
    const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = (colour) => {
      const [r, g, b] = rgb(colour).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const of = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    const probe = (name) => {
      const element = document.createElement('p');
      element.style.color = 'var(' + name + ')';
      document.body.append(element);
      const colour = getComputedStyle(element).color;
      element.remove();
      return colour;
    };
    const found = {};
    for (const [front, back] of [
      ['--ink', '--paper'], ['--ink', '--card'], ['--soft', '--paper'], ['--soft', '--card'], ['--soft', '--import-wash'],
      ['--soft', '--export-wash'], ['--import', '--import-wash'], ['--export', '--export-wash'], ['--alarm', '--alarm-wash'],
      ['--good', '--card'], ['--good', '--paper'], ['--on-button', '--button'],
    ]) found[front + ' on ' + back] = of(probe(front), probe(back));
    return found;
  })()`);
}

const trusting = hasChromium && hasCertutil ? test.serial : test.serial.skip;
const trustTitle = hasCertutil ? withChromium : 'in Chromium (skipped: there is no certutil of libnss3-tools)';
trusting(
  `the help’s commands make a browser trust the gateway, and without them it does not; ${trustTitle}`,
  async (t) => {
    const { page, tab } = await open(t);
    await tab.goto(`${page.url}/help`);
    const commands = (await tab.locator('#linux').textContent())!;
    const home = mkdtempSync(join(tmpdir(), 'quietmeter-home-'));
    t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
    const [download] = await Promise.all([
      tab.waitForEvent('download'),
      tab.getByRole('link', { name: 'Download the certificate' }).click(),
    ]);
    await download.saveAs(join(home, download.suggestedFilename()));

    const visit = async () => {
      const browser = await launch({ HOME: home });
      try {
        const context = await openContext(browser, DESKTOP, { ignoreHTTPSErrors: false });
        const stranger = await context.newPage();
        await stranger.goto(`${page.url}/help`);
        return await stranger.title();
      } catch (error) {
        return /net::\w+/.exec((error as Error).message)?.[0];
      } finally {
        await browser.close();
      }
    };
    t.is(await visit(), 'net::ERR_CERT_AUTHORITY_INVALID');
    execFileSync('bash', ['-e', '-c', commands], { cwd: home, env: { ...process.env, HOME: home } });
    t.is(await visit(), 'Help · Via del Sole 12');
  },
);

test('the page’s scripts pass the type checker', (t) => {
  const project = join(import.meta.dirname, '../../gateway/web/page/tsconfig.json');
  const compiler = join(import.meta.dirname, '../../node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(compiler, ['-p', project, '--noEmit'], { encoding: 'utf8' });
  t.is(status, 0, stdout);
});
