/** What Espruino does natively for everything that is encrypted. (Espruino dialect; touches Espruino's globals) */
import type { CalibrationNatives } from '../session/calibration.ts';
import type { VaultNatives } from '../wallet/vault.ts';

const crypto = require('crypto');

/** PBKDF2 with one iteration is HMAC(key, message ‖ 00000001): the only HMAC that is native. */
const ONE_HMAC = { keySize: 8, iterations: 1, hasher: 'SHA256' };

export const vaultNatives: VaultNatives = {
  hmac: (key, message) => new Uint8Array(crypto.PBKDF2(key, message, ONE_HMAC)),
  encrypt: (key, iv, blocks) => new Uint8Array(crypto.AES.encrypt(blocks, key, { mode: 'CBC', iv: iv })),
  decrypt: (key, iv, blocks) => new Uint8Array(crypto.AES.decrypt(blocks, key, { mode: 'CBC', iv: iv })),
  crc32: (bytes) => E.CRC32(bytes),
};

export const textNatives: CalibrationNatives = {
  sha256: (text) => new Uint8Array(crypto.SHA256(text)),
  bytes: (text) => E.toUint8Array(text),
};
