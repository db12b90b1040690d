import { randomBytes } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import test from 'ava';
import { CommitmentError, openWeightedSum } from '../../../protocol/billing/commitments.ts';
import { toMilliCent } from '../../../protocol/billing/money.ts';
import {
  type PaymentCase,
  PaymentError,
  pay,
  readPayment,
  verifyPayment,
  verifyPayments,
} from '../../../protocol/billing/payment.ts';
import { PriceError } from '../../../protocol/billing/prices.ts';
import { clearFee, linearWeights, type Policy } from '../../../protocol/billing/tariff.ts';
import { decodeScalar, type Element, encodeScalar, GroupError, ORDER } from '../../../protocol/crypto/group.ts';
import { commitment, VALUE_BASE } from '../../../protocol/crypto/pedersen.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';
import {
  BLOCKS,
  caseOf,
  chargeOf,
  DYNAMIC,
  FLAT,
  type Household,
  household,
  MONTH,
  payOf,
  priceOf,
  signed,
  TIERS,
  TIME_OF_USE,
} from './_household.ts';

const judge = (judged: PaymentCase) => verifyPayment(judged, randomBytes);
const POLICIES: Record<string, Policy> = { FLAT, TIME_OF_USE, DYNAMIC, TIERS, BLOCKS };
const homes = new Map<string, Household>();
const homeFor = async ({ unitMwh, readingBits: bits }: Policy, name = 'a', days = 1): Promise<Household> => {
  const id = `${name} ${unitMwh} ${bits} ${days}`;
  if (!homes.has(id)) homes.set(id, await household(name, { unitMwh, bits, days }));
  return homes.get(id)!;
};
const isRefusal = (error: unknown): boolean =>
  [PaymentError, MalformedError, GroupError, PriceError, CommitmentError].some((kind) => error instanceof kind);
/** Refused, by whatever check; a mistake of ours would be another error. */
const refused = (judged: PaymentCase): boolean => {
  try {
    judge(judged);
    return false;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return true;
  }
};

for (const [name, policy] of Object.entries(POLICIES))
  test(`${name}: the fee is the one computed in the clear, to the last digit, and the proof shows it`, async (t) => {
    const home = await homeFor(policy, 'a', name === 'TIERS' || name === 'BLOCKS' ? 1 : 2);
    const bill = signed(policy);
    const payment = judge(caseOf(home, bill, payOf(home, bill)));
    const clear = clearFee(policy, home.committed.import, home.values, priceOf);
    t.is(payment.exactFee, clear);
    t.is(payment.feeMilliCent, toMilliCent(clear));
    t.not(payment.feeMilliCent, 0);
    t.like(payment, { name: 'home', number: 1, month: MONTH, firstSlot: home.committed.import.firstSlot });
  });

test('by the oracle: a linear payment opens the product of the commitments', async (t) => {
  const home = await homeFor(DYNAMIC);
  const payment = payOf(home, signed(DYNAMIC));
  const { exactFee } = readPayment(payment);
  const R = decodeScalar(payment.subarray(-33, -1));
  const { Point } = p256;
  const noble = (element: Element) => Point.fromHex(Buffer.from(element.encode()).toString('hex'));
  let product = Point.ZERO;
  for (const register of ['import', 'export'] as const) {
    const { elements } = home.committed[register];
    for (const [i, weight] of linearWeights(DYNAMIC, register, home.committed.import, priceOf).entries()) {
      const size = weight < 0n ? -weight : weight;
      const part = noble(elements[i]).multiply(size);
      product = product.add(weight < 0n ? part.negate() : part);
    }
  }
  t.true(product.equals(Point.BASE.multiply(R).add(noble(VALUE_BASE).multiply(exactFee))));
});

test('a household that is paid: the fee is negative', async (t) => {
  const home = await homeFor(FLAT);
  const policy: Policy = {
    ...FLAT,
    import: [{ kind: 'flat', milliCentPerKwh: 2_000 }],
    export: [{ kind: 'flat', milliCentPerKwh: 90_000 }],
  };
  const bill = signed(policy);
  const payment = judge(caseOf(home, bill, payOf(home, bill)));
  t.true(payment.feeMilliCent < 0);
  t.is(payment.exactFee, clearFee(policy, home.committed.import, home.values, priceOf));
});

