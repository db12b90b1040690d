// The paper's form, as it is printed: raw RSA over what is to be signed, L4 = HMAC(sk, BID ‖ F). For showing which attacks work on it.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = privateKey.export({ format: 'jwk' });
const part = (name: 'n' | 'd' | 'p' | 'q'): bigint => toInteger(Buffer.from(jwk[name]!, 'base64url'));

export const E = 65_537n;
export const N = part('n');
const D = part('d');
export const PHI = (part('p') - 1n) * (part('q') - 1n);

export function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}
export const power = (base: bigint, exponent: bigint, modulus = N): bigint => {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
};
export function inverse(value: bigint, modulus = N): bigint {
  let [r0, r1] = [modulus, ((value % modulus) + modulus) % modulus];
  let [s0, s1] = [0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [s0, s1] = [s1, s0 - quotient * s1];
  }
  return ((s0 % modulus) + modulus) % modulus;
}
export const random = (bytes = 255): bigint => toInteger(randomBytes(bytes));
/** The centre's raw signature. */
export const signRaw = (value: bigint): bigint => power(value, D);
export const verifiesRaw = (value: bigint, signature: bigint): boolean => power(signature, E) === value;

/** A bare hash, cut to so many bits. */
export const bareHash = (message: string, bits: number): bigint =>
  toInteger(createHash('sha1').update(message).digest()) >> BigInt(160 - bits);
