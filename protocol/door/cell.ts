/**
 * One message of a household to a party that is not to know from whom, or nothing at all: nobody but the party can tell, since a
 * dummy is sealed like a message and has its length. What the message itself seals (to the meter's party, by the meter) is not
 * touched: the gateway carries what it cannot read.
 *
 *   plaintext, 3 + messageBytes of the destination
 *   offset  size
 *        0     1  kind      0 dummy, 1 message
 *        1     2  length    of the message, big-endian; 0 in a dummy
 *        3        message, then zeros
 *
 *   cell = HPKE to the destination; info "quietmeter/v1/door-cell", aad = the destination's name
 *   exported ("quietmeter/v1/door-answer"), 48 B: answerId 16 ‖ answerKey 32
 *
 * **A message that has to be sent again is sealed again.** The same cell twice would show the relay, which knows whose it is, that
 * it is no dummy. The party knows the message by its own bytes. Only a bundle whose arrival is not known is repeated as it was.
 *
 * The answer stands in the party's list (answer-list.ts) under answerId, which nobody else can compute from the cell:
 *
 *   entry = answerId 16 ‖ AES-256-GCM(answerKey, nonce = the list's number, aad = the destination's name) of
 *           length 2 ‖ answer, then zeros up to answerBytes
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { HPKE_OVERHEAD_BYTES, type HpkeOpener, openExporting, sealExporting } from '../crypto/hpke.ts';
import { LABELS, labelBytes } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import type { Destination } from './plan.ts';

const DUMMY = 0;
const MESSAGE = 1;
const HEADER_BYTES = 3;
const LENGTH_BYTES = 2;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
export const ANSWER_ID_BYTES = 16;
const EXPORTING = { context: labelBytes(LABELS.doorAnswer), bytes: ANSWER_ID_BYTES + KEY_BYTES };

/** Length of every cell to this destination. */
export const cellBytes = ({ messageBytes }: Destination): number => HEADER_BYTES + messageBytes + HPKE_OVERHEAD_BYTES;
/** Length of every entry in this destination's lists. */
export const entryBytes = ({ answerBytes }: Destination): number =>
  ANSWER_ID_BYTES + LENGTH_BYTES + answerBytes + TAG_BYTES;

/** How the answer to a cell is found and read. Secret: it shows which cell was the household's. */
export interface AnswerSecret {
  id: Uint8Array;
  key: Uint8Array;
}

/** The gateway's step. @param message null: a dummy @throws MalformedError where the message is too long, HpkeError */
export function sealCell(
  destination: Destination,
  message: Uint8Array | null,
): { cell: Uint8Array; answer: AnswerSecret } {
  const plaintext = padded('cell', destination.messageBytes, message ?? new Uint8Array());
  const kind = Uint8Array.of(message ? MESSAGE : DUMMY);
  const { sealed, exported } = sealExporting(
    destination.publicKey,
    LABELS.doorCell,
    Buffer.from(destination.name),
    Buffer.concat([kind, plaintext]),
    EXPORTING,
  );
  return { cell: sealed, answer: secretOf(exported) };
}

/** The party's step; `message` is null in a dummy. @throws HpkeError, MalformedError */
export function openCell(
  destination: Destination,
  opener: HpkeOpener,
  cell: Uint8Array,
): { message: Uint8Array | null; answer: AnswerSecret } {
  const { plaintext, exported } = openExporting(
    opener,
    LABELS.doorCell,
    Buffer.from(destination.name),
    cell,
    EXPORTING,
  );
  const reader = new ByteReader('cell', plaintext);
  const kind = reader.u8('kind');
  if (kind !== DUMMY && kind !== MESSAGE) throw reader.error('kind', `is ${kind}, which means nothing`);
  const message = unpadded(reader, 'message', destination.messageBytes);
  if (kind === DUMMY && message.length > 0) throw reader.error('message', 'is not empty in a dummy');
  return { message: kind === DUMMY ? null : message, answer: secretOf(exported) };
}

/** The party's step: an answer, or what cannot be told from one. @throws MalformedError where it is too long */
export function sealEntry(
  destination: Destination,
  listNumber: number,
  { id, key }: AnswerSecret,
  answer: Uint8Array | null,
): Uint8Array {
  if (answer === null) return randomBytes(entryBytes(destination));
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(listNumber)).setAAD(Buffer.from(destination.name));
  const sealed = cipher.update(padded('answer', destination.answerBytes, answer));
  return Buffer.concat([id, sealed, cipher.final(), cipher.getAuthTag()]);
}

/** The gateway's step, with the entry that has its id. @returns null where it was not made under this secret */
export function openEntry(
  destination: Destination,
  listNumber: number,
  { key }: AnswerSecret,
  entry: Uint8Array,
): Uint8Array | null {
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(listNumber), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(destination.name)).setAuthTag(entry.subarray(entry.length - TAG_BYTES));
  const plaintext = decipher.update(entry.subarray(ANSWER_ID_BYTES, entry.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return unpadded(new ByteReader('answer', plaintext), 'answer', destination.answerBytes);
}

function padded(path: string, most: number, content: Uint8Array): Uint8Array {
  const writer = new ByteWriter(path).u16('length', content.length);
  return writer
    .bytes('content', content, Math.min(content.length, most))
    .bytes('padding', new Uint8Array(most - content.length), most - content.length)
    .finish();
}

function unpadded(reader: ByteReader, field: string, most: number): Uint8Array {
  const length = reader.u16('length');
  if (length > most) throw reader.error('length', `is more than ${most}`);
  const content = reader.bytes(field, length);
  if (reader.bytes('padding', most - length).some((byte) => byte !== 0)) throw reader.error('padding', 'is not zero');
  reader.end();
  return new Uint8Array(content);
}

/** A key seals at most one answer for each list. */
function nonceOf(listNumber: number): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(listNumber, NONCE_BYTES - 4);
  return nonce;
}

const secretOf = (exported: Uint8Array): AnswerSecret => ({
  id: exported.subarray(0, ANSWER_ID_BYTES),
  key: exported.subarray(ANSWER_ID_BYTES),
});
