/**
 * Energy tokens (tasking-and-trading.txt, section 3.2, with the corrections of protocols.md, section 2): so many watt-hours, paid for
 * without a name, spent without a name, once.
 *
 *   Meter      secrets s, r below q, from its flash; v = G^{−s}, x = G^r ──► Gateway   (response.ts: what the meter computes)
 *   Gateway    blinds (v, x) as one message for the key of (value, month) ──► UtilityProvider, with a voucher or under a name
 *   Provider   signs once, blindly ──► Gateway unblinds: the token
 *   to pay:    Verifier (report server or provider) ── nonce ──► Meter: y = r + e·s, e = H(token, nonce, time, order)
 *              Gateway ── token, nonce, time, order, y ──► Verifier: signature, and x = G^y·v^e; not spent before
 *
 * The provider learns how many tokens it sold and how many come back; not whose they are. The gateway holds tokens and cannot spend
 * them. Spent twice, a token gives its secret s away (`secretOf`), which is evidence for the refusal; it identifies nobody, so the check
 * stays online.
 *
 * What differs from print: **one** signature over both v and x (signed apart, the halves of three tokens make nine: A3), RSABSSA over
 * the full width, P-256 in place of Z_p (elements are checked to be elements, in their one encoding: A3b), no key for each token out of
 * its time (it would link purchase and payment), unblinding by the inverse (A5, crypto/blind-rsa.ts), and a nonce of the verifier's in e,
 * so that two payments in one second are two challenges (A6).
 *
 *   token  size                                payment  size
 *          1     version = 1                            363   token
 *          4     value       Wh, as the key's           32    nonce     the verifier's, used once
 *          4     month       as the key's               4     time      seconds since 1970
 *          32    keyId       (crypto/keyset.ts)         32    order     SHA-256 of what is paid for
 *          33    v                                      32    y
 *          33    x
 *          256   signature   over label ‖ 00 ‖ value ‖ month ‖ v ‖ x
 *
 * Its identity is SHA-256(keyId ‖ v ‖ x), never its signature.
 */
import { createHash } from 'node:crypto';
import { type Blinded, type BlindRsaKey, blind, finalize, type Random, verifyBlindRsa } from '../crypto/blind-rsa.ts';
import {
  BASE,
  decodeScalar,
  ELEMENT_BYTES,
  Element,
  encodeScalar,
  invert,
  modulo,
  multiScalar,
  SCALAR_BYTES,
} from '../crypto/group.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;
const HASH_BYTES = 32;
const SIGNATURE_BYTES = 256;
export const TOKEN_NONCE_BYTES = 32;
/** e: 128 bits are as hard to guess as the group is to break, and need no reduction on the meter. */
export const CHALLENGE_BYTES = 16;
export const ENERGY_TOKEN_BYTES = 9 + HASH_BYTES + 2 * ELEMENT_BYTES + SIGNATURE_BYTES;
export const TOKEN_PAYMENT_BYTES = ENERGY_TOKEN_BYTES + TOKEN_NONCE_BYTES + 4 + HASH_BYTES + SCALAR_BYTES;
/** Tokens can be spent for so many months after that of their key. */
export const TOKEN_MONTHS = 12;
/** Names the keys in the provider's keyset. */
export const ENERGY_TOKEN_PURPOSE = 'energy-token';

/** The two halves of a token's identity, as the meter gives them out. */
export interface TokenHalves {
  /** G^{−s}, 33 B. */
  v: Uint8Array;
  /** G^r, 33 B. */
  x: Uint8Array;
}
export interface EnergyToken extends TokenHalves {
  /** Wh. */
  value: number;
  month: number;
  /** 32 B. */
  keyId: Uint8Array;
  /** 256 B. */
  signature: Uint8Array;
}
/** The key's entry in the keyset. */
export interface TokenKey {
  keyId: Uint8Array;
  value: number;
  month: number;
  key: BlindRsaKey;
}
/** What a payment answers. */
export interface TokenChallenge {
  /** 32 B, the verifier's. */
  nonce: Uint8Array;
  /** Seconds since 1970. */
  time: number;
  /** SHA-256 of what is paid for, 32 B. */
  order: Uint8Array;
}
export interface TokenPayment extends TokenChallenge {
  token: EnergyToken;
  /** 32 B. */
  y: Uint8Array;
}

