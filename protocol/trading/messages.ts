import type { SellingNatives } from '../selling/natives.ts';
import { joined } from '../selling/natives.ts';

/**
 * Neighbours trade energy for e-coins on the power line (microgrid-trading.txt; protocols.md, section 4; messages.md, "Merged trade").
 * (Espruino dialect: the firmware imports this file)
 *
 *   Meter                                        Substation (DSO)
 *
 *   under a name, TLS from the gateway; the substation learns how many coins, nothing of them
 *   WITHDRAW  blinded coins            ──►       signs blindly, enters the withdrawal                    (services.ts)
 *
 *   anonymous, on the power line, everybody hears everything
 *                                      ◄──       BEACON   epoch, time, hashes of keyset and group key    (batch.ts)
 *   OFFER     piece, blinded token     ──►       OPEN: the token of the coin that the payee will earn
 *   REQUEST   piece, sealed coin       ──►       HELD: the coin is marked, by this request's id
 *                                                pairs, signs the token; coin SPENT, both PAIRED, in one transaction
 *   payer consumes, payee supplies     ◄──       BATCH n  signed: P (request, offer, blind signature) and other lines
 *   RESEND n · FIND id                 ──►       the batch again · the line again
 *   EXCHANGE  coins, blinded tokens    ──►       a seen coin becomes a new one; change
 *
 *   under a name, at the month's end; the substation learns how many
 *   DEPOSIT   all that is left         ──►       each coin once; bill = withdrawn − deposited            (services.ts)
 *
 * An offer reveals that someone has a piece, a request that someone needs one and a coin that was not seen before.
 *
 *   every message: type u8 ‖ body; integers big-endian; L the length of the moduli
 *   id        first 16 B of SHA-256(type ‖ body). Sending again is the same message under a fresh nonce of the bus: one id, one effect
 *   piece     keyId 32 (month, denomination) · startSlot u32 · slots u8 · validUntil u32 (epoch)
 *
 *   OFFER     02  piece · p u16, length of an attestation pass or 0 · pass p · blinded token L
 *   REQUEST   03  piece · sealed (coin id 32 · signature L), the meter's own seal, under cell, keyset hash and piece
 *   RESEND    05  number u32
 *   FIND      06  id 16
 *   EXCHANGE  07  keyId 32 (of the new coins) · n u8 tokens · m u8 coins · blinded token L × n · sealed (keyId 32 · coin id 32 · signature L) × m
 *   BEACON 01 and BATCH 04 stand in batch.ts
 */
export const BEACON = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const BATCH = 4;
export const RESEND = 5;
export const FIND = 6;
export const EXCHANGE = 7;

export const TRADE_ID_BYTES = 16;
export const KEY_ID_BYTES = 32;
export const COIN_ID_BYTES = 32;
export const CELL_BYTES = 8;
export const HASH_BYTES = 32;
const PIECE_BYTES = KEY_ID_BYTES + 9;
/** Coins or tokens of one exchange. */
export const EXCHANGE_MOST = 8;
const PASS_MOST = 1024;

/** What is traded: a piece of energy, on the borders of slots. */
export interface Piece {
  /** 32 B; says month and denomination of the coins. */
  keyId: Uint8Array;
  startSlot: number;
  slots: number;
  /** Epoch after which it is not paired any more. */
  validUntil: number;
}
export interface Offer extends Piece {
  /** Attestation pass where the beacon asks for one; else empty. */
  pass: Uint8Array;
  blinded: Uint8Array;
}
export interface Request extends Piece {
  sealed: Uint8Array;
}
export interface Exchange {
  keyId: Uint8Array;
  blinded: Uint8Array[];
  /** Coins in `sealed`. */
  coins: number;
  sealed: Uint8Array;
}

/** `path` names the field: `offer.blinded`. (Espruino has no subclasses of Error.) */
export interface TradeError extends Error {
  name: 'TradeError';
  path: string;
}
export function tradeError(path: string, problem: string): TradeError {
  const error = new Error(path + ' ' + problem) as TradeError;
  error.name = 'TradeError';
  error.path = path;
  return error;
}

