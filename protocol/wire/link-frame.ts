/**
 * The frame of the serial line between meter and gateway, both directions (Espruino dialect: the firmware imports this file).
 *
 *   frame = base64(body ‖ CRC-32 of body, little-endian) ‖ "\n"
 *
 * A newline never occurs inside a frame, so a reader that was disturbed is right again at the next one: noise, a frame that was
 * cut and frames that ran together cost those lines and nothing else. Base64 and CRC-32 are native on both machines.
 */

/** What the two machines do natively, each in its own way. */
export interface FrameNatives {
  /** CRC-32 as in zlib and Ethernet: reflected 0xEDB88320, start and final XOR all ones. Unsigned. */
  crc32(bytes: Uint8Array): number;
  toBase64(bytes: Uint8Array): string;
  /** What is no base64 gives any bytes: the CRC decides. */
  fromBase64(text: string): Uint8Array;
}

/** No message is longer, in bytes (IMAGE_DATA, SAY and TELL have up to 261). */
export const MAX_BODY_BYTES = 263;
const CRC_BYTES = 4;
/** A longer line is no frame, in characters without the newline. */
export const MAX_LINE_CHARS = Math.ceil((MAX_BODY_BYTES + CRC_BYTES) / 3) * 4;

export function encodeFrame(body: Uint8Array, natives: FrameNatives): string {
  const bytes = new Uint8Array(body.length + CRC_BYTES);
  bytes.set(body, 0);
  new DataView(bytes.buffer).setUint32(body.length, natives.crc32(body), true);
  return natives.toBase64(bytes) + '\n';
}

/** The body of one line without its newline; null where the line is damaged. */
export function decodeLine(line: string, natives: FrameNatives): Uint8Array | null {
  if (line.length > MAX_LINE_CHARS || line.length % 4 !== 0) return null;
  const padding = line.indexOf('=');
  if (padding >= 0 && padding < line.length - 2) return null; // two lines whose newline was lost
  const bytes = natives.fromBase64(line);
  const length = bytes.length - CRC_BYTES;
  if (length < 1) return null;
  const body = bytes.subarray(0, length);
  const crc = new DataView(bytes.buffer, bytes.byteOffset + length, CRC_BYTES).getUint32(0, true);
  return natives.crc32(body) === crc ? body : null;
}

/** Cuts what arrives, in pieces of any size, into bodies. Keeps at most one line. */
export class FrameReader {
  /** Lines that were frames. */
  frames = 0;
  /** Lines that were none: wrong length or CRC. */
  damaged = 0;
  /** Lines longer than any frame, thrown away as they came. */
  oversize = 0;
  partial = '';
  dropping = false;
  natives: FrameNatives;

  constructor(natives: FrameNatives) {
    this.natives = natives;
  }

  /** Takes the next piece, one character per byte (latin1), and gives the bodies of the frames that it completes. */
  push(piece: string): Uint8Array[] {
    const lines = (this.partial + piece).split('\n');
    const bodies: Uint8Array[] = [];
    const last = lines.length - 1;
    for (let i = 0; i < last; i++) {
      if (this.dropping) {
        this.dropping = false; // the rest of a line that was too long
      } else if (lines[i].length > MAX_LINE_CHARS) {
        this.oversize++;
      } else if (lines[i].length > 0) {
        const body = decodeLine(lines[i], this.natives);
        if (body) {
          this.frames++;
          bodies.push(body);
        } else {
          this.damaged++;
        }
      }
    }
    this.partial = this.dropping ? '' : lines[last];
    if (this.partial.length > MAX_LINE_CHARS) {
      this.oversize++;
      this.dropping = true;
      this.partial = '';
    }
    return bodies;
  }
}
