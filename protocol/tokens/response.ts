/**
 * The meter's half of a payment: y = r + e·s mod q (tasking-and-trading.txt, section 3.2). s and r never leave the meter; all that it
 * needs beside them is SHA-256 and a multiplication modulo q, the order of P-256: 12 limbs of 22 bits, two Montgomery products of its
 * multiplier; e has 128 bits, so nothing has to be reduced before. In the firmware's dialect: no bigint, bytes big-endian.
 *
 * **One challenge for a token, for ever.** r answers once: a second answer to another challenge is s, as for a double spend. So the meter
 * keeps (token, nonce, time, order, y) before y leaves, and what is asked again, under whatever nonce, gets what was kept or nothing:
 * who refreshes the nonce on a retry to extract an honest customer's secret gets nothing.
 */

/** What the meter's program and Node each bring along. */
export interface ResponseNatives {
  sha256(bytes: Uint8Array): Uint8Array;
  /** a·b mod q; 32 B each, big-endian, below q. */
  multiply(a: Uint8Array, b: Uint8Array): Uint8Array;
}
/** As `TokenChallenge` (energy-token.ts). */
export interface Asked {
  nonce: Uint8Array;
  time: number;
  order: Uint8Array;
}
/** What was answered. */
export interface Answered extends Asked {
  y: Uint8Array;
}
/** Where it is kept: `keep` MUST be on flash before it returns. */
export interface ResponseJournal {
  kept(tokenId: Uint8Array): Answered | null;
  keep(tokenId: Uint8Array, answered: Answered): void;
}
/** A token's secrets, 32 B each, from 1 to q − 1. */
export interface TokenSecrets {
  s: Uint8Array;
  r: Uint8Array;
}

/** q, big-endian (SEC 2, section 2.4.2). */
const ORDER_BYTES = [
  0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
  0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const BYTES = 32;
const CHALLENGE_BYTES = 16;
/** LABELS.tokenChallenge; the firmware has no labels of its own. */
const LABEL = 'quietmeter/v1/token-challenge';

/** e, in the low 16 of 32 B. */
export function challengeBytes(natives: ResponseNatives, tokenId: Uint8Array, asked: Asked): Uint8Array {
  const head = LABEL.length + 1;
  const input = new Uint8Array(head + BYTES + BYTES + 4 + BYTES);
  for (let i = 0; i < LABEL.length; i++) input[i] = LABEL.charCodeAt(i);
  input.set(tokenId, head);
  input.set(asked.nonce, head + BYTES);
  for (let i = 0; i < 4; i++) input[head + 2 * BYTES + i] = asked.time >>> (24 - 8 * i);
  input.set(asked.order, head + 2 * BYTES + 4);
  const digest = natives.sha256(input);
  const e = new Uint8Array(BYTES);
  for (let i = 0; i < CHALLENGE_BYTES; i++) e[CHALLENGE_BYTES + i] = digest[i];
  return e;
}

/** a + b mod q, for both below q; the same steps whatever they are. */
export function addModOrder(a: Uint8Array, b: Uint8Array): Uint8Array {
  const sum = new Uint8Array(BYTES);
  const less = new Uint8Array(BYTES);
  let carry = 0;
  let borrow = 0;
  for (let i = BYTES - 1; i >= 0; i--) {
    carry += a[i] + b[i];
    sum[i] = carry & 255;
    const rest = sum[i] - ORDER_BYTES[i] - borrow;
    less[i] = rest & 255;
    borrow = rest < 0 ? 1 : 0;
    carry >>= 8;
  }
  // what was carried out of the sum pays for the borrow
  const mask = -(carry | (1 - borrow)) & 255;
  for (let i = 0; i < BYTES; i++) sum[i] = (less[i] & mask) | (sum[i] & (255 - mask));
  return sum;
}

/**
 * The meter's step.
 * @returns y, 32 B, that is on flash; null where the token answered another challenge before
 */
export function respond(
  natives: ResponseNatives,
  journal: ResponseJournal,
  tokenId: Uint8Array,
  secrets: TokenSecrets,
  asked: Asked,
): Uint8Array | null {
  const before = journal.kept(tokenId);
  if (before) {
    const same = isSame(before.nonce, asked.nonce) && before.time === asked.time && isSame(before.order, asked.order);
    return same ? before.y : null;
  }
  const e = challengeBytes(natives, tokenId, asked);
  const y = addModOrder(secrets.r, natives.multiply(e, secrets.s));
  journal.keep(tokenId, { nonce: asked.nonce, time: asked.time, order: asked.order, y });
  return y;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
