import type { SellingNatives } from '../selling/natives.ts';
import { ascii, joined } from '../selling/natives.ts';
import {
  BATCH,
  BEACON,
  CELL_BYTES,
  EXCHANGE_MOST,
  HASH_BYTES,
  TRADE_ID_BYTES,
  TradeReader,
  TradeWriter,
  tradeError,
} from './messages.ts';

/**
 * What the substation says to all, signed: beacons and numbered batches. (Espruino dialect: the firmware imports this file; the
 * signature is checked by the gateway)
 *
 *   BEACON  01  epoch u32 · utc u32 (s) · cell 8 · keysetHash 32 · groupKeyHash 32 · nextBatch u32 · passRequired u8 · signature 64
 *   BATCH   04  number u32 · hash of the batch before 32 · epoch u32 · n u8 · lines · signature 64
 *
 *   line    'P' request 16 · offer 16 · L/8 u8 · blind signature L      paired: the offer's token is signed
 *           'D' request 16                                              the DSO sells
 *           'B' offer 16 · L/8 u8 · blind signature L                   the DSO buys
 *           'X' id 16 · reason u8                                       refused, or expired
 *           'E' exchange 16 · L/8 u8 · k u8 · blind signature L × k
 *
 *   hash    SHA-256 of the whole batch; that of the first one's predecessor is zero
 *   signed  label ‖ 00 ‖ everything before the signature, Ed25519 by the substation's key
 *
 * Numbers have no gap: who holds batches without one up to an epoch knows that what is not in them has not happened.
 */
export const BEACON_LABEL = 'quietmeter/v1/trade-beacon';
export const BATCH_LABEL = 'quietmeter/v1/trade-batch';
export const BATCH_MOST_LINES = 32;
const SIGNATURE_BYTES = 64;
const BATCH_HEAD = 1 + 4 + HASH_BYTES + 4 + 1;
const BEACON_BYTES = 1 + 4 + 4 + CELL_BYTES + 2 * HASH_BYTES + 4 + 1 + SIGNATURE_BYTES;

export interface Beacon {
  epoch: number;
  utcS: number;
  cell: Uint8Array;
  keysetHash: Uint8Array;
  groupKeyHash: Uint8Array;
  nextBatch: number;
  passRequired: boolean;
}

/** Reasons of an X line. */
export const X_EXPIRED = 0;
/** The coin was shown before, in another message. */
export const X_USED = 1;
/** The signature of the coin does not hold, or the seal does not open. */
export const X_FORGED = 2;
/** The key is none in force, or the piece belongs to another month. */
export const X_KEY = 3;
/** Too late, or too long ahead. */
export const X_TIME = 4;
/** The blinded token is no number of the range, or was seen before. */
export const X_TOKEN = 5;
/** No pass where one is asked for, or none that holds. */
export const X_PASS = 6;
/** Coins and tokens of an exchange are not worth the same. */
export const X_VALUE = 7;

export interface PairLine {
  kind: 'P';
  request: Uint8Array;
  offer: Uint8Array;
  blindSignature: Uint8Array;
}
export interface SaleLine {
  kind: 'D';
  request: Uint8Array;
}
export interface PurchaseLine {
  kind: 'B';
  offer: Uint8Array;
  blindSignature: Uint8Array;
}
export interface RefusalLine {
  kind: 'X';
  id: Uint8Array;
  reason: number;
}
export interface ExchangeLine {
  kind: 'E';
  exchange: Uint8Array;
  blindSignatures: Uint8Array[];
}
export type Line = PairLine | SaleLine | PurchaseLine | RefusalLine | ExchangeLine;
export interface Batch {
  number: number;
  previous: Uint8Array;
  epoch: number;
  lines: Line[];
}

export function lineBytes(line: Line): number {
  if (line.kind === 'P') return 2 + 2 * TRADE_ID_BYTES + line.blindSignature.length;
  if (line.kind === 'D') return 1 + TRADE_ID_BYTES;
  if (line.kind === 'B') return 2 + TRADE_ID_BYTES + line.blindSignature.length;
  if (line.kind === 'X') return 2 + TRADE_ID_BYTES;
  let length = 3 + TRADE_ID_BYTES;
  for (const signature of line.blindSignatures) length += signature.length;
  return length;
}
export function batchBytes(lines: Line[]): number {
  let length = BATCH_HEAD + SIGNATURE_BYTES;
  for (const line of lines) length += lineBytes(line);
  return length;
}
export const BEACON_LENGTH = BEACON_BYTES;

