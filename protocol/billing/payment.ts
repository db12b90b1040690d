/**
 * The payment of a period: one number, and a proof that it is the right one (private-metering.txt, "a payment message that includes the
 * total fee and a mathematical proof that the fee is correct"; Rial, Danezis, WPES 2011, section 4; protocols.md, section 5).
 *
 *   Provider ── signed policy, signed prices ──► User        Meter ── signed commitments C_t ──► Provider
 *   User ── payment: fee, proof ──► Provider (and whoever settles a dispute: he needs the same public data, and nothing else)
 *
 * The provider learns the fee. Of the readings it learns what the fee says about them (tariff.ts, A10), and nothing more.
 *
 *   linear rules   w_t: price of slot t. Π C_t^{w_t} commits to Σ w_t·c_t; its opening is the proof (commitments.ts).
 *   tiers          Y commits to the sum of what the intervals cost. Each interval's consumption is looked up in the table of what every
 *                  consumption costs, and Y is the sum of what was found (crypto/lookup-proof.ts): so nobody learns who was in which step.
 *   blocks         The total C of the period lies in block k. s_k is 1 there and 0 elsewhere, D_k how far C reaches into it (0 elsewhere):
 *                  Σ s_k = 1 and Σ (D_k + s_k·L_k) = C. Commitments to s_k and D_k are given for all blocks but the last, whose own follow
 *                  from the sums. That s_k, D_k and s_k·(W_k − 1) − D_k are not negative (crypto/range-proof.ts) leaves one choice of
 *                  block, and 0 ≤ D_k < W_k in it. W_k is the block's width, L_k its beginning, a_k what everything below it costs.
 *
 * All of it is one commitment, Π I_t^{w_t} · Π E_t^{x_t} · Y · Π S_k^{a_k}·D_k^{p_k}, and the payment opens it: to the fee before fixed
 * fees.
 *
 *   payment   size
 *             1     version = 1
 *             1+n   name of the policy
 *             4     its number
 *             32    its digest
 *             32    digest of the prices by slot: both sides charged the same
 *             32    meter
 *             2     month
 *             4     firstSlot
 *             4     endSlot, the one after the last
 *             16    fee in millionths of a milli-cent, fixed fees and all, two's complement
 *             32    what opens it
 *             1     parts: 1 = tiers, 2 = blocks; exactly those that the policy has
 *             33+n  tiers: Y, proof
 *             …     blocks: S_k (33) and D_k (33) of all but the last, proof
 *
 * Proofs are bound to all that stands before `fee`, to the fee, and to the roots of the commitments.
 */
import { createHash } from 'node:crypto';
import { EquationBatch } from '../crypto/equations.ts';
import {
  BASE,
  decodeScalar,
  ELEMENT_BYTES,
  Element,
  encodeScalar,
  modulo,
  multiScalar,
  SCALAR_BYTES,
  scalarOf,
  sum,
} from '../crypto/group.ts';
import { LABELS } from '../crypto/labels.ts';
import { type LookupStatement, lookupEquations, lookupProofBytes, proveLookup } from '../crypto/lookup-proof.ts';
import { commit, hide, VALUE_BASE } from '../crypto/pedersen.ts';
import { proveRange, rangeEquations, rangeProofBytes } from '../crypto/range-proof.ts';
import { Transcript } from '../crypto/transcript.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { type CommittedPeriod, type Opening, openWeightedSum, type Register, sumBounds } from './commitments.ts';
import { toMilliCent } from './money.ts';
import { TARIFF_PATTERN } from './prices.ts';
import {
  blockSteps,
  fixedFee,
  intervals,
  linearWeights,
  type Policy,
  type PriceOf,
  type SignedPolicy,
  type Step,
  stepFee,
  tierSteps,
} from './tariff.ts';

const VERSION = 1;
const DIGEST_BYTES = 32;
const AMOUNT_BYTES = 16;
const PARTS = { tiers: 1, blocks: 2 };
/** Of the total of a period: 24 of a reading, 12 of the number of slots. */
const TOTAL_BITS = 36;
const MICRO = 1_000_000n;

