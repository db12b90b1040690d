/**
 * How a gateway asks its verifier for passes, under its household's name (protocol/identity/signed-request.ts).
 *
 *   Gateway                                                          Verifier
 *   POST /passes {passes: [{day, blinded}]} ───────────────────────► knows the device and whether it is trusted now,
 *                                                                    and for which days; nothing of the pseudonyms
 *   {passes: [{day, signature} | {day, refusal}]} ◄───────────────── signs once for each device and day
 *
 *   GET /passes/keys, without a name ──────────────────────────────► anybody may have them
 *   {passKeys} ◄──────────────────────────────────────────────────── signed by the master key (pass-keys.ts)
 *
 * The same blinded bytes get the same answer; other bytes for the same day are refused. A pass for tomorrow is asked for at a random
 * time today, never at one that something sent under a pseudonym would follow.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { PASS_KEY_BYTES } from './pass.ts';
import { PASS_KEYS_MOST_BYTES } from './pass-keys.ts';

export const PASSES_PATH = '/passes';
export const PASS_KEYS_PATH = '/passes/keys';

/** The verifier signs for the running day and so many after it: it vouches for what it knows now. */
export const PASS_DAYS_AHEAD = 2;

const day = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));

export const passRequest = v.strictObject({
  passes: v.pipe(
    v.array(v.strictObject({ day, blinded: bytes(PASS_KEY_BYTES) })),
    v.minLength(1, 'is empty'),
    v.maxLength(PASS_DAYS_AHEAD + 1, 'asks for more days than there are'),
  ),
});
export type PassRequest = v.InferOutput<typeof passRequest>;

/** Why there is no pass for a day, in words for the customer's page and the log. */
export const PASS_REFUSALS = {
  'not trusted': 'the verifier does not find meter and gateway in order now',
  'day out of reach': 'passes are given for the running day and the two after it',
  'already issued': 'this device has a pass for the day already, asked for with other bytes',
  malformed: 'what was to be signed is no number below the modulus of the day',
} as const;
export type PassRefusal = keyof typeof PASS_REFUSALS;

export const passAnswer = v.strictObject({
  passes: v.array(
    v.union([
      v.strictObject({ day, signature: bytes(PASS_KEY_BYTES) }),
      v.strictObject({ day, refusal: v.picklist(Object.keys(PASS_REFUSALS) as PassRefusal[]) }),
    ]),
  ),
});
export type PassAnswer = v.InferOutput<typeof passAnswer>;

export const passKeysAnswer = v.strictObject({ passKeys: bytes(1, PASS_KEYS_MOST_BYTES) });
