/** Debian's Chromium, driven by playwright-core, and pages of a household in memory. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page as Tab } from 'playwright-core';
import { type Page, startPage } from '../../gateway/web/server.ts';
import { MemoryHousehold, TIME_ZONE } from './household.ts';

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const hasChromium = existsSync(CHROMIUM);
/** What a skipped test says of itself. */
export const withChromium = hasChromium ? 'in Chromium' : `in Chromium (skipped: there is no ${CHROMIUM})`;

export const launch = (env?: Record<string, string>): Promise<Browser> =>
  chromium.launch({
    executablePath: CHROMIUM,
    env: { ...process.env, ...env } as Record<string, string>,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });

export interface TestPage {
  view: MemoryHousehold;
  page: Page;
  password: string;
  dataDir: string;
  logged: string[];
  close(): Promise<void>;
}

/** A page on a free port of this machine, with a data folder of its own. */
export async function openTestPage(view = new MemoryHousehold(), nowMs = Date.now): Promise<TestPage> {
  const dataDir = mkdtempSync(join(tmpdir(), 'quietmeter-page-'));
  const logged: string[] = [];
  const page = await startPage({
    view,
    dataDir,
    port: 0,
    host: '127.0.0.1',
    nowMs,
    log: (line) => void logged.push(line),
  });
  return {
    view,
    page,
    password: page.firstPassword!,
    dataDir,
    logged,
    async close() {
      await page.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

export interface Look {
  width: number;
  height: number;
  dark?: boolean;
  scale?: number;
}
export const DESKTOP: Look = { width: 1200, height: 900 };
export const PHONE: Look = { width: 360, height: 740 };

/** A browser profile of its own: nothing of another's cookies. */
export async function openContext(browser: Browser, look: Look = DESKTOP, options = {}) {
  return browser.newContext({
    viewport: { width: look.width, height: look.height },
    deviceScaleFactor: look.scale ?? 1,
    colorScheme: look.dark ? 'dark' : 'light',
    timezoneId: TIME_ZONE,
    locale: 'en-GB',
    reducedMotion: 'reduce',
    ignoreHTTPSErrors: true,
    ...options,
  });
}

/** Logs in as a customer does. */
export async function logIn(tab: Tab, { page, password }: TestPage): Promise<void> {
  await tab.goto(`${page.url}/login`);
  await tab.getByLabel('Password').fill(password);
  await tab.getByRole('button', { name: 'Log in' }).click();
  await tab.locator('#chart svg').waitFor();
  await tab.locator('#reports tbody tr').first().waitFor();
}
