import test from 'ava';
import fc from 'fast-check';
import { type Disclosure, DisclosureLedger, readingKey } from '../../../protocol/billing/ledger.ts';

const FIRST = 1_966_560; // 1 February 2026
const DAYS = 28;
const keyOf = (i: number): string => readingKey(0, 'import', FIRST + i);
const over = (name: string, from: number, to: number, weight: (i: number) => number = () => 1): Disclosure => ({
  name,
  party: 'the provider',
  consented: false,
  weights: new Map(
    Array.from({ length: to - from }, (_, n) => [keyOf(from + n), weight(from + n)] as const).filter(
      ([, w]) => w !== 0,
    ),
  ),
});
const consented = (disclosure: Disclosure): Disclosure => ({ ...disclosure, consented: true });
const END = DAYS * 96;
const day = (d: number): Disclosure => over(`the total of day ${d}`, 96 * d, 96 * d + 96);
const total = over('the total of the month', 0, END);
const price = (i: number): number => 20_000 + ((i * 7919) % 30_000);
const bill = consented(over('the bill', 0, END, price));

test('a bill, a total, sales: nothing of them tells a quarter hour', (t) => {
  const ledger = new DisclosureLedger();
  for (const one of [bill, total, over('what was sold', 0, END, (i) => (i % 3 === 0 ? 5 : 0))]) {
    t.deepEqual(ledger.check(one), { allowed: true });
    ledger.record(one);
  }
  t.is(ledger.entries.length, 3);
  // the same again tells nothing new, in whatever unit
  t.deepEqual(ledger.check(over('again', 0, END, () => 1000)), { allowed: true });
});

test('one reading, an hour, a day: not without consent', (t) => {
  for (const one of [over('a reading', 5, 6), over('an hour', 4, 8), day(3)]) {
    const answer = new DisclosureLedger().check(one);
    t.false(answer.allowed, one.name);
    t.deepEqual(new DisclosureLedger().check(consented(one)), { allowed: true });
  }
  t.true(new DisclosureLedger().check(over('two days', 0, 192)).allowed);
});

test('A10: prices that read readings out of a fee', (t) => {
  // 1 and 2^(24 + 12·i) in six quarter hours
  const spread = over('a bill', 0, END, (i) => (i % 480 === 7 ? 2 ** (24 + 12 * ((i - 7) / 480)) : 1));
  const answer = new DisclosureLedger().check(spread);
  t.false(answer.allowed);
  t.regex(
    answer.allowed ? '' : answer.reason,
    /^a bill would tell the import of the quarter hour from 2026-02-\d\d \d\d:\d\d UTC on to the provider: it would be hidden among 1 quarter hours only$/,
  );
  // a hundred times the others is the most that a tariff may ask (tariff.ts), and is not enough to tell
  t.false(new DisclosureLedger().check(over('a bill', 0, END, (i) => (i === 7 ? 1000 : 1))).allowed);
  t.true(new DisclosureLedger().check(over('a bill', 0, END, (i) => (i === 7 ? 15 : 1))).allowed);
});

test('differences: what two disclosures tell that neither tells alone', (t) => {
  const cases: [Disclosure[], Disclosure, number][] = [
    // all but one
    [[total], over('all but one', 1, END), 0],
    // a corrected tariff that differs in one quarter hour
    [[bill], consented(over('the corrected bill', 0, END, (i) => price(i) + Number(i === 500))), 500],
    // three that leave an hour
    [[total, over('the beginning', 0, 1000)], over('the rest', 1004, END), 1000],
  ];
  for (const [before, asked, isolated] of cases) {
    const ledger = new DisclosureLedger();
    for (const one of before) ledger.record(one);
    const answer = ledger.check(asked);
    t.false(answer.allowed, asked.name);
    if (!answer.allowed) {
      t.is(answer.reading, keyOf(isolated));
      for (const { name } of before.filter(({ weights }) => weights.has(keyOf(isolated))))
        t.true(answer.reason.includes(name));
    }
    t.throws(() => ledger.record(asked), { instanceOf: RangeError });
    t.is(ledger.entries.length, before.length);
    t.true(new DisclosureLedger().check(asked).allowed, 'alone it would be allowed');
  }
  // a corrected tariff that differs in whole days
  const ledger = new DisclosureLedger([bill]);
  t.true(ledger.check(consented(over('the corrected bill', 0, END, (i) => price(i) + Number(i < 192)))).allowed);
});

test('consent names a day, and the day only: what is in it stays hidden in it', (t) => {
  const ledger = new DisclosureLedger([bill, consented(day(3))]);
  t.true(ledger.check(total).allowed, 'the day was told; the others stay hidden among each other');
  t.true(ledger.check(consented(over('one reading', 300, 301))).allowed);
  const most = consented(over('most of the day', 288, 383));
  const answer = ledger.check(most);
  t.false(answer.allowed);
  t.is(!answer.allowed && answer.reading, keyOf(383));
});

test('import and export, purposes and other months do not mix', (t) => {
  const exported = new Map(Array.from({ length: END - 1 }, (_, i) => [readingKey(0, 'export', FIRST + i), 1]));
  const ledger = new DisclosureLedger([total]);
  t.true(ledger.check({ ...total, name: 'export but one', weights: exported }).allowed);
});

test('a sum that is so small, or so large, that it tells its parts', (t) => {
  const mostReading = 1000;
  const check = (value: number) => new DisclosureLedger().check({ ...total, value, mostReading });
  t.true(check(250).allowed);
  t.false(check(249).allowed);
  t.true(check(END * mostReading - 250).allowed);
  t.false(check(END * mostReading - 249).allowed);
  t.true(new DisclosureLedger().check(consented({ ...total, value: 0, mostReading })).allowed);
});

test('whatever was allowed: no combination of two of them that we try comes near a quarter hour', (t) => {
  const weight = fc.constantFrom(0, 1, 2, 3);
  let looked = 0;
  const disclosure = fc
    .array(weight, { minLength: 600, maxLength: 600 })
    .map((weights) => over('one', 0, 600, (i) => weights[i]));
  fc.assert(
    fc.property(disclosure, disclosure, (a, b) => {
      const ledger = new DisclosureLedger();
      if (a.weights.size === 0 || b.weights.size === 0 || !ledger.check(a).allowed) return;
      ledger.record(a);
      if (!ledger.check(b).allowed) return;
      looked++;
      // h = x·a + y·b with h_t = 1 for pairs of slots and all small ratios
      for (const x of [-3, -2, -1, 0, 1, 2, 3])
        for (const y of [-3, -2, -1, 0, 1, 2, 3]) {
          const h = Array.from(
            { length: 600 },
            (_, i) => x * (a.weights.get(keyOf(i)) ?? 0) + y * (b.weights.get(keyOf(i)) ?? 0),
          );
          const sum = h.reduce((all, value) => all + Math.abs(value), 0);
          const most = Math.max(...h.map(Math.abs));
          if (most > 0) t.true(sum / most >= 158);
        }
    }),
    { numRuns: 15 },
  );
  t.true(looked > 0);
});
