import test from 'ava';
import { PriceError } from '../../../protocol/billing/prices.ts';
import {
  checkPolicy,
  checkSuccession,
  checkWeights,
  clearFee,
  fixedFee,
  intervalSums,
  linearWeights,
  openPolicy,
  type Policy,
  signPolicy,
  stepFee,
} from '../../../protocol/billing/tariff.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';
import { BLOCKS, DYNAMIC, FIRST, FLAT, priceOf, provider, signed, TIERS, TIME_OF_USE } from './_household.ts';

const PERIOD = { firstSlot: FIRST, endSlot: FIRST + 192 };
const never = () => undefined;

test('fees in the clear, by hand', (t) => {
  const kwh = Array.from({ length: 192 }, () => 1_000_000);
  const none = Array.from({ length: 192 }, () => 0);
  // 192 kWh at 30 ct
  t.is(clearFee(FLAT, PERIOD, { import: kwh, export: [] }, never), 192n * 30_000n * 1_000_000n);
  // Sunday 1 February 2026 at the price of weekends; Monday: 6 hours at 21 ct, 11 at 28, 7 at 41; two days of fixed fees
  const monday = 24n * 21_000n + 44n * 28_000n + 28n * 41_000n;
  const expected = 96n * 21_000n + monday - 192n * 8_000n + 2n * 12_345n;
  t.is(clearFee(TIME_OF_USE, PERIOD, { import: kwh, export: kwh }, never), expected * 1_000_000n);
  // a reading of 50 Wh: 20 at 20 ct, 20 at 45 ct, 10 at 35 ct, and 50 at 4 ct, in Wh
  const wh = none.with(7, 50);
  const tiered = 20n * 20_000n + 20n * 45_000n + 10n * 35_000n + 50n * 4_000n;
  t.is(clearFee(TIERS, PERIOD, { import: wh, export: none }, never), tiered * 1000n);
  // 192 kWh: 50 at 25 ct, the rest at 35 ct
  t.is(clearFee(BLOCKS, PERIOD, { import: kwh, export: [] }, never), (50n * 25_000n + 142n * 35_000n) * 1_000_000n);
  t.is(
    fixedFee(TIME_OF_USE, { firstSlot: FIRST + 95, endSlot: FIRST + 97 }),
    2 * 12_345,
    'each day of which a slot is in it',
  );
  const weights = linearWeights(DYNAMIC, 'import', PERIOD, priceOf);
  t.is(weights[3], BigInt(priceOf(FIRST + 3).importMilliCentPerKwh + 1_000));
  t.is(linearWeights(DYNAMIC, 'export', PERIOD, priceOf)[3], -BigInt(priceOf(FIRST + 3).exportMilliCentPerKwh));
});

test('steps at their borders; intervals of the clock', (t) => {
  const steps = [
    { from: 0n, milliCentPerKwh: 2n },
    { from: 10n, milliCentPerKwh: 5n },
    { from: 20n, milliCentPerKwh: 3n },
  ];
  const fees = [0n, 1n, 10n, 11n, 20n, 21n].map((amount) => stepFee(steps, amount));
  t.deepEqual(fees, [0n, 2n, 20n, 25n, 70n, 73n]);
  t.deepEqual(intervalSums(FIRST + 3, [1, 2, 3, 4, 5, 6], 4), [1, 14, 6], 'an hour is an hour of the clock');
});

test('a policy arrives as it was signed, and an altered one does not', (t) => {
  for (const policy of [FLAT, TIME_OF_USE, DYNAMIC, TIERS, BLOCKS]) {
    const bytes = signPolicy(policy, provider.privateKey);
    t.like(openPolicy(bytes, provider.publicKey).policy, { name: policy.name, number: policy.number });
    t.deepEqual(signed(policy).digest, signed(policy).digest, 'whichever signature it has');
    for (let at = 0; at < bytes.length; at += 7) {
      const altered = Buffer.from(bytes);
      altered[at] ^= 1;
      const error = t.throws(() => openPolicy(altered, provider.publicKey));
      t.true(error instanceof PriceError || error instanceof MalformedError);
      t.regex(error.message, /^policy/);
    }
  }
  t.throws(() => openPolicy(signPolicy(FLAT, generateSigningKey().privateKey), provider.publicKey), {
    message: /^policy\.signature: /,
  });
});

