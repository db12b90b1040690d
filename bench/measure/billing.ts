/**
 * `npm run -s measure -- billing [--json]`: the bill that proves itself, for a month of 31 days: 2,976 readings of import, on one core, in
 * milliseconds of processor time.
 * The peer is the same verification through the generic functions of @noble/curves: points decoded by it, sums by its `pippenger`; for
 * tiers and blocks the sum of as many points as the proof has.
 *
 * `verifyMs` begins with compressed points, as they arrive; `cachedVerifyMs` with points that were decoded when they came.
 */
import { createHash, randomBytes } from 'node:crypto';
import { pippenger } from '@noble/curves/abstract/curve.js';
import { p256 } from '@noble/curves/nist.js';
import { identifierReference } from '../../protocol/billing/bill.ts';
import {
  type CommittedPeriod,
  commitReading,
  type Opening,
  openingOf,
  type Series,
} from '../../protocol/billing/commitments.ts';
import {
  type Charge,
  type PaymentCase,
  pay,
  readPayment,
  verifyPayment,
  verifyPayments,
} from '../../protocol/billing/payment.ts';
import type { SlotPrice } from '../../protocol/billing/prices.ts';
import { checkPolicy, clearFee, linearWeights, type Policy, type SignedPolicy } from '../../protocol/billing/tariff.ts';
import { generators } from '../../protocol/crypto/generators.ts';
import {
  BASE,
  decodeElements,
  decodeScalar,
  type Element,
  encodeScalar,
  modulo,
  multiplyBase,
  ORDER,
  sum,
} from '../../protocol/crypto/group.ts';
import { merkleRoot } from '../../protocol/crypto/merkle.ts';
import { VALUE_BASE } from '../../protocol/crypto/pedersen.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';

/** January 2026: 31 days. */
const MONTH = 56 * 12;
const FIRST = monthFirstSlot(MONTH);
const END = monthFirstSlot(MONTH + 1);
const READINGS = END - FIRST;
const HOUSEHOLDS = 1000;
/** The best of so many: what the runtime compiles and collects only ever adds. */
const TIMES = 3;
/** Short work is repeated for so long: the clock of processor time is coarse. */
const LEAST_MS = 100;

export interface BillingRow {
  tariff: 'flat' | 'time-of-use' | 'dynamic' | 'tiers' | 'blocks';
  readings: number;
  commitMsPerReading: number;
  proveMs: number;
  verifyMs: number;
  cachedVerifyMs: number;
  bytes: number;
  peerVerifyMs: number;
}
export interface BatchRow {
  tariff: BillingRow['tariff'];
  households: number;
  /** Of all of them, points decoded. */
  verifyMs: number;
  perBillMs: number;
}

const number = (text: string, below: number): number =>
  createHash('sha256').update(text).digest().readUInt32BE() % below;
const prices = new Map<number, SlotPrice>();
function priceOf(slot: number): SlotPrice {
  let price = prices.get(slot);
  if (!price) {
    price = { importMilliCentPerKwh: 15_000 + number(`price ${slot}`, 30_000), exportMilliCentPerKwh: 0 };
    prices.set(slot, price);
  }
  return price;
}
const BASE_POLICY = { name: 'measured', currency: 'EUR', number: 1, firstSlot: FIRST, export: [], fixed: [] };
const mwh = { ...BASE_POLICY, unitMwh: 1, readingBits: 24 } as const;
const POLICIES: Record<BillingRow['tariff'], Policy> = {
  flat: { ...mwh, import: [{ kind: 'flat', milliCentPerKwh: 31_234 }] },
  'time-of-use': {
    ...mwh,
    import: [
      {
        kind: 'time-of-use',
        milliCentPerKwh: Array.from({ length: 96 }, (_, i) => [21_345, 28_765, 33_210, 41_987][(i >> 3) & 3]),
      },
    ],
  },
  dynamic: { ...mwh, import: [{ kind: 'dynamic', add: 0 }] },
  tiers: {
    ...BASE_POLICY,
    unitMwh: 1000,
    readingBits: 12,
    import: [
      {
        kind: 'tiers',
        intervalSlots: 1,
        steps: [
          { fromWh: 0, milliCentPerKwh: 25_000 },
          { fromWh: 500, milliCentPerKwh: 31_000 },
          { fromWh: 1_500, milliCentPerKwh: 45_000 },
        ],
      },
    ],
  },
  blocks: {
    ...mwh,
    import: [
      {
        kind: 'blocks',
        steps: [
          { fromWh: 0, milliCentPerKwh: 25_000 },
          { fromWh: 100_000, milliCentPerKwh: 31_000 },
          { fromWh: 300_000, milliCentPerKwh: 28_000 },
        ],
      },
    ],
  },
};

