import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { Browser, Page as Tab } from 'playwright-core';
import { Client } from '../gateway/web/client.ts';
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
import { furnishedHouse, JUNE } from './house.ts';
import { MemoryHousehold } from './household.ts';

const test = anyTest as TestFn<{ browser: Browser }>;
const browse = hasChromium ? test.serial : test.serial.skip;
const SCREENSHOTS = join(import.meta.dirname, '../../build/screenshots');
type Context = { context: { browser: Browser }; teardown(fn: () => Promise<void>): void };

test.before(async (t) => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  if (hasChromium) t.context.browser = await launch();
});
test.after.always((t) => t.context.browser?.close());

const picture = (tab: Tab, name: string, fullPage = true) =>
  tab.screenshot({ path: join(SCREENSHOTS, `house-${name}.png`), fullPage });

function furnished(): MemoryHousehold {
  const view = new MemoryHousehold();
  view.house = furnishedHouse();
  return view;
}

async function open(t: Context, look: Look = DESKTOP, view = furnished()) {
  const made = await openTestPage(view);
  const context = await openContext(t.context.browser, look);
  context.setDefaultTimeout(12_000);
  t.teardown(async () => {
    await context.close();
    await made.close();
  });
  const faults: string[] = [];
  context.on('weberror', (error) => void faults.push(error.error().message));
  context.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())));
  const tab = await context.newPage();
  await logIn(tab, made);
  return { ...made, tab, faults };
}

const text = async (tab: Tab, selector: string) => (await tab.locator(selector).first().textContent())!;

browse(
  `what is sold without a name: the wallet by month, and what the control centre could see; ${withChromium}`,
  async (t) => {
    const { tab, view, faults } = await open(t);
    await tab.locator('#selling').waitFor();
    const rows = await tab.locator('#selling-months tbody tr').allTextContents();
    t.is(rows.length, 2);
    t.regex(rows[0], /June.*62\.04.*2,380.*17.*603.*Selling/);
    t.regex(rows[1], /May.*120\.43.*1,204.*9\.63 paid/);
    t.regex(await text(tab, '#selling-named'), /3,000 credentials for a month, like everybody/);
    t.regex(await text(tab, '#selling-unnamed'), /5 sales of this house in 2 quarter hours/);
    t.is((await text(tab, '#selling-trouble')).trim(), '');
    view.house.selling = { enabled: false, trouble: 'a key is another', months: [], seen: [] };
    await tab.reload();
    await tab.locator('#selling-trouble', { hasText: 'a key is another' }).waitFor();
    t.regex(await text(tab, '#selling-says'), /switched off/);
    t.deepEqual(faults, []);
  },
);

browse(`the month's bill, line by line, a known answer; ${withChromium}`, async (t) => {
  const { tab, view, faults } = await open(t);
  await tab.locator('#bill').waitFor();
  t.is(await text(tab, '#bill-title'), 'Bill for June 2026');
  t.is(await text(tab, '#bill-total'), '€26.72');
  t.is(await text(tab, '#bill-says'), 'to be paid by you');
  t.is(await text(tab, '#bill-lines tfoot tr'), 'Together156.60135.00€37.79€11.07');
  t.is(await text(tab, '#bill-lines tbody tr'), 'Thu 18 Jun8.306.00€2.02€0.49');
  t.is(await text(tab, '#bill-price'), 'A kWh costs 24.3 ct now; for one that you feed in you get 8.15 ct.');
  t.is(
    await text(tab, '#bill-state'),
    'After 18 days. On 1 July the total goes to your provider, signed, and nothing else.',
  );
  t.regex(await text(tab, '#bill-unpriced'), /^3 quarter hours have no price yet/);
  t.is(await tab.locator('#bill-lines tbody tr:visible').count(), 7);
  await tab.getByRole('button', { name: 'Show all 18 days' }).click();
  t.is(await tab.locator('#bill-lines tbody tr:visible').count(), 18);

  // it grows by itself, and says what keeps it
  const bill = view.house.bill!;
  view.house.bill = { ...bill, state: 'sent', totalMilliCent: -512_000, waitsFor: 'the provider, who does not answer' };
  await tab.getByText('It waits for the provider, who does not answer.').waitFor();
  t.is(await text(tab, '#bill-total'), '-€5.12');
  t.is(await text(tab, '#bill-says'), 'to be paid to you');
  await tab.getByRole('button', { name: 'Month before' }).click();
  await tab.locator('#bill').waitFor({ state: 'hidden' });
  t.deepEqual(faults, []);
});

