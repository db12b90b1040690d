/** One page in several languages: the same texts in each, none left in documents and scripts, chosen by the browser or by the reader. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { Browser, Page as Tab } from 'playwright-core';
import { DOCUMENT_TEXTS as OWN } from '../../gateway/web/page/texts/documents.ts';
import { preferred } from '../../web/languages.ts';
import { DOCUMENT_TEXTS as SHARED } from '../../web/texts/texts.ts';
import { DESKTOP, hasChromium, launch, openContext, openTestPage, withChromium } from './browser.ts';
import { furnishedHouse } from './house.ts';
import { MemoryHousehold } from './household.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
const browse = hasChromium ? test.serial : test.serial.skip;
const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'gateway/web/page');
const SHARED_PAGE = join(ROOT, 'web/page');
const SCREENSHOTS = join(ROOT, 'build/screenshots');

test.before(async (t) => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

test('every language has the same texts of documents, with the same values and marks in them', (t) => {
  for (const texts of [OWN, SHARED]) {
    const [english, ...others] = Object.entries(texts);
    t.true(others.length > 0);
    for (const [language, other] of others) {
      t.deepEqual(Object.keys(other).sort(), Object.keys(english[1]).sort(), language);
      for (const [key, text] of Object.entries(other)) {
        const marks = (html: string) =>
          (html.match(/<[^>]+>/g) ?? []).filter((mark) => !/^<\/?(em|strong)>$/.test(mark));
        t.deepEqual(marks(text), marks(english[1][key]), `${language} ${key}`);
        // the machine is called what it is: only the gateway's page speaks German
        const values = (html: string) => [...new Set(html.match(/\{\{\w+\}\}/g))].filter((v) => v !== '{{machine}}');
        t.deepEqual(values(text).sort(), values(english[1][key]).sort(), `${language} ${key}`);
        t.not(text.trim(), '');
      }
    }
  }
});

/** Text between tags, and in attributes that people read, is a key or nothing. */
test('no text stands in the documents themselves', (t) => {
  const allowed =
    /^(kWh?|W|Windows \(Chrome, Edge\)|macOS \(Safari, Chrome\)|Linux \(Chrome, Chromium\)|Android|\d\d:\d\d–\d\d:\d\d)$/;
  const documents = [PAGE, SHARED_PAGE].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.html'))
      .map((name) => join(folder, name)),
  );
  t.true(documents.length >= 7);
  const used = new Set<string>();
  for (const file of documents) {
    const html = readFileSync(file, 'utf8');
    for (const [, key] of html.matchAll(/\{\{t:([\w.-]+)\}\}/g)) used.add(key);
    const bare = html.replace(/<!--[\s\S]*?-->|<(pre|code)[\s\S]*?<\/\1>|<dt>\/api[^<]*<\/dt>/g, '');
    const texts = bare
      .split(/<[^>]*>/)
      .map((text) => text.replace(/\{\{[^}]*\}\}|&\w+;/g, '').trim())
      .filter((text) => /\p{L}/u.test(text) && !allowed.test(text));
    t.deepEqual(texts, [], file);
    for (const [attribute, value] of bare.matchAll(/(?:aria-label|aria-valuetext|placeholder|title|alt)="([^"]*)"/g))
      t.notRegex(value.replace(/\{\{[^}]*\}\}/g, ''), /\p{L}/u, `${file}: ${attribute}`);
  }
  const said = new Set(['language', ...[...used]]);
  const spoken = /^(login|password)\.(wrong|wait|too|differ)/; // by web/login/routes.ts
  const unused = [...Object.keys(OWN.en), ...Object.keys(SHARED.en)].filter(
    (key) => !said.has(key) && !spoken.test(key),
  );
  t.deepEqual(unused, [], 'and none is kept for nothing');
});

