/**
 * Selective disclosure (private-metering.txt: "selective disclosure of consumption data to the provider, but only with the users'
 * consent … certified to be correct"): what the customer agrees to tell, and that it is true by the meter's commitments.
 *
 *   User ── consent on the page; the ledger allows it (ledger.ts) ──► disclosure ──► whom it is for, who has the commitments
 *
 *   total, day, reading   Σ c_t over consecutive slots, opened: whole period, one day of UTC, one slot
 *   peak                  the largest reading of a period and its slot: that reading opened, and a proof that none is larger: for each t,
 *                         peak − c_t is not negative (a lookup of its digits, crypto/lookup-proof.ts)
 *
 *   disclosure   size
 *                1    version = 1
 *                1    kind: 1 = total, 2 = day, 3 = reading, 4 = peak
 *                32   meter
 *                2    month
 *                1    purpose
 *                1    register: 1 = import, 2 = export
 *                4    unitMwh
 *                4    firstSlot
 *                4    endSlot, the one after the last
 *                8    value, in units
 *                32   what opens it
 *                4+n  peak: its slot, proof
 */
import { EquationBatch } from '../crypto/equations.ts';
import { decodeScalar, type Element, modulo, SCALAR_BYTES } from '../crypto/group.ts';
import { LABELS } from '../crypto/labels.ts';
import { type LookupStatement, lookupEquations, lookupProofBytes, proveLookup } from '../crypto/lookup-proof.ts';
import { hide, VALUE_BASE } from '../crypto/pedersen.ts';
import { Transcript } from '../crypto/transcript.ts';
import { DAY_MS, SLOTS_PER_DAY, slotStartMs } from '../time/slots.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';
import {
  type CommittedPeriod,
  type Opening,
  openWeightedSum,
  REGISTERS,
  type Register,
  type Series,
  verifyWeightedSum,
} from './commitments.ts';
import { type Disclosure as LedgerEntry, readingKey } from './ledger.ts';

const VERSION = 1;
export const DISCLOSURE_KINDS = { total: 1, day: 2, reading: 3, peak: 4 } as const;
export type DisclosureKind = keyof typeof DISCLOSURE_KINDS;
const METER_BYTES = 32;
/** Rows of the table in which the distances from the peak are looked up: 2^12, so that a month needs vectors of 8,192. */
const PEAK_DIGIT_BITS = 12;

export interface Disclosed {
  kind: DisclosureKind;
  meter: Uint8Array;
  month: number;
  purpose: number;
  register: Register;
  unitMwh: number;
  firstSlot: number;
  endSlot: number;
  /** In units. */
  value: number;
  /** Of the peak; null where it is none. */
  slot: number | null;
}

