/** Every document in every language, light and dark, on a desk and in a hand: axe-core finds nothing against WCAG 2.2 A and AA, or its best practices. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import anyTest, { type TestFn } from 'ava';
import type { Browser, Page as Tab } from 'playwright-core';
import { DESKTOP, hasChromium, type Look, launch, openContext, openTestPage, PHONE, withChromium } from './browser.ts';
import { furnishedHouse } from './house.ts';
import { MemoryHousehold } from './household.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
const browse = hasChromium ? test.serial : test.serial.skip;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

test.before(async (t) => {
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

/** What axe finds, a line each; by the debugger’s way in, since the page’s own policy lets no foreign script in. */
async function violations(tab: Tab): Promise<string[]> {
  await tab.evaluate(AXE);
  const found = await tab.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + ' ' + target.join(' ') + ': ' + failureSummary)))`);
  return found as string[];
}

const DIALOGS = ['calibration', 'setup', 'change', 'moving', 'record', 'naming', 'rules', 'clamp'];
const LOOKS: Record<string, Look> = {
  desktop: DESKTOP,
  'desktop, dark': { ...DESKTOP, dark: true },
  phone: PHONE,
  'phone, dark': { ...PHONE, dark: true },
};

for (const [name, look] of Object.entries(LOOKS)) {
  for (const language of ['en', 'de']) {
    browse(`${name}, ${language}: nothing that keeps people out; ${withChromium}`, async (t) => {
      const view = new MemoryHousehold();
      view.house = furnishedHouse();
      view.warnings = ['clamp looks reversed', 'sensor out of range'];
      const made = await openTestPage(view);
      const context = await openContext(t.context.browser, look, { locale: language === 'de' ? 'de-DE' : 'en-GB' });
      t.teardown(async () => {
        await context.close();
        await made.close();
      });
      const tab = await context.newPage();
      const check = async (what: string) => {
        t.is(await tab.evaluate('document.documentElement.lang'), language, what);
        t.deepEqual(await violations(tab), [], what);
        t.is(await tab.evaluate('document.documentElement.scrollWidth'), look.width, `${what}: nothing is cut off`);
      };
      await tab.goto(`${made.page.url}/login`);
      await check('login');
      await tab.locator('#password').fill(made.password);
      await tab.keyboard.press('Enter');
      await tab.locator('#chart svg').waitFor();
      await tab.locator('#found tbody tr').first().waitFor();
      await tab.locator('#appliance-list li').first().waitFor();
      view.measure(1240);
      await tab.locator('#now[data-flow="import"]').waitFor();
      await check('index');
      for (const id of look.dark ? [] : DIALOGS) {
        await tab.evaluate(`document.getElementById('${id}').showModal()`);
        await check(`dialog ${id}`);
        t.true(await tab.evaluate(`document.getElementById('${id}').contains(document.activeElement)`), `${id}: focus`);
        await tab.keyboard.press('Escape');
        t.false(await tab.evaluate(`document.getElementById('${id}').open`), `${id}: Escape closes it`);
      }
      for (const path of ['help', 'explained', 'password']) {
        await tab.goto(`${made.page.url}/${path}`);
        for (const summary of await tab.locator('summary').all()) await summary.click();
        await check(path);
      }
    });
  }
}

browse(`everything that can be pressed is reached by keyboard, and seen when it is; ${withChromium}`, async (t) => {
  const view = new MemoryHousehold();
  view.house = furnishedHouse();
  const made = await openTestPage(view);
  const context = await openContext(t.context.browser);
  t.teardown(async () => {
    await context.close();
    await made.close();
  });
  const tab = await context.newPage();
  await tab.goto(`${made.page.url}/login`);
  await tab.locator('#password').fill(made.password);
  await tab.keyboard.press('Enter');
  await tab.locator('#chart svg').waitFor();
  await tab.locator('#found tbody tr').first().waitFor();
  await tab.locator('#appliance-list li').first().waitFor();
  await tab.locator('#reports tbody tr').first().waitFor();
  const expected = (await tab.evaluate(
    `[...document.querySelectorAll('a[href], button, input, select, textarea, [tabindex="0"]')].filter((e) => e.checkVisibility() && !e.disabled).length`,
  )) as number;
  await tab.evaluate('document.activeElement.blur()');
  const reached = new Set<string>();
  for (let presses = 0; presses < expected; presses++) {
    await tab.keyboard.press('Tab');
    reached.add(
      (await tab.evaluate(`(() => {
        const element = document.activeElement;
        const all = [...document.querySelectorAll('*')];
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return all.indexOf(element) + ' ' + (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 ? 'seen' : 'unseen');
      })()`)) as string,
    );
  }
  t.is(reached.size, expected);
  t.true(expected > 20);
  t.deepEqual(
    [...reached].filter((one) => one.endsWith('unseen')),
    [],
  );
});