browse(
  `setting up: what is wrong is said at its field, what is right is sealed and forgotten; ${withChromium}`,
  async (t) => {
    const view = furnished();
    view.house.setup = { state: 'uninitialised', reason: null, daysLeft: 0 };
    view.house.trust = { ...view.house.trust!, state: 'not initialised', sinceMs: null, expiresMs: null };
    const { tab, faults } = await open(t, DESKTOP, view);
    await tab.getByText('This meter is not set up yet.').waitFor();
    await tab.locator('#notices').getByRole('button', { name: 'Set up this meter …' }).click();
    const dialog = tab.getByRole('dialog', { name: 'Set up this meter' });
    const pin = dialog.getByLabel('PIN from the letter');
    t.is(await pin.getAttribute('autocomplete'), 'off');
    await dialog.getByLabel('Your name').fill('Ada Example');
    await dialog.getByLabel('Address').fill('Via del Sole 12, 00100 Roma');
    await dialog.getByLabel('Provider').fill('Energia Chiara');
    await dialog.getByLabel('Customer number').fill('C-1042');
    await dialog.getByRole('button', { name: 'Seal and send' }).click();
    t.is(await text(tab, '#setup-fault'), 'The PIN of the letter: eight digits, please.');
    await pin.fill('12a4');
    await dialog.getByRole('button', { name: 'Seal and send' }).click();
    await tab.getByText('What was typed is not eight digits.').waitFor();
    t.is(await pin.getAttribute('aria-invalid'), 'true');
    await picture(tab, 'setup', false);
    t.is(faults.length, 1, 'the browser notes the refusal');
    faults.length = 0;
    t.deepEqual(view.typed, []);
    await pin.fill('12345678');
    await pin.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    await tab.getByText('What you typed is sealed and on its way.').waitFor();
    t.deepEqual(view.typed, [
      {
        name: 'Ada Example',
        address: 'Via del Sole 12, 00100 Roma',
        provider: 'Energia Chiara',
        customerNumber: 'C-1042',
        pin: '12345678',
      },
    ]);
    const kept = (await tab.evaluate(
      "[...document.querySelectorAll('input')].map((i) => i.value).join() + JSON.stringify({ ...localStorage, ...sessionStorage })",
    )) as string;
    t.notRegex(kept, /Ada|12345678|1042/);

    view.house.setup = { state: 'refused', reason: 'the PIN is wrong: two more tries', daysLeft: 0 };
    await tab.getByText('Setting up came to nothing:').waitFor();
    await tab.getByText('The PIN is wrong: two more tries.', { exact: true }).waitFor();
    view.house.setup = { state: 'ready', reason: null, daysLeft: 35 };
    await tab.getByText('Done. Pseudonyms for 35 more days').waitFor();
    t.is(await tab.locator('.notice').count(), 0);
    t.deepEqual(faults, []);
  },
);