export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

// ── buying ──

const message = ({ value, month }: Pick<TokenKey, 'value' | 'month'>, { v, x }: TokenHalves): Uint8Array =>
  labelled(
    LABELS.energyToken,
    new ByteWriter('token')
      .u32('value', value)
      .u32('month', month)
      .bytes('v', v, ELEMENT_BYTES)
      .bytes('x', x, ELEMENT_BYTES)
      .finish(),
  );

/** The gateway's first step, for many at once. @throws GroupError where a half is no element: the meter's fault */
export function blindTokens(key: TokenKey, halves: readonly TokenHalves[], random?: Random): Blinded[] {
  for (const [i, { v, x }] of halves.entries()) {
    Element.decode(v, `halves.${i}.v`);
    Element.decode(x, `halves.${i}.x`);
  }
  return blind(
    key.key,
    halves.map((half) => message(key, half)),
    random,
  );
}

/** The gateway's second step: the token. @throws BlindRsaError where the answer is none to this question */
export function finishToken(key: TokenKey, halves: TokenHalves, answer: Uint8Array, inverse: Uint8Array): Uint8Array {
  const { keyId, value, month } = key;
  const signature = finalize(key.key, message(key, halves), answer, inverse);
  return encodeToken({ ...halves, keyId, value, month, signature });
}

const encodeToken = (token: EnergyToken): Uint8Array =>
  new ByteWriter('token')
    .u8('version', VERSION)
    .u32('value', token.value)
    .u32('month', token.month)
    .bytes('keyId', token.keyId, HASH_BYTES)
    .bytes('v', token.v, ELEMENT_BYTES)
    .bytes('x', token.x, ELEMENT_BYTES)
    .bytes('signature', token.signature, SIGNATURE_BYTES)
    .finish();

/** Layout only. @throws MalformedError */
export function decodeToken(bytes: Uint8Array, path = 'token'): EnergyToken {
  const reader = new ByteReader(path, bytes);
  reader.constant('version', VERSION);
  const token = {
    value: reader.u32('value'),
    month: reader.u32('month'),
    keyId: reader.bytes('keyId', HASH_BYTES),
    v: reader.bytes('v', ELEMENT_BYTES),
    x: reader.bytes('x', ELEMENT_BYTES),
    signature: reader.bytes('signature', SIGNATURE_BYTES),
  };
  reader.end();
  return token;
}

/** 32 B. */
export const energyTokenId = ({ keyId, v, x }: Pick<EnergyToken, 'keyId' | 'v' | 'x'>): Uint8Array =>
  createHash('sha256').update(keyId).update(v).update(x).digest();

/** Whether a provider's key signed it, for its own value and month, and it has not lapsed. @throws TokenError, GroupError */
export function verifyToken(token: EnergyToken, key: TokenKey, month: number, path = 'token'): void {
  if (Buffer.compare(token.keyId, key.keyId) !== 0) throw new TokenError(`${path}.keyId`, "is another key's");
  if (token.value !== key.value) throw new TokenError(`${path}.value`, `is ${token.value} Wh, the key's ${key.value}`);
  if (token.month !== key.month) throw new TokenError(`${path}.month`, `is ${token.month}, the key's ${key.month}`);
  if (month > key.month + TOKEN_MONTHS) throw new TokenError(`${path}.month`, 'is too long ago: the token has lapsed');
  Element.decode(token.v, `${path}.v`);
  Element.decode(token.x, `${path}.x`);
  if (!verifyBlindRsa(key.key, message(token, token), token.signature))
    throw new TokenError(`${path}.signature`, "was not made by the provider's key of that value and month");
}

// ── paying ──

/** e, 16 B: what the meter is asked. It computes this itself (response.ts). */
export function challengeOf(tokenId: Uint8Array, { nonce, time, order }: TokenChallenge): Uint8Array {
  const asked = new ByteWriter('challenge')
    .bytes('token', tokenId, HASH_BYTES)
    .bytes('nonce', nonce, TOKEN_NONCE_BYTES)
    .u32('time', time)
    .bytes('order', order, HASH_BYTES)
    .finish();
  return createHash('sha256').update(labelled(LABELS.tokenChallenge, asked)).digest().subarray(0, CHALLENGE_BYTES);
}
const challengeScalar = (payment: TokenPayment): bigint =>
  BigInt(`0x${Buffer.from(challengeOf(energyTokenId(payment.token), payment)).toString('hex')}`);