/** 16 B: by it everybody knows a message again. */
export function tradeId(natives: SellingNatives, message: Uint8Array): Uint8Array {
  return new Uint8Array(natives.sha256(message).subarray(0, TRADE_ID_BYTES));
}

/** Writes a message of known length. */
export class TradeWriter {
  path: string;
  bytes: Uint8Array;
  view: DataView;
  at = 1;

  constructor(path: string, type: number, length: number) {
    this.path = path;
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
    this.bytes[0] = type;
  }
  u8(value: number): TradeWriter {
    this.bytes[this.at++] = value;
    return this;
  }
  u16(value: number): TradeWriter {
    return this.u8(value >> 8).u8(value & 255);
  }
  u32(value: number): TradeWriter {
    this.view.setUint32(this.at, value, false);
    this.at += 4;
    return this;
  }
  /** @throws TradeError where it does not have this length */
  put(field: string, part: Uint8Array, length: number): TradeWriter {
    if (part.length !== length)
      throw tradeError(this.path + '.' + field, 'is ' + part.length + ' bytes long, not ' + length);
    this.bytes.set(part, this.at);
    this.at += length;
    return this;
  }
}

/** Reads one; every error names the field. */
export class TradeReader {
  path: string;
  bytes: Uint8Array;
  view: DataView;
  at = 1;

  constructor(path: string, type: number, bytes: Uint8Array) {
    this.path = path;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length < 1 || bytes[0] !== type) throw tradeError(path + '.type', 'is another');
  }
  need(field: string, count: number): number {
    const at = this.at;
    if (count > this.bytes.length - at)
      throw tradeError(this.path + '.' + field, 'needs ' + count + ' bytes, ' + (this.bytes.length - at) + ' are left');
    this.at += count;
    return at;
  }
  u8(field: string): number {
    return this.bytes[this.need(field, 1)];
  }
  u16(field: string): number {
    return this.view.getUint16(this.need(field, 2), false);
  }
  u32(field: string): number {
    return this.view.getUint32(this.need(field, 4), false);
  }
  take(field: string, count: number): Uint8Array {
    const at = this.need(field, count);
    return new Uint8Array(this.bytes.subarray(at, at + count));
  }
  rest(field: string): Uint8Array {
    const left = this.bytes.length - this.at;
    if (left < 1) throw tradeError(this.path + '.' + field, 'is missing');
    return this.take(field, left);
  }
  end(): void {
    const left = this.bytes.length - this.at;
    if (left > 0) throw tradeError(this.path, 'has ' + left + ' bytes too many');
  }
}

function putPiece(writer: TradeWriter, piece: Piece): TradeWriter {
  return writer.put('keyId', piece.keyId, KEY_ID_BYTES).u32(piece.startSlot).u8(piece.slots).u32(piece.validUntil);
}
function takePiece(reader: TradeReader): Piece {
  const piece = {
    keyId: reader.take('keyId', KEY_ID_BYTES),
    startSlot: reader.u32('startSlot'),
    slots: reader.u8('slots'),
    validUntil: reader.u32('validUntil'),
  };
  if (piece.slots < 1) throw tradeError(reader.path + '.slots', 'is 0');
  return piece;
}

export function offerBytes(keyBytes: number, passBytes: number): number {
  return 1 + PIECE_BYTES + 2 + passBytes + keyBytes;
}
export function encodeOffer(offer: Offer): Uint8Array {
  const writer = new TradeWriter('offer', OFFER, offerBytes(offer.blinded.length, offer.pass.length));
  putPiece(writer, offer).u16(offer.pass.length).put('pass', offer.pass, offer.pass.length);
  return writer.put('blinded', offer.blinded, offer.blinded.length).bytes;
}
/** @throws TradeError */
export function decodeOffer(bytes: Uint8Array): Offer {
  const reader = new TradeReader('offer', OFFER, bytes);
  const piece = takePiece(reader);
  const passBytes = reader.u16('pass');
  if (passBytes > PASS_MOST) throw tradeError('offer.pass', 'is ' + passBytes + ' bytes long');
  return {
    keyId: piece.keyId,
    startSlot: piece.startSlot,
    slots: piece.slots,
    validUntil: piece.validUntil,
    pass: reader.take('pass', passBytes),
    blinded: reader.rest('blinded'),
  };
}

