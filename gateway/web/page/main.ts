/**
 * The page: listens to the gateway, shows the day that the reader chose, and keeps household time, which in a
 * simulation may run faster than the browser's clock.
 */

import { byId, setText } from '../../../web/page/dom.ts';
import { formatDay, formatSeconds, formatTime } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { MinutePoint, QuarterHour, ReportRow } from '../household-view.ts';
import { loadAppliances, setUpAppliances } from './appliances.ts';
import { type House, setUpRecord, showHouse } from './assurance.ts';
import { loadBill, setUpBill } from './bill.ts';
import { setUpCalibration } from './calibration.ts';
import { DayChart } from './chart.ts';
import { setUpClampCheck } from './clamp.ts';
import { loadDisclosures, setUpDisclosures } from './disclosures.ts';
import { loadFound, setUpFound } from './found.ts';
import { listen } from './gateway.ts';
import { type Situation, showNotices } from './notices.ts';
import { Now } from './now.ts';
import { formatEnergy } from './power.ts';
import { type Choice, firstChoice, midnight, neighbour, type Range, rangeOf } from './range.ts';
import { showRegisters } from './registers.ts';
import { setUpReports, showReports } from './reports.ts';
import { loadSelling } from './selling.ts';
import { setUpSetup } from './setup.ts';
import { loadSupply, setUpSupply } from './supply.ts';
import { texts } from './texts/texts.ts';

const MINUTE_MS = 60_000;
const SLOT_MS = 900_000;
/** However fast household time runs, the day is not read more often. */
const RELOAD_EVERY_MS = 2_000;
const CSV_DAYS = 365;
const HOUSE_EVERY_MS = 5_000;

const chart = new DayChart();
const now = new Now(document.title);
const situation: Situation = { line: true, status: null, warnings: [], setup: null };

/** Household time at an instant of the browser's own steady clock. */
let clock: { householdMs: number; atMs: number } | null = null;
const householdNowMs = (): number => (clock ? clock.householdMs + performance.now() - clock.atMs : Date.now());
const setClock = (householdMs: number): void => {
  clock = { householdMs, atMs: performance.now() };
};

/** What the reader chose to see; null: nothing yet. */
let choice: Choice | null = null;
let loaded = { fromMs: 0, upToMs: 0, atMs: Number.NEGATIVE_INFINITY, pending: -1 };
let isLoading = false;
const shown = (): Range => rangeOf(choice ?? firstChoice(householdNowMs()), householdNowMs());

async function load(): Promise<void> {
  if (isLoading) return;
  isLoading = true;
  const range = shown();
  const { fromMs, toMs } = range;
  const query = `from=${fromMs}&to=${toMs}`;
  loaded = {
    fromMs,
    upToMs: householdNowMs(),
    atMs: performance.now(),
    pending: situation.status?.pendingReports ?? -1,
  };
  try {
    const [day, left] = await Promise.all([
      request<{ nowMs: number; minutes: MinutePoint[]; quarterHours: QuarterHour[] }>(`/api/day?${query}`),
      request<{ nowMs: number; reports: ReportRow[] }>(`/api/reports?${query}`),
    ]);
    if (fromMs !== shown().fromMs) return;
    chart.show({ fromMs, toMs, nowMs: day.nowMs, minutes: day.minutes });
    showReports({ ...range, nowMs: left.nowMs, reports: left.reports });
    showHead(range);
    const todayMs = midnight(day.nowMs);
    if (toMs > todayMs) showTotals(day.quarterHours.filter(({ startMs }) => startMs >= todayMs));
  } catch {
    // The line is lost: the notice says so, and the next tick tries again.
    loaded.fromMs = 0;
  } finally {
    isLoading = false;
  }
}

