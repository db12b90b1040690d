import type { SellingNatives } from './natives.ts';
import { ascii, equalBytes, joined } from './natives.ts';
import { KEY_ID_BYTES, VALUE_ID_BYTES } from './values.ts';

/**
 * Selling power with anonymous credentials (selling-power-back.txt; protocols.md, section 1; messages.md, "Selling with receipts").
 * (Espruino dialect: the firmware imports this file)
 *
 *   Meter                      Gateway                                  ControlCentre
 *
 *   under a name: HTTPS, each request signed by the identifier's key (services.ts); the centre learns who and how many
 *   SET-UP, sealed      ──►    POST /selling/set-up                ──►  keeps secret value and sk for the customer   (registration.ts)
 *   candidates, tag     ──►    POST /selling/register              ──►  c = 1: signs; c > 1: keeps one of each c …
 *   seeds of the others ──►    POST /selling/open                  ──►  … has the others opened, recomputes, signs
 *   unblinds, verifies  ◄──    {bid, blind signature}              ◄──  L1: (BID, B, customer)
 *                              registration closes for all; from then on credentials may be shown
 *
 *   anonymous: by the one door (fixed bundle, relay); the centre learns slot and how many, of nobody
 *   SALE, sealed        ──►    door.post('control-centre', sealed) ──►  checks, L2: each credential once; signs the receipts blindly
 *   ANSWER              ◄──    the door's answer list, fetched whole ◄─ by saleId, readable by the meter of the sale only
 *                              POST /selling/accepted {epoch}      ◄──  L2, hashed, sorted, signed, for everybody    (acceptance-list.ts)
 *
 *   under a name, after the month; receipt mode opens nothing
 *   receipts            ──►    POST /selling/deposit, in parts     ──►  each receipt once; signed statement          (statement.ts)
 *   or, m of n: L4, tag ──►    POST /selling/reconciliation/list   ──►  L5 in rounds                                 (reconciliation.ts)
 *   the chosen, opened  ──►    POST /selling/reconciliation/reveal ──►  credits each CID once
 *   credentials never shown ─► POST /selling/return
 *   commitments to exports ──► POST /selling/exports, in batches   ──►  kept; they show nothing
 *                              POST /selling/settlement            ──►  opened weighted sum of the exports: payment
 *
 *   without a name, the same for everybody: GET /selling/keyset, /selling/terms
 *
 * The meter journals what it is about to send before it sends it, and sends the same bytes until an ANSWER covers them: the same
 * SALE gets the same ANSWER, byte for byte. A fresh blinding is never sent for a credential that was shown.
 *
 *   SALE, big-endian, of constant size for a k and a length L of the moduli; sealed by the meter to the centre's sealing key
 *      offset  size
 *           0     1  version = 1
 *           1     1  mode            1 receipts, 2 m of n
 *           2     1  k
 *           3     4  slot            whose export is sold
 *           7     4  weightVersion   of the weights by which the meter counted
 *          11    32  nonce           random: only who read this sale reads its answer
 *          43    32  keyId           of the credentials
 *          75    32  receiptKeyId    of the receipts; zero where mode is 2
 *         107  k·(32+L)  (CID, signature) × k
 *           …   k·L  blinded receipts; zero where mode is 2
 *
 *   saleId   SHA-256(SALE)
 *
 *   ANSWER
 *           0    16  saleId, its first half
 *          16  1+k·L masked: code u8 · blind signatures × k (zero where there are none)
 *           …    16  tag
 */
const VERSION = 1;
export const MODE_RECEIPTS = 1;
export const MODE_M_OF_N = 2;
const NONCE_BYTES = 32;
const HEAD_BYTES = 11;
const SALE_ID_BYTES = 32;
export const SHORT_SALE_ID_BYTES = 16;
const TAG_BYTES = 16;
const MOST_CREDENTIALS = 16;

/** Codes of an ANSWER. */
export const SALE_ACCEPTED = 0;
/** One of the credentials was shown before, in another sale. All of this sale's lapse. */
export const SALE_USED = 1;
/** The slot is not sold any more, or not yet. */
export const SALE_SLOT = 2;
/** The key is none that may be used: another month's, another value's, another purpose's, revoked, or not usable yet. */
export const SALE_KEY = 3;
/** A signature does not hold. */
export const SALE_FORGED = 4;
/** Two credentials are one, a blinded receipt is no number of its range, mode or k are others than the month's. */
export const SALE_MALFORMED = 5;
/** The weights were not those of the slot. */
export const SALE_WEIGHTS = 6;

