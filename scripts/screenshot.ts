/**
 * Takes the README's picture of the customer's page: `node scripts/screenshot.ts [FILE]`, docs/page.png by default.
 * The household is the one that the page's tests use; nothing but Chromium is needed.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasChromium, launch, logIn, openContext, openTestPage } from '../test/page/browser.ts';

const WIDTH = 1000;
const file = process.argv[2] ?? join(import.meta.dirname, '../docs/page.png');
if (!hasChromium) {
  console.error('screenshot: there is no Chromium (set CHROMIUM to its path)');
  process.exit(1);
}
mkdirSync(dirname(file), { recursive: true });
const made = await openTestPage();
const browser = await launch();
try {
  const tab = await (await openContext(browser, { width: WIDTH, height: 1000 })).newPage();
  await logIn(tab, made);
  made.view.measure(1240);
  await tab.locator('#now-value', { hasText: '1.24' }).waitFor();
  const card = (await tab.locator('#today').boundingBox())!;
  await tab.screenshot({ path: file, clip: { x: 0, y: 0, width: WIDTH, height: card.y + card.height + 20 } });
} finally {
  await browser.close();
  await made.close();
}
console.log(`${file}: ${Math.round(statSync(file).size / 1000)} kB`);
