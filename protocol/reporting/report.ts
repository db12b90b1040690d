/**
 * A household's report to the report servers (tasking-and-trading.txt, Algorithm 1, lines 1 to 4, and Algorithm 2).
 *
 *   Gateway ── report, by the door ──► ReportServer    who reports is not in it; that it is one household of those that may, and its
 *                                                      only report of the slot, is proved by a report token (token.ts) or a ring
 *                                                      (crypto/ring-signature.ts)
 *
 * In the paper SM and timestamp stand in the clear for the server to strip: here there is nothing to strip but the token.
 *
 *   report  size
 *           1     version = 1
 *           1     content         1 plain: one value · 2 shares: a dealing to the panel
 *           1     authorisation   1 token · 2 ring
 *           4     slot            at whose end the value was measured
 *           1+n   area
 *           16    task            zero: the regular report
 *           32    slip            of the reward (tokens/reward.ts); random where there is none, so that nobody sees who asks for one
 *           2+n   content         plain: 4 B, a multiple of RESOLUTION_WH where energy is reported; shares: the dealing (crypto/pvss.ts)
 *           …     authorisation   token 324 B ‖ Ed25519 signature 64 B by its one-time key, or ring signature; over label ‖ 00 ‖ all before
 *
 * All reports of one kind to one panel have one size.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { BlindRsaKey } from '../crypto/blind-rsa.ts';
import { ED25519_SIGNATURE_BYTES, signEd25519, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { type Ring, ringSignatureBytes, signInRing, verifyInRing } from '../crypto/ring-signature.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { ReportError } from './errors.ts';
import { decodeReportToken, REPORT_TOKEN_BYTES, reportTokenId, verifyReportToken } from './token.ts';

const VERSION = 1;
/** A single value that leaves the house is no finer (protocols.md, section 7). */
export const RESOLUTION_WH = 50;
export const TASK_ID_BYTES = 16;
export const SLIP_BYTES = 32;
export const REGULAR_REPORT: Uint8Array = new Uint8Array(TASK_ID_BYTES);

const PLAIN = 1;
const SHARES = 2;
const BY_TOKEN = 1;
const BY_RING = 2;

/** What is reported. */
export type ReportContent = { value: number } | { dealing: Uint8Array };
export interface ReportBody {
  slot: number;
  area: string;
  /** 16 B. */
  task: Uint8Array;
  /** 32 B. */
  slip: Uint8Array;
  content: ReportContent;
}
export interface Report extends ReportBody {
  /** Of the token or the ring's tag, 32 B: what a dealing is bound to, and spent once in a slot. */
  identity: Uint8Array;
}
/** How a gateway shows that it may report. */
export type ReportAuthorisation =
  | { token: Uint8Array; privateKey: KeyObject }
  | { ring: Ring; secret: Uint8Array; random: (bytes: number) => Uint8Array };
/** What a server needs to check it, of the report's slot and area. */
export interface ReportKeys {
  slotKey?: BlindRsaKey;
  ring?: Ring;
}

/** 32 B; known before the report is made (`tagInRing`). */
export const identityOfTag = (tag: Uint8Array): Uint8Array => createHash('sha256').update(tag).digest();

/** The gateway's step. @throws MalformedError, RangeError where a plain energy value is finer than it may be */
export function makeReport(body: ReportBody, authorisation: ReportAuthorisation): Uint8Array {
  const byToken = 'token' in authorisation;
  const plain = 'value' in body.content;
  if ('value' in body.content && isRegular(body.task) && body.content.value % RESOLUTION_WH !== 0)
    throw new RangeError(`content.value: is no multiple of ${RESOLUTION_WH} Wh`);
  const content =
    'value' in body.content
      ? new ByteWriter('report').u32('content.value', body.content.value).finish()
      : body.content.dealing;
  const head = new ByteWriter('report')
    .u8('version', VERSION)
    .u8('content', plain ? PLAIN : SHARES)
    .u8('authorisation', byToken ? BY_TOKEN : BY_RING)
    .u32('slot', body.slot)
    .text('area', body.area, AREA_PATTERN)
    .bytes('task', body.task, TASK_ID_BYTES)
    .bytes('slip', body.slip, SLIP_BYTES)
    .u16('content', content.length)
    .bytes('content', content, content.length)
    .finish();
  if (byToken) {
    const signed = Buffer.concat([head, authorisation.token]);
    return Buffer.concat([signed, signEd25519(authorisation.privateKey, labelled(LABELS.report, signed))]);
  }
  const { ring, secret, random } = authorisation;
  return Buffer.concat([head, signInRing(ring, body.slot, secret, labelled(LABELS.report, head), random)]);
}

const isRegular = (task: Uint8Array): boolean => Buffer.compare(task, REGULAR_REPORT) === 0;

/**
 * The server's step: layout and authorisation. Whether a dealing holds is verified for many together (`verifyDealings`, with `identity`
 * as its token), and whether the identity was spent in this slot by the server's store.
 * @param keysOf of a slot and area; without a key for what the report says it is forged
 * @throws MalformedError, GroupError, ReportError
 */
export function openReport(
  bytes: Uint8Array,
  keysOf: (slot: number, area: string) => ReportKeys,
  path = 'report',
): Report {
  const reader = new ByteReader(path, bytes);
  reader.constant('version', VERSION);
  const kind = reader.u8('content');
  if (kind !== PLAIN && kind !== SHARES) throw reader.error('content', `is ${kind}`);
  const how = reader.u8('authorisation');
  const slot = reader.u32('slot');
  const area = reader.text('area', AREA_PATTERN);
  const task = reader.bytes('task', TASK_ID_BYTES);
  const slip = reader.bytes('slip', SLIP_BYTES);
  const content = reader.bytes('content', reader.u16('content'));
  const { slotKey, ring } = keysOf(slot, area);
  let identity: Uint8Array;
  if (how === BY_TOKEN && slotKey) {
    const token = decodeReportToken(reader.bytes('token', REPORT_TOKEN_BYTES), `${path}.token`);
    const signed = labelled(LABELS.report, bytes.subarray(0, reader.at));
    const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
    reader.end();
    verifyReportToken(token, slot, slotKey, `${path}.token`);
    if (!verifyEd25519(token.publicKey, signed, signature))
      throw new ReportError(`${path}.signature`, "was not made by the token's key", 'forged');
    identity = reportTokenId(token);
  } else if (how === BY_RING && ring) {
    const signed = labelled(LABELS.report, bytes.subarray(0, reader.at));
    const signature = reader.bytes('signature', ringSignatureBytes(ring.keys.length));
    reader.end();
    const tag = verifyInRing(ring, slot, signed, signature, `${path}.signature`);
    if (!tag) throw new ReportError(`${path}.signature`, "was not made by a member of the area's ring", 'forged');
    identity = identityOfTag(tag);
  } else
    throw new ReportError(`${path}.authorisation`, `is ${how}, which is not known for this slot and area`, 'forged');
  if (kind === SHARES) return { slot, area, task, slip, content: { dealing: content }, identity };
  const plain = new ByteReader(`${path}.content`, content);
  const value = plain.u32('value');
  plain.end();
  if (isRegular(task) && value % RESOLUTION_WH !== 0)
    throw new ReportError(`${path}.content.value`, `is no multiple of ${RESOLUTION_WH} Wh: a fingerprint`, 'bad value');
  return { slot, area, task, slip, content: { value }, identity };
}