/** A disclosure that is not believed. `path` names the field. */
export class DisclosureError extends Error {
  override readonly name = 'DisclosureError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

const NAMES: Record<DisclosureKind, string> = {
  total: 'the total',
  day: 'the total of the day',
  reading: 'the reading',
  peak: 'the peak',
};

/**
 * What the ledger is to be asked about it, and to remember: as agreed to by name.
 * @param of as it will be disclosed; a peak tells the reading of its slot
 */
export function ledgerEntry(
  of: Pick<Disclosed, 'kind' | 'purpose' | 'register' | 'firstSlot' | 'endSlot' | 'slot'>,
  party: string,
): LedgerEntry {
  const slots =
    of.slot === null ? Array.from({ length: of.endSlot - of.firstSlot }, (_, i) => of.firstSlot + i) : [of.slot];
  const from = new Date(slotStartMs(of.firstSlot)).toISOString();
  const when =
    of.kind === 'reading'
      ? `${from.slice(0, 10)} ${from.slice(11, 16)} UTC`
      : from.slice(0, of.kind === 'day' ? 10 : 7);
  return {
    name: `${NAMES[of.kind]} of ${of.register}, ${when}`,
    party,
    consented: true,
    weights: new Map(slots.map((slot) => [readingKey(of.purpose, of.register, slot), 1])),
  };
}

// ── the user's step ──

/**
 * @param series of the commitments
 * @param openings of every slot from firstSlot on
 * @param random uniform bytes, for the peak
 * @throws MalformedError where slots and kind do not fit
 */
export function disclose(
  kind: DisclosureKind,
  series: Series,
  firstSlot: number,
  openings: readonly Opening[],
  random: (bytes: number) => Uint8Array,
): Uint8Array {
  const values = openings.map(({ value }) => value);
  const value = kind === 'peak' ? Math.max(...values) : values.reduce((sum, each) => sum + each, 0);
  const told = { ...series, kind, firstSlot, endSlot: firstSlot + openings.length, value };
  checkSlots(told);
  const peakAt = kind === 'peak' ? values.indexOf(value) : null;
  const opened = openWeightedSum(weightsOf(openings.length, peakAt), openings);
  const statement = encodeStatement(told);
  const writer = new ByteWriter('disclosure')
    .bytes('statement', statement, statement.length)
    .bytes('randomness', opened.randomness, SCALAR_BYTES);
  if (peakAt === null) return writer.finish();
  const distances = openings.map(({ value: each, randomness }) => ({
    value: BigInt(value - each),
    randomness: modulo(-decodeScalar(randomness)),
  }));
  const commitments = distances.map((each) => hide(each.value, each.randomness));
  const proof = proveLookup(
    transcriptOf(statement),
    peakStatement(series.bits, commitments),
    {
      values: distances.map((each) => each.value),
      randomness: distances.map((each) => each.randomness),
      totalRandomness: 0n,
    },
    random,
  );
  return writer
    .u32('slot', firstSlot + peakAt)
    .bytes('proof', proof, proof.length)
    .finish();
}

/** The whole sum, or the reading of the peak. */
const weightsOf = (count: number, peakAt: number | null): bigint[] =>
  Array.from({ length: count }, (_, i) => (peakAt === null || i === peakAt ? 1n : 0n));
const peakStatement = (bits: number, commitments: readonly Element[]): LookupStatement => ({
  commitments,
  digitBits: Math.min(bits, PEAK_DIGIT_BITS),
  digits: Math.ceil(bits / PEAK_DIGIT_BITS),
});
const transcriptOf = (statement: Uint8Array): Transcript =>
  new Transcript(LABELS.disclosure).absorb('statement', statement);

// ── the step of whom it is for ──

/**
 * Whether what was disclosed is what the meter measured.
 * @param period the meter's commitments of exactly those slots (commitments.ts, wholePeriod)
 * @param random bytes that the other side cannot know beforehand
 * @throws DisclosureError, MalformedError, GroupError that name the field
 */
export function verifyDisclosure(
  bytes: Uint8Array,
  period: CommittedPeriod,
  random: (bytes: number) => Uint8Array,
): Disclosed {
  const reader = new ByteReader('disclosure', bytes);
  const { told, statement, randomness } = read(reader, bytes);
  const wrong = (field: string, problem: string): never => {
    throw new DisclosureError(`disclosure.${field}`, problem);
  };
  if (Buffer.compare(told.meter, period.meter) !== 0) wrong('meter', 'is another');
  for (const field of ['month', 'purpose', 'register', 'unitMwh', 'firstSlot', 'endSlot'] as const)
    if (told[field] !== period[field]) wrong(field, `is ${told[field]}, the commitments are of ${period[field]}`);
  const count = period.elements.length;
  const slot = told.kind === 'peak' ? reader.u32('slot') : null;
  if (slot !== null && (slot < told.firstSlot || slot >= told.endSlot)) wrong('slot', 'lies outside the period');
  const weights = weightsOf(count, slot === null ? null : slot - told.firstSlot);
  if (!verifyWeightedSum(period.elements, weights, { sum: BigInt(told.value), randomness }, period.bits))
    wrong('value', 'is not what the meter has committed to');
  if (slot !== null) {
    const { elements, bits } = period;
    const peak = VALUE_BASE.multiply(BigInt(told.value));
    const about = peakStatement(
      bits,
      elements.map((element) => peak.subtract(element)),
    );
    const proof = reader.bytes('proof', lookupProofBytes(about));
    const batch = new EquationBatch(random);
    lookupEquations(batch, transcriptOf(statement), about, proof, 'disclosure.proof');
    if (!batch.holds()) wrong('proof', 'does not show that no reading is larger');
  }
  reader.end();
  return { ...told, slot };
}

/** What a disclosure says, before anything of it was checked. @throws MalformedError */
export const readDisclosure = (bytes: Uint8Array): Omit<Disclosed, 'slot'> =>
  read(new ByteReader('disclosure', bytes), bytes).told;

// ── layout ──

function checkSlots({ kind, firstSlot, endSlot }: { kind: DisclosureKind; firstSlot: number; endSlot: number }): void {
  const count = endSlot - firstSlot;
  const wrong = (problem: string): never => {
    throw new MalformedError('disclosure.endSlot', problem);
  };
  if (count < 1) wrong('leaves no slot');
  const isDay = count === SLOTS_PER_DAY && slotStartMs(firstSlot) % DAY_MS === 0;
  if (kind === 'reading' && count !== 1) wrong('makes more than one slot');
  if (kind === 'day' && !isDay) wrong('makes no day of UTC');
  if (kind === 'total' && (isDay || count === 1))
    wrong('makes it the total of a day, or one reading, and is to be called so');
}

function encodeStatement(told: Omit<Disclosed, 'slot'>): Uint8Array {
  return new ByteWriter('disclosure')
    .u8('version', VERSION)
    .u8('kind', DISCLOSURE_KINDS[told.kind])
    .bytes('meter', told.meter, METER_BYTES)
    .u16('month', told.month)
    .u8('purpose', told.purpose)
    .u8('register', REGISTERS[told.register])
    .u32('unitMwh', told.unitMwh)
    .u32('firstSlot', told.firstSlot)
    .u32('endSlot', told.endSlot)
    .u32('value', Math.floor(told.value / U32))
    .u32('value', told.value % U32)
    .finish();
}
const U32 = 2 ** 32;

function read(
  reader: ByteReader,
  bytes: Uint8Array,
): { told: Omit<Disclosed, 'slot'>; statement: Uint8Array; randomness: Uint8Array } {
  reader.constant('version', VERSION);
  const named = <T extends string>(field: string, names: Record<T, number>): T => {
    const code = reader.u8(field);
    const name = (Object.keys(names) as T[]).find((each) => names[each] === code);
    if (name === undefined) throw reader.error(field, `is ${code}, which is none`);
    return name;
  };
  const told = {
    kind: named('kind', DISCLOSURE_KINDS),
    meter: reader.bytes('meter', METER_BYTES),
    month: reader.u16('month'),
    purpose: reader.u8('purpose'),
    register: named('register', REGISTERS),
    unitMwh: reader.u32('unitMwh'),
    firstSlot: reader.u32('firstSlot'),
    endSlot: reader.u32('endSlot'),
    value: reader.u32('value') * U32 + reader.u32('value'),
  };
  if (!Number.isSafeInteger(told.value)) throw reader.error('value', 'is too large');
  checkSlots(told);
  return { told, statement: bytes.slice(0, reader.at), randomness: reader.bytes('randomness', SCALAR_BYTES) };
}