browse(`trusted or not, its software, its record: in words, with what was found; ${withChromium}`, async (t) => {
  const { tab, view } = await open(t);
  const lines = () => tab.locator('#assurances li').allTextContents();
  await tab.locator('#assurances li').first().waitFor();
  t.deepEqual(await lines(), [
    'Set upDone. Pseudonyms for 33 more days; new ones come by themselves.',
    'TrustedSince 12 Jun 2026, 19:16, until 23:16; it is asked again before that.',
    'SoftwareRelease 5, up to date.',
    'RecordEverything the meter said is kept unchanged, and nothing is missing.',
  ]);
  t.is(await tab.locator('#assurances [data-kind="good"]').count(), 4);
  view.house.trust = {
    ...view.house.trust!,
    state: 'failed',
    why: ['The meter runs another image than the gateway flashed to it.'],
    trouble: 'the security chip does not answer',
  };
  view.house.software = {
    version: 5,
    state: 'flashing',
    next: 6,
    reason: null,
    progress: { arrived: 30_000, of: 120_000 },
  };
  view.house.log = { ok: false, reason: 'one entry of 17 June was changed' };
  await tab.getByText('The meter runs another image').waitFor();
  t.deepEqual((await lines()).slice(1), [
    'TrustedNot since 12 Jun 2026, 19:16. Readings are held back and counted later; you lose nothing.The meter runs another image than the gateway flashed to it.The security chip does not answer.',
    'SoftwareRelease 5 runs; release 6 is on its way to the meter: 25 %.',
    'RecordIt is not what the meter said. Bills wait until this is cleared up.One entry of 17 June was changed.',
  ]);
  await tab.locator('#meter').screenshot({ path: join(SCREENSHOTS, 'house-meter-bad.png') });

  await tab.getByRole('button', { name: 'Begin the record anew …' }).click();
  const dialog = tab.getByRole('dialog', { name: 'Begin the record anew?' });
  await dialog.getByText('stays visible here for good').waitFor();
  await dialog.getByRole('button', { name: 'Begin it anew' }).click();
  await dialog.waitFor({ state: 'hidden' });
  t.regex(
    (await lines())[3],
    /^RecordNothing was changed since it was begun anew, and nothing is missing\.Begun anew once, last .*\(one entry of 17 June was changed\); the old record is kept/,
  );
  t.false(await tab.getByRole('button', { name: 'Begin the record anew …' }).isVisible());
});

browse(
  `appliances: why each may run or not, rules that are kept, what the provider said; ${withChromium}`,
  async (t) => {
    const { tab, view, faults } = await open(t);
    await tab.locator('#appliances').waitFor();
    t.is(
      await text(tab, '[data-appliance="wallbox"] div'),
      'Car in the yardHeld offthe provider has it switched off until 21:00.',
    );
    t.regex(await text(tab, '#control-messages li'), /^ev-charger: off18:16 until 21:16, in force$/);
    t.regex(
      await text(tab, '#control-refused li'),
      /^Not obeyed 2 times, last 18:16: its area is district-9; this household is in district-4\.$/,
    );
    await tab.getByRole('button', { name: 'Rules for Boiler in the cellar' }).click();
    const dialog = tab.getByRole('dialog', { name: 'Rules for Boiler in the cellar' });
    await dialog.getByLabel('cents per kWh').fill('20.5');
    await dialog.getByRole('button', { name: 'Add hours' }).click();
    await dialog.getByLabel('until').fill('22:00');
    await dialog.getByRole('button', { name: 'Keep these rules' }).click();
    await dialog.getByText('Not kept: rule 2 has no length: from and to are the same.').waitFor();
    faults.length = 0;
    await dialog.getByLabel('until').fill('05:30');
    await picture(tab, 'rules', false);
    await dialog.getByRole('button', { name: 'Keep these rules' }).click();
    await dialog.waitFor({ state: 'hidden' });
    t.deepEqual(view.house.appliances[1].rules, [
      { kind: 'price', belowMilliCentPerKwh: 20_500 },
      { kind: 'hours', fromMinute: 22 * 60, toMinute: 5 * 60 + 30 },
    ]);
    await tab.getByRole('button', { name: 'Rules for Car in the yard' }).click();
    await tab.getByRole('button', { name: 'Remove this rule' }).click();
    await tab.getByText('No rule: it may run whenever').waitFor();
    await tab.getByRole('button', { name: 'Keep these rules' }).click();
    await tab.getByRole('dialog').waitFor({ state: 'hidden' });
    t.deepEqual(view.house.appliances[0].rules, []);
    t.deepEqual(faults, []);
  },
);

