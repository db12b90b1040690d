/** What the chip has of randomness. (Espruino dialect; touches Espruino's globals) */
import type { RandomNatives, RandomSources } from '../random/random.ts';

/** RNG_DATA_REG (ESP32 Technical Reference Manual, ch. 24): true random while the radio is on. */
const RNG_DATA = 0x3ff75144;
const ONE_HMAC = { keySize: 8, iterations: 1, hasher: 'SHA256' };
const crypto = require('crypto');

export const randomNatives: RandomNatives = {
  hmac: (key, message) => new Uint8Array(crypto.PBKDF2(key, message, ONE_HMAC)),
  sha256: (message) => new Uint8Array(crypto.SHA256(message)),
};

/** @param codes of the ADC's last window, live */
export function randomSources(codes: Uint16Array, serial: string): RandomSources {
  return {
    words: (count) => {
      const bytes = new Uint8Array(4 * count);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, peek32(RNG_DATA), true);
      return bytes;
    },
    noise: () => new Uint8Array(codes.buffer),
    serial: serial,
  };
}
