/**
 * The PIN by which a provider's customer confirms that a gateway is theirs (tpm-privacy-concept.txt, "the PROVIDER provides the
 * new customer a PIN to acknowledge the transaction").
 *
 *   Provider ── letter: customer number, PIN ──► customer        Provider ── number, salt, scrypt(PIN) ──► trusted third party
 *
 * The provider makes eight random digits for each customer and keeps none of them. The third party never has a PIN but those that
 * customers send it. Eight digits stand up to three tries, not to whoever steals the hashes: scrypt makes that dear, and a PIN is
 * good for one gateway only.
 */
import { randomBytes, randomInt, scrypt, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { EK_SERIAL } from './devices.ts';

const DIGITS = 8;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** RFC 7914: 16 MiB and about 40 ms for each try. */
const COST = { N: 16_384, r: 8, p: 1 };

/** How many wrong PINs lock a gateway, and a customer number. */
export const PIN_TRIES = 3;
export const PIN_PATTERN = /^\d{8}$/;
/** As providers write them. */
export const CUSTOMER_NUMBER_PATTERN = /^[A-Za-z0-9-]{3,32}$/;

export interface PinHash {
  /** 16 B, random. */
  salt: Uint8Array;
  /** scrypt(PIN, salt), 32 B. */
  hash: Uint8Array;
}

/** One line of a provider's batch. */
export interface CustomerPin extends PinHash {
  customerNumber: string;
}

/** What a provider sends at once: far below the limit of a body. */
export const PIN_BATCH_MOST = 300;
export const PIN_BATCH = v.strictObject({
  pins: v.pipe(
    v.array(
      v.strictObject({
        customerNumber: v.pipe(v.string('is missing'), v.regex(CUSTOMER_NUMBER_PATTERN, 'is no customer number')),
        salt: bytes(SALT_BYTES),
        hash: bytes(HASH_BYTES),
      }),
    ),
    v.maxLength(PIN_BATCH_MOST, `are more than ${PIN_BATCH_MOST}`),
  ),
});

/** What people type: spaces and hyphens between the digits do not count. */
export const normalisePin = (typed: string): string => typed.replace(/[\s-]/g, '');

/** The provider's step, for the letter. */
export const drawPin = (draw: (below: number) => number = randomInt): string =>
  String(draw(10 ** DIGITS)).padStart(DIGITS, '0');

export async function hashPin(pin: string, salt: Uint8Array = randomBytes(SALT_BYTES)): Promise<PinHash> {
  return { salt, hash: await derive(pin, salt) };
}

/** Takes the same time whatever the PIN, and whether `expected` is there or not: then nothing matches. */
export async function pinMatches(pin: string, expected: PinHash | undefined): Promise<boolean> {
  const { salt, hash } = expected ?? NOBODY;
  return timingSafeEqual(await derive(pin, salt), hash) && expected !== undefined;
}
const NOBODY: PinHash = { salt: new Uint8Array(SALT_BYTES), hash: new Uint8Array(HASH_BYTES) };

const derive = (pin: string, salt: Uint8Array): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    scrypt(pin, salt, HASH_BYTES, COST, (error, hash) => (error ? reject(error) : resolve(hash)));
  });

/** The technician's or the console's call, when the customer has shown who they are: a gateway that is locked may try PINs again. */
export const forgetTriesCall = {
  path: '/pins/forget-tries',
  body: v.strictObject({ device: EK_SERIAL }),
  /** Wrong ones that were counted. */
  answer: v.strictObject({ forgotten: v.number() }),
};
