/**
 * On what terms a month's export is sold, and what it weighs: the same for everybody, signed by the control centre's announcement
 * key, which its keyset names. (For gateway and control centre; the gateway tells its meter what it needs of them.)
 *
 * Terms of a month never change. Weights come in versions that count up, each from the first slot of a day on; what was announced of
 * past slots never changes. As with prices (protocols.md, A10) **weights must not be a question**: the centre sees one weighted sum of
 * a customer's exports each month, so no weight exceeds MOST_SPREAD times the median of those that are not zero.
 *
 *   terms                                            weights
 *     1   version = 1                                  1     version = 1
 *     4   month                                        4     number      1, 2, 3 …
 *     1   mode             1 receipts, 2 m of n        4     firstSlot   the first of a day of UTC
 *     4   value            V, credits                  96·2  weights     R, credits per kWh, of each slot of a day
 *     4   amount           credentials of everybody    64    signature
 *     1   candidatesEach   c
 *     1   perSale          k
 *     2   windowSlots      D
 *     4   creditMilliCent  what a credit is paid
 *     2   keyBytes         length of the month's moduli
 *     64  signature        Ed25519 over label ‖ 00 ‖ everything before
 */
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, type Label, labelled } from '../crypto/labels.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { MODE_M_OF_N, MODE_RECEIPTS } from './messages.ts';

const VERSION = 1;
export const MOST_SPREAD = 100;
const CANDIDATES_MOST = 32;
const CREDENTIALS_MOST = 100_000;
const PER_SALE_MOST = 16;

export interface SellingTerms {
  month: number;
  mode: number;
  /** V: credits of a credential. */
  value: number;
  /** Credentials that every customer registers. */
  amount: number;
  /** c: candidates for each credential; c − 1 are opened. */
  candidatesEach: number;
  /** k: credentials in each sale. */
  perSale: number;
  /** D: a slot is sold for so many slots after it. */
  windowSlots: number;
  /** 1/1000 cent. */
  creditMilliCent: number;
  keyBytes: number;
}
export interface Weights {
  number: number;
  firstSlot: number;
  /** R of each slot of a day, credits per kWh. */
  weights: readonly number[];
}

