import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type { FrameNatives } from './link-frame.ts';

/** The link frame's natives on Node. (The firmware binds Espruino's in firmware/board/serial.ts.) */
export const nodeNatives: FrameNatives = {
  crc32: (bytes) => crc32(bytes),
  toBase64: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  fromBase64: (text) => Buffer.from(text, 'base64'),
};