export interface ShownCredential {
  /** CID, 32 B. */
  id: Uint8Array;
  /** As long as the key's modulus. */
  signature: Uint8Array;
}
export interface Sale {
  mode: number;
  slot: number;
  weightVersion: number;
  nonce: Uint8Array;
  keyId: Uint8Array;
  receiptKeyId: Uint8Array;
  credentials: ShownCredential[];
  /** One for each credential; empty where mode is MODE_M_OF_N. */
  blindedReceipts: Uint8Array[];
}
export interface SaleAnswer {
  /** First half of the saleId, 16 B. */
  saleId: Uint8Array;
  code: number;
  /** One for each credential where the code is SALE_ACCEPTED and the mode MODE_RECEIPTS, else empty. */
  blindSignatures: Uint8Array[];
}

/** Espruino has no subclasses of Error. `field` is such as `sale.credentials`. */
export interface SellingError extends Error {
  name: 'SellingError';
  field: string;
}
export function sellingError(field: string, problem: string): SellingError {
  const error = new Error(`${field} ${problem}`) as SellingError;
  error.name = 'SellingError';
  error.field = field;
  return error;
}

/** What a SALE is sealed under, with the sealing key's id: it is no other message, and to no other key. */
export function saleHeader(sealingKeyId: Uint8Array): Uint8Array {
  return joined([ascii('quietmeter/v1/sale'), sealingKeyId]);
}

/** @param k credentials in a sale @param keyBytes length of the moduli */
export function saleBytes(k: number, keyBytes: number): number {
  return HEAD_BYTES + NONCE_BYTES + 2 * KEY_ID_BYTES + k * (VALUE_ID_BYTES + 2 * keyBytes);
}
export function answerBytes(k: number, keyBytes: number): number {
  return SHORT_SALE_ID_BYTES + 1 + k * keyBytes + TAG_BYTES;
}

export function encodeSale(sale: Sale, keyBytes: number): Uint8Array {
  const k = sale.credentials.length;
  const receipts = sale.mode === MODE_RECEIPTS ? k : 0;
  if (k < 1 || k > MOST_CREDENTIALS) throw sellingError('sale.credentials', `are ${k}`);
  if (sale.blindedReceipts.length !== receipts) throw sellingError('sale.blindedReceipts', `are not ${receipts}`);
  const bytes = new Uint8Array(saleBytes(k, keyBytes));
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  bytes[1] = sale.mode;
  bytes[2] = k;
  view.setUint32(3, sale.slot, false);
  view.setUint32(7, sale.weightVersion, false);
  let at = HEAD_BYTES;
  const put = (field: string, part: Uint8Array, length: number): void => {
    if (part.length !== length) throw sellingError(`sale.${field}`, `is ${part.length} bytes long, not ${length}`);
    bytes.set(part, at);
    at += length;
  };
  put('nonce', sale.nonce, NONCE_BYTES);
  put('keyId', sale.keyId, KEY_ID_BYTES);
  put('receiptKeyId', sale.receiptKeyId, KEY_ID_BYTES);
  for (const credential of sale.credentials) {
    put('credentials.id', credential.id, VALUE_ID_BYTES);
    put('credentials.signature', credential.signature, keyBytes);
  }
  for (const blinded of sale.blindedReceipts) put('blindedReceipts', blinded, keyBytes);
  return bytes;
}