/** `path` names the field: `terms.signature`. */
export class TermsError extends Error {
  override readonly name = 'TermsError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

type Sign = (message: Uint8Array) => Uint8Array;
const signed = (label: Label, body: Uint8Array, sign: Sign): Uint8Array =>
  Buffer.concat([body, sign(labelled(label, body))]);

function checkSignature(reader: ByteReader, label: Label, bytes: Uint8Array, key: Uint8Array, path: string): void {
  const message = labelled(label, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(key, message, signature))
    throw new TermsError(`${path}.signature`, "was not made by the centre's announcement key");
}

/** The control centre's step. @throws MalformedError, TermsError */
export function signTerms(terms: SellingTerms, sign: Sign): Uint8Array {
  checkTerms(terms);
  const body = new ByteWriter('terms')
    .u8('version', VERSION)
    .u32('month', terms.month)
    .u8('mode', terms.mode)
    .u32('value', terms.value)
    .u32('amount', terms.amount)
    .u8('candidatesEach', terms.candidatesEach)
    .u8('perSale', terms.perSale)
    .u16('windowSlots', terms.windowSlots)
    .u32('creditMilliCent', terms.creditMilliCent)
    .u16('keyBytes', terms.keyBytes)
    .finish();
  return signed(LABELS.sellingTerms, body, sign);
}

/** The gateway's step. @param key announcement key, 32 B @throws MalformedError, TermsError */
export function openTerms(bytes: Uint8Array, key: Uint8Array): SellingTerms {
  const reader = new ByteReader('terms', bytes);
  reader.constant('version', VERSION);
  const terms = {
    month: reader.u32('month'),
    mode: reader.u8('mode'),
    value: reader.u32('value'),
    amount: reader.u32('amount'),
    candidatesEach: reader.u8('candidatesEach'),
    perSale: reader.u8('perSale'),
    windowSlots: reader.u16('windowSlots'),
    creditMilliCent: reader.u32('creditMilliCent'),
    keyBytes: reader.u16('keyBytes'),
  };
  checkSignature(reader, LABELS.sellingTerms, bytes, key, 'terms');
  checkTerms(terms);
  return terms;
}

function checkTerms(terms: SellingTerms): void {
  const within = (field: keyof SellingTerms, least: number, most: number): void => {
    if (terms[field] < least || terms[field] > most)
      throw new TermsError(`terms.${field}`, `is ${terms[field]}, not ${least} to ${most}`);
  };
  if (terms.mode !== MODE_RECEIPTS && terms.mode !== MODE_M_OF_N)
    throw new TermsError('terms.mode', `is ${terms.mode}`);
  within('value', 1, 0xffff_ffff);
  within('amount', 1, CREDENTIALS_MOST);
  within('candidatesEach', 1, CANDIDATES_MOST);
  within('perSale', 1, PER_SALE_MOST);
  within('windowSlots', 1, 0xffff);
  within('keyBytes', 256, 512);
}

/** The control centre's step. @throws MalformedError, TermsError */
export function signWeights(weights: Weights, sign: Sign): Uint8Array {
  checkWeights(weights);
  const writer = new ByteWriter('weights')
    .u8('version', VERSION)
    .u32('number', weights.number)
    .u32('firstSlot', weights.firstSlot);
  weights.weights.forEach((weight, i) => {
    writer.u16(`weights[${i}]`, weight);
  });
  return signed(LABELS.sellingWeights, writer.finish(), sign);
}

/** The gateway's step. @param key announcement key, 32 B @throws MalformedError, TermsError */
export function openWeights(bytes: Uint8Array, key: Uint8Array): Weights {
  const reader = new ByteReader('weights', bytes);
  reader.constant('version', VERSION);
  const number = reader.u32('number');
  const firstSlot = reader.u32('firstSlot');
  const list = Array.from({ length: SLOTS_PER_DAY }, (_, i) => reader.u16(`weights[${i}]`));
  checkSignature(reader, LABELS.sellingWeights, bytes, key, 'weights');
  const weights = { number, firstSlot, weights: list };
  checkWeights(weights);
  return weights;
}

function checkWeights({ firstSlot, weights }: Weights): void {
  if (firstSlot % SLOTS_PER_DAY !== 0) throw new TermsError('weights.firstSlot', 'is not the first of a day');
  if (weights.length !== SLOTS_PER_DAY) throw new TermsError('weights.weights', `are ${weights.length}`);
  const some = weights.filter((weight) => weight > 0).sort((a, b) => a - b);
  if (some.length === 0) return;
  const median = some[some.length >> 1];
  if (some[some.length - 1] > MOST_SPREAD * median)
    throw new TermsError('weights.weights', `reach more than ${MOST_SPREAD} times their median`);
}

/** R of a slot and the version that says so; undefined where none reaches back to the slot. @param versions in any order */
export function weightOf(versions: readonly Weights[], slot: number): { weight: number; version: number } | undefined {
  let found: Weights | undefined;
  for (const one of versions) if (one.firstSlot <= slot && (!found || one.number > found.number)) found = one;
  return found && { weight: found.weights[slot % SLOTS_PER_DAY], version: found.number };
}

/**
 * Takes a newer version to those that are known.
 * @throws TermsError where it contradicts them, or changes the weights of slots that began before `nowSlot`
 */
export function joinWeights(known: readonly Weights[], newer: Weights, nowSlot: number): Weights[] {
  const same = known.find(({ number }) => number === newer.number);
  if (same) {
    if (JSON.stringify(same) !== JSON.stringify(newer))
      throw new TermsError('weights.number', `is ${newer.number}, as that of another version`);
    return [...known];
  }
  const last = known.reduce((most, { number }) => Math.max(most, number), 0);
  if (known.length > 0 && newer.number !== last + 1)
    throw new TermsError('weights.number', `is ${newer.number}, not ${last + 1}`);
  if (known.length > 0 && newer.firstSlot <= nowSlot) throw new TermsError('weights.firstSlot', 'is not ahead of time');
  return [...known, newer];
}
