/** Runs on real Espruino and on the virtual board (meter-half.test.ts): prints the transcript, with the interpreter's own natives. */
import { transcript } from './_transcript.ts';

declare function print(line: string): void;
declare function require(module: 'crypto'): {
  SHA256(bytes: Uint8Array): ArrayBuffer;
  PBKDF2(
    key: Uint8Array,
    message: Uint8Array,
    options: { keySize: number; iterations: number; hasher: string },
  ): ArrayBuffer;
};

// biome-ignore lint/style/useNodejsImportProtocol: the interpreter's module, not Node's
const crypto = require('crypto');
const lines = transcript({
  sha256: (bytes) => new Uint8Array(crypto.SHA256(bytes)),
  expand: (key, message, length) =>
    new Uint8Array(crypto.PBKDF2(key, message, { keySize: length / 4, iterations: 1, hasher: 'SHA256' })),
});
for (const line of lines) print(`\x02${line}`);