function putSignature(writer: TradeWriter, signature: Uint8Array): void {
  writer.u8(signature.length >> 3).put('blindSignature', signature, signature.length);
}
function putLine(writer: TradeWriter, line: Line): void {
  writer.u8(line.kind.charCodeAt(0));
  if (line.kind === 'P') {
    writer.put('request', line.request, TRADE_ID_BYTES).put('offer', line.offer, TRADE_ID_BYTES);
    putSignature(writer, line.blindSignature);
  } else if (line.kind === 'D') writer.put('request', line.request, TRADE_ID_BYTES);
  else if (line.kind === 'B') putSignature(writer.put('offer', line.offer, TRADE_ID_BYTES), line.blindSignature);
  else if (line.kind === 'X') writer.put('id', line.id, TRADE_ID_BYTES).u8(line.reason);
  else {
    writer.put('exchange', line.exchange, TRADE_ID_BYTES);
    writer.u8(line.blindSignatures[0].length >> 3).u8(line.blindSignatures.length);
    for (const signature of line.blindSignatures) writer.put('blindSignature', signature, signature.length);
  }
}
function takeLine(reader: TradeReader): Line {
  const kind = String.fromCharCode(reader.u8('kind'));
  if (kind === 'P') {
    const request = reader.take('request', TRADE_ID_BYTES);
    const offer = reader.take('offer', TRADE_ID_BYTES);
    return { kind: 'P', request: request, offer: offer, blindSignature: takeSignature(reader) };
  }
  if (kind === 'D') return { kind: 'D', request: reader.take('request', TRADE_ID_BYTES) };
  if (kind === 'B') {
    const offer = reader.take('offer', TRADE_ID_BYTES);
    return { kind: 'B', offer: offer, blindSignature: takeSignature(reader) };
  }
  if (kind === 'X') {
    const id = reader.take('id', TRADE_ID_BYTES);
    return { kind: 'X', id: id, reason: reader.u8('reason') };
  }
  if (kind !== 'E') throw tradeError(reader.path + '.kind', 'is none of P, D, B, X, E');
  const exchange = reader.take('exchange', TRADE_ID_BYTES);
  const length = reader.u8('words') * 8;
  const count = reader.u8('count');
  if (count < 1 || count > EXCHANGE_MOST) throw tradeError(reader.path + '.count', 'is ' + count);
  const signatures: Uint8Array[] = [];
  for (let i = 0; i < count; i++) signatures.push(reader.take('blindSignature', length));
  return { kind: 'E', exchange: exchange, blindSignatures: signatures };
}
function takeSignature(reader: TradeReader): Uint8Array {
  return reader.take('blindSignature', reader.u8('words') * 8);
}

/** Without its signature. @throws TradeError */
export function encodeBatchBody(batch: Batch): Uint8Array {
  if (batch.lines.length > BATCH_MOST_LINES) throw tradeError('batch.lines', 'are ' + batch.lines.length);
  const writer = new TradeWriter('batch', BATCH, batchBytes(batch.lines) - SIGNATURE_BYTES);
  writer.u32(batch.number).put('previous', batch.previous, HASH_BYTES).u32(batch.epoch).u8(batch.lines.length);
  for (const line of batch.lines) putLine(writer, line);
  return writer.bytes;
}
/** Form only: who checks the signature says so (`signedPart`). @throws TradeError */
export function decodeBatch(bytes: Uint8Array): Batch {
  const reader = new TradeReader('batch', BATCH, bytes);
  const batch: Batch = {
    number: reader.u32('number'),
    previous: reader.take('previous', HASH_BYTES),
    epoch: reader.u32('epoch'),
    lines: [],
  };
  const count = reader.u8('lines');
  if (count > BATCH_MOST_LINES) throw tradeError('batch.lines', 'are ' + count);
  for (let i = 0; i < count; i++) batch.lines.push(takeLine(reader));
  reader.take('signature', SIGNATURE_BYTES);
  reader.end();
  return batch;
}

/** Without its signature. */
export function encodeBeaconBody(beacon: Beacon): Uint8Array {
  const writer = new TradeWriter('beacon', BEACON, BEACON_BYTES - SIGNATURE_BYTES);
  writer.u32(beacon.epoch).u32(beacon.utcS).put('cell', beacon.cell, CELL_BYTES);
  writer.put('keysetHash', beacon.keysetHash, HASH_BYTES).put('groupKeyHash', beacon.groupKeyHash, HASH_BYTES);
  return writer.u32(beacon.nextBatch).u8(beacon.passRequired ? 1 : 0).bytes;
}
/** Form only. @throws TradeError */
export function decodeBeacon(bytes: Uint8Array): Beacon {
  const reader = new TradeReader('beacon', BEACON, bytes);
  const beacon = {
    epoch: reader.u32('epoch'),
    utcS: reader.u32('utcS'),
    cell: reader.take('cell', CELL_BYTES),
    keysetHash: reader.take('keysetHash', HASH_BYTES),
    groupKeyHash: reader.take('groupKeyHash', HASH_BYTES),
    nextBatch: reader.u32('nextBatch'),
    passRequired: reader.u8('passRequired') === 1,
  };
  reader.take('signature', SIGNATURE_BYTES);
  reader.end();
  return beacon;
}

/** What the substation's signature is over. @param message whole, with its signature; or its body where there is none yet */
export function signedPart(label: string, body: Uint8Array): Uint8Array {
  return joined([ascii(label), new Uint8Array(1), body]);
}
/** A signed message's body. */
export function bodyOf(message: Uint8Array): Uint8Array {
  return message.subarray(0, message.length - SIGNATURE_BYTES);
}
export function signatureOf(message: Uint8Array): Uint8Array {
  return message.subarray(message.length - SIGNATURE_BYTES);
}
/** 32 B: the next batch names it. */
export function batchHash(natives: SellingNatives, batch: Uint8Array): Uint8Array {
  return natives.sha256(batch);
}
