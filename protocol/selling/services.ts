/**
 * The control centre's service over HTTPS (protocol/services/call.ts): the phases under a name, each request signed by the
 * identifier's key, and what everybody may fetch. messages.ts tells the whole flow. (For gateway and control centre.)
 *
 * Every request may be repeated: the same gets the same answer. What does not fit into one request comes in parts that may come in
 * any order and again.
 */
import * as v from 'valibot';
import { KEY_ID_BYTES, KEYSET_MOST_BYTES } from '../crypto/keyset.ts';
import { bytes } from '../services/call.ts';
import { COMMITMENT_BYTES, SALT_BYTES } from './reconciliation.ts';
import { BID_BYTES, DIGEST_BYTES } from './registration.ts';
import { SEED_BYTES, VALUE_ID_BYTES } from './values.ts';

export const SET_UP_PATH = '/selling/set-up';
export const REGISTER_PATH = '/selling/register';
export const OPEN_PATH = '/selling/open';
export const DEPOSIT_PATH = '/selling/deposit';
export const USED_LIST_PATH = '/selling/reconciliation/list';
export const REVEAL_PATH = '/selling/reconciliation/reveal';
export const RETURN_PATH = '/selling/return';
export const EXPORTS_PATH = '/selling/exports';
export const SETTLEMENT_PATH = '/selling/settlement';
export const KEYSET_PATH = '/selling/keyset';
export const TERMS_PATH = '/selling/terms';
export const ACCEPTED_PATH = '/selling/accepted';

/** Of the console's question: epochs that are told, the newest. */
export const SALES_SHOWN_EPOCHS = 96;

const KEY_BYTES_LEAST = 256;
const KEY_BYTES_MOST = 512;
/** Blinded candidates in one request: 128 of 2048 bits are 44 kB of text. */
export const BATCH_MOST_CANDIDATES = 128;
/** Receipts in one request, of 2048 bits; the body's limit is below for longer ones. */
export const DEPOSIT_PART_MOST = 140;
export const USED_LIST_PART_MOST = 1000;
export const REVEAL_PART_MOST = 400;
export const RETURN_PART_MOST = 500;
/** Of an acceptance list in one answer. */
export const ACCEPTED_PART_BYTES = 40_000;
/** Of a batch of commitments to exports: 1,400 slots. */
const COMMITMENTS_MOST_BYTES = 46_500;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const keyId = bytes(KEY_ID_BYTES);
const signature = bytes(KEY_BYTES_LEAST, KEY_BYTES_MOST);
const many = <S extends v.GenericSchema>(item: S, most: number) =>
  v.pipe(v.array(item), v.minLength(1, 'is empty'), v.maxLength(most, `are more than ${most}`));

/** SET-UP as the meter sealed it. */
export const setUpRequest = v.strictObject({ sealed: bytes(1, 2048) });
export const setUpAnswer = v.strictObject({ customer: v.string() });

export const registerRequest = v.strictObject({
  keyId,
  /** Number of the first credential. */
  first: whole,
  /** B of each candidate, c for each credential. */
  candidates: many(many(signature, 32), BATCH_MOST_CANDIDATES),
  /** The meter's, over all of them. */
  tag: bytes(DIGEST_BYTES),
});
export type RegisterRequest = v.InferOutput<typeof registerRequest>;

const signedCandidate = v.strictObject({ bid: bytes(BID_BYTES), signature });
export type SignedCandidate = v.InferOutput<typeof signedCandidate>;
/** c = 1: signed at once. Else which candidate of each credential is kept; the others are to be opened. */
export const registerAnswer = v.union([
  v.strictObject({ signed: v.array(signedCandidate) }),
  v.strictObject({ keep: v.array(whole) }),
]);
export type RegisterAnswer = v.InferOutput<typeof registerAnswer>;

export const openRequest = v.strictObject({
  keyId,
  first: whole,
  /** For each credential the seeds of the c − 1 candidates that are not kept, in their order. */
  seeds: many(many(bytes(SEED_BYTES), 31), BATCH_MOST_CANDIDATES),
});
export type OpenRequest = v.InferOutput<typeof openRequest>;
export const openAnswer = v.strictObject({ signed: v.array(signedCandidate) });

export const depositRequest = v.strictObject({
  keyId,
  /** Receipts in the whole deposit, and their root (statement.ts), the same in all parts. */
  count: whole,
  root: bytes(DIGEST_BYTES),
  receipts: v.pipe(
    v.array(v.strictObject({ id: bytes(VALUE_ID_BYTES), signature })),
    v.maxLength(DEPOSIT_PART_MOST, `are more than ${DEPOSIT_PART_MOST}`),
  ),
});
export type DepositRequest = v.InferOutput<typeof depositRequest>;
/** How many are still missing, or the signed statement. */
export const depositAnswer = v.union([
  v.strictObject({ missing: whole }),
  v.strictObject({ statement: bytes(1, 1000) }),
]);
export type DepositAnswer = v.InferOutput<typeof depositAnswer>;

