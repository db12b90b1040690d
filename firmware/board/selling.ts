/** What selling leaves to native code. (Espruino dialect; touches Espruino's globals) */
import type { SellingNatives } from '../../protocol/selling/natives.ts';

const crypto = require('crypto');

export const sellingNatives: SellingNatives = {
  sha256: (bytes) => new Uint8Array(crypto.SHA256(bytes)),
  expand: (key, message, length) =>
    new Uint8Array(crypto.PBKDF2(key, message, { keySize: length / 4, iterations: 1, hasher: 'SHA256' })),
};