test('blocks at their borders, and tiers of an hour', async (t) => {
  const home = await homeFor(BLOCKS);
  const total = home.values.import.reduce((sum, value) => sum + value, 0);
  const at = Math.floor(total / 1000);
  for (const border of [at - 1, at, at + 1]) {
    const steps = [
      { fromWh: 0, milliCentPerKwh: 20_000 },
      { fromWh: border, milliCentPerKwh: 50_000 },
    ];
    const policy: Policy = { ...BLOCKS, import: [{ kind: 'blocks', steps }] };
    const bill = signed(policy);
    t.is(
      judge(caseOf(home, bill, payOf(home, bill))).exactFee,
      clearFee(policy, home.committed.import, home.values, priceOf),
    );
  }
  const hourly = structuredClone(TIERS);
  const [rule] = hourly.import;
  if (rule.kind === 'tiers') rule.intervalSlots = 4;
  const bill = signed(hourly);
  const tiered = await homeFor(TIERS);
  const payment = judge(caseOf(tiered, bill, payOf(tiered, bill)));
  t.is(payment.exactFee, clearFee(hourly, tiered.committed.import, tiered.values, priceOf));
});

// ── soundness ──

test('every bit of a linear payment', async (t) => {
  const home = await homeFor(FLAT);
  const bill = signed(FLAT);
  const payment = payOf(home, bill);
  for (let bit = 0; bit < 8 * payment.length; bit++) {
    const altered = Buffer.from(payment);
    altered[bit >> 3] ^= 1 << (bit & 7);
    if (!refused(caseOf(home, bill, altered))) t.fail(`bit ${bit}`);
  }
  t.pass();
});

for (const [name, policy] of [
  ['TIERS', TIERS],
  ['BLOCKS', BLOCKS],
] as const)
  test(`${name}: a byte of each field of the payment, and others`, async (t) => {
    const home = await homeFor(policy);
    const bill = signed(policy);
    const payment = payOf(home, bill);
    for (let at = payment.length % 16; at < payment.length; at += 16) {
      const altered = Buffer.from(payment);
      altered[at] ^= 1 << (at % 8);
      if (!refused(caseOf(home, bill, altered))) t.fail(`byte ${at}`);
    }
    t.true(refused(caseOf(home, bill, payment.subarray(0, -1))));
    t.true(refused(caseOf(home, bill, Buffer.concat([payment, Buffer.alloc(1)]))));
  });

/** The payment with another fee, and what opens it moved along as far as that can be done. */
function withFee(payment: Uint8Array, change: (fee: bigint) => bigint): Uint8Array {
  const altered = Buffer.from(payment);
  const { exactFee, name } = readPayment(payment);
  const at = 1 + 1 + name.length + 4 + 32 + 32 + 32 + 2 + 4 + 4;
  const fee = BigInt.asUintN(128, change(exactFee)).toString(16).padStart(32, '0');
  altered.write(fee, at, 'hex');
  return altered;
}

for (const [name, policy] of Object.entries(POLICIES))
  test(`${name}: a fee lower by one, and one that agrees modulo the order of the group`, async (t) => {
    const home = await homeFor(policy);
    const bill = signed(policy);
    const payment = payOf(home, bill);
    const unit = BigInt(policy.unitMwh);
    t.false(
      refused(
        caseOf(
          home,
          bill,
          withFee(payment, (fee) => fee),
        ),
      ),
    );
    for (const change of [-unit, unit, -unit * 1_000_000n, ORDER, -ORDER])
      t.true(
        refused(
          caseOf(
            home,
            bill,
            withFee(payment, (fee) => fee + change),
          ),
        ),
        `${change}`,
      );
  });

test('readings of another meter, another month, another register', async (t) => {
  const bill = signed(FLAT);
  const [mine, other] = [await homeFor(FLAT), await homeFor(FLAT, 'other')];
  const payment = payOf(mine, bill);
  t.throws(() => judge({ ...caseOf(mine, bill, payment), import: other.committed.import }), {
    message: /^payment\.meter: /,
  });
  // the other's readings under my name: as if his commitments were mine
  const { elements } = other.committed.import;
  const stolen = { ...mine.committed.import, elements };
  t.throws(() => judge({ ...caseOf(mine, bill, payment), import: stolen }), { message: /^payment\.proof: / });
  const march = await household('a', { month: MONTH + 1, days: 1 });
  t.throws(() => judge({ ...caseOf(mine, bill, payment), import: march.committed.import }), {
    message: /^payment\.(meter|month|pricesDigest): /,
  });
  t.throws(() => judge({ ...caseOf(mine, bill, payment), import: mine.committed.export }), {
    message: 'commitments.import: are of export',
  });
});

