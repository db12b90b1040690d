/**
 * EMSA-PSS-ENCODE of RFC 8017, section 9.1.1, as RFC 9474 takes it in RSABSSA-SHA384-PSSZERO-Deterministic: SHA-384, MGF1 with
 * SHA-384, no salt. (Espruino dialect)
 */
const HASH_BYTES = 48;
/** Eight zero bytes before the hash of the message. */
const PREFIX_BYTES = 8;
const TRAILER = 0xbc;

/** @param length of the modulus in bytes, whose highest bit is set; what comes out is as long, and its highest bit is not */
export function encodePss(sha384: (bytes: Uint8Array) => Uint8Array, message: Uint8Array, length: number): Uint8Array {
  const prefixed = new Uint8Array(PREFIX_BYTES + HASH_BYTES);
  prefixed.set(sha384(message), PREFIX_BYTES);
  const hash = sha384(prefixed);

  const encoded = new Uint8Array(length);
  const maskBytes = length - HASH_BYTES - 1;
  const counted = new Uint8Array(HASH_BYTES + 4);
  counted.set(hash, 0);
  // MGF1, appendix B.2.1: a byte of counter is plenty
  for (let at = 0; at < maskBytes; at += HASH_BYTES) {
    const mask = sha384(counted);
    encoded.set(maskBytes - at < HASH_BYTES ? mask.subarray(0, maskBytes - at) : mask, at);
    counted[HASH_BYTES + 3]++;
  }
  // the masked block is zeros and a one: no salt
  encoded[maskBytes - 1] ^= 1;
  encoded[0] &= 0x7f;
  encoded.set(hash, maskBytes);
  encoded[length - 1] = TRAILER;
  return encoded;
}