/** @throws SellingError that names the field */
export function decodeSale(bytes: Uint8Array, keyBytes: number): Sale {
  if (bytes.length < HEAD_BYTES) throw sellingError('sale', `is ${bytes.length} bytes long`);
  if (bytes[0] !== VERSION) throw sellingError('sale.version', `is ${bytes[0]}`);
  const mode = bytes[1];
  if (mode !== MODE_RECEIPTS && mode !== MODE_M_OF_N) throw sellingError('sale.mode', `is ${mode}`);
  const k = bytes[2];
  if (k < 1 || k > MOST_CREDENTIALS) throw sellingError('sale.k', `is ${k}`);
  const length = saleBytes(k, keyBytes);
  if (bytes.length !== length) throw sellingError('sale', `is ${bytes.length} bytes long, not ${length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = HEAD_BYTES;
  const take = (count: number): Uint8Array => {
    at += count;
    return new Uint8Array(bytes.subarray(at - count, at));
  };
  const sale: Sale = {
    mode: mode,
    slot: view.getUint32(3, false),
    weightVersion: view.getUint32(7, false),
    nonce: take(NONCE_BYTES),
    keyId: take(KEY_ID_BYTES),
    receiptKeyId: take(KEY_ID_BYTES),
    credentials: [],
    blindedReceipts: [],
  };
  for (let i = 0; i < k; i++) {
    const id = take(VALUE_ID_BYTES);
    sale.credentials.push({ id: id, signature: take(keyBytes) });
  }
  if (mode === MODE_RECEIPTS) {
    for (let i = 0; i < k; i++) sale.blindedReceipts.push(take(keyBytes));
  } else {
    if (!isZero(sale.receiptKeyId)) throw sellingError('sale.receiptKeyId', 'is not zero');
    if (!isZero(take(k * keyBytes))) throw sellingError('sale.blindedReceipts', 'are not zero');
  }
  return sale;
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** 32 B. */
export function saleIdOf(natives: SellingNatives, sale: Uint8Array): Uint8Array {
  return natives.sha256(sale);
}

/**
 * The answer to a sale, readable by who made the sale: mask and tag come from its nonce, which nobody else has seen. One sale has one
 * answer, so the mask is used once.
 */
export function encodeAnswer(
  natives: SellingNatives,
  sale: Uint8Array,
  code: number,
  blindSignatures: Uint8Array[],
  keyBytes: number,
): Uint8Array {
  const saleId = saleIdOf(natives, sale);
  const nonce = nonceOf(sale);
  const masked = maskOf(natives, nonce, saleId, 1 + sale[2] * keyBytes);
  masked[0] ^= code;
  let at = 1;
  for (const signature of blindSignatures) {
    for (let i = 0; i < keyBytes; i++) masked[at + i] ^= signature[i];
    at += keyBytes;
  }
  return joined([saleId.subarray(0, SHORT_SALE_ID_BYTES), masked, tagOf(natives, nonce, saleId, masked)]);
}

/** What the answer to a sale is read with: its SALE is not needed again. */
export interface AnswerReader {
  mode: number;
  k: number;
  /** 32 B. */
  saleId: Uint8Array;
  nonce: Uint8Array;
}

/** Null where it is the answer to another sale, or not the centre's. @param sale as it was sent, before sealing */
export function openAnswer(
  natives: SellingNatives,
  sale: Uint8Array,
  answer: Uint8Array,
  keyBytes: number,
): SaleAnswer | null {
  const reader = { mode: sale[1], k: sale[2], saleId: saleIdOf(natives, sale), nonce: nonceOf(sale) };
  return openAnswerTo(natives, reader, answer, keyBytes);
}

/** The same. A saleId that is not the sale's opens no answer: who does not know the nonce cannot make one that does. */
export function openAnswerTo(
  natives: SellingNatives,
  reader: AnswerReader,
  answer: Uint8Array,
  keyBytes: number,
): SaleAnswer | null {
  const { mode, k, saleId, nonce } = reader;
  if (answer.length !== answerBytes(k, keyBytes)) return null;
  const short = saleId.subarray(0, SHORT_SALE_ID_BYTES);
  if (!equalBytes(short, answer.subarray(0, SHORT_SALE_ID_BYTES))) return null;
  const masked = answer.subarray(SHORT_SALE_ID_BYTES, answer.length - TAG_BYTES);
  if (!equalBytes(tagOf(natives, nonce, saleId, masked), answer.subarray(answer.length - TAG_BYTES))) return null;
  const plain = maskOf(natives, nonce, saleId, masked.length);
  for (let i = 0; i < plain.length; i++) plain[i] ^= masked[i];
  const blindSignatures: Uint8Array[] = [];
  if (plain[0] === SALE_ACCEPTED && mode === MODE_RECEIPTS) {
    for (let i = 0; i < k; i++) blindSignatures.push(plain.subarray(1 + i * keyBytes, 1 + (i + 1) * keyBytes));
  }
  return { saleId: new Uint8Array(short), code: plain[0], blindSignatures: blindSignatures };
}

function nonceOf(sale: Uint8Array): Uint8Array {
  return sale.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
}
function maskOf(natives: SellingNatives, nonce: Uint8Array, saleId: Uint8Array, length: number): Uint8Array {
  const label = joined([ascii('quietmeter/v1/sale-answer-mask'), saleId.subarray(0, SALE_ID_BYTES)]);
  return new Uint8Array(natives.expand(nonce, label, 4 * Math.ceil(length / 4))).subarray(0, length);
}
function tagOf(natives: SellingNatives, nonce: Uint8Array, saleId: Uint8Array, masked: Uint8Array): Uint8Array {
  return natives.expand(nonce, joined([ascii('quietmeter/v1/sale-answer-tag'), saleId, masked]), TAG_BYTES);
}
