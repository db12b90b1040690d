/**
 * What the meter asks the helper on the gateway, and what it is answered: bodies of session messages, either way. (Espruino
 * dialect: the firmware imports this file)
 *
 *   question   offset  size
 *                   0     2  request    the meter's number for it, which the answer repeats
 *                   2     1  words      length L of the modulus in units of 8 B: 32 is 2048 bits
 *                   3     1  count      of values, 1 … 40
 *                   4     L  modulus    big-endian
 *                   …     L  value × count
 *
 *   answer          0     2  request
 *                   2     1  words
 *                   3     1  count
 *                   4     L  inverse × count; zeros where a value has none
 *
 * Decoding throws an Error that names the field. Nothing in an answer is believed: the meter checks each inverse.
 */
const HEAD_BYTES = 4;
const WORD_BYTES = 8;
/** 40 values of 3072 bits and their modulus fit one message of 16,384 B. */
export const HELPER_MOST_VALUES = 40;
/** What stands for the inverse of a value that has none. */
export const HELPER_NO_INVERSE: Uint8Array = new Uint8Array(0);

export interface HelperQuestion {
  /** 0 … 65,535 */
  request: number;
  modulus: Uint8Array;
  /** As long as the modulus. */
  values: Uint8Array[];
}
export interface HelperAnswer {
  request: number;
  /** In the order of the values, as long as the modulus; empty where there is none. */
  inverses: Uint8Array[];
}

function encode(path: string, request: number, length: number, count: number, items: Uint8Array[]): Uint8Array {
  if (count < 1 || count > HELPER_MOST_VALUES) throw new Error(path + '.count: ' + count);
  if (length % WORD_BYTES !== 0 || length < WORD_BYTES || length > 255 * WORD_BYTES)
    throw new Error(path + '.words: ' + length + ' bytes');
  const body = new Uint8Array(HEAD_BYTES + length * items.length);
  body[0] = request >> 8;
  body[1] = request & 255;
  body[2] = length / WORD_BYTES;
  body[3] = count;
  let at = HEAD_BYTES;
  for (const item of items) {
    if (item.length !== 0 && item.length !== length) throw new Error(path + ': a number of ' + item.length + ' bytes');
    body.set(item, at);
    at += length;
  }
  return body;
}

interface Decoded {
  request: number;
  count: number;
  items: Uint8Array[];
}
/** @param more numbers than the count says */
function decode(path: string, body: Uint8Array, more: number): Decoded {
  if (body.length < HEAD_BYTES) throw new Error(path + ': ' + body.length + ' bytes');
  const length = body[2] * WORD_BYTES;
  const count = body[3];
  if (length === 0) throw new Error(path + '.words: 0');
  if (count < 1 || count > HELPER_MOST_VALUES) throw new Error(path + '.count: ' + count);
  if (body.length !== HEAD_BYTES + length * (count + more)) throw new Error(path + ': ' + body.length + ' bytes');
  const items: Uint8Array[] = [];
  for (let at = HEAD_BYTES; at < body.length; at += length) items.push(body.subarray(at, at + length));
  return { request: body[0] * 256 + body[1], count: count, items: items };
}

export function encodeHelperQuestion(q: HelperQuestion): Uint8Array {
  return encode('helperQuestion', q.request, q.modulus.length, q.values.length, [q.modulus].concat(q.values));
}
export function decodeHelperQuestion(body: Uint8Array): HelperQuestion {
  const d = decode('helperQuestion', body, 1);
  return { request: d.request, modulus: d.items[0], values: d.items.slice(1) };
}

/** @param modulusBytes how long each inverse is */
export function encodeHelperAnswer(a: HelperAnswer, modulusBytes: number): Uint8Array {
  return encode('helperAnswer', a.request, modulusBytes, a.inverses.length, a.inverses);
}
export function decodeHelperAnswer(body: Uint8Array): HelperAnswer {
  const d = decode('helperAnswer', body, 0);
  const inverses = d.items.map((item) => (item.some((byte) => byte !== 0) ? item : HELPER_NO_INVERSE));
  return { request: d.request, inverses: inverses };
}
