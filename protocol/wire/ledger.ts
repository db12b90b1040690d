/**
 * What each Wh was for, as the meter tells its gateway over the session LEDGER. (Espruino dialect: the firmware imports this file)
 *
 *   LINES  meter → gateway   every line of the records behind `after` up to `upTo` that gives energy a purpose; these are final, and
 *                            a record among them without a line is rest as a whole. `upTo` = `after` where none is final yet. Then
 *                            lines that may still grow.
 *   KEPT   gateway → meter   all final lines up to this record are on the gateway's disk: the answer to each LINES
 *
 *   LINES   01  after u32 · upTo u32 · count u8 · lines
 *           line: number u32 · slot u32 · restImportMwh u32 · restExportMwh u32 · count u8 · parts
 *           part: direction u4 ‖ purpose u4 · energyMwh u32
 *   KEPT    02  number u32
 *
 * Integers are little-endian. A line's parts and rests sum to the difference of the registers between record number − 1 and number.
 * The meter says LINES again until KEPT covers it; what is kept on both sides grows only, so doubling changes nothing.
 */
export const DIRECTION_IMPORT = 0;
export const DIRECTION_EXPORT = 1;

/** protocols.md, section 7. What has none of these purposes is rest: it is billed. */
export const PURPOSE_REST = 0;
export const PURPOSE_OWN_USE = 1; // kept back by the household: sold to nobody
export const PURPOSE_CENTRE = 2; // sold to the control centre for credentials
export const PURPOSE_BUS = 3; // traded with neighbours for e-coins
export const PURPOSE_PROVIDER_TRADE = 4; // traded with the provider for tokens
export const PURPOSE_PREPAID = 5; // import that was paid before
export const PURPOSE_MOST = 5;

export interface LedgerPart {
  direction: number;
  purpose: number;
  /** 1 … 2^32 − 1 */
  energyMwh: number;
}
/** One record's energy: each purpose at most once for each direction. */
export interface LedgerLine {
  /** Of the record. */
  number: number;
  slot: number;
  restImportMwh: number;
  restExportMwh: number;
  parts: LedgerPart[];
}
export interface LedgerLines {
  after: number;
  upTo: number;
  lines: LedgerLine[];
}

export const LEDGER_LINES = 0x01;
export const LEDGER_KEPT = 0x02;
/** Lines in a message. */
export const LINES_MOST = 48;
const HEAD_BYTES = 10;
const LINE_BYTES = 17;
export const LEDGER_PART_BYTES = 5;
const KEPT_BYTES = 5;
const U32_MOST = 4294967295;

function malformed(path: string, fault: string): Error {
  return new Error(path + ': ' + fault);
}

/** One byte and four: also how the meter keeps a part in its flash. */
export function putPart(view: DataView, at: number, part: LedgerPart): void {
  view.setUint8(at, part.direction * 16 + part.purpose);
  view.setUint32(at + 1, part.energyMwh, true);
}
/** @throws Error that names the field */
export function partAt(view: DataView, at: number, path: string): LedgerPart {
  const kind = view.getUint8(at);
  const direction = kind >> 4;
  const purpose = kind & 15;
  if (direction > DIRECTION_EXPORT) throw malformed(path + '.direction', direction + ' is none');
  if (purpose === PURPOSE_REST || purpose > PURPOSE_MOST) throw malformed(path + '.purpose', purpose + ' is none');
  const energyMwh = view.getUint32(at + 1, true);
  if (energyMwh === 0) throw malformed(path + '.energyMwh', 'is 0');
  return { direction: direction, purpose: purpose, energyMwh: energyMwh };
}

/** A rest above 4.2 MWh in a quarter hour is no household's. @throws Error that names the field */
export function encodeLines(message: LedgerLines): Uint8Array {
  let bytes = HEAD_BYTES;
  for (const line of message.lines) bytes += LINE_BYTES + line.parts.length * LEDGER_PART_BYTES;
  if (message.lines.length > LINES_MOST) throw malformed('LINES.count', message.lines.length + ' is too many');
  const body = new Uint8Array(bytes);
  const view = new DataView(body.buffer);
  view.setUint8(0, LEDGER_LINES);
  view.setUint32(1, message.after, true);
  view.setUint32(5, message.upTo, true);
  view.setUint8(9, message.lines.length);
  let at = HEAD_BYTES;
  for (const line of message.lines) {
    if (line.restImportMwh > U32_MOST || line.restExportMwh > U32_MOST) throw malformed('LINES.rest', 'is too much');
    view.setUint32(at, line.number, true);
    view.setUint32(at + 4, line.slot, true);
    view.setUint32(at + 8, line.restImportMwh, true);
    view.setUint32(at + 12, line.restExportMwh, true);
    view.setUint8(at + 16, line.parts.length);
    at += LINE_BYTES;
    for (const part of line.parts) {
      putPart(view, at, part);
      at += LEDGER_PART_BYTES;
    }
  }
  return body;
}

/** @throws Error that names the field */
export function decodeLines(body: Uint8Array): LedgerLines {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  if (body.length < HEAD_BYTES || view.getUint8(0) !== LEDGER_LINES) throw malformed('LINES', 'is none');
  const count = view.getUint8(9);
  const message: LedgerLines = { after: view.getUint32(1, true), upTo: view.getUint32(5, true), lines: [] };
  if (message.upTo < message.after) throw malformed('LINES.upTo', 'is before LINES.after');
  if (count > LINES_MOST) throw malformed('LINES.count', count + ' is too many');
  let at = HEAD_BYTES;
  for (let i = 0; i < count; i++) {
    const path = 'LINES.lines[' + i + ']';
    if (at + LINE_BYTES > body.length) throw malformed(path, 'is cut off');
    const line: LedgerLine = {
      number: view.getUint32(at, true),
      slot: view.getUint32(at + 4, true),
      restImportMwh: view.getUint32(at + 8, true),
      restExportMwh: view.getUint32(at + 12, true),
      parts: [],
    };
    const parts = view.getUint8(at + 16);
    at += LINE_BYTES;
    if (line.number <= message.after) throw malformed(path + '.number', 'was final before');
    if (i > 0 && line.number <= message.lines[i - 1].number) throw malformed(path + '.number', 'does not go up');
    if (parts === 0 || at + parts * LEDGER_PART_BYTES > body.length) throw malformed(path + '.parts', 'are cut off');
    for (let j = 0; j < parts; j++) {
      const part = partAt(view, at, path + '.parts[' + j + ']');
      for (const other of line.parts) {
        if (other.direction === part.direction && other.purpose === part.purpose) {
          throw malformed(path + '.parts[' + j + ']', 'is there twice');
        }
      }
      line.parts.push(part);
      at += LEDGER_PART_BYTES;
    }
    message.lines.push(line);
  }
  if (at !== body.length) throw malformed('LINES', body.length - at + ' bytes more than the layout has');
  return message;
}

export function encodeKept(number: number): Uint8Array {
  const body = new Uint8Array(KEPT_BYTES);
  const view = new DataView(body.buffer);
  view.setUint8(0, LEDGER_KEPT);
  view.setUint32(1, number, true);
  return body;
}
/** @throws Error that names the field */
export function decodeKept(body: Uint8Array): number {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  if (body.length !== KEPT_BYTES || view.getUint8(0) !== LEDGER_KEPT) throw malformed('KEPT', 'is none');
  return view.getUint32(1, true);
}