const rounded = (ms: number): number => Number(ms.toPrecision(3));
/** Processor time of this thread, which does all the work: on a machine with nothing else to do, the time that passes. */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
function best<T>(work: () => T): { ms: number; result: T } {
  let ms = Number.POSITIVE_INFINITY;
  let result = work(); // compiles
  for (let i = 0; i < TIMES; i++) {
    const startMs = processorMs();
    let [repeated, passedMs] = [0, 0];
    while (passedMs < LEAST_MS) {
      result = work();
      repeated++;
      passedMs = processorMs() - startMs;
    }
    ms = Math.min(ms, passedMs / repeated);
  }
  return { ms, result };
}

const seriesOf = ({ unitMwh, readingBits: bits }: Policy): Series => ({
  meter: identifierReference(Buffer.alloc(33, 2)),
  month: MONTH,
  purpose: 0,
  register: 'import',
  revision: 0,
  sinceSlot: FIRST,
  unitMwh,
  bits,
});
const periodOf = (series: Series, elements: Element[], root: Uint8Array): CommittedPeriod => ({
  ...series,
  firstSlot: FIRST,
  endSlot: END,
  elements,
  roots: [root],
});
/** Not signed: what is measured begins after the signatures. */
const unsigned = (policy: Policy): SignedPolicy => ({
  policy: checkPolicy(policy),
  digest: createHash('sha256').update(JSON.stringify(policy)).digest(),
});

function measureTariff(tariff: BillingRow['tariff']): BillingRow {
  const bill = unsigned(POLICIES[tariff]);
  const series = seriesOf(bill.policy);
  const key = randomBytes(32);
  const values = Array.from({ length: READINGS }, (_, i) => number(`reading ${i}`, 2 ** (series.bits - 2)));
  const committing = best(() => values.map((value, i) => commitReading(key, series, FIRST + i, value)));
  const points = Buffer.concat(committing.result);
  const root = merkleRoot(committing.result);
  const charge: Charge = { ...series, policy: bill, priceOf, firstSlot: FIRST, endSlot: END, roots: [root] };
  const openings = values.map((value, i): Opening => openingOf(key, series, FIRST + i, value));
  const proving = best(() => pay(charge, { import: openings, export: [] }, randomBytes));
  const payment = proving.result;
  const judged = (elements: Element[]): PaymentCase => ({
    payment,
    policy: bill,
    priceOf,
    import: periodOf(series, elements, root),
    export: null,
  });
  const decoded = decodeElements(points);
  const cached = best(() => verifyPayment(judged(decoded), randomBytes));
  const verifying = best(() => verifyPayment(judged(decodeElements(points)), randomBytes));
  if (verifying.result.exactFee !== clearFee(bill.policy, charge, { import: values, export: [] }, priceOf))
    throw new Error(`${tariff}: the fee is not the one computed in the clear`);
  return {
    tariff,
    readings: READINGS,
    commitMsPerReading: rounded(committing.ms / READINGS),
    proveMs: rounded(proving.ms),
    verifyMs: rounded(verifying.ms),
    cachedVerifyMs: rounded(cached.ms),
    bytes: payment.length,
    peerVerifyMs: rounded(measurePeer(bill.policy, points, payment)),
  };
}

/** Once: it takes seconds. */
function measurePeer(policy: Policy, points: Uint8Array, payment: Uint8Array): number {
  const { Point } = p256;
  const noble = (element: Element) => Point.fromBytes(element.encode());
  const tiered = policy.import.some(({ kind }) => kind === 'tiers');
  const [value, vectors] = [
    noble(VALUE_BASE),
    tiered ? [...generators('g', 4096), ...generators('h', 4096)].map(noble) : [],
  ];
  const full = (count: number) =>
    Array.from({ length: count }, () => modulo(BigInt(`0x${randomBytes(32).toString('hex')}`)));
  const startMs = processorMs();
  const decoded = Array.from({ length: READINGS }, (_, i) => Point.fromBytes(points.subarray(33 * i, 33 * i + 33)));
  if (policy.import.some(({ kind }) => kind === 'tiers' || kind === 'blocks')) {
    // as many terms as the equations of the proof have, with weights of full length
    const others = tiered ? vectors : Array.from({ length: 2 * 64 }, () => value);
    const weights = tiered ? full(READINGS) : decoded.map(() => 1n);
    pippenger(Point, [...decoded, ...others], [...weights, ...full(others.length)]);
  } else {
    const weights = linearWeights(policy, 'import', { firstSlot: FIRST, endSlot: END }, priceOf);
    const { exactFee } = readPayment(payment);
    const opened = Point.BASE.multiply(decodeScalar(payment.subarray(-33, -1))).add(value.multiply(exactFee));
    if (!pippenger(Point, decoded, weights).equals(opened)) throw new Error('the peer finds another fee');
  }
  return processorMs() - startMs;
}

