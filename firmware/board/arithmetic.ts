/** What arithmetic leaves to native code. (Espruino dialect; touches Espruino's globals) */
import { type ArithmeticNatives, LIMB_BITS, type Limbs } from '../arithmetic/natives.ts';

const convolve = E.convolve;
const mapInPlace = E.mapInPlace;
const crypto = require('crypto');

export const arithmeticNatives: ArithmeticNatives = {
  operands: {
    bytes: 3,
    create: (buffer, byteOffset, length) => new Uint24Array(buffer, byteOffset, length) as Limbs,
  },
  product: (a, b) => convolve.bind(E, a, b),
  filling: (offsets, to, f) => mapInPlace.bind(E, offsets, to, f),
  sum: E.sum,
  regroup: (bytes, to) => mapInPlace(bytes, to, undefined, LIMB_BITS),
  sha384: (bytes) => new Uint8Array(crypto.SHA384(bytes)),
};