/** @throws MalformedError */
export const encodePayment = (payment: TokenPayment): Uint8Array =>
  new ByteWriter('payment')
    .bytes('token', encodeToken(payment.token), ENERGY_TOKEN_BYTES)
    .bytes('nonce', payment.nonce, TOKEN_NONCE_BYTES)
    .u32('time', payment.time)
    .bytes('order', payment.order, HASH_BYTES)
    .bytes('y', payment.y, SCALAR_BYTES)
    .finish();

/** Layout only. @throws MalformedError */
export function decodePayment(bytes: Uint8Array, path = 'payment'): TokenPayment {
  const reader = new ByteReader(path, bytes);
  const payment = {
    token: decodeToken(reader.bytes('token', ENERGY_TOKEN_BYTES), `${path}.token`),
    nonce: reader.bytes('nonce', TOKEN_NONCE_BYTES),
    time: reader.u32('time'),
    order: reader.bytes('order', HASH_BYTES),
    y: reader.bytes('y', SCALAR_BYTES),
  };
  reader.end();
  return payment;
}

/**
 * The verifier's step; whether its own nonce stands there, and whether the token was spent before, is its store's to say.
 * @param month that runs
 * @throws TokenError, GroupError
 */
export function verifyPayment(payment: TokenPayment, key: TokenKey, month: number, path = 'payment'): void {
  verifyToken(payment.token, key, month, `${path}.token`);
  const [v, x] = [Element.decode(payment.token.v), Element.decode(payment.token.x)];
  const y = decodeScalar(payment.y, `${path}.y`);
  if (!multiScalar([BASE, v], [y, challengeScalar(payment)]).equals(x))
    throw new TokenError(`${path}.y`, "is no answer of the token's owner to this challenge");
}

/**
 * What a double spend gives away: s, from two verified payments of one token, y − y' = (e − e')·s. 32 B, whose G^{−s} is the token's v.
 * @throws TokenError where they are of two tokens, or of one challenge: the same payment twice is no double spend
 */
export function secretOf(first: TokenPayment, second: TokenPayment): Uint8Array {
  if (Buffer.compare(energyTokenId(first.token), energyTokenId(second.token)) !== 0)
    throw new TokenError('payments', 'are of two tokens');
  const difference = modulo(challengeScalar(first) - challengeScalar(second));
  if (difference === 0n) throw new TokenError('payments', 'answer one challenge');
  const s = modulo((decodeScalar(first.y) - decodeScalar(second.y)) * invert(difference));
  if (!isEvidence(first.token, encodeScalar(s))) throw new TokenError('payments', 'are not both verified');
  return encodeScalar(s);
}
/** What anybody can check who is shown the evidence. */
export const isEvidence = ({ v }: Pick<TokenHalves, 'v'>, secret: Uint8Array): boolean =>
  Buffer.compare(v, BASE.multiply(modulo(-decodeScalar(secret))).encode()) === 0;

// ── spent once ──

export type SpendOutcome =
  | { outcome: 'spent' }
  /** The very same payment came before: the same answer again. */
  | { outcome: 'repeated' }
  /** Another payment with the same token came before: refused, with the secret. */
  | { outcome: 'double'; earlier: Uint8Array };

/** Which payment spent a token. `spend` MUST check and mark in one transaction, and be on disk before it answers. */
export interface TokenBook {
  spend(tokenId: Uint8Array, payment: Uint8Array): SpendOutcome | Promise<SpendOutcome>;
}
export class MemoryTokenBook implements TokenBook {
  readonly #payments = new Map<string, Uint8Array>();
  spend(tokenId: Uint8Array, payment: Uint8Array): SpendOutcome {
    const id = Buffer.from(tokenId).toString('hex');
    const earlier = this.#payments.get(id);
    if (!earlier) this.#payments.set(id, payment);
    if (!earlier) return { outcome: 'spent' };
    return Buffer.compare(earlier, payment) === 0 ? { outcome: 'repeated' } : { outcome: 'double', earlier };
  }
}