/**
 * A household's commitments, made cheaply: C_t of slot t + 1 is C_t plus a fixed step, so randomness and readings are known, and the
 * points are as different as others.
 */
function cheapHousehold(seed: number, series: Series): { elements: Element[]; openings: Opening[] } {
  const step = modulo(BigInt(`0x${randomBytes(32).toString('hex')}`));
  let [randomness, value] = [modulo(BigInt(`0x${randomBytes(32).toString('hex')}`)), 1000 + seed];
  const move = multiplyBase(encodeScalar(step)).add(VALUE_BASE);
  let point = multiplyBase(encodeScalar(randomness)).add(VALUE_BASE.multiply(BigInt(value)));
  const elements: Element[] = [];
  const openings: Opening[] = [];
  for (let i = 0; i < READINGS; i++) {
    elements.push(point);
    openings.push({ value, randomness: encodeScalar(randomness) });
    point = sum([point, move]);
    randomness = (randomness + step) % ORDER;
    value++;
  }
  if (value >= 2 ** series.bits || point === BASE) throw new Error('readings do not fit');
  return { elements, openings };
}

function measureBatch(tariff: BillingRow['tariff'], households: number): BatchRow {
  const bill = unsigned(POLICIES[tariff]);
  const series = seriesOf(bill.policy);
  const root = Buffer.alloc(32);
  const charge: Charge = { ...series, policy: bill, priceOf, firstSlot: FIRST, endSlot: END, roots: [root] };
  let verifyMs = 0;
  const perBatch = 100; // what is kept in memory at once
  for (let done = 0; done < households; done += perBatch) {
    const cases = Array.from({ length: perBatch }, (_, i): PaymentCase => {
      const { elements, openings } = cheapHousehold(done + i, series);
      const payment = pay(charge, { import: openings, export: [] }, randomBytes);
      return { payment, policy: bill, priceOf, import: periodOf(series, elements, root), export: null };
    });
    const startMs = processorMs();
    const results = verifyPayments(cases, randomBytes);
    verifyMs += processorMs() - startMs;
    if (results.some((result) => result instanceof Error)) throw new Error('a bill of the batch was refused');
  }
  return { tariff, households, verifyMs: rounded(verifyMs), perBillMs: rounded(verifyMs / households) };
}

export async function run({ json }: { json: boolean }): Promise<number> {
  generators('g', 4096);
  generators('h', 4096);
  const rows = (Object.keys(POLICIES) as BillingRow['tariff'][]).map(measureTariff);
  if (json) {
    console.log(JSON.stringify({ rows: rows.map(({ cachedVerifyMs: _, ...row }) => row) }));
    return 0;
  }
  const columns = ['tariff', 'readings', 'commit ms', 'prove ms', 'verify ms', 'cached ms', 'bytes', '@noble ms'];
  const line = (cells: (string | number)[]): string =>
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(12) : String(cell).padStart(10))).join(' ');
  console.log(line(columns));
  for (const { tariff, readings, commitMsPerReading, proveMs, verifyMs, cachedVerifyMs, bytes, peerVerifyMs } of rows)
    console.log(line([tariff, readings, commitMsPerReading, proveMs, verifyMs, cachedVerifyMs, bytes, peerVerifyMs]));
  console.log('\nbills of many households in a batch, points decoded');
  console.log(line(['tariff', 'bills', 'all ms', 'each ms']));
  for (const tariff of ['flat', 'dynamic'] as const) {
    const { households, verifyMs, perBillMs } = measureBatch(tariff, HOUSEHOLDS);
    console.log(line([tariff, households, verifyMs, perBillMs]));
  }
  return 0;
}
