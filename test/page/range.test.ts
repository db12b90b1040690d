import test from 'ava';
import { firstChoice, midnight, neighbour, rangeOf } from '../../gateway/web/page/range.ts';

const HOUR_MS = 3_600_000;
const at = (day: number, hour = 0, minute = 0) => new Date(2026, 5, day, hour, minute).getTime();

test('a young day shows the last 24 hours, an older one itself', (t) => {
  t.is(firstChoice(at(18, 0, 7)), 'last-24-hours');
  t.is(firstChoice(at(18, 2, 59)), 'last-24-hours');
  t.is(firstChoice(at(18, 3)), 'today');
});

test('ranges: the local day, and 24 hours up to the end of this quarter hour', (t) => {
  t.like(rangeOf('today', at(18, 15)), { fromMs: at(18), toMs: at(19), says: 'So far today' });
  t.like(rangeOf(at(17), at(18, 15)), { fromMs: at(17), toMs: at(18), says: 'On this day' });
  t.like(rangeOf('last-24-hours', at(18, 0, 7)), { fromMs: at(17, 0, 15), toMs: at(18, 0, 15) });
  t.like(rangeOf('last-24-hours', at(18, 0, 15)), { fromMs: at(17, 0, 15), toMs: at(18, 0, 15) });
});

test('a day before, a day after; today is the last', (t) => {
  const nowMs = at(18, 15);
  t.is(neighbour('today', -1, nowMs), at(17));
  t.is(neighbour('last-24-hours', -1, nowMs), at(17));
  t.is(neighbour(at(17), -1, nowMs), at(16));
  t.is(neighbour(at(16), 1, nowMs), at(17));
  t.is(neighbour(at(17), 1, nowMs), 'today');
});

test('midnight goes by the calendar, whatever the clocks do', (t) => {
  for (let day = 1; day <= 365; day++) {
    const noonMs = new Date(2026, 0, day, 12).getTime();
    const [thisMs, nextMs] = [midnight(noonMs), midnight(noonMs, 1)];
    t.is(new Date(thisMs).getHours(), 0);
    t.true([23, 24, 25].includes((nextMs - thisMs) / HOUR_MS));
  }
});
