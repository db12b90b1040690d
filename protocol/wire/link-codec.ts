import type {
  Ack,
  CheckClamp,
  Clamp,
  GatewayCommand,
  Hello,
  ImageBegin,
  ImageData,
  ImageEnd,
  ImageState,
  Live,
  Measure,
  Measurement,
  MeterMessage,
  MeterRecord,
  Phases,
  ReadRecords,
  Refused,
  RelayCommand,
  RelayState,
  Say,
  Status,
  Tell,
  TimeCommand,
} from './link-messages.ts';
import {
  IMAGE_CHUNK_BYTES,
  LINK_ACK,
  LINK_CHECK_CLAMP,
  LINK_CLAMP,
  LINK_HELLO,
  LINK_IMAGE_BEGIN,
  LINK_IMAGE_DATA,
  LINK_IMAGE_END,
  LINK_IMAGE_STATE,
  LINK_LIVE,
  LINK_MEASURE,
  LINK_MEASUREMENT,
  LINK_PHASES,
  LINK_READ,
  LINK_RECORD,
  LINK_REFUSED,
  LINK_RELAY,
  LINK_RELAY_STATE,
  LINK_SAY,
  LINK_STATUS,
  LINK_TELL,
  LINK_TIME,
  REFUSED_MALFORMED,
  REFUSED_UNKNOWN,
  SESSION_MOST_PARTS,
} from './link-messages.ts';

/**
 * The bytes of each link message (Espruino dialect: the firmware imports this file). The tables below are the layout: the type
 * byte, then the fields in their order, nothing between them, integers little-endian. A body of any other length is refused.
 *
 *   HELLO       01  meterId hex8 · boot u32 · uptimeMs u53 · oldestRecord u32 · newestRecord u32 · firmware hex8          37 B
 *   LIVE        02  boot u32 · uptimeMs u53 · powerMw i32 · reactiveMvar i32 · apparentMva u32 · voltageMv u32 ·
 *                   currentMa u32 · powerFactorE4 i16 · frequencyMhz u32 · importMwh u53 · exportMwh u53 · flags u16      57 B
 *   RECORD      03  number u32 · boot u32 · uptimeMs u53 · slot u32 · importMwh u53 · exportMwh u53 · flags u16           39 B
 *   CLAMP       04  verdict u8 · powerMw i32 · powerFactorE4 i16                                                           8 B
 *   REFUSED     05  command u8 · reason u8                                                                                 3 B
 *   IMAGE_STATE 06  state u8 · version u32 · offset u32 · room u32 · running u32                                          18 B
 *   MEASUREMENT 07  version u32 · length u32 · digest b32                                                                 41 B
 *   RELAY_STATE 08  state u8 · untilMs u53                                                                                10 B
 *   SAY         09  session u8 · message u8 · part u8 · parts u8 · bytes                                        6 … 261 B
 *   PHASES      0a  boot u32 · uptimeMs u53 · bytes (12 B per phase)                                          14 … 269 B
 *   TIME        81  unixMs u53                                                                                             9 B
 *   ACK         82  number u32                                                                                             5 B
 *   READ        83  from u32                                                                                               5 B
 *   STATUS      84                                                                                                         1 B
 *   CHECK_CLAMP 85                                                                                                         1 B
 *   IMAGE_BEGIN 86  version u32 · length u32 · digest b32                                                                 41 B
 *   IMAGE_DATA  87  offset u32 · bytes                                                                          6 … 261 B
 *   IMAGE_END   88                                                                                                         1 B
 *   MEASURE     89  nonce b32                                                                                             33 B
 *   RELAY       8a  state u8 · untilMs u53                                                                                10 B
 *   TELL        8b  session u8 · message u8 · part u8 · parts u8 · bytes                                        6 … 261 B
 *
 *   u53   eight bytes, an integer of at most 2^53 − 1 (what both machines hold exactly)
 *   hex8  eight bytes, sixteen lower-case hex digits in the message
 *   b32   32 bytes
 *   bytes 1 … 256 bytes, to the end of the body
 */

