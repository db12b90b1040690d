/**
 * Takes the README's pictures: `node scripts/screenshot.ts`, docs/page.png (the customer's page) and docs/console.png (the grid
 * operator's console). Household and fleet are those of the pages' tests; nothing but Chromium is needed.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Page as Tab } from 'playwright-core';
import { logInToConsole, openTestConsole } from '../test/operator/console/fleet.ts';
import { hasChromium, launch, logIn, openContext, openTestPage } from '../test/page/browser.ts';

const docs = join(import.meta.dirname, '../docs');
if (!hasChromium) {
  console.error('screenshot: there is no Chromium (set CHROMIUM to its path)');
  process.exit(1);
}
mkdirSync(docs, { recursive: true });
const browser = await launch();

/** The page from its top down to the end of `last`. */
async function picture(tab: Tab, file: string, last: string): Promise<void> {
  const { width } = tab.viewportSize()!;
  const { y, height } = (await tab.locator(last).boundingBox())!;
  const path = join(docs, file);
  await tab.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width, height: y + height + 20 } });
  console.log(`${path}: ${Math.round(statSync(path).size / 1000)} kB`);
}
const open = async (width: number): Promise<Tab> => (await openContext(browser, { width, height: 1000 })).newPage();

const household = await openTestPage();
const operator = await openTestConsole();
try {
  const page = await open(1000);
  await logIn(page, household);
  household.view.measure(1240);
  await page.locator('#now-value', { hasText: '1.24' }).waitFor();
  await picture(page, 'page.png', '#today');

  const fleet = await open(1200);
  await logInToConsole(fleet, operator);
  await picture(fleet, 'console.png', '#devices tbody tr:nth-child(12)');
} finally {
  await browser.close();
  await household.close();
  await operator.close();
}
