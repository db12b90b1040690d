/** A household of a month that is over: readings, commitments, and policies to charge it by. Seeded: the same on each run. */
import { createHash, randomBytes } from 'node:crypto';
import { identifierReference } from '../../../protocol/billing/bill.ts';
import {
  type CommittedPeriod,
  commitReading,
  openCommitments,
  openingOf,
  type Register,
  type Series,
  signCommitments,
  wholePeriod,
} from '../../../protocol/billing/commitments.ts';
import { type Charge, type PaymentCase, pay, paysExport, type Readings } from '../../../protocol/billing/payment.ts';
import type { SlotPrice } from '../../../protocol/billing/prices.ts';
import { openPolicy, type Policy, type SignedPolicy, signPolicy } from '../../../protocol/billing/tariff.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';

/** February 2026. */
export const MONTH = 56 * 12 + 1;
export const FIRST = monthFirstSlot(MONTH);
/** Days that are charged: a household that came late in the month keeps tests short. */
export const DAYS = 2;

export const provider = generateSigningKey();
export const number = (text: string, below: number): number =>
  createHash('sha256').update(text).digest().readUInt32BE() % below;

export interface Household {
  name: string;
  key: Uint8Array;
  meter: ReturnType<typeof generateSigningKey>;
  month: number;
  days: number;
  values: Record<Register, number[]>;
  series(register: Register): Series;
  readings(policy: Policy): Readings;
  committed: Record<Register, CommittedPeriod>;
}

export async function household(
  name: string,
  {
    unitMwh = 1,
    bits = 24,
    month = MONTH,
    days = DAYS,
    most = 0.2 * 2 ** bits,
  }: { unitMwh?: number; bits?: number; month?: number; days?: number; most?: number } = {},
): Promise<Household> {
  const meter = generateSigningKey();
  const key = createHash('sha256').update(name).digest();
  const end = monthFirstSlot(month + 1);
  const firstSlot = end - 96 * days;
  const values = (register: Register): number[] =>
    Array.from({ length: 96 * days }, (_, i) => number(`${name} ${register} ${month} ${i}`, Math.floor(most)));
  const all = { import: values('import'), export: values('export') };
  const series = (register: Register): Series => ({
    meter: identifierReference(meter.publicKey),
    month,
    purpose: 0,
    register,
    revision: 0,
    sinceSlot: firstSlot,
    unitMwh,
    bits,
  });
  const committed = async (register: Register): Promise<CommittedPeriod> => {
    const points = all[register].map((value, i) => commitReading(key, series(register), firstSlot + i, value));
    const sign = (message: Uint8Array) => signP256(meter.privateKey, message);
    return wholePeriod([
      openCommitments(await signCommitments(series(register), firstSlot, points, sign), meter.publicKey),
    ]);
  };
  const openings = (register: Register) =>
    all[register].map((value, i) => openingOf(key, series(register), firstSlot + i, value));
  return {
    name,
    key,
    meter,
    month,
    days,
    values: all,
    series,
    readings: (policy) => ({ import: openings('import'), export: paysExport(policy) ? openings('export') : [] }),
    committed: { import: await committed('import'), export: await committed('export') },
  };
}

/** Differs in every slot; below zero now and then. */
export const priceOf = (slot: number): SlotPrice => ({
  importMilliCentPerKwh: 20_000 + number(`price ${slot}`, 30_000) - 21_000 * Number(slot % 50 === 0),
  exportMilliCentPerKwh: 5_000 + number(`export ${slot}`, 5_000),
});

const BASE = {
  name: 'home',
  currency: 'EUR',
  number: 1,
  firstSlot: FIRST,
  unitMwh: 1,
  readingBits: 24,
  export: [],
  fixed: [],
} satisfies Omit<Policy, 'import'>;
const quarters = (price: (quarter: number) => number): number[] => Array.from({ length: 96 }, (_, i) => price(i));
export const FLAT: Policy = { ...BASE, import: [{ kind: 'flat', milliCentPerKwh: 30_000 }] };
export const TIME_OF_USE: Policy = {
  ...BASE,
  import: [
    {
      kind: 'time-of-use',
      milliCentPerKwh: quarters((i) => (i < 24 ? 21_000 : i < 68 ? 28_000 : 41_000)),
      weekend: quarters(() => 21_000),
    },
  ],
  export: [{ kind: 'flat', milliCentPerKwh: 8_000 }],
  fixed: [{ name: 'meter', milliCentPerDay: 12_345 }],
};
export const DYNAMIC: Policy = {
  ...BASE,
  import: [{ kind: 'dynamic', add: 1_000 }],
  export: [{ kind: 'dynamic', add: 0 }],
};
export const TIERS: Policy = {
  ...BASE,
  unitMwh: 1000,
  readingBits: 8,
  import: [
    {
      kind: 'tiers',
      intervalSlots: 1,
      steps: [
        { fromWh: 0, milliCentPerKwh: 20_000 },
        { fromWh: 20, milliCentPerKwh: 45_000 },
        { fromWh: 40, milliCentPerKwh: 35_000 },
      ],
    },
    { kind: 'flat', milliCentPerKwh: 4_000 },
  ],
  export: [{ kind: 'flat', milliCentPerKwh: 7_000 }],
};
export const BLOCKS: Policy = {
  ...BASE,
  import: [
    {
      kind: 'blocks',
      steps: [
        { fromWh: 0, milliCentPerKwh: 25_000 },
        { fromWh: 50_000, milliCentPerKwh: 35_000 },
        { fromWh: 400_000, milliCentPerKwh: 30_000 },
      ],
    },
  ],
};

export const signed = (policy: Policy): SignedPolicy =>
  openPolicy(signPolicy(policy, provider.privateKey), provider.publicKey);

export function chargeOf(home: Household, policy: SignedPolicy): Charge {
  const { import: imported, export: exported } = home.committed;
  const { meter, month, firstSlot, endSlot } = imported;
  const roots = [...imported.roots, ...(paysExport(policy.policy) ? exported.roots : [])];
  return { policy, priceOf, meter, month, firstSlot, endSlot, roots };
}
export const payOf = (home: Household, policy: SignedPolicy): Uint8Array =>
  pay(chargeOf(home, policy), home.readings(policy.policy), randomBytes);
export const caseOf = (home: Household, policy: SignedPolicy, payment: Uint8Array): PaymentCase => ({
  payment,
  policy,
  priceOf,
  import: home.committed.import,
  export: home.committed.export,
});