export interface Payment {
  name: string;
  number: number;
  policyDigest: Uint8Array;
  pricesDigest: Uint8Array;
  meter: Uint8Array;
  month: number;
  firstSlot: number;
  endSlot: number;
  /** In millionths of a milli-cent. */
  exactFee: bigint;
  /** To the nearest milli-cent. */
  feeMilliCent: number;
}
interface Parts {
  randomness: Uint8Array;
  tiers: { total: Element; proof: Uint8Array } | null;
  blocks: { chosen: Element[]; reached: Element[]; proof: Uint8Array } | null;
}

/** A payment that is not taken. `path` names the field. */
export class PaymentError extends Error {
  override readonly name = 'PaymentError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

// ── what both sides know ──

/** What a payment is about; all of it public. */
export interface Charge {
  policy: SignedPolicy;
  priceOf: PriceOf;
  meter: Uint8Array;
  month: number;
  firstSlot: number;
  endSlot: number;
  /** Roots of the commitments: import, then export where it is paid for. */
  roots: readonly Uint8Array[];
}

interface Weights {
  import: bigint[];
  export: bigint[];
}
function weightsOf({ policy: { policy }, priceOf, ...period }: Charge): Weights {
  const of = (register: Register): bigint[] => linearWeights(policy, register, period, priceOf);
  return { import: of('import'), export: of('export') };
}
/** Whether readings of export are needed for it. */
export const paysExport = (policy: Policy): boolean => policy.export.length > 0;

function pricesDigest(weights: Weights): Uint8Array {
  const hash = createHash('sha256');
  for (const register of ['import', 'export'] as const) hash.update(`${register} ${weights[register].join()}\n`);
  return hash.digest();
}

function tableOf(steps: readonly Step[], bits: number): bigint[] {
  return Array.from({ length: 2 ** bits }, (_, amount) => stepFee(steps, BigInt(amount)));
}

interface Block {
  from: bigint;
  width: bigint;
  price: bigint;
  /** What everything below it costs. */
  before: bigint;
}
function blocksOf(steps: readonly Step[]): Block[] {
  return steps.map(({ from, milliCentPerKwh }, k) => ({
    from,
    width: (steps[k + 1]?.from ?? 1n << BigInt(TOTAL_BITS)) - from,
    price: milliCentPerKwh,
    before: stepFee(steps, from),
  }));
}

function transcriptOf(statement: Uint8Array, roots: readonly Uint8Array[], part: 'tiers' | 'blocks'): Transcript {
  return new Transcript(LABELS.payment)
    .absorb('statement', statement)
    .absorb('roots', Buffer.concat(roots as Uint8Array[]))
    .absorb('part', Buffer.from(part));
}

// ── the user's step ──

export interface Readings {
  /** Of every slot of the period, in its order. */
  import: readonly Opening[];
  /** Empty where export is not paid for. */
  export: readonly Opening[];
}

/**
 * Computes the fee and proves it. Takes a time that depends on the readings: send it at a fixed time.
 * @param random uniform bytes
 * @throws PriceError where a price is missing or the policy is a question, RangeError where readings do not fit
 */
export function pay(charge: Charge, readings: Readings, random: (bytes: number) => Uint8Array): Uint8Array {
  const { policy } = charge.policy;
  const count = charge.endSlot - charge.firstSlot;
  if (readings.import.length !== count) throw new RangeError('every slot of the period needs its import');
  if (readings.export.length !== (paysExport(policy) ? count : 0))
    throw new RangeError('every slot of the period needs its export, if it is paid for');
  const weights = weightsOf(charge);
  const secret = (): bigint => scalarOf(random(64));
  const value = ({ value: v }: Opening): bigint => BigInt(v);
  const opener = ({ randomness }: Opening): bigint => decodeScalar(randomness);

  // what is to be opened: Σ value and Σ randomness
  let [fee, randomness] = [0n, 0n];
  for (const register of ['import', 'export'] as const) {
    if (readings[register].length === 0) continue;
    const opened = openWeightedSum(weights[register], readings[register]);
    fee += opened.sum;
    randomness += decodeScalar(opened.randomness);
  }

  const tiered = tierSteps(policy);
  const groups = tiered && intervals(charge.firstSlot, count, tiered.intervalSlots);
  const amounts = groups?.map((group) => group.reduce((total, i) => total + value(readings.import[i]), 0n));
  const table = tiered && tableOf(tiered.steps, tiered.bits);
  const tierTotal = table ? amounts!.reduce((total, amount) => total + table[Number(amount)], 0n) : 0n;
  const tierBlind = tiered ? secret() : 0n;
  fee += tierTotal;
  randomness += tierBlind;

  const blocked = blockSteps(policy);
  const blocks = blocked && blocksOf(blocked);
  const chosen = blocks && chooseBlock(blocks, readings.import, secret);
  if (blocks && chosen)
    for (const [k, { price, before }] of blocks.entries()) {
      fee += before * chosen.s[k].value + price * chosen.d[k].value;
      randomness += before * chosen.s[k].randomness + price * chosen.d[k].randomness;
    }

  const statement = encodeStatement(charge, pricesDigest(weights), exact(policy, charge, fee));
  const writer = new ByteWriter('payment')
    .bytes('statement', statement, statement.length)
    .bytes('randomness', encodeScalar(randomness), SCALAR_BYTES)
    .u8('parts', (tiered ? PARTS.tiers : 0) + (blocks ? PARTS.blocks : 0));
  if (tiered && groups && amounts && table) {
    const openers = groups.map((group) => modulo(group.reduce((total, i) => total + opener(readings.import[i]), 0n)));
    const total = hide(modulo(tierTotal), tierBlind);
    const proved: LookupStatement = {
      commitments: amounts.map((amount, i) => commit(Number(amount), encodeScalar(openers[i]))),
      digitBits: tiered.bits,
      digits: 1,
      images: { table, total },
    };
    const witness = { values: amounts, randomness: openers, totalRandomness: tierBlind };
    const proof = proveLookup(transcriptOf(statement, charge.roots, 'tiers'), proved, witness, random);
    writer.bytes('tiers.total', total.encode(), ELEMENT_BYTES).bytes('tiers.proof', proof, proof.length);
  }
  if (blocks && chosen) {
    const all = rangeValues(blocks, chosen.s, chosen.d);
    const commitments = all.map(({ value: v, randomness: r }) => hide(modulo(v), modulo(r)));
    const sent = [...chosen.s.slice(0, -1), ...chosen.d.slice(0, -1)];
    for (const { value: v, randomness: r } of sent) writer.bytes('blocks', hide(v, r).encode(), ELEMENT_BYTES);
    const proof = proveRange(
      transcriptOf(statement, charge.roots, 'blocks'),
      commitments,
      TOTAL_BITS,
      all.map(({ value: v }) => v),
      all.map(({ randomness: r }) => modulo(r)),
      random,
    );
    writer.bytes('blocks.proof', proof, proof.length);
  }
  return writer.finish();
}

interface Opened {
  value: bigint;
  randomness: bigint;
}
/** s_k and D_k; those of the last follow from the others. */
function chooseBlock(
  blocks: readonly Block[],
  readings: readonly Opening[],
  secret: () => bigint,
): { s: Opened[]; d: Opened[] } {
  let total: Opened = { value: 0n, randomness: 0n };
  for (const { value, randomness } of readings)
    total = { value: total.value + BigInt(value), randomness: total.randomness + decodeScalar(randomness) };
  const last = blocks.length - 1;
  const here = blocks.findLastIndex(({ from }) => total.value >= from);
  const s: Opened[] = [];
  const d: Opened[] = [];
  for (let k = 0; k < last; k++) {
    s.push({ value: k === here ? 1n : 0n, randomness: secret() });
    d.push({ value: k === here ? total.value - blocks[k].from : 0n, randomness: secret() });
  }
  const rest = lastOf<Opened>(blocks, s, d, total, { value: 1n, randomness: 0n }, (terms) => ({
    value: terms.reduce((sum, [{ value }, scalar]) => sum + scalar * value, 0n),
    randomness: modulo(terms.reduce((sum, [{ randomness }, scalar]) => sum + scalar * randomness, 0n)),
  }));
  return { s: [...s, rest.s], d: [...d, rest.d] };
}

/** s of the last block is 1 − Σ s_k; its D is C − Σ D_k − Σ s_k·L_k, itself included: in the clear or as commitments. */
function lastOf<T>(
  blocks: readonly Block[],
  s: readonly T[],
  d: readonly T[],
  total: T,
  one: T,
  combine: (terms: [T, bigint][]) => T,
): { s: T; d: T } {
  const lastS = combine([[one, 1n], ...s.map((each): [T, bigint] => [each, -1n])]);
  const lastD = combine([
    [total, 1n],
    ...d.map((each): [T, bigint] => [each, -1n]),
    ...[...s, lastS].map((each, k): [T, bigint] => [each, -blocks[k].from]),
  ]);
  return { s: lastS, d: lastD };
}
function rangeValues(blocks: readonly Block[], s: readonly Opened[], d: readonly Opened[]): Opened[] {
  const above = blocks.map(({ width }, k) => ({
    value: s[k].value * (width - 1n) - d[k].value,
    randomness: s[k].randomness * (width - 1n) - d[k].randomness,
  }));
  return [...s, ...d, ...above];
}

/** In millionths of a milli-cent. */
const exact = (policy: Policy, charge: Charge, fee: bigint): bigint =>
  fee * BigInt(policy.unitMwh) + BigInt(fixedFee(policy, charge)) * MICRO;

// ── the provider's step, and a judge's ──

/** One payment with the public data that it is to be judged by. */
export interface PaymentCase {
  payment: Uint8Array;
  policy: SignedPolicy;
  priceOf: PriceOf;
  /** Of the whole period that is due (commitments.ts, wholePeriod), by the meter that is charged. */
  import: CommittedPeriod;
  /** Needed where export is paid for. */
  export: CommittedPeriod | null;
}

/**
 * Whether the payment is right.
 * @param random bytes that the payer cannot know beforehand
 * @throws PaymentError, MalformedError, GroupError, PriceError that name the field
 */
export function verifyPayment(judged: PaymentCase, random: (bytes: number) => Uint8Array): Payment {
  const batch = new EquationBatch(random);
  const payment = paymentEquations(batch, judged);
  if (!batch.holds()) throw new PaymentError('payment.proof', 'does not show that this is the fee');
  return payment;
}

/**
 * Many at once, for the price of their own parts. Where one of them is wrong, each is looked at by itself.
 * @returns the payments, or errors, in the order of the cases
 */
export function verifyPayments(
  cases: readonly PaymentCase[],
  random: (bytes: number) => Uint8Array,
): (Payment | Error)[] {
  const batch = new EquationBatch(random);
  const results = cases.map((judged): Payment | Error => {
    const own = new EquationBatch(random);
    try {
      const payment = paymentEquations(own, judged);
      batch.include(own);
      return payment;
    } catch (error) {
      return refusal(error);
    }
  });
  if (batch.holds()) return results;
  return results.map((result, i) => {
    if (result instanceof Error) return result;
    try {
      return verifyPayment(cases[i], random);
    } catch (error) {
      return refusal(error);
    }
  });
}
function refusal(error: unknown): Error {
  if (error instanceof TypeError || !(error instanceof Error)) throw error; // a mistake of ours is nobody's refusal
  return error;
}

/** Checks all but the equations, and adds those to `batch`. */
function paymentEquations(batch: EquationBatch, judged: PaymentCase): Payment {
  const { payment: bytes, priceOf } = judged;
  const { policy } = judged.policy;
  const wrong = (field: string, problem: string): never => {
    throw new PaymentError(`payment.${field}`, problem);
  };
  const { firstSlot, endSlot, meter, month } = judged.import;
  checkPeriods(judged);
  const series = paysExport(policy) ? [judged.import, judged.export!] : [judged.import];
  const roots = series.flatMap((period) => period.roots);
  const charge: Charge = { policy: judged.policy, priceOf, meter, month, firstSlot, endSlot, roots };
  const weights = weightsOf(charge);
  const tiered = tierSteps(policy);
  const groups = tiered && intervals(firstSlot, endSlot - firstSlot, tiered.intervalSlots);
  const steps = blockSteps(policy);
  const blocks = steps && blocksOf(steps);

  const { payment, parts, statement } = decode(bytes, {
    tiers: tiered && groups ? { rows: groups.length, bits: tiered.bits } : null,
    blocks: blocks?.length ?? null,
  });
  if (payment.name !== policy.name) wrong('name', `is ${payment.name}, not ${policy.name}`);
  if (payment.number !== policy.number) wrong('number', `is of policy ${payment.number}, not ${policy.number}`);
  if (differ(payment.policyDigest, judged.policy.digest)) wrong('policyDigest', 'is of another policy');
  if (differ(payment.pricesDigest, pricesDigest(weights))) wrong('pricesDigest', 'is of other prices');
  if (differ(payment.meter, meter)) wrong('meter', 'is another');
  if (payment.month !== month) wrong('month', 'is another');
  if (payment.firstSlot !== firstSlot)
    wrong('firstSlot', `is ${payment.firstSlot}; due is the fee from ${firstSlot} on`);
  if (payment.endSlot !== endSlot) wrong('endSlot', `is ${payment.endSlot}; due is the fee to before ${endSlot}`);

  const fee = variableFee(payment.exactFee, policy, charge);
  const { least, most } = feeBounds(charge, weights, tiered, groups?.length ?? 0, blocks, judged.import);
  if (fee < least || fee > most) wrong('fee', 'is none that the readings of a period can lead to');

  // Π I_t^{w_t} · Π E_t^{x_t} · Y · Π S_k^{a_k}·D_k^{p_k} = G^R · H^fee
  batch.next();
  batch.term(VALUE_BASE, -modulo(fee));
  batch.term(BASE, -decodeScalar(parts.randomness, 'payment.randomness'));
  batch.term(multiScalar(judged.import.elements, weights.import), 1n);
  if (paysExport(policy)) batch.term(multiScalar(judged.export!.elements, weights.export), 1n);
  if (parts.tiers) batch.term(parts.tiers.total, 1n);
  const chosen = blocks && parts.blocks && allBlocks(blocks, parts.blocks, judged.import.elements);
  if (blocks && chosen)
    for (const [k, { before, price }] of blocks.entries()) {
      batch.term(chosen.s[k], modulo(before));
      batch.term(chosen.d[k], modulo(price));
    }

  if (tiered && groups && parts.tiers) {
    const { elements } = judged.import;
    const proved: LookupStatement = {
      commitments: tiered.intervalSlots === 1 ? elements : groups.map((group) => sum(group.map((i) => elements[i]))),
      digitBits: tiered.bits,
      digits: 1,
      images: { table: tableOf(tiered.steps, tiered.bits), total: parts.tiers.total },
    };
    const transcript = transcriptOf(statement, roots, 'tiers');
    lookupEquations(batch, transcript, proved, parts.tiers.proof, 'payment.tiers.proof');
  }
  if (blocks && chosen && parts.blocks) {
    const above = blocks.map(({ width }, k) => multiScalar([chosen.s[k], chosen.d[k]], [width - 1n, -1n]));
    const transcript = transcriptOf(statement, roots, 'blocks');
    const commitments = [...chosen.s, ...chosen.d, ...above];
    rangeEquations(batch, transcript, commitments, TOTAL_BITS, parts.blocks.proof, 'payment.blocks.proof');
  }
  return payment;
}

function allBlocks(
  blocks: readonly Block[],
  { chosen, reached }: { chosen: readonly Element[]; reached: readonly Element[] },
  elements: readonly Element[],
): { s: Element[]; d: Element[] } {
  const last = lastOf<Element>(blocks, chosen, reached, sum(elements), VALUE_BASE, (terms) =>
    multiScalar(
      terms.map(([element]) => element),
      terms.map(([, scalar]) => scalar),
    ),
  );
  return { s: [...chosen, last.s], d: [...reached, last.d] };
}

/** Both registers are of the same meter and time, measured as the policy says, and of the right kind. */
function checkPeriods({ policy: { policy }, import: imported, export: exported }: PaymentCase): void {
  const wrong = (path: string, problem: string): never => {
    throw new PaymentError(path, problem);
  };
  if (policy.firstSlot > imported.firstSlot) wrong('policy.firstSlot', 'lies after the beginning of the period');
  if (paysExport(policy) && exported === null) wrong('commitments.export', 'are missing');
  for (const [register, period] of [
    ['import', imported],
    ['export', paysExport(policy) ? exported! : null],
  ] as const) {
    if (period === null) continue;
    if (period.register !== register) wrong(`commitments.${register}`, `are of ${period.register}`);
    if (period.purpose !== imported.purpose) wrong(`commitments.${register}`, 'are of another purpose');
    if (period.unitMwh !== policy.unitMwh) wrong(`commitments.${register}.unitMwh`, `is not ${policy.unitMwh}`);
    if (period.bits !== policy.readingBits) wrong(`commitments.${register}.bits`, `is not ${policy.readingBits}`);
    if (differ(period.meter, imported.meter)) wrong(`commitments.${register}.meter`, 'is another');
    for (const field of ['month', 'firstSlot', 'endSlot'] as const)
      if (period[field] !== imported[field])
        wrong(`commitments.${register}.${field}`, 'is another than that of import');
  }
}

/** What is opened: without fixed fees, in milli-cents times the readings' unit. */
function variableFee(exactFee: bigint, policy: Policy, charge: Charge): bigint {
  const rest = exactFee - BigInt(fixedFee(policy, charge)) * MICRO;
  const unit = BigInt(policy.unitMwh);
  if (rest % unit !== 0n) throw new PaymentError('payment.fee', `is no multiple of what ${unit} mWh cost`);
  return rest / unit;
}

/** Between what the fee must lie: it is opened modulo the order of the group, and these bounds leave one number. */
function feeBounds(
  { policy: { policy } }: Charge,
  weights: Weights,
  tiered: ReturnType<typeof tierSteps>,
  groups: number,
  blocks: readonly Block[] | null,
  { bits, elements }: CommittedPeriod,
): { least: bigint; most: bigint } {
  const all = [sumBounds(weights.import, bits)];
  if (paysExport(policy)) all.push(sumBounds(weights.export, bits));
  const spans = (fees: readonly bigint[], times: number): void => {
    const sorted = [0n, ...fees].sort((a, b) => (a < b ? -1 : 1));
    all.push({ least: sorted[0] * BigInt(times), most: sorted[sorted.length - 1] * BigInt(times) });
  };
  if (tiered) {
    const most = (1n << BigInt(tiered.bits)) - 1n;
    spans([...tiered.steps.map(({ from }) => stepFee(tiered.steps, from)), stepFee(tiered.steps, most)], groups);
  }
  if (blocks) {
    const most = ((1n << BigInt(bits)) - 1n) * BigInt(elements.length);
    const steps = blocks.map(({ from, price }) => ({ from, milliCentPerKwh: price }));
    spans([...blocks.map(({ before }) => before), stepFee(steps, most)], 1);
  }
  return all.reduce((bounds, { least, most }) => ({ least: bounds.least + least, most: bounds.most + most }));
}

const differ = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) !== 0;