test('a reading left out, counted twice, or committed to as another number', async (t) => {
  const bill = signed(FLAT);
  const home = await homeFor(FLAT);
  const charge = chargeOf(home, bill);
  const { import: openings } = home.readings(FLAT);
  const shorter = { ...charge, firstSlot: charge.firstSlot + 1 };
  const left = pay(shorter, { import: openings.slice(1), export: [] }, randomBytes);
  t.throws(() => judge(caseOf(home, bill, left)), { message: /^payment\.(firstSlot|pricesDigest): / });
  const twice = pay(charge, { import: openings.with(1, openings[0]), export: [] }, randomBytes);
  t.throws(() => judge(caseOf(home, bill, twice)), { message: /^payment\.proof: / });
  const less = pay(
    charge,
    { import: openings.with(5, { ...openings[5], value: openings[5].value - 1 }), export: [] },
    randomBytes,
  );
  t.throws(() => judge(caseOf(home, bill, less)), { message: /^payment\.proof: / });
  t.throws(() => pay(charge, { import: openings.slice(1), export: [] }, randomBytes), { instanceOf: RangeError });
});

test('a negative reading and an overflow: no proof of tiers or blocks is to be had for them', async (t) => {
  for (const policy of [TIERS, BLOCKS]) {
    const home = await homeFor(policy);
    const bill = signed(policy);
    const { import: openings } = home.readings(policy);
    for (const value of [-1, 2 ** policy.readingBits, -(2 ** 40)]) {
      // a meter that is not honest could commit so; what follows is then refused, too
      const element = commitment(BigInt(value), decodeScalar(openings[3].randomness));
      const imported = { ...home.committed.import, elements: home.committed.import.elements.with(3, element) };
      const readings = { ...home.readings(policy), import: openings.with(3, { ...openings[3], value }) };
      let payment: Uint8Array;
      try {
        payment = pay(chargeOf(home, bill), readings, randomBytes);
      } catch (error) {
        t.true(error instanceof RangeError || error instanceof TypeError, `${value}: ${error}`);
        payment = payOf(home, bill);
      }
      // one reading of blocks alone need not fit: the total has to
      const total = readings.import.reduce((sum, opening) => sum + opening.value, 0);
      if (policy === TIERS || total < 0)
        t.true(refused({ ...caseOf(home, bill, payment), import: imported }), `${value}`);
    }
  }
});

test('a swapped tariff, prices of one quarter hour changed, a proof of one month for another', async (t) => {
  const home = await homeFor(FLAT);
  const bill = signed(FLAT);
  const payment = payOf(home, bill);
  const cheaper = signed({ ...FLAT, number: 2, import: [{ kind: 'flat', milliCentPerKwh: 29_999 }] });
  t.throws(() => judge(caseOf(home, cheaper, payment)), { message: /^payment\.number: / });
  const cheaperAsOne = signed({ ...FLAT, import: [{ kind: 'flat', milliCentPerKwh: 29_999 }] });
  t.throws(() => judge(caseOf(home, cheaperAsOne, payment)), { message: /^payment\.policyDigest: / });
  t.throws(() => judge(caseOf(home, bill, payOf(home, cheaperAsOne))), { message: /^payment\.policyDigest: / });

  const dynamic = signed(DYNAMIC);
  const { firstSlot } = home.committed.import;
  const changed = (slot: number) => {
    const price = priceOf(slot);
    return slot === firstSlot + 7 ? { ...price, importMilliCentPerKwh: price.importMilliCentPerKwh - 1 } : price;
  };
  const paid = pay({ ...chargeOf(home, dynamic), priceOf: changed }, home.readings(DYNAMIC), randomBytes);
  t.throws(() => judge(caseOf(home, dynamic, paid)), { message: /^payment\.pricesDigest: / });

  // proofs are taken out of one payment and put into another
  const [tiers, blocks] = [signed(TIERS), signed(BLOCKS)];
  for (const [policy, size] of [
    [tiers, 300],
    [blocks, 300],
  ] as const) {
    const [a, b] = [await homeFor(policy.policy), await homeFor(policy.policy, 'other')];
    const [mine, theirs] = [payOf(a, policy), payOf(b, policy)];
    const mixed = Buffer.concat([mine.subarray(0, mine.length - size), theirs.subarray(theirs.length - size)]);
    t.true(refused(caseOf(a, policy, mixed)));
    t.true(refused(caseOf(b, policy, mine)));
  }
});

