import test from 'ava';
import fc from 'fast-check';
import {
  type Bill,
  type BilledSlot,
  billDigest,
  computeBill,
  decodeBill,
  headDigest,
  identifierReference,
  signBill,
  verifyBill,
} from '../../../protocol/billing/bill.ts';
import { exactAmount, toMilliCent } from '../../../protocol/billing/money.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';

/** June 2026: 30 days. */
const MONTH = 56 * 12 + 5;
const FIRST = monthFirstSlot(MONTH);
const SLOTS = 30 * 96;
const every = (make: (quarter: number, slot: number) => Omit<BilledSlot, 'slot'>): BilledSlot[] =>
  Array.from({ length: SLOTS }, (_, i) => ({ slot: FIRST + i, ...make(i % 96, FIRST + i) }));
const flat =
  (importMilliCentPerKwh: number, exportMilliCentPerKwh = 0) =>
  () => ({ importMilliCentPerKwh, exportMilliCentPerKwh });

test('a flat tariff: 30 days of 24 kWh at 30 ct', (t) => {
  const bill = computeBill(
    MONTH,
    every(() => ({ importMwh: 250_000, exportMwh: 0 })),
    flat(30_000),
  );
  // 720 kWh × 30 000 milli-cents
  t.like(bill, { feeMilliCent: 21_600_000, costMilliCent: 21_600_000, creditMilliCent: 0, slots: SLOTS, unpriced: 0 });
  t.is(bill.lines.length, 30);
  t.deepEqual(bill.lines[29], {
    day: FIRST / 96 + 29,
    importMwh: 24_000_000,
    exportMwh: 0,
    costMilliCent: 720_000,
    creditMilliCent: 0,
    unpriced: 0,
  });
});

test('a dynamic tariff: 20 ct at midnight, a tenth of a cent more each quarter hour', (t) => {
  const slots = every(() => ({ importMwh: 250_000, exportMwh: 0 }));
  const bill = computeBill(MONTH, slots, (slot) => ({
    importMilliCentPerKwh: 20_000 + 100 * (slot % 96),
    exportMilliCentPerKwh: 0,
  }));
  // a day: ¼ kWh × (96 × 20 000 + 100 × 4 560) = 594 000
  t.is(bill.feeMilliCent, 30 * 594_000);
});

test('with photovoltaics: what is fed in is credited, and a fee can be negative', (t) => {
  const slots = every((quarter) => ({ importMwh: 250_000, exportMwh: quarter >= 40 && quarter < 60 ? 400_000 : 0 }));
  const bill = computeBill(MONTH, slots, flat(30_000, 8_200));
  // export: 30 days × 20 quarter hours × 0.4 kWh × 8 200
  t.like(bill, { costMilliCent: 21_600_000, creditMilliCent: 1_968_000, feeMilliCent: 19_632_000 });
  t.is(computeBill(MONTH, slots, flat(1000, 8_200)).feeMilliCent, 720_000 - 1_968_000);
  // a negative export price costs
  t.is(computeBill(MONTH, slots, flat(30_000, -8_200)).feeMilliCent, 21_600_000 + 1_968_000);
});

test('rounded once per bill: a thousandth of a Wh each quarter hour is not lost', (t) => {
  // 2 880 mWh × 30 000 milli-cents per kWh = 86.4 milli-cents; rounded slot by slot it would be none
  const bill = computeBill(
    MONTH,
    every(() => ({ importMwh: 1, exportMwh: 0 })),
    flat(30_000),
  );
  t.is(bill.feeMilliCent, 86);
  t.is(
    bill.lines.reduce((sum, { costMilliCent }) => sum + costMilliCent, 0),
    86,
  );
  t.deepEqual([...new Set(bill.lines.map(({ costMilliCent }) => costMilliCent))].sort(), [2, 3]);
});

test('halves go away from zero', (t) => {
  t.deepEqual(
    [499_999n, 500_000n, 1_499_999n, 1_500_000n, -499_999n, -500_000n, -1_500_000n].map(toMilliCent),
    [0, 1, 1, 2, -0, -1, -2].map((n) => n + 0),
  );
});

test('quarter hours without a price are counted, not guessed', (t) => {
  const slots = every(() => ({ importMwh: 1_000_000, exportMwh: 0 }));
  const bill = computeBill(MONTH, slots, (slot) => (slot < FIRST + 100 ? flat(1000)() : undefined));
  t.like(bill, { feeMilliCent: 100_000, unpriced: SLOTS - 100 });
  t.like(bill.lines[1], { importMwh: 96_000_000, costMilliCent: 4000, unpriced: 92 });
});

test('a slot of another month, twice, out of order, or with energy that is none', (t) => {
  const one = { slot: FIRST, importMwh: 1, exportMwh: 0 };
  const wrong: [BilledSlot[], RegExp][] = [
    [[{ ...one, slot: FIRST - 1 }], /is not in month/],
    [[{ ...one, slot: FIRST + SLOTS }], /is not in month/],
    [[one, one], /comes twice/],
    [[{ ...one, slot: FIRST + 1 }, one], /after a later one/],
    [[{ ...one, importMwh: -1 }], /importMwh: is no whole number/],
    [[{ ...one, exportMwh: 0.5 }], /exportMwh: is no whole number/],
  ];
  for (const [slots, message] of wrong)
    t.throws(() => computeBill(MONTH, slots, flat(1)), { instanceOf: RangeError, message });
});

