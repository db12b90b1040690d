import test from 'ava';
import fc from 'fast-check';
import { monthFirstSlot, monthOf, monthStartMs } from '../../../protocol/time/months.ts';
import { slotStartMs } from '../../../protocol/time/slots.ts';

test('months are counted from January 1970, by UTC', (t) => {
  t.is(monthOf(0), 0);
  t.is(monthOf(Date.UTC(2026, 2, 10)), 56 * 12 + 2);
  t.is(monthOf(Date.UTC(2026, 3, 1) - 1), 56 * 12 + 2);
  t.is(monthOf(Date.UTC(2026, 3, 1)), 56 * 12 + 3);
  t.is(monthStartMs(56 * 12 + 2), Date.UTC(2026, 2, 1));
});

test('a month begins with a slot of its own', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2400 }), (month) => {
      const startMs = slotStartMs(monthFirstSlot(month));
      t.is(startMs, monthStartMs(month));
      t.is(monthOf(startMs), month);
      t.is(monthOf(startMs - 1), month - 1);
    }),
  );
});
