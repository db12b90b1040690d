/** The wizard of calibrating on the page: points, what they come to, refusals in words, kept only by a click. */
import anyTest, { type TestFn } from 'ava';
import type { Browser } from 'playwright-core';
import { DESKTOP, hasChromium, launch, logIn, openContext, openTestPage, withChromium } from './browser.ts';
import { MemoryHousehold } from './household.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
const browse = hasChromium ? test.serial : test.serial.skip;
test.before(async (t) => {
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

browse(`points are taken, what they come to is shown, and kept by a click; ${withChromium}`, async (t) => {
  const view = new MemoryHousehold();
  const made = await openTestPage(view);
  const context = await openContext(t.context.browser, DESKTOP);
  context.setDefaultTimeout(12_000);
  t.teardown(async () => {
    await context.close();
    await made.close();
  });
  const tab = await context.newPage();
  await logIn(tab, made);
  await tab.getByRole('button', { name: 'Calibrate …' }).click();
  const dialog = tab.getByRole('dialog', { name: 'Calibrate this meter' });
  const take = async (volts: string, watts: string) => {
    await dialog.getByLabel('Volts').fill(volts);
    await dialog.getByLabel('Watts').fill(watts);
    await dialog.getByRole('button', { name: 'Take this point' }).click();
  };
  const keep = dialog.getByRole('button', { name: 'Sign and keep' });
  await take('230', '');
  await dialog.getByText('Volts and watts, in figures, please.').waitFor();
  await take('230', '0');
  await dialog.getByText('Taken. Now with a load.').waitFor();
  t.true(await keep.isDisabled());
  await take('229.5', '1985');
  await dialog.getByText('Taken. More points make it better').waitFor();
  const rows = await dialog.locator('tbody tr').allTextContents();
  t.deepEqual(rows, ['0 W2.00 %0.00 %', '1,985 W2.00 %0.00 %']);
  t.deepEqual(
    view.calibrationPoints.map(({ volts, watts }) => [volts, watts]),
    [
      [230, 0],
      [229.5, 1985],
    ],
  );
  t.is(view.calibrationNumber, 0);
  await keep.click();
  await dialog.getByText('Kept. The meter starts anew').waitFor();
  t.is(view.calibrationNumber, 1);
  view.calibrationPoint = async () => {
    throw Object.assign(new Error('the meter does not answer'), { name: 'CalibrationError' });
  };
  await take('230', '500');
  await dialog.getByText('Not done: the meter does not answer.').waitFor();
});
