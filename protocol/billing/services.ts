/**
 * What gateways ask of the provider's service about billing (frame: protocol/services/call.ts). The provider learns who pays how
 * much for a month from `bill`, which is signed under a name; tariff, policies and prices are asked for without one.
 *
 *   POST /billing/tariff   {tariff}                     → {tariff: bytes | null}
 *   POST /billing/prices   {tariff, after, fromSlot}    → {lists: bytes[]}   oldest first; ask again until there are none
 *   POST /billing/policies {tariff}                     → {policies: bytes[]} all versions, oldest first (tariff.ts)
 *   POST /billing/commitments  {batches}  by the identifier → {slots}        on its disk (commitments.ts)
 *   POST /billing/bill     {bill}  by the identifier    → {digest}           it is on the provider's disk, and proves its fee
 *   POST /billing/requests {}  by the identifier        → {requests}         what the provider would like to be told
 *   POST /billing/disclosure  {request, disclosure | refusal}  by the identifier → {}   (disclosure.ts)
 *
 * The same bill gets the same answer, however often it comes. Another one of the customer for a slot that was billed is refused
 * with the code `other bill`.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { DISCLOSURE_KINDS, type DisclosureKind } from './disclosure.ts';
import { TARIFF_PATTERN } from './prices.ts';

/** The provider's role, for which requests are signed. */
export const BILLING_AUDIENCE = 'provider';
export const OTHER_BILL = 'other bill';
const MOST_PRICES_BYTES = 25_000;
/** Lists in one answer, whose bytes grow by a third as text. */
export const PRICES_ANSWER_BYTES = 40_000;
const U32_MOST = 0xffff_ffff;

const tariff = v.pipe(v.string(), v.regex(TARIFF_PATTERN, 'is no name of a tariff'));
const u32 = v.pipe(
  v.number(),
  v.integer('is no whole number'),
  v.minValue(0, 'is less than 0'),
  v.maxValue(U32_MOST, 'is too large'),
);

export const tariffCall = {
  path: '/billing/tariff',
  body: v.strictObject({ tariff }),
  answer: v.object({ tariff: v.nullable(bytes(1, 300)) }),
};
export const pricesCall = {
  path: '/billing/prices',
  /** Lists with a number above `after`; where that is 0, from the list on that has `fromSlot`. */
  body: v.strictObject({ tariff, after: u32, fromSlot: u32 }),
  answer: v.object({ lists: v.pipe(v.array(bytes(1, MOST_PRICES_BYTES)), v.maxLength(64, 'has more than 64 lists')) }),
};
/** Batches in one request: a day of one register is 3.4 kB. */
export const COMMITMENTS_MOST = 12;
/** Versions of a policy in one answer. */
export const POLICIES_MOST = 24;
const MOST_REQUESTS = 100;
export const policiesCall = {
  path: '/billing/policies',
  body: v.strictObject({ tariff }),
  answer: v.object({
    policies: v.pipe(v.array(bytes(1, 21_000)), v.maxLength(POLICIES_MOST, `has more than ${POLICIES_MOST} policies`)),
  }),
};
export const commitmentsCall = {
  path: '/billing/commitments',
  body: v.strictObject({
    batches: v.pipe(
      v.array(bytes(1, 3_600)),
      v.minLength(1, 'is empty'),
      v.maxLength(COMMITMENTS_MOST, `has more than ${COMMITMENTS_MOST} batches`),
    ),
  }),
  answer: v.object({ slots: u32 }),
};
const kinds = Object.keys(DISCLOSURE_KINDS) as [DisclosureKind, ...DisclosureKind[]];
/** What somebody would like to be told of the household's commitments. */
export const disclosureRequest = v.strictObject({
  id: v.pipe(u32, v.minValue(1, 'is 0')),
  kind: v.picklist(kinds, 'is no kind of disclosure'),
  register: v.picklist(['import', 'export'], 'is no register'),
  firstSlot: u32,
  endSlot: u32,
  /** For the customer to read. */
  why: v.pipe(v.string(), v.maxLength(300, 'is longer than 300 characters')),
});
export type DisclosureRequest = v.InferOutput<typeof disclosureRequest>;
export const requestsCall = {
  path: '/billing/requests',
  body: v.strictObject({}),
  answer: v.object({
    requests: v.pipe(v.array(disclosureRequest), v.maxLength(MOST_REQUESTS, `are more than ${MOST_REQUESTS}`)),
  }),
};
export const disclosureCall = {
  path: '/billing/disclosure',
  /** `request` null: told unasked. `disclosure` null: the customer, or the customer's ledger, says no, and need not say why. */
  body: v.strictObject({ request: v.nullable(u32), disclosure: v.nullable(bytes(1, 45_000)) }),
  answer: v.object({}),
};
export const billCall = {
  path: '/billing/bill',
  body: v.strictObject({ bill: bytes(1, 45_000) }),
  /** Digest of the bill as protocol/billing/bill.ts makes it. */
  answer: v.object({ digest: bytes(32) }),
};