/** Why a body is no message, or a message cannot be written. `reason` is what REFUSED answers. */
export interface LinkError extends Error {
  name: 'LinkError';
  /** Such as `TIME.unixMs`. */
  field: string;
  /** The type byte, 0 where there is none. */
  messageType: number;
  reason: typeof REFUSED_UNKNOWN | typeof REFUSED_MALFORMED;
}

/** Espruino has no subclasses of Error. */
function linkError(field: string, fault: string, messageType: number, reason: LinkError['reason']): LinkError {
  const error = new Error(field + ': ' + fault) as LinkError;
  error.name = 'LinkError';
  error.field = field;
  error.messageType = messageType;
  error.reason = reason;
  return error;
}

type Value = number | string | Uint8Array;
interface Kind {
  /** How many it takes; of REST at least. */
  bytes: number;
  min: number;
  max: number;
  read(view: DataView, at: number): Value;
  write(view: DataView, at: number, value: Value): void;
}
interface Field<Message> {
  name: Exclude<keyof Message, 'type'>;
  kind: Kind;
}
interface Layout {
  type: number;
  name: string;
  fields: { name: string; kind: Kind }[];
  bytes: number;
  /** How many more a body may have: REST is its last field. */
  spare: number;
}

const TWO_32 = 4294967296;
/** 2^53 − 1 */
const MAX_EXACT = 9007199254740991;

const U8: Kind = {
  bytes: 1,
  min: 0,
  max: 255,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value as number),
};
const U16: Kind = {
  bytes: 2,
  min: 0,
  max: 65535,
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value) => view.setUint16(at, value as number, true),
};
const I16: Kind = {
  bytes: 2,
  min: -32768,
  max: 32767,
  read: (view, at) => view.getInt16(at, true),
  write: (view, at, value) => view.setInt16(at, value as number, true),
};
const U32: Kind = {
  bytes: 4,
  min: 0,
  max: 4294967295,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value as number, true),
};
const I32: Kind = {
  bytes: 4,
  min: -2147483648,
  max: 2147483647,
  read: (view, at) => view.getInt32(at, true),
  write: (view, at, value) => view.setInt32(at, value as number, true),
};
const U53: Kind = {
  bytes: 8,
  min: 0,
  max: MAX_EXACT,
  read: (view, at) => view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32,
  write: (view, at, value) => {
    const high = Math.floor((value as number) / TWO_32);
    view.setUint32(at, (value as number) - high * TWO_32, true);
    view.setUint32(at + 4, high, true);
  },
};
const hex32 = (word: number) => word.toString(16).padStart(8, '0');
const HEX8: Kind = {
  bytes: 8,
  min: 0,
  max: 0,
  read: (view, at) => hex32(view.getUint32(at, false)) + hex32(view.getUint32(at + 4, false)),
  write: (view, at, value) => {
    view.setUint32(at, parseInt((value as string).substring(0, 8), 16), false);
    view.setUint32(at + 4, parseInt((value as string).substring(8), 16), false);
  },
};
const bytesOf = (view: DataView, at: number, length: number) =>
  new Uint8Array(new Uint8Array(view.buffer, view.byteOffset + at, length));
const setBytes = (view: DataView, at: number, value: Value) => {
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(value as Uint8Array, at);
};
const B32: Kind = {
  bytes: 32,
  min: 32,
  max: 32,
  read: (view, at) => bytesOf(view, at, 32),
  write: setBytes,
};
/** The last field only. */
const REST: Kind = {
  bytes: 1,
  min: 1,
  max: IMAGE_CHUNK_BYTES,
  read: (view, at) => bytesOf(view, at, view.byteLength - at),
  write: setBytes,
};

/** The same kind with a narrower range. */
const within = (kind: Kind, min: number, max: number): Kind => {
  return { bytes: kind.bytes, min: min, max: max, read: kind.read, write: kind.write };
};
/** Boots and records count from 1. */
const COUNT = within(U32, 1, U32.max);
const POWER_FACTOR = within(I16, -10000, 10000);
/** The years 2000 to 2099: what is outside is no clock. */
const UNIX_MS = within(U53, 946684800000, 4102444799999);

const layouts: { [type: number]: Layout } = {};
function layout<Message>(type: number, name: string, fields: Field<Message>[]): void {
  let bytes = 1;
  let spare = 0;
  for (const field of fields) {
    bytes += field.kind.bytes;
    if (field.kind === REST) spare = REST.max - REST.bytes;
  }
  layouts[type] = { type: type, name: name, fields: fields as Layout['fields'], bytes: bytes, spare: spare };
}

