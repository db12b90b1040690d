/**
 * Takes the README's picture of the customer's page: `node scripts/screenshot.ts [FILE]`, docs/page.png by default.
 * The household is the one that the page's tests use; nothing but Chromium is needed.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasChromium, launch, logIn, openContext, openTestPage } from '../test/page/browser.ts';

const file = process.argv[2] ?? join(import.meta.dirname, '../docs/page.png');
if (!hasChromium) {
  console.error('screenshot: there is no Chromium (set CHROMIUM to its path)');
  process.exit(1);
}
mkdirSync(dirname(file), { recursive: true });
const made = await openTestPage();
const browser = await launch();
try {
  const tab = await (await openContext(browser, { width: 1120, height: 1230 })).newPage();
  await logIn(tab, made);
  made.view.measure(1240);
  await tab.locator('#now-value', { hasText: '1.24' }).waitFor();
  await tab.screenshot({ path: file });
} finally {
  await browser.close();
  await made.close();
}
console.log(`${file}: ${Math.round(statSync(file).size / 1000)} kB`);