// ── layout ──

function encodeStatement(
  { policy: { policy, digest }, meter, month, firstSlot, endSlot }: Charge,
  prices: Uint8Array,
  exactFee: bigint,
): Uint8Array {
  const amount = Buffer.from(
    BigInt.asUintN(8 * AMOUNT_BYTES, exactFee)
      .toString(16)
      .padStart(2 * AMOUNT_BYTES, '0'),
    'hex',
  );
  return new ByteWriter('payment')
    .u8('version', VERSION)
    .text('name', policy.name, TARIFF_PATTERN)
    .u32('number', policy.number)
    .bytes('policyDigest', digest, DIGEST_BYTES)
    .bytes('pricesDigest', prices, DIGEST_BYTES)
    .bytes('meter', meter, DIGEST_BYTES)
    .u16('month', month)
    .u32('firstSlot', firstSlot)
    .u32('endSlot', endSlot)
    .bytes('fee', amount, AMOUNT_BYTES)
    .finish();
}

function readStatement(reader: ByteReader): Payment {
  reader.constant('version', VERSION);
  const named = {
    name: reader.text('name', TARIFF_PATTERN),
    number: reader.u32('number'),
    policyDigest: reader.bytes('policyDigest', DIGEST_BYTES),
    pricesDigest: reader.bytes('pricesDigest', DIGEST_BYTES),
    meter: reader.bytes('meter', DIGEST_BYTES),
    month: reader.u16('month'),
    firstSlot: reader.u32('firstSlot'),
    endSlot: reader.u32('endSlot'),
  };
  const amount = Buffer.from(reader.bytes('fee', AMOUNT_BYTES)).toString('hex');
  const exactFee = BigInt.asIntN(8 * AMOUNT_BYTES, BigInt(`0x${amount}`));
  let feeMilliCent: number;
  try {
    feeMilliCent = toMilliCent(exactFee);
  } catch {
    throw reader.error('fee', 'is too large');
  }
  return { ...named, exactFee, feeMilliCent };
}