test('a bad policy is refused with the path of the field', (t) => {
  const steps = (...from: number[]) => ({
    import: [{ kind: 'tiers', steps: from.map((fromWh) => ({ fromWh, milliCentPerKwh: 5 })) }],
  });
  const wrong: [object, string][] = [
    [{ name: 'Upper' }, 'policy.name'],
    [{ currency: 'euro' }, 'policy.currency'],
    [{ number: -1 }, 'policy.number'],
    [{ firstSlot: FIRST + 1 }, 'policy.firstSlot'],
    [{ unitMwh: 10 }, 'policy.unitMwh'],
    [{ readingBits: 25 }, 'policy.readingBits'],
    [{ import: [{ kind: 'flat', milliCentPerKwh: 0.5 }] }, 'policy.import.0.milliCentPerKwh'],
    [{ import: [{ kind: 'flat', milliCentPerKwh: 2_000_000_000 }] }, 'policy.import.0.milliCentPerKwh'],
    [{ import: [{ kind: 'free' }] }, 'policy.import.0.kind'],
    [{ import: [{ kind: 'time-of-use', milliCentPerKwh: [1, 2] }] }, 'policy.import.0.milliCentPerKwh'],
    [{ import: [BLOCKS.import[0], BLOCKS.import[0]] }, 'policy.import'],
    [{ export: [BLOCKS.import[0]] }, 'policy.export.0.kind'],
    [{ ...steps(1, 2), unitMwh: 1000, readingBits: 8 }, 'policy.import.0.steps'],
    [{ ...steps(0), unitMwh: 1000, readingBits: 8 }, 'policy.import.0.steps'],
    [{ ...steps(0, 5, 5), unitMwh: 1000, readingBits: 8 }, 'policy.import.0.steps'],
    [{ ...steps(0, 256), unitMwh: 1000, readingBits: 8 }, 'policy.import.0.steps.1.fromWh'],
    [steps(0, 5), 'policy.import.0'],
    [{ fixed: [{ name: '', milliCentPerDay: 1 }] }, 'policy.fixed.0.name'],
    [{ more: true }, 'policy.more'],
  ];
  for (const [change, path] of wrong) {
    const error = t.throws(() => checkPolicy({ ...FLAT, ...change }), { instanceOf: PriceError });
    t.is(error.path, path, error.message);
  }
});

test('never older than the last', (t) => {
  const next: Policy = { ...FLAT, number: 2, firstSlot: FIRST + 96 };
  t.notThrows(() => checkSuccession(next, FLAT));
  t.notThrows(() => checkSuccession(FLAT, null));
  t.throws(() => checkSuccession(FLAT, next), { message: /^policy\.number: .* older/ });
  t.like(
    t.throws(() => checkSuccession(FLAT, FLAT), { instanceOf: PriceError }),
    { recovery: 'again' },
  );
  t.throws(() => checkSuccession({ ...FLAT, number: 2 }, { ...FLAT, firstSlot: FIRST + 96 }), {
    message: /^policy\.firstSlot: /,
  });
  t.throws(() => checkSuccession({ ...FLAT, name: 'other', number: 2 }, FLAT), { message: /^policy\.name: / });
});

test('A10: a policy that would read quarter hours out of the fee is refused before it is used', (t) => {
  const powers = Array.from({ length: 192 }, (_, i) => (i % 32 === 0 ? 1n << BigInt(24 + (12 * i) / 32) : 1n));
  t.throws(() => checkWeights(powers, 'p'), {
    instanceOf: PriceError,
    message: /^p\.160: is more than 100 times the median/,
  });
  const flat = Array.from({ length: 192 }, () => 100n);
  t.notThrows(() => checkWeights(flat.with(7, 10_000n), 'p'));
  t.notThrows(() => checkWeights(flat.with(7, -10_000n), 'p'));
  t.throws(() => checkWeights(flat.with(7, -10_001n), 'p'), { message: /^p\.7: / });
  // zero for all but one quarter hour: the median of what is left is that one
  t.throws(
    () =>
      checkWeights(
        flat.map((_, i) => BigInt(Number(i === 7))),
        'p',
      ),
    { message: /^p: prices 1 quarter hours only/ },
  );
  t.notThrows(() =>
    checkWeights(
      flat.map(() => 0n),
      'p',
    ),
  );
  const listed = (slot: number) => ({
    importMilliCentPerKwh: slot === FIRST + 9 ? 9_000_000 : 20_000,
    exportMilliCentPerKwh: 0,
  });
  t.throws(() => linearWeights(DYNAMIC, 'import', PERIOD, listed), { message: /^policy\.import\.9: / });
  t.throws(() => linearWeights(DYNAMIC, 'import', PERIOD, never), { message: `prices.${FIRST}: has not come` });
  const steep = structuredClone(TIERS);
  if (steep.import[0].kind === 'tiers') steep.import[0].steps[2].milliCentPerKwh = 5_000_000;
  t.throws(() => checkPolicy(steep), { message: /^policy\.import\.0\.steps\.2: / });
});
