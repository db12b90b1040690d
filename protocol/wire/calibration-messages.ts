/**
 * What session CALIBRATION says: the gateway has the meter tell what it works with, average what it sees, and keep a new document.
 * (Espruino dialect: the firmware imports this file)
 *
 *   TELL     81                      gateway → meter: which document is it?
 *   AVERAGE  82  windows u16         gateway → meter: of so many windows from now on; an average that was under way is forgotten
 *   KEEP     83  text                gateway → meter: the document (hardware/calibration.ts); kept, read back, then the meter starts anew
 *   STATE    01  condition u8 · digest b32 · text    meter → gateway: answer to TELL and KEEP. Text and digest are those of the document
 *                                    that is in force, the digest SHA-256 of the text; no text: the board as drawn
 *   SEEN     02  windows u16 · five f64, big-endian  meter → gateway: V, A, W, var as the sensors show them before their tables and
 *                                    without crosstalk taken out twice (firmware/metering/meter.ts, `Shown`), and Hz
 *
 * Nobody signs on the line: who has the line has the meter. What is in force is in the gateway's evidence (protocol/attestation), so a
 * calibration that was changed shows.
 */
export const CALIBRATION_TELL = 0x81;
export const CALIBRATION_AVERAGE = 0x82;
export const CALIBRATION_KEEP = 0x83;
export const CALIBRATION_STATE = 0x01;
export const CALIBRATION_SEEN = 0x02;

/** Of STATE. */
export const CALIBRATION_IN_FORCE = 0;
export const CALIBRATION_KEPT = 1; // in force after the start that follows
export const CALIBRATION_REFUSED = 2; // it does not fit, or the flash does not keep it: the one in force stays

export const CALIBRATION_DIGEST_BYTES = 32;
/** A quarter of an hour. */
export const AVERAGE_MOST_WINDOWS = 900;
/** Of a document: a tenth of the meter's memory. */
export const CALIBRATION_MOST_BYTES = 8192;

/** Averages over windows, of what the sensors show. Import +. */
export interface Shown {
  volts: number;
  amps: number;
  watts: number;
  vars: number;
  hz: number;
}
const SHOWN_BYTES = 40;

export function seenMessage(windows: number, shown: Shown): Uint8Array {
  const out = new Uint8Array(3 + SHOWN_BYTES);
  const view = new DataView(out.buffer);
  out[0] = CALIBRATION_SEEN;
  view.setUint16(1, windows, false);
  view.setFloat64(3, shown.volts, false);
  view.setFloat64(11, shown.amps, false);
  view.setFloat64(19, shown.watts, false);
  view.setFloat64(27, shown.vars, false);
  view.setFloat64(35, shown.hz, false);
  return out;
}
/** Null where it is none. */
export function readSeen(body: Uint8Array): { windows: number; shown: Shown } | null {
  if (body.length !== 3 + SHOWN_BYTES || body[0] !== CALIBRATION_SEEN) return null;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return {
    windows: view.getUint16(1, false),
    shown: {
      volts: view.getFloat64(3, false),
      amps: view.getFloat64(11, false),
      watts: view.getFloat64(19, false),
      vars: view.getFloat64(27, false),
      hz: view.getFloat64(35, false),
    },
  };
}

export function averageMessage(windows: number): Uint8Array {
  return new Uint8Array([CALIBRATION_AVERAGE, windows >> 8, windows & 255]);
}
/** Windows of AVERAGE; 0 where it is none. */
export function windowsOf(body: Uint8Array): number {
  const windows = body.length === 3 && body[0] === CALIBRATION_AVERAGE ? body[1] * 256 + body[2] : 0;
  return windows <= AVERAGE_MOST_WINDOWS ? windows : 0;
}

export function stateMessage(condition: number, digest: Uint8Array, text: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + CALIBRATION_DIGEST_BYTES + text.length);
  out[0] = CALIBRATION_STATE;
  out[1] = condition;
  out.set(digest, 2);
  out.set(text, 2 + CALIBRATION_DIGEST_BYTES);
  return out;
}
/** Null where it is none. */
export function readState(body: Uint8Array): { condition: number; digest: Uint8Array; text: Uint8Array } | null {
  const begin = 2 + CALIBRATION_DIGEST_BYTES;
  if (body.length < begin || body[0] !== CALIBRATION_STATE || body[1] > CALIBRATION_REFUSED) return null;
  return { condition: body[1], digest: body.subarray(2, begin), text: body.subarray(begin) };
}
