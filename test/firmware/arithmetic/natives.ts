/** Espruino's native helpers in JavaScript, for arithmetic on Node: operands of 32 bits, the rest alike. */
import { createHash } from 'node:crypto';
import { type ArithmeticNatives, LIMB_BITS, LIMB_MASK } from '../../../firmware/arithmetic/natives.ts';

export const nodeNatives: ArithmeticNatives = {
  operands: { bytes: 4, create: (buffer, byteOffset, length) => new Int32Array(buffer, byteOffset, length) },
  product: (a, b) => (offset) => {
    if (offset + a.length > b.length) throw new RangeError('a view is too short');
    let sum = 0;
    for (let n = 0; n < a.length; n++) sum += a[n] * b[n + offset];
    if (!Number.isSafeInteger(sum)) throw new RangeError('a column is not exact');
    return sum;
  },
  fill: (offsets, to, f) => {
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