function showHead({ fromMs, toMs, title, link }: Range): void {
  setText(byId('day-title'), title);
  const current = choice ?? firstChoice(householdNowMs());
  byId('day-today').setAttribute('aria-pressed', String(current === 'today'));
  byId('day-last').setAttribute('aria-pressed', String(current === 'last-24-hours'));
  byId<HTMLButtonElement>('day-after').disabled = typeof current !== 'number';
  const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);
  const csv = (from: number) => `/api/readings.csv?from=${from}&to=${toMs}&zone=${zone}`;
  byId<HTMLAnchorElement>('csv-day').href = csv(fromMs);
  setText(byId('csv-day'), link);
  byId<HTMLAnchorElement>('csv-year').href = csv(midnight(fromMs, 1 - CSV_DAYS));
}

/** Of today, as far as its quarter hours are whole. */
function showTotals(quarterHours: QuarterHour[]): void {
  const sum = (read: (quarter: QuarterHour) => number) =>
    quarterHours.reduce((total, quarter) => total + read(quarter), 0);
  setText(byId('today-import'), formatEnergy(sum((quarter) => quarter.importMwh)));
  setText(byId('today-export'), formatEnergy(sum((quarter) => quarter.exportMwh)));
  const last = quarterHours.at(-1);
  const until = last ? texts.day.until(formatTime(last.startMs + SLOT_MS)) : texts.day.noneWhole;
  setText(byId('today-until'), until);
}

/** What changes by the minute, not by the second. */
async function loadHouse(): Promise<void> {
  if (document.hidden) return;
  try {
    const house = await request<House>('/api/house');
    situation.setup = house.setup;
    showHouse(house);
    showNotices(situation);
    await Promise.all([
      loadBill(),
      loadSupply(),
      loadAppliances(),
      loadSelling(),
      loadDisclosures(),
      loadFound(shown()),
    ]);
  } catch {
    // The line is lost: the notice says so, and the next time tries again.
  }
}

function choose(next: Choice): void {
  choice = next;
  loaded.fromMs = 0;
  tick();
  void loadFound(shown()).catch(() => {}); // The line is lost: the notice says so.
}

/** Once a second: clock, age of the value, and the day anew when it has grown. */
function tick(): void {
  const nowMs = householdNowMs();
  setText(byId('clock-day'), formatDay(nowMs));
  setText(byId('clock-time'), formatSeconds(nowMs));
  byId('clock-time').setAttribute('datetime', new Date(nowMs).toISOString());
  now.draw(nowMs);
  showNotices(situation);
  const isAnother = loaded.fromMs !== shown().fromMs;
  const hasGrown = nowMs - loaded.upToMs >= MINUTE_MS || situation.status?.pendingReports !== loaded.pending;
  if (isAnother || (hasGrown && performance.now() - loaded.atMs >= RELOAD_EVERY_MS)) void load();
}

const step = (days: -1 | 1) => choose(neighbour(choice ?? 'today', days, householdNowMs()));
byId('day-before').addEventListener('click', () => step(-1));
byId('day-after').addEventListener('click', () => step(1));
byId('day-today').addEventListener('click', () => choose('today'));
byId('day-last').addEventListener('click', () => choose('last-24-hours'));
setUpClampCheck();
setUpCalibration();
setUpReports();
setUpBill();
setUpDisclosures();
setUpAppliances();
setUpFound(() => loadFound(shown()));
setUpSetup(() => void loadHouse());
setUpSupply(() => void loadHouse());
setUpRecord(loadHouse);
void loadHouse();
setInterval(() => void loadHouse(), HOUSE_EVERY_MS);
listen({
  live(value) {
    setClock(value.nowMs);
    situation.warnings = value.warnings;
    now.set(value);
    showRegisters(value, value.nowMs);
    showNotices(situation);
  },
  status(status) {
    setClock(status.nowMs);
    situation.status = status;
    if (loaded.fromMs === 0) tick();
  },
  line(connected) {
    situation.line = connected;
    showNotices(situation);
  },
});
setInterval(tick, 1_000);