export function requestBytes(sealedBytes: number): number {
  return 1 + PIECE_BYTES + sealedBytes;
}
export function encodeRequest(request: Request): Uint8Array {
  const writer = new TradeWriter('request', REQUEST, requestBytes(request.sealed.length));
  return putPiece(writer, request).put('sealed', request.sealed, request.sealed.length).bytes;
}
/** @throws TradeError */
export function decodeRequest(bytes: Uint8Array): Request {
  const reader = new TradeReader('request', REQUEST, bytes);
  const piece = takePiece(reader);
  return {
    keyId: piece.keyId,
    startSlot: piece.startSlot,
    slots: piece.slots,
    validUntil: piece.validUntil,
    sealed: reader.rest('sealed'),
  };
}

/**
 * What a coin is sealed under: a copy of the ciphertext in another message, cell or keyset does not open.
 * @param head of the message: all before `sealed`
 */
export function sealContext(
  label: string,
  cell: Uint8Array,
  keysetHash: Uint8Array,
  sealingKeyId: Uint8Array,
  head: Uint8Array,
): Uint8Array {
  const text = new Uint8Array(label.length);
  for (let i = 0; i < label.length; i++) text[i] = label.charCodeAt(i);
  return joined([text, cell, keysetHash, sealingKeyId, head]);
}
export const REQUEST_SEAL = 'quietmeter/v1/trade-request';
export const EXCHANGE_SEAL = 'quietmeter/v1/trade-exchange';

/** All of a REQUEST before `sealed`. */
export function requestHead(piece: Piece): Uint8Array {
  return putPiece(new TradeWriter('request', REQUEST, 1 + PIECE_BYTES), piece).bytes;
}
/** All of an EXCHANGE before `sealed`. */
export function exchangeHead(keyId: Uint8Array, blinded: Uint8Array[], coins: number): Uint8Array {
  let length = 0;
  for (const token of blinded) length += token.length;
  const writer = new TradeWriter('exchange', EXCHANGE, 3 + KEY_ID_BYTES + length);
  writer.put('keyId', keyId, KEY_ID_BYTES).u8(blinded.length).u8(coins);
  for (const token of blinded) writer.put('blinded', token, token.length);
  return writer.bytes;
}
export function encodeExchange(exchange: Exchange): Uint8Array {
  return joined([exchangeHead(exchange.keyId, exchange.blinded, exchange.coins), exchange.sealed]);
}
/** @param keyBytesOf the length of the moduli by the new coins' key; 0: there is no such key @throws TradeError */
export function decodeExchange(bytes: Uint8Array, keyBytesOf: (keyId: Uint8Array) => number): Exchange {
  const reader = new TradeReader('exchange', EXCHANGE, bytes);
  const keyId = reader.take('keyId', KEY_ID_BYTES);
  const count = reader.u8('tokens');
  const coins = reader.u8('coins');
  if (count < 1 || count > EXCHANGE_MOST) throw tradeError('exchange.tokens', 'are ' + count);
  if (coins < 1 || coins > EXCHANGE_MOST) throw tradeError('exchange.coins', 'are ' + coins);
  const length = keyBytesOf(keyId);
  if (length === 0) throw tradeError('exchange.keyId', 'is unknown');
  const blinded: Uint8Array[] = [];
  for (let i = 0; i < count; i++) blinded.push(reader.take('blinded', length));
  return { keyId: keyId, blinded: blinded, coins: coins, sealed: reader.rest('sealed') };
}

export function encodeResend(number: number): Uint8Array {
  return new TradeWriter('resend', RESEND, 5).u32(number).bytes;
}
export function decodeResend(bytes: Uint8Array): number {
  const reader = new TradeReader('resend', RESEND, bytes);
  const number = reader.u32('number');
  reader.end();
  return number;
}
export function encodeFind(id: Uint8Array): Uint8Array {
  return new TradeWriter('find', FIND, 1 + TRADE_ID_BYTES).put('id', id, TRADE_ID_BYTES).bytes;
}
export function decodeFind(bytes: Uint8Array): Uint8Array {
  const reader = new TradeReader('find', FIND, bytes);
  const id = reader.take('id', TRADE_ID_BYTES);
  reader.end();
  return id;
}