test('what opens the sum is not to be moved between fee and randomness', async (t) => {
  // H^fee · G^R: without the logarithm of H nobody can
  const home = await homeFor(FLAT);
  const bill = signed(FLAT);
  const payment = Buffer.from(withFee(payOf(home, bill), (fee) => fee - 1n));
  for (const change of [1n, -1n, ORDER - 2n]) {
    const R = decodeScalar(payment.subarray(-33, -1));
    payment.set(encodeScalar(R + change), payment.length - 33);
    t.true(refused(caseOf(home, bill, payment)));
  }
});

test('public data that does not fit the policy is named', async (t) => {
  const home = await homeFor(TIME_OF_USE);
  const bill = signed(TIME_OF_USE);
  const good = caseOf(home, bill, payOf(home, bill));
  t.false(refused(good));
  const { import: imported, export: exported } = home.committed;
  const wrong: [Partial<PaymentCase>, string][] = [
    [{ export: null }, 'commitments.export'],
    [{ export: imported }, 'commitments.export'],
    [{ import: { ...imported, unitMwh: 1000 } }, 'commitments.import.unitMwh'],
    [{ import: { ...imported, bits: 12 } }, 'commitments.import.bits'],
    [{ export: { ...exported!, firstSlot: exported!.firstSlot + 1 } }, 'commitments.export.firstSlot'],
    [{ export: { ...exported!, purpose: 3 } }, 'commitments.export'],
  ];
  for (const [change, path] of wrong)
    t.throws(() => judge({ ...good, ...change }), { instanceOf: PaymentError, message: new RegExp(`^${path}: `) });
  const late = signed({ ...FLAT, firstSlot: Math.ceil(imported.firstSlot / 96) * 96 + 96 });
  t.throws(() => judge(caseOf(home, late, good.payment)), { message: /^policy\.firstSlot: / });
  // a dynamic price that has not come
  t.throws(
    () => pay({ ...chargeOf(home, signed(DYNAMIC)), priceOf: () => undefined }, home.readings(DYNAMIC), randomBytes),
    {
      instanceOf: PriceError,
      message: /^prices\./,
    },
  );
});

test('proofs are bound to the roots of the commitments', async (t) => {
  const home = await homeFor(BLOCKS);
  const bill = signed(BLOCKS);
  const good = caseOf(home, bill, payOf(home, bill));
  t.throws(() => judge({ ...good, import: { ...good.import, roots: [Buffer.alloc(32)] } }), {
    message: /^payment\.proof: /,
  });
});

test('many households at once: the wrong ones are found, the others are taken', async (t) => {
  const bills = [signed(FLAT), signed(DYNAMIC), signed(BLOCKS)];
  const cases: PaymentCase[] = [];
  for (const [i, bill] of [...bills, ...bills].entries()) {
    const home = await homeFor(bill.policy, i < 3 ? 'a' : 'other');
    cases.push(caseOf(home, bill, payOf(home, bill)));
  }
  t.true(verifyPayments(cases, randomBytes).every((result) => !(result instanceof Error)));
  const bad = cases.with(4, { ...cases[4], payment: withFee(cases[4].payment, (fee) => fee - 1n) });
  bad[0] = { ...bad[0], payment: bad[0].payment.subarray(1) };
  const results = verifyPayments(bad, randomBytes);
  t.deepEqual(
    results.map((result) => result instanceof Error),
    [true, false, false, false, true, false],
  );
  t.regex((results[4] as Error).message, /^payment\.proof: /);
});

test('two openings of the same weights tell no more than one', async (t) => {
  const home = await homeFor(FLAT);
  const openings = home.readings(FLAT).import;
  const weights = openings.map(() => 5n);
  t.deepEqual(openWeightedSum(weights, openings), openWeightedSum(weights, openings));
});
