/** Runs on boards (echo.test.ts): the line and the hub of the firmware, and one session that says everything back, reversed. */
import { SessionHub } from '../../../firmware/session/hub.ts';
import { decodeMessage, encodeMessage } from '../../../protocol/wire/link-codec.ts';
import type { FrameNatives } from '../../../protocol/wire/link-frame.ts';
import { encodeFrame, FrameReader } from '../../../protocol/wire/link-frame.ts';
import type { Tell } from '../../../protocol/wire/link-messages.ts';
import { LINK_TELL } from '../../../protocol/wire/link-messages.ts';

declare const E: { CRC32(b: Uint8Array): number; toString(b: Uint8Array): string; toUint8Array(s: string): Uint8Array };
declare const Serial2: { on(event: 'data', f: (data: string) => void): void; write(text: string): void };
declare function print(text: string): void;

const natives: FrameNatives = {
  crc32: (bytes) => E.CRC32(bytes),
  toBase64: (bytes) => btoa(E.toString(bytes)),
  fromBase64: (text) => E.toUint8Array(atob(text)),
};
const hub = new SessionHub((part) => Serial2.write(encodeFrame(encodeMessage(part), natives)), print);
const reader = new FrameReader(natives);
Serial2.on('data', (piece) => {
  for (const body of reader.push(piece)) {
    if (body[0] === LINK_TELL) hub.receive(decodeMessage(body) as Tell, 0);
  }
});
hub.add({
  id: 5,
  receive: (body) => {
    if (!hub.say(5, new Uint8Array(body).reverse())) print('no room');
  },
  tick: () => {},
});
hub.add({
  id: 6,
  receive: (body) => {
    throw new Error(`body of ${body.length}`);
  },
  tick: () => {},
});
setInterval(() => hub.tick(0, 0), 1000);