export const usedListRequest = v.strictObject({
  keyId,
  /** n and number of lapsed ones, the same in all parts. */
  count: whole,
  lapsed: whole,
  /** Digest of the whole list (reconciliation.ts), and the meter's tag. */
  digest: bytes(DIGEST_BYTES),
  tag: bytes(DIGEST_BYTES),
  /** Place of the first of these entries in the list. */
  at: whole,
  entries: v.pipe(
    v.array(bytes(COMMITMENT_BYTES)),
    v.maxLength(USED_LIST_PART_MOST, `are more than ${USED_LIST_PART_MOST}`),
  ),
});
export type UsedListRequest = v.InferOutput<typeof usedListRequest>;

export const revealRequest = v.strictObject({
  keyId,
  reveals: many(
    v.strictObject({ index: whole, bid: bytes(BID_BYTES), seed: bytes(SEED_BYTES), salt: bytes(SALT_BYTES) }),
    REVEAL_PART_MOST,
  ),
});
export type RevealRequest = v.InferOutput<typeof revealRequest>;

/**
 * Where a customer's reconciliation stands:
 *
 *   list       entries of L4 are missing
 *   challenge  L5: these entries are to be revealed
 *   waiting    revealed; others are not, or the counts are not compared yet
 *   credited   `count` credentials are his
 *   refused    found out; the reason in words
 */
export const reconciliationAnswer = v.variant('state', [
  v.strictObject({ state: v.literal('list'), missing: whole }),
  v.strictObject({ state: v.literal('challenge'), round: whole, indices: v.array(whole) }),
  v.strictObject({ state: v.literal('waiting') }),
  v.strictObject({ state: v.literal('credited'), count: whole }),
  v.strictObject({ state: v.literal('refused'), reason: v.string() }),
]);
export type ReconciliationAnswer = v.InferOutput<typeof reconciliationAnswer>;

export const returnRequest = v.strictObject({
  keyId,
  /** Of credentials that nobody was ever shown. */
  unused: many(v.strictObject({ bid: bytes(BID_BYTES), seed: bytes(SEED_BYTES) }), RETURN_PART_MOST),
});
export type ReturnRequest = v.InferOutput<typeof returnRequest>;
/** How many of the customer's credentials of this key are returned by now. */
export const returnAnswer = v.strictObject({ returned: whole });

/** Commitments to the exports of purpose CENTRE, signed by the identifier's key (protocol/billing/commitments.ts). */
export const exportsRequest = v.strictObject({ commitments: bytes(1, COMMITMENTS_MOST_BYTES) });
export const exportsAnswer = v.strictObject({ firstSlot: whole, count: whole });

export const settlementRequest = v.strictObject({
  /** Of the receipts, or in m-of-n mode of the credentials. */
  keyId,
  /** Σ R_t·c_t over all slots of the month that the meter measured, microcredits, as decimal digits. */
  sumMicrocredits: v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'is no whole number of at most 15 digits')),
  /** Σ w_t·r_t with w_t = R_t × mWh of a unit (openWeightedSum): proves it from the commitments. Empty where nothing is compared. */
  opening: bytes(0, 32),
});
export type SettlementRequest = v.InferOutput<typeof settlementRequest>;
export const settlementAnswer = v.strictObject({
  count: whole,
  credits: v.number(),
  milliCent: v.number(),
  /** Left of the sum; comes to the next month's. */
  carriedMicrocredits: v.number(),
});
export type SettlementAnswer = v.InferOutput<typeof settlementAnswer>;

export const keysetAnswer = v.strictObject({ keyset: bytes(1, KEYSET_MOST_BYTES) });
/** All months' terms and all versions of the weights that still matter. */
export const termsAnswer = v.strictObject({ terms: v.array(bytes(1, 200)), weights: v.array(bytes(1, 400)) });
/** An acceptance list, piece by piece; the newest one's epoch where `epoch` is null. */
export const acceptedRequest = v.strictObject({ epoch: v.nullable(whole), part: whole });
export const acceptedAnswer = v.strictObject({ epoch: whole, parts: whole, bytes: bytes(1, ACCEPTED_PART_BYTES) });

/** For the operator's console: sums over everybody, and what the centre saw of the sales, which is of nobody. */
export const sellingOverviewCall = {
  path: '/selling/overview',
  body: v.strictObject({}),
  answer: v.object({
    customers: whole,
    /** Credentials: signed, shown, given back unused. */
    registered: whole,
    used: whole,
    returned: whole,
    /** That are credited to accounts. */
    deposited: whole,
    /** What all were paid together, 1/1000 cent. */
    milliCent: v.pipe(v.number(), v.integer()),
    /** Credentials that were accepted in an epoch, oldest first; only epochs with some. */
    epochs: v.pipe(v.array(v.object({ epoch: whole, accepted: whole })), v.maxLength(SALES_SHOWN_EPOCHS)),
  }),
};
export type SellingOverview = v.InferOutput<typeof sellingOverviewCall.answer>;
