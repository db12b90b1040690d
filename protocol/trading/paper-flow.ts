/**
 * The paper's own flow (microgrid-trading.txt, section 5.3, procedures 4 to 6), with the corrections of protocols.md, section 4.
 *
 *   offering meter                     Substation                     requesting meter
 *   OFFER i, time, Pub_i         ──►
 *                                                            ◄──      REQUEST j
 *                                ◄──   PAIRING i, j, Pub_i, signed ──►
 *                                ◄──   PAYMENT i, j, Enc_Pub_i(coin, receipt), H(receipt)
 *   CHECK i, j, Enc_Sub(coin, ephemeral key), signed under Priv_i ──►  coin SPENT for (i, j)
 *                                ◄──   ANSWER i, j, good or not, signed
 *   WITHDRAWAL i, j, blinded token, signed under the ephemeral key ──► signs; the blind signature rides on the next frame
 *   RECEIPT i, j, receipt        ──►   completes (i, j), where the receipt hashes as promised **and a coin was spent for (i, j)**
 *
 * As printed the receipt is worthless: the payer chose it, so garbage as payment with a good receipt completes a trade that nobody
 * paid. Hence CHECK names (i, j) under Priv_i's signature, and only a spent coin completes; a coin that was spent and whose receipt
 * never comes completes after a while, for the payee has been paid. Curves make this flow one for gateways, not for the meter alone.
 *
 *   type u8 ‖ i 16 ‖ j 16 ‖ rest, but for OFFER (i) and REQUEST (j)
 *   Pub_i       Ed25519 32 · X25519 32
 *   encrypted   HPKE: encapsulated key 32 · coin id 32 · signature L · 32 · tag 16
 */
import { createHash } from 'node:crypto';
import { MalformedError } from '../wire/bytes.ts';

export const PAPER_OFFER = 0x10;
export const PAPER_REQUEST = 0x11;
export const PAPER_PAIRING = 0x12;
export const PAPER_PAYMENT = 0x13;
export const PAPER_CHECK = 0x14;
export const PAPER_ANSWER = 0x15;
export const PAPER_WITHDRAWAL = 0x16;
export const PAPER_RECEIPT = 0x17;

export const PAPER_ID_BYTES = 16;
export const PAPER_PUBLIC_BYTES = 64;
const SIGNATURE_BYTES = 64;
const HASH_BYTES = 32;
const HPKE_BYTES = 32 + 16;
const PAIR_HEAD = 1 + 2 * PAPER_ID_BYTES;

/** How long each message is, before the bus frames it. @param keyBytes of the coins' key */
export function paperBytes(keyBytes: number) {
  const encrypted = HPKE_BYTES + 32 + keyBytes + 32;
  return {
    offer: 1 + PAPER_ID_BYTES + 4 + PAPER_PUBLIC_BYTES,
    request: 1 + PAPER_ID_BYTES,
    pairing: PAIR_HEAD + PAPER_PUBLIC_BYTES + SIGNATURE_BYTES,
    payment: PAIR_HEAD + encrypted + HASH_BYTES,
    check: PAIR_HEAD + encrypted + SIGNATURE_BYTES,
    answer: PAIR_HEAD + 1 + SIGNATURE_BYTES,
    withdrawal: PAIR_HEAD + keyBytes + SIGNATURE_BYTES,
    receipt: PAIR_HEAD + HASH_BYTES,
  };
}

/** A message of a pair, or an OFFER or REQUEST, whose absent half is empty. */
export interface PaperMessage {
  type: number;
  i: Uint8Array;
  j: Uint8Array;
  rest: Uint8Array;
}

export function encodePaper({ type, i, j, rest }: PaperMessage): Uint8Array {
  return Buffer.concat([Uint8Array.of(type), i, j, rest]);
}
/** @param keyBytes of the coins' key @throws MalformedError */
export function decodePaper(bytes: Uint8Array, keyBytes: number): PaperMessage {
  const lengths = paperBytes(keyBytes);
  const expected = new Map([
    [PAPER_OFFER, lengths.offer],
    [PAPER_REQUEST, lengths.request],
    [PAPER_PAIRING, lengths.pairing],
    [PAPER_PAYMENT, lengths.payment],
    [PAPER_CHECK, lengths.check],
    [PAPER_ANSWER, lengths.answer],
    [PAPER_WITHDRAWAL, lengths.withdrawal],
    [PAPER_RECEIPT, lengths.receipt],
  ]).get(bytes[0]);
  if (expected === undefined) throw new MalformedError('paper.type', 'is none of the flow');
  if (bytes.length !== expected) throw new MalformedError('paper', `is ${bytes.length} bytes long, not ${expected}`);
  const [type] = bytes;
  const half = (from: number): Uint8Array => bytes.subarray(from, from + PAPER_ID_BYTES);
  const none = new Uint8Array(0);
  if (type === PAPER_OFFER) return { type, i: half(1), j: none, rest: bytes.subarray(1 + PAPER_ID_BYTES) };
  if (type === PAPER_REQUEST) return { type, i: none, j: half(1), rest: none };
  return { type, i: half(1), j: half(1 + PAPER_ID_BYTES), rest: bytes.subarray(PAIR_HEAD) };
}

/** What became of a pair, at the substation. */
export type PairState = 'paired' | 'spent' | 'complete';
export interface PaperPair {
  state: PairState;
  /** H(Receipt) of the PAYMENT that was heard; null before. */
  promised: Uint8Array | null;
  /** When the coin was spent. */
  spentMs: number;
}

/** The CHECK for (i, j) brought a coin that was not spent before. */
export function spentFor(pair: PaperPair, nowMs: number): PaperPair {
  return pair.state === 'paired' ? { ...pair, state: 'spent', spentMs: nowMs } : pair;
}
/** A RECEIPT: without a coin it completes nothing. */
export function receiptFor(pair: PaperPair, receipt: Uint8Array): PaperPair {
  const matches =
    pair.promised !== null && Buffer.compare(createHash('sha256').update(receipt).digest(), pair.promised) === 0;
  return pair.state === 'spent' && matches ? { ...pair, state: 'complete' } : pair;
}
/** A payee that withholds the receipt was paid all the same. */
export function afterTimeout(pair: PaperPair, nowMs: number, timeoutMs: number): PaperPair {
  return pair.state === 'spent' && nowMs - pair.spentMs >= timeoutMs ? { ...pair, state: 'complete' } : pair;
}
