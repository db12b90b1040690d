/**
 * What gateways ask of the provider's service about billing (frame: protocol/services/call.ts). The provider learns who pays how
 * much for a month from `bill`, which is signed under a name; the other two are asked without one.
 *
 *   POST /billing/tariff   {tariff}                     → {tariff: bytes | null}
 *   POST /billing/prices   {tariff, after, fromSlot}    → {lists: bytes[]}   oldest first; ask again until there are none
 *   POST /billing/bill     {bill}  by the identifier    → {digest}           it is on the provider's disk
 *
 * The same bill gets the same answer, however often it comes. Another one of the customer for a slot that was billed is refused
 * with the code `other bill`.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
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
export const billCall = {
  path: '/billing/bill',
  body: v.strictObject({ bill: bytes(1, 400) }),
  /** Digest of the bill as protocol/billing/bill.ts makes it. */
  answer: v.object({ digest: bytes(32) }),
};