/** What looks like words in a string: two words with a space, or a sentence’s end. Classes and selectors have none of that. */
test('no text stands in the scripts themselves', (t) => {
  const known =
    /^(use strict|area (import|export)|tick (end|start|middle)|empty middle|state |in force|to come|change of provider|moving out|not initialised|load too small|#?[\w-]+ [\w-]+\s*=)/;
  for (const name of readdirSync(PAGE).filter((file) => file.endsWith('.ts'))) {
    if (name === 'obis.ts') continue; // English, for scripts; the page has them in its texts
    const source = readFileSync(join(PAGE, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '');
    const strings = [...source.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)].map(([, a, b]) => a ?? b);
    const words = strings
      .map((text) => text.replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, ''))
      .filter((text) => /\p{L}{2,} \p{L}{2,}|\p{L}{3,}[.!?:…]$|^\p{Lu}\p{Ll}{3,}$/u.test(text) && !known.test(text))
      .filter(
        (text) => !/^(Arrow(Left|Right|Up|Down)|Page(Up|Down)|Home|Escape)$|^\/api\/|^(personal|letter)\.$/.test(text),
      );
    t.deepEqual(words, [], name);
  }
});

test('the browser’s languages, as it weighs them', (t) => {
  const of = (header: string) => preferred(header, ['en', 'de']);
  t.is(of('de'), 'de');
  t.is(of('de-AT,de;q=0.9,en;q=0.8'), 'de');
  t.is(of('fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5'), 'en');
  t.is(of('en;q=0.2, de;q=0.8'), 'de');
  t.is(of('de;q=0'), undefined);
  t.is(of('fr'), undefined);
  t.is(of(''), undefined);
  t.is(of(';;,,q=,de;q=x'), undefined);
  t.is(of(`${'x,'.repeat(10_000)}de`), undefined, 'only so much of it is read');
});

async function open(t: { context: { browser: Browser }; teardown(fn: () => Promise<void>): void }, locale: string) {
  const view = new MemoryHousehold();
  view.house = furnishedHouse();
  view.warnings = ['sensor out of range', 'something that only the gateway knows'];
  const made = await openTestPage(view);
  const context = await openContext(t.context.browser, DESKTOP, { locale });
  t.teardown(async () => {
    await context.close();
    await made.close();
  });
  const tab = await context.newPage();
  await tab.goto(`${made.page.url}/login`);
  return { ...made, context, tab, view };
}

async function enter(tab: Tab, password: string): Promise<void> {
  await tab.locator('#password').fill(password);
  await tab.keyboard.press('Enter');
  await tab.locator('#chart svg').waitFor();
  await tab.locator('#found tbody tr').first().waitFor();
  await tab.locator('#appliance-list li').first().waitFor();
  await tab.locator('#told tbody tr').first().waitFor();
  await tab.locator('#reports tbody tr').first().waitFor();
}

browse(`German from the login on: words, numbers, dates, money; ${withChromium}`, async (t) => {
  const { tab, view, password } = await open(t, 'de-DE');
  await tab.locator('#password').fill('falsch');
  await tab.keyboard.press('Enter');
  await tab.getByText('Das ist nicht das Passwort.').waitFor();
  await enter(tab, password);
  view.measure(1240);
  await tab.locator('#now-value', { hasText: '1,24' }).waitFor();
  const text = async (selector: string) => (await tab.locator(selector).first().textContent())!;
  t.is(await text('#now-says'), 'Sie beziehen');
  t.is(await text('#day-title'), 'Heute, Donnerstag, 18. Juni');
  t.is(await text('#bill-title'), 'Rechnung für Juni 2026');
  t.is((await text('#bill-total')).replace(/\s/g, ' '), '26,72 €');
  t.is(await text('#bill-price'), 'Eine kWh kostet jetzt 24,3 ct; für eine, die Sie einspeisen, bekommen Sie 8,15 ct.');
  t.is(
    await text('#left-summary'),
    'Heute haben 73 versiegelte Messwerte dieses Haus verlassen (1 noch nicht bestätigt, 1 noch hier). Jeder für eine Viertelstunde, und sonst nichts.',
  );
  t.regex(await text('#assurances'), /Erledigt\. Pseudonyme für 33 weitere Tage/);
  t.regex(await text('[data-code="1-0:1.8.0"]'), /^4\.218,37\d kWh$/);
  await tab.getByText('Der Messfühler ist außerhalb seines Bereichs.').waitFor();
  // what only the gateway can say is English, and marked so
  t.is(await text('.notice [lang="en"]'), 'something that only the gateway knows.');
  t.is(await tab.locator('[data-appliance="wallbox"] [lang="en"]').count(), 1);
  await tab.screenshot({ path: join(SCREENSHOTS, 'house-german.png'), fullPage: true });
});

