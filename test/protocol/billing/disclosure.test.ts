import { randomBytes } from 'node:crypto';
import test from 'ava';
import { type CommittedPeriod, type Opening, openingOf } from '../../../protocol/billing/commitments.ts';
import {
  type DisclosureKind,
  disclose,
  ledgerEntry,
  readDisclosure,
  verifyDisclosure,
} from '../../../protocol/billing/disclosure.ts';
import { DisclosureLedger } from '../../../protocol/billing/ledger.ts';
import { type Household, household } from './_household.ts';

const part = ({ committed: { import: all } }: Household, from: number, count: number): CommittedPeriod => ({
  ...all,
  firstSlot: all.firstSlot + from,
  endSlot: all.firstSlot + from + count,
  elements: all.elements.slice(from, from + count),
});
const openings = (home: Household): Opening[] =>
  home.values.import.map((value, i) =>
    openingOf(home.key, home.series('import'), home.committed.import.firstSlot + i, value),
  );
const told = (home: Household, kind: DisclosureKind, from: number, count: number): Uint8Array =>
  disclose(
    kind,
    home.series('import'),
    home.committed.import.firstSlot + from,
    openings(home).slice(from, from + count),
    randomBytes,
  );
const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

test('total, day, reading: what was measured, and nothing else is believed', async (t) => {
  const home = await household('a', { days: 3 });
  for (const [kind, from, count] of [
    ['total', 0, 288],
    ['day', 96, 96],
    ['reading', 17, 1],
  ] as const) {
    const bytes = told(home, kind, from, count);
    const value = sumOf(home.values.import.slice(from, from + count));
    t.like(verifyDisclosure(bytes, part(home, from, count), randomBytes), {
      kind,
      value,
      register: 'import',
      slot: null,
    });
    t.like(readDisclosure(bytes), { kind, value });
    for (let at = 0; at < bytes.length; at++) {
      const altered = Buffer.from(bytes);
      altered[at] ^= 1 << (at % 8);
      const error = t.throws(
        () => verifyDisclosure(altered, part(home, from, count), randomBytes),
        undefined,
        `byte ${at}`,
      );
      t.regex(error.message, /^(disclosure|opened)/);
    }
    t.throws(() => verifyDisclosure(bytes, { ...part(home, from, count), register: 'export' }, randomBytes), {
      message: /^disclosure\.register: /,
    });
  }
  t.throws(() => verifyDisclosure(told(home, 'reading', 17, 1), part(home, 18, 1), randomBytes), {
    message: /^disclosure\.firstSlot: /,
  });
  t.throws(() => told(home, 'day', 95, 96), { message: /makes no day/ });
  t.throws(() => told(home, 'reading', 95, 2), { message: /more than one slot/ });
});

test('the peak: the largest reading, and none other passes for it', async (t) => {
  const home = await household('a', { unitMwh: 1000, bits: 8, days: 1, most: 250 });
  const whole = part(home, 0, 96);
  const bytes = told(home, 'peak', 0, 96);
  const value = Math.max(...home.values.import);
  const slot = whole.firstSlot + home.values.import.indexOf(value);
  t.like(verifyDisclosure(bytes, whole, randomBytes), { kind: 'peak', value, slot });
  // somebody who would rather have had a smaller peak: leaves the largest out of what he proves
  const modest = home.values.import.map((each) => Math.min(each, value - 1));
  const wanted = openings(home).map((opening, i) => ({ ...opening, value: modest[i] }));
  const lie = disclose('peak', home.series('import'), whole.firstSlot, wanted, randomBytes);
  t.throws(() => verifyDisclosure(lie, whole, randomBytes), { message: /^disclosure\.(value|proof): / });
  // opens a smaller reading truly, with the proof about the largest
  const second = openings(home).find((opening) => opening.value < value)!;
  const mixed = Buffer.from(bytes);
  mixed.writeUInt32BE(second.value, 1 + 1 + 32 + 2 + 2 + 12 + 4);
  mixed.set(second.randomness, 1 + 1 + 32 + 2 + 2 + 12 + 8);
  mixed.writeUInt32BE(
    whole.firstSlot + openings(home).findIndex((o) => o.value === second.value),
    1 + 1 + 32 + 2 + 2 + 12 + 8 + 32,
  );
  t.throws(() => verifyDisclosure(mixed, whole, randomBytes), { message: /^disclosure\.proof: / });
  const outside = Buffer.from(bytes);
  outside.writeUInt32BE(whole.endSlot, 1 + 1 + 32 + 2 + 2 + 12 + 8 + 32);
  t.throws(() => verifyDisclosure(outside, whole, randomBytes), { message: /^disclosure\.slot: / });
});

test('the ledger is asked in words that the customer understands', async (t) => {
  const home = await household('a', { days: 3 });
  const { firstSlot } = home.committed.import;
  const at = { purpose: 0, register: 'import', slot: null } as const;
  const ledger = new DisclosureLedger();
  const day = ledgerEntry({ ...at, kind: 'day', firstSlot, endSlot: firstSlot + 96 }, 'the provider');
  t.is(day.name, 'the total of the day of import, 2026-02-26');
  ledger.record(day);
  const peak = ledgerEntry(
    { ...at, kind: 'peak', firstSlot, endSlot: firstSlot + 288, slot: firstSlot + 9 },
    'the provider',
  );
  t.is(peak.weights.size, 1);
  ledger.record(peak);
  const rest = {
    ...ledgerEntry({ ...at, kind: 'total', firstSlot, endSlot: firstSlot + 94 }, 'the grid'),
    consented: false,
  };
  const answer = ledger.check(rest);
  t.false(answer.allowed);
  t.regex(
    answer.allowed ? '' : answer.reason,
    /the total of the day of import, 2026-02-26 would tell the import of the quarter hour/,
  );
});
