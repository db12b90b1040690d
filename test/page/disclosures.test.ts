/** Consent on the page: what the provider asks, what the customer tells, what the ledger refuses, and what was told. */
import anyTest, { type TestFn } from 'ava';
import type { Browser } from 'playwright-core';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { DESKTOP, hasChromium, launch, logIn, openContext, openTestPage, withChromium } from './browser.ts';
import { furnishedHouse } from './house.ts';
import { DAY_START_MS, MemoryHousehold } from './household.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
const browse = hasChromium ? test.serial : test.serial.skip;
test.before(async (t) => {
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

const FIRST = 96 * Math.floor(Date.UTC(2026, 5, 16) / 86_400_000);

function asked(): MemoryHousehold {
  const view = new MemoryHousehold();
  view.house = furnishedHouse();
  const period = { firstSlot: FIRST, endSlot: FIRST + 96, fromMs: FIRST * 900_000, toMs: (FIRST + 96) * 900_000 };
  view.told = {
    told: [
      {
        ...{ name: 'the bill of 2026-05', party: 'Energia Chiara', kind: 'bill', valueMwh: null, atMs: null },
        ...{ madeMs: DAY_START_MS, told: true },
      },
    ],
    questions: [{ id: 7, kind: 'day', register: 'import', ...period, why: 'a new boiler' }],
  };
  return view;
}

browse(`a question is answered, something is told, a refusal is shown with its reason; ${withChromium}`, async (t) => {
  const view = asked();
  const made = await openTestPage(view);
  const context = await openContext(t.context.browser, DESKTOP);
  context.setDefaultTimeout(12_000);
  t.teardown(async () => {
    await context.close();
    await made.close();
  });
  const tab = await context.newPage();
  await logIn(tab, made);
  const section = tab.locator('#disclosures');
  await section.waitFor();
  const said = (await section.textContent())!;
  t.regex(said, /It does not see what you drew or fed in/);
  t.regex(said, /Your provider asks: A day, what was drawn, 16 Jun 2026, 00:00 to 17 Jun 2026, 00:00/);
  t.regex(said, /It says why: a new boiler/);
  t.regex((await tab.locator('#disclosures-told tbody').textContent())!, /Bill: the bill of 2026-05on the bill/);

  await section.getByRole('button', { name: 'Do not' }).click();
  while (view.answers.length < 1) await tab.waitForTimeout(10);
  await section.locator('[data-question]').getByRole('button', { name: 'Tell it' }).click();
  while (view.answers.length < 2) await tab.waitForTimeout(10);
  await section.locator('summary').click();
  await tab.locator('#disclose-kind').selectOption('reading');
  await tab.locator('#disclose-form button').click();
  t.regex((await tab.locator('#disclose-fault').textContent())!, /Nothing was told: a date and a time are missing/);
  await tab.locator('#disclose-when').fill('2026-06-16T10:15');
  await tab.locator('#disclose-form button').click();
  while (view.answers.length < 3) await tab.waitForTimeout(10);
  t.deepEqual(view.answers, [
    { request: 7 },
    { kind: 'day', register: 'import', firstSlot: FIRST, endSlot: FIRST + 96, request: 7 },
    { kind: 'reading', register: 'import', firstSlot: FIRST + 41, endSlot: FIRST + 42, request: null },
  ]);
  view.disclose = async () => {
    throw new MalformedError('disclosure', 'it would tell the import of one quarter hour');
  };
  await tab.locator('#disclose-form button').click();
  await tab.locator('#disclose-fault', { hasText: 'it would tell the import of one quarter hour' }).waitFor();
  const [file] = await Promise.all([
    tab.waitForEvent('download'),
    section.getByRole('button', { name: 'for somebody who judges it' }).click(),
  ]);
  t.regex(file.suggestedFilename(), /^dispute-\d+\.json$/);
});