const LOOKS: Record<string, Look> = { desktop: DESKTOP, phone: PHONE, 'phone-dark': { ...PHONE, dark: true } };
for (const [name, look] of Object.entries(LOOKS)) {
  browse(`${name}: a furnished house, nothing cut off; ${withChromium}`, async (t) => {
    const { tab } = await open(t, look);
    await tab.locator('#appliances').waitFor();
    await picture(tab, name);
    t.is(await tab.evaluate('document.documentElement.scrollWidth'), look.width);
  });
}

browse(`a household without these parts shows none of them; ${withChromium}`, async (t) => {
  const { tab } = await open(t, DESKTOP, new MemoryHousehold());
  await tab.waitForResponse(/\/api\/appliances$/);
  for (const part of ['#bill', '#meter', '#appliances']) t.true(await tab.locator(part).isHidden(), part);
});

browse(`appliances that were found: shares of the day, the rest, a name that is kept; ${withChromium}`, async (t) => {
  const { tab, view, faults } = await open(t);
  await tab.locator('#found tbody tr').first().waitFor();
  t.is(await text(tab, '[data-found="3"]'), 'KettleRename …1.99 kW40.405%');
  t.is(await text(tab, '[data-found="7"]'), 'Something of 92 Won nowName it …92 W212.5031%');
  t.deepEqual(await tab.locator('#found tfoot tr').allTextContents(), [
    'Everything else5.1064%',
    'Drawn together8.00100%',
  ]);
  await tab.getByRole('button', { name: 'Name it: Something of 92 W' }).click();
  const dialog = tab.getByRole('dialog', { name: 'Which appliance is it?' });
  await dialog.getByText('It draws 92 W, ran 21 times in the time shown').waitFor();
  await dialog.getByLabel('Name').fill('Refrigerator');
  await dialog.getByRole('button', { name: 'Keep this name' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await tab.locator('[data-found="7"]', { hasText: 'Refrigerator' }).waitFor();
  t.is(view.house.found!.appliances[1].label, 'Refrigerator');
  view.house.found = { ...view.house.found!, restMwh: null };
  await tab.getByText('This house fed in, too').waitFor();
  t.is(await text(tab, '[data-found="3"]'), 'KettleRename …1.99 kW40.40');
  t.deepEqual(faults, []);
});

// The server

async function openServer(t: { teardown(fn: () => Promise<void>): void }, view = furnished()) {
  const made = await openTestPage(view);
  t.teardown(made.close);
  return { ...made, client: new Client(made) };
}
const json = (body: unknown, headers: Record<string, string> = {}) => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...headers },
});
const PERSON = {
  name: 'Ada Example',
  address: 'Via del Sole 12',
  provider: 'Energia Chiara',
  customerNumber: 'C-1042',
  pin: '12345678',
};

test('nobody sets up, sees a bill or writes a rule without a login, or from another page', async (t) => {
  const { client, view, password } = await openServer(t);
  for (const path of ['/api/house', '/api/bill', '/api/appliances', '/api/appliances/found'])
    t.is((await client.request(path)).status, 401, path);
  t.is((await client.request('/api/setup', json(PERSON))).status, 401);
  await client.logIn(password);
  for (const origin of ['https://example.org', 'null']) {
    t.is((await client.request('/api/setup', json(PERSON, { origin }))).status, 403);
    t.is((await client.request('/api/appliances', json({ name: 'boiler', rules: [] }, { origin }))).status, 403);
  }
  t.deepEqual(view.typed, []);
  t.is(view.house.appliances[1].rules.length, 1);
});