browse(`what a reader chooses is kept, over logins and for every document; ${withChromium}`, async (t) => {
  const { tab, context, page, password } = await open(t, 'fr-FR');
  const language = () => tab.evaluate('document.documentElement.lang');
  t.is(await language(), 'en', 'a language that there is not');
  await tab.getByRole('link', { name: 'Deutsch' }).click();
  t.is(new URL(tab.url()).pathname + new URL(tab.url()).search, '/login');
  t.is(await language(), 'de');
  await enter(tab, password);
  t.is(await language(), 'de');
  await tab.goto(`${page.url}/explained`);
  await tab.getByRole('heading', { name: 'Wie Ihre Rechnung entsteht' }).waitFor();
  await tab.getByRole('link', { name: 'English' }).click();
  await tab.getByRole('heading', { name: 'How your bill comes about' }).waitFor();
  t.is(new URL(tab.url()).pathname, '/explained');
  const [cookie] = (await context.cookies()).filter(({ name }) => name === '__Host-quietmeter-language');
  t.like(cookie, { value: 'en', secure: true, httpOnly: true, sameSite: 'Lax' });
  await tab.goto(`${page.url}/help?language=xx`);
  t.is(await language(), 'en', 'one that there is not changes nothing');
});

/** Every text node with words in it, and every label, but for those that are marked as another language’s. */
const TEXTS = `(() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!parent.closest('[lang]:not(html), script, code')) found.push(walk.currentNode.textContent.trim());
  }
  for (const element of document.querySelectorAll('[aria-label], [title]')) {
    if (!element.closest('[lang]:not(html)')) found.push(element.getAttribute('aria-label') ?? element.getAttribute('title'));
  }
  return found.filter((text) => /\\p{L}{3,}/u.test(text));
})()`;

browse(`beside names, nothing reads alike in both languages; ${withChromium}`, async (t) => {
  const read = async (locale: string): Promise<string[]> => {
    const { tab, view, page, password } = await open(t, locale);
    const texts = (await tab.evaluate(TEXTS)) as string[];
    await enter(tab, password);
    view.measure(1240);
    await tab.locator('#now[data-flow="import"]').waitFor();
    texts.push(...((await tab.evaluate(TEXTS)) as string[]));
    for (const path of ['help', 'explained', 'password']) {
      await tab.goto(`${page.url}/${path}`);
      texts.push(...((await tab.evaluate(TEXTS)) as string[]));
    }
    return texts;
  };
  const [english, german] = [new Set(await read('en-GB')), await read('de-DE')];
  t.true(english.size > 100 && german.length > 100, `${english.size} and ${german.length}`);
  const data =
    /^(quietmeter at .*|Via del Sole 12|Quiet Power|Kettle|Car in the yard|Boiler in the cellar|\d[\d.,]* kWh?)$/;
  const same =
    /^(Name|Pseudonym|Software|Windows \(Chrome, Edge\)|macOS \(Safari, Chrome\)|Linux \(Chrome, Chromium\)|Android|kWh|\/api\/.*|data-fill)$/;
  const alike = [...new Set(german)].filter((text) => english.has(text) && !data.test(text) && !same.test(text));
  t.deepEqual(alike, []);
});