layout<Hello>(LINK_HELLO, 'HELLO', [
  { name: 'meterId', kind: HEX8 },
  { name: 'boot', kind: COUNT },
  { name: 'uptimeMs', kind: U53 },
  { name: 'oldestRecord', kind: U32 },
  { name: 'newestRecord', kind: U32 },
  { name: 'firmware', kind: HEX8 },
]);
layout<Live>(LINK_LIVE, 'LIVE', [
  { name: 'boot', kind: COUNT },
  { name: 'uptimeMs', kind: U53 },
  { name: 'powerMw', kind: I32 },
  { name: 'reactiveMvar', kind: I32 },
  { name: 'apparentMva', kind: U32 },
  { name: 'voltageMv', kind: U32 },
  { name: 'currentMa', kind: U32 },
  { name: 'powerFactorE4', kind: POWER_FACTOR },
  { name: 'frequencyMhz', kind: U32 },
  { name: 'importMwh', kind: U53 },
  { name: 'exportMwh', kind: U53 },
  { name: 'flags', kind: U16 },
]);
layout<MeterRecord>(LINK_RECORD, 'RECORD', [
  { name: 'number', kind: COUNT },
  { name: 'boot', kind: COUNT },
  { name: 'uptimeMs', kind: U53 },
  { name: 'slot', kind: U32 },
  { name: 'importMwh', kind: U53 },
  { name: 'exportMwh', kind: U53 },
  { name: 'flags', kind: U16 },
]);
layout<Clamp>(LINK_CLAMP, 'CLAMP', [
  { name: 'verdict', kind: within(U8, 0, 2) },
  { name: 'powerMw', kind: I32 },
  { name: 'powerFactorE4', kind: POWER_FACTOR },
]);
layout<Refused>(LINK_REFUSED, 'REFUSED', [
  { name: 'command', kind: U8 },
  { name: 'reason', kind: within(U8, 1, 4) },
]);
layout<ImageState>(LINK_IMAGE_STATE, 'IMAGE_STATE', [
  { name: 'state', kind: within(U8, 0, 8) },
  { name: 'version', kind: U32 },
  { name: 'offset', kind: U32 },
  { name: 'room', kind: U32 },
  { name: 'running', kind: U32 },
]);
layout<Measurement>(LINK_MEASUREMENT, 'MEASUREMENT', [
  { name: 'version', kind: U32 },
  { name: 'length', kind: U32 },
  { name: 'digest', kind: B32 },
]);
layout<RelayState>(LINK_RELAY_STATE, 'RELAY_STATE', [
  { name: 'state', kind: within(U8, 0, 1) },
  { name: 'untilMs', kind: U53 },
]);
layout<Phases>(LINK_PHASES, 'PHASES', [
  { name: 'boot', kind: COUNT },
  { name: 'uptimeMs', kind: U53 },
  { name: 'bytes', kind: REST },
]);
layout<TimeCommand>(LINK_TIME, 'TIME', [{ name: 'unixMs', kind: UNIX_MS }]);
layout<Ack>(LINK_ACK, 'ACK', [{ name: 'number', kind: U32 }]);
layout<ReadRecords>(LINK_READ, 'READ', [{ name: 'from', kind: COUNT }]);
layout<Status>(LINK_STATUS, 'STATUS', []);
layout<CheckClamp>(LINK_CHECK_CLAMP, 'CHECK_CLAMP', []);
layout<ImageBegin>(LINK_IMAGE_BEGIN, 'IMAGE_BEGIN', [
  { name: 'version', kind: COUNT },
  { name: 'length', kind: COUNT },
  { name: 'digest', kind: B32 },
]);
layout<ImageData>(LINK_IMAGE_DATA, 'IMAGE_DATA', [
  { name: 'offset', kind: U32 },
  { name: 'bytes', kind: REST },
]);
layout<ImageEnd>(LINK_IMAGE_END, 'IMAGE_END', []);
layout<Measure>(LINK_MEASURE, 'MEASURE', [{ name: 'nonce', kind: B32 }]);
layout<RelayCommand>(LINK_RELAY, 'RELAY', [
  { name: 'state', kind: within(U8, 0, 1) },
  { name: 'untilMs', kind: U53 },
]);
const PART = within(U8, 0, SESSION_MOST_PARTS - 1);
const PARTS = within(U8, 1, SESSION_MOST_PARTS);
layout<Say>(LINK_SAY, 'SAY', [
  { name: 'session', kind: U8 },
  { name: 'message', kind: U8 },
  { name: 'part', kind: PART },
  { name: 'parts', kind: PARTS },
  { name: 'bytes', kind: REST },
]);
layout<Tell>(LINK_TELL, 'TELL', [
  { name: 'session', kind: U8 },
  { name: 'message', kind: U8 },
  { name: 'part', kind: PART },
  { name: 'parts', kind: PARTS },
  { name: 'bytes', kind: REST },
]);

