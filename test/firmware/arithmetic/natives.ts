/** Espruino's native helpers in JavaScript, for arithmetic on Node: operands of 32 bits, the rest alike. */
import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { type ArithmeticNatives, LIMB_BITS, LIMB_MASK } from '../../../firmware/arithmetic/natives.ts';
import type { CipherNatives } from '../../../firmware/wallet/cipher.ts';

export const nodeNatives: ArithmeticNatives = {
  operands: { bytes: 4, create: (buffer, byteOffset, length) => new Int32Array(buffer, byteOffset, length) },
  product: (a, b) => (offset) => {
    if (offset + a.length > b.length) throw new RangeError('a view is too short');
    let sum = 0;
    for (let n = 0; n < a.length; n++) sum += a[n] * b[n + offset];
    if (!Number.isSafeInteger(sum)) throw new RangeError('a column is not exact');
    return sum;
  },
  filling: (offsets, to, f) => () => {
    for (let n = 0; n < offsets.length; n++) to[n] = f(offsets[n]);
  },
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  regroup: (bytes, to) => {
    let bits = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
    for (let n = to.length - 1; n >= 0; n--) {
      to[n] = Number(bits & BigInt(LIMB_MASK));
      bits >>= BigInt(LIMB_BITS);
    }
  },
  sha384: (bytes) => new Uint8Array(createHash('sha384').update(bytes).digest()),
};

export const cipherNatives: CipherNatives = {
  hmac: (key, message) =>
    new Uint8Array(
      createHmac('sha256', key)
        .update(message)
        .update(Buffer.of(0, 0, 0, 1))
        .digest(),
    ),
  encrypt: (key, iv, blocks) => {
    const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([cipher.update(blocks), cipher.final()]));
  },
  decrypt: (key, iv, blocks) => {
    const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([decipher.update(blocks), decipher.final()]));
  },
};