test('bad input is refused by its field, and never repeated', async (t) => {
  const { client, view, password, logged } = await openServer(t);
  await client.logIn(password);
  const refused: [string, unknown, string][] = [
    ['/api/setup', { ...PERSON, pin: '1234' }, 'personal.pin'],
    ['/api/setup', { ...PERSON, customerNumber: 'x y' }, 'personal.customerNumber'],
    ['/api/setup', { ...PERSON, name: ' ' }, 'personal.name'],
    ['/api/setup', { ...PERSON, address: 'a'.repeat(201) }, 'personal.address'],
    ['/api/setup', 'text', 'personal'],
    ['/api/appliances/found', { id: 99, label: 'x' }, 'found.id'],
    ['/api/appliances/found', { id: 3, label: 'x'.repeat(41) }, 'found.label'],
    ['/api/appliances', { rules: [] }, 'body.name'],
    ['/api/appliances', { name: 'sauna', rules: [] }, 'appliance'],
    ['/api/appliances', { name: 'boiler', rules: [{ kind: 'moon' }] }, 'rules.0.kind'],
    [
      '/api/appliances',
      { name: 'boiler', rules: [{ kind: 'hours', fromMinute: 1, toMinute: 1440 }] },
      'rules.0.toMinute',
    ],
  ];
  for (const [path, body, field] of refused) {
    const answer = await client.request(path, json(body));
    t.deepEqual([answer.status, JSON.parse(answer.text).path], [400, field], answer.text);
    t.false(answer.text.includes('1234'));
  }
  t.is((await client.request('/api/setup', json({ ...PERSON, name: 'a'.repeat(5000) }))).status, 413);
  t.is((await client.request('/api/setup', json(PERSON))).status, 200);
  t.is(view.typed.length, 1);
  t.deepEqual(logged, [], 'nothing that was typed is logged');

  for (const month of ['june', '-1', '1e9', '5&month=6']) {
    const { status, text: said } = await client.request(`/api/bill?month=${month}`);
    t.deepEqual([status, JSON.parse(said).path], [400, 'query.month'], month);
  }
  t.is(JSON.parse((await client.request(`/api/bill?month=${JUNE}`)).text).bill.lines.length, 18);
  t.is(JSON.parse((await client.request('/api/bill')).text).bill.month, JUNE);
  t.is(JSON.parse((await client.request(`/api/bill?month=${JUNE - 1}`)).text).bill, null);
});

test('a security chip that is away: a sentence, and nothing of its inside', async (t) => {
  const view = furnished();
  view.initialise = () => Promise.reject(new Error('TCTI /dev/tpmrm0: -13'));
  const { client, password } = await openServer(t, view);
  await client.logIn(password);
  const { status, text: said } = await client.request('/api/setup', json(PERSON));
  t.is(status, 503);
  t.deepEqual(JSON.parse(said), {
    error: 'this gateway’s security chip did not answer: nothing was sent; try again',
  });
});

browse(`another provider is chosen from its letter, and what was typed is forgotten; ${withChromium}`, async (t) => {
  const { tab, view, faults } = await open(t);
  await tab.locator('#supply').waitFor();
  t.is(await text(tab, '#supply-provider'), 'Quiet Power');
  t.regex(await text(tab, '#told tbody'), /End of the year1,2049[0-9]told/);
  await tab.locator('#change-open').click();
  await tab.locator('#change-provider option').nth(1).waitFor({ state: 'attached' });
  await tab.locator('#change-provider').selectOption('Windy Power');
  t.is(await tab.locator('#change-day').getAttribute('min'), '2026-06-19');
  await tab.locator('#change-day').fill('2026-07-01');
  await tab.locator('#change-customerNumber').fill('W-1');
  await tab.locator('#change-pin').fill('1234');
  await tab.locator('#change-go').click();
  await tab.locator('#change-pin[aria-invalid="true"]').waitFor();
  t.regex(await text(tab, '#change-fault'), /PIN from the letter is not eight digits/);
  await picture(tab, 'change', false);
  await tab.locator('#change-pin').fill('12345678');
  await tab.locator('#change-go').click();
  await tab.locator('#supply-says', { hasText: 'Windy Power' }).waitFor();
  t.is(view.house.supply!.next!.fromMs, Date.UTC(2026, 6, 1));
  t.is(await tab.locator('#change-pin').inputValue(), '');
  await tab.locator('#moving-open').click();
  await tab.locator('#moving-day').fill('2026-08-01');
  await tab.locator('#moving-go').click();
  await tab.locator('#supply-says', { hasText: 'You move out' }).waitFor();
  t.true(await tab.locator('#change-open').isDisabled());
  t.deepEqual(
    faults.filter((fault) => !/400/.test(fault)),
    [],
  );
});