/** What a payment says, before anything of it was checked. @throws MalformedError */
export const readPayment = (bytes: Uint8Array): Payment => readStatement(new ByteReader('payment', bytes));

/** @param expected what the policy has */
function decode(
  bytes: Uint8Array,
  expected: { tiers: { rows: number; bits: number } | null; blocks: number | null },
): { payment: Payment; parts: Parts; statement: Uint8Array } {
  const reader = new ByteReader('payment', bytes);
  const payment = readStatement(reader);
  const statement = bytes.slice(0, reader.at);
  const randomness = reader.bytes('randomness', SCALAR_BYTES);
  const found = reader.u8('parts');
  const wanted = (expected.tiers ? PARTS.tiers : 0) + (expected.blocks === null ? 0 : PARTS.blocks);
  if (found !== wanted) throw reader.error('parts', `is ${found}; the policy asks for ${wanted}`);
  const element = (field: string): Element => Element.decode(reader.bytes(field, ELEMENT_BYTES), `payment.${field}`);
  const parts: Parts = { randomness, tiers: null, blocks: null };
  if (expected.tiers) {
    const { rows, bits } = expected.tiers;
    const total = element('tiers.total');
    const shape = {
      commitments: { length: rows } as Element[],
      digitBits: bits,
      digits: 1,
      images: { table: [], total },
    };
    parts.tiers = { total, proof: reader.bytes('tiers.proof', lookupProofBytes(shape)) };
  }
  if (expected.blocks !== null) {
    const all = Array.from({ length: expected.blocks - 1 }, (_, k) => k);
    const chosen = all.map((k) => element(`blocks.${k}.chosen`));
    const reached = all.map((k) => element(`blocks.${k}.reached`));
    const proof = reader.bytes('blocks.proof', rangeProofBytes(3 * expected.blocks, TOTAL_BITS));
    parts.blocks = { chosen, reached, proof };
  }
  reader.end();
  return { payment, parts, statement };
}
