/**
 * The substation's service over HTTPS (protocol/services/call.ts): wallet loading and deposit, under a name, each request signed by the
 * identifier's key, and the keyset for everybody. Every request may be repeated: the same gets the same answer.
 */
import * as v from 'valibot';
import { KEYSET_MOST_BYTES } from '../crypto/keyset.ts';
import { bytes } from '../services/call.ts';
import { COIN_ID_BYTES, KEY_ID_BYTES } from './messages.ts';

export const WITHDRAW_PATH = '/trading/withdraw';
export const DEPOSIT_PATH = '/trading/deposit';
export const KEYSET_PATH = '/trading/keyset';

/** Blinded coins in one withdrawal, and coins in one part of a deposit. */
export const WITHDRAWAL_MOST = 128;
export const DEPOSIT_PART_MOST = 120;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const keyId = bytes(KEY_ID_BYTES);
const signature = bytes(256, 384);

/** Number n of a customer's withdrawals under a key: 0, 1, … Always the standard amount. */
export const withdrawRequest = v.strictObject({
  keyId,
  number: whole,
  blinded: v.pipe(v.array(signature), v.minLength(1), v.maxLength(WITHDRAWAL_MOST)),
});
export const withdrawAnswer = v.strictObject({ blindSignatures: v.array(signature) });

/** All of a month's coins at once, in parts in any order; `root` and `count` are those of all. */
export const depositRequest = v.strictObject({
  keyId,
  root: bytes(32),
  count: whole,
  coins: v.pipe(v.array(v.strictObject({ id: bytes(COIN_ID_BYTES), signature })), v.maxLength(DEPOSIT_PART_MOST)),
});
/** Signed when all parts are there; before, how many coins are missing. */
export const depositAnswer = v.union([
  v.strictObject({ statement: bytes(1, 500) }),
  v.strictObject({ missing: whole }),
]);
export const keysetAnswer = v.strictObject({ keyset: bytes(1, KEYSET_MOST_BYTES) });

export type WithdrawRequest = v.InferOutput<typeof withdrawRequest>;
export type DepositRequest = v.InferOutput<typeof depositRequest>;
export type DepositAnswer = v.InferOutput<typeof depositAnswer>;

/**
 * The line, for the substation's modem, where it is another machine's (or a simulated one): what was heard goes in, what is to be sent
 * comes out. @property nowMs moves protocol time where the substation follows a conductor
 */
export const LINE_PATH = '/trading/line';
const frames = v.pipe(v.array(bytes(1, 235)), v.maxLength(150));
export const lineRequest = v.strictObject({ nowMs: v.pipe(v.number(), v.integer(), v.minValue(0)), frames });
export const lineAnswer = v.strictObject({ frames: v.array(bytes(1, 235)) });