function checkNumber(value: unknown, kind: Kind, path: string, type: number): void {
  const inRange = typeof value === 'number' && value >= kind.min && value <= kind.max && Math.floor(value) === value;
  if (!inRange) {
    const range = 'an integer from ' + kind.min + ' to ' + kind.max;
    throw linkError(path, value + ' is not ' + range, type, REFUSED_MALFORMED);
  }
}
function checkHex(value: unknown, path: string, type: number): void {
  if (typeof value !== 'string' || value.length !== 16 || !/^[0-9a-f]+$/.test(value)) {
    throw linkError(path, 'not sixteen lower-case hex digits', type, REFUSED_MALFORMED);
  }
}
function checkBytes(value: unknown, kind: Kind, path: string, type: number): void {
  const length = value instanceof Uint8Array ? value.length : -1;
  if (length < kind.min || length > kind.max) {
    const range = kind.min === kind.max ? '' + kind.min : kind.min + ' to ' + kind.max;
    throw linkError(path, 'not ' + range + ' bytes', type, REFUSED_MALFORMED);
  }
}
function check(value: unknown, kind: Kind, path: string, type: number): void {
  if (kind === HEX8) checkHex(value, path, type);
  else if (kind === B32 || kind === REST) checkBytes(value, kind, path, type);
  else checkNumber(value, kind, path, type);
}
/** The body of a message, to be put into a frame. Throws a LinkError where a field is outside its range. */
export function encodeMessage(message: MeterMessage | GatewayCommand): Uint8Array {
  const form = layouts[message.type];
  if (!form) throw linkError('type', message.type + ' is no message', 0, REFUSED_UNKNOWN);
  const values = message as unknown as { [name: string]: Value };
  let bytes = 1;
  for (const field of form.fields) {
    const value = values[field.name];
    check(value, field.kind, form.name + '.' + field.name, form.type);
    bytes += field.kind === REST ? (value as Uint8Array).length : field.kind.bytes;
  }
  const body = new Uint8Array(bytes);
  const view = new DataView(body.buffer);
  view.setUint8(0, form.type);
  let at = 1;
  for (const field of form.fields) {
    field.kind.write(view, at, values[field.name]);
    at += field.kind.bytes;
  }
  return body;
}

/** The message in a body. Throws a LinkError, and nothing else, where it is none. */
export function decodeMessage(body: Uint8Array): MeterMessage | GatewayCommand {
  const type = body.length > 0 ? body[0] : 0;
  const form = layouts[type];
  if (!form) throw linkError('type', type + ' is no message', type, REFUSED_UNKNOWN);
  if (body.length < form.bytes || body.length > form.bytes + form.spare) {
    throw linkError(form.name, body.length + ' bytes instead of ' + form.bytes, type, REFUSED_MALFORMED);
  }
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const message: { [name: string]: Value } = { type: type };
  let at = 1;
  for (const field of form.fields) {
    const value = field.kind.read(view, at);
    if (typeof value === 'number') checkNumber(value, field.kind, form.name + '.' + field.name, type);
    message[field.name] = value;
    at += field.kind.bytes;
  }
  return message as unknown as MeterMessage | GatewayCommand;
}

/** Whether what was caught is a refusal by this codec (and no fault of ours). */
export function isLinkError(error: unknown): error is LinkError {
  return (error as LinkError).name === 'LinkError';
}
