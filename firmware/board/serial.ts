/** The line to the gateway, and what Espruino does natively for its frames. (Espruino dialect; touches Espruino's globals) */
import { UART_GATEWAY } from '../../hardware/pins.ts';
import type { FrameNatives } from '../../protocol/wire/link-frame.ts';
import type { LinkPort } from '../link/meter-link.ts';

export const espruinoNatives: FrameNatives = {
  crc32: (bytes) => E.CRC32(bytes),
  toBase64: (bytes) => btoa(E.toString(bytes)),
  fromBase64: (text) => E.toUint8Array(atob(text)),
};

/** Opens the port; pieces of what comes in go to `receive`. */
export function openGatewayPort(receive: (piece: string) => void): LinkPort {
  Serial2.setup(UART_GATEWAY.baud, { rx: UART_GATEWAY.rx, tx: UART_GATEWAY.tx });
  Serial2.on('data', receive);
  return {
    write: (text) => {
      Serial2.write(text);
    },
  };
}