const slotArbitrary = fc.record({
  importMwh: fc.nat({ max: 14_000_000 }),
  exportMwh: fc.nat({ max: 14_000_000 }),
  importMilliCentPerKwh: fc.integer({ min: -100_000, max: 1_000_000 }),
  exportMilliCentPerKwh: fc.integer({ min: -100_000, max: 1_000_000 }),
});

test('lines add up to the bill, each within a milli-cent of the exact amount, and the fee does not depend on where days are split', (t) => {
  fc.assert(
    fc.property(fc.array(slotArbitrary, { minLength: 1, maxLength: 400 }), (values) => {
      const slots = values.map(({ importMwh, exportMwh }, i) => ({ slot: FIRST + i, importMwh, exportMwh }));
      const bill = computeBill(MONTH, slots, (slot) => values[slot - FIRST]);
      const exact = (from: number, to: number, side: 'import' | 'export') =>
        values.slice(from, to).reduce((sum, v) => sum + exactAmount(v[`${side}Mwh`], v[`${side}MilliCentPerKwh`]), 0n);
      const fee = toMilliCent(exact(0, values.length, 'import')) - toMilliCent(exact(0, values.length, 'export'));
      t.is(bill.feeMilliCent, fee);
      t.is(
        bill.lines.reduce((sum, line) => sum + line.costMilliCent - line.creditMilliCent, 0),
        fee,
      );
      for (const [d, line] of bill.lines.entries()) {
        const apart = BigInt(line.costMilliCent) * 1_000_000n - exact(d * 96, d * 96 + 96, 'import');
        t.true(apart <= 1_000_000n && apart >= -1_000_000n);
      }
      // the same energy in half the slots, at the same prices: no more, no less
      const other = slots.map((slot, i) => ({ ...slot, slot: FIRST + i * 5 }));
      t.is(computeBill(MONTH, other, (slot) => values[(slot - FIRST) / 5]).feeMilliCent, fee);
    }),
    { numRuns: 40 },
  );
});

test('amounts beyond what a float holds exactly stay exact', (t) => {
  // 2^53 + 1 could not be told from 2^53
  t.is(exactAmount(9_007_199_254_740_991, 3) % 10n, 3n);
  const slots = [0, 1].map((i) => ({ slot: FIRST + i, importMwh: 8_999_999_999_999, exportMwh: 0 }));
  t.is(computeBill(MONTH, slots, flat(999_999)).feeMilliCent, 17_999_982_000_000 - 2);
});

const identifier = generateSigningKey();
const sign = async (message: Uint8Array) => signP256(identifier.privateKey, message);
const bill: Bill = {
  month: MONTH,
  firstSlot: FIRST + 96,
  endSlot: FIRST + 7 * 96,
  identifier: identifierReference(identifier.publicKey),
  tariff: 'flex',
  currency: 'EUR',
  feeMilliCent: -123_456_789_012,
  priceNumber: 31,
  head: headDigest(Buffer.alloc(32, 1)),
};

test('a bill arrives as it was signed, and says one number', async (t) => {
  const bytes = await signBill(bill, sign);
  t.is(bytes.length, 1 + 2 + 4 + 4 + 32 + 5 + 4 + 8 + 4 + 32 + 1 + 64);
  t.deepEqual(JSON.stringify(decodeBill(bytes)), JSON.stringify(bill));
  t.true(verifyBill(bytes, identifier.publicKey));
  t.false(verifyBill(bytes, generateSigningKey().publicKey));
  t.deepEqual(billDigest(await signBill(bill, sign)), billDigest(bytes), 'whichever signature it has');
});

test('a bill that was altered, whichever byte', async (t) => {
  const bytes = await signBill(bill, sign);
  for (let at = 0; at < bytes.length; at += 3) {
    const altered = Buffer.from(bytes);
    altered[at] ^= 1;
    t.false(verifyBill(altered, identifier.publicKey), `byte ${at}`);
  }
});

test('a malformed bill is refused with the path of the field', async (t) => {
  const bytes = await signBill(bill, sign);
  t.throws(() => decodeBill(bytes.subarray(0, -1)), { message: /bill\.signature/ });
  const proof = Buffer.from(bytes);
  proof[bytes.length - 65] = 1;
  t.throws(() => decodeBill(proof), { message: /^bill\.(paymentLength|payment|signature|evidence)/ });
  for (const [part, problem] of [
    [{ firstSlot: FIRST - 1 }, 'bill.firstSlot: is before the month'],
    [{ endSlot: FIRST + 96 }, 'bill.endSlot: is not after firstSlot'],
    [{ endSlot: monthFirstSlot(MONTH + 1) + 1 }, 'bill.endSlot: is after the month'],
  ] as const) {
    const wrong = await signBill({ ...bill, ...part }, sign);
    t.throws(() => decodeBill(wrong), { message: problem });
  }
  await t.throwsAsync(signBill({ ...bill, feeMilliCent: 0.5 }, sign), { message: /bill\.fee/ });
  await t.throwsAsync(signBill({ ...bill, currency: 'e' }, sign), { message: /bill\.currency/ });
});
