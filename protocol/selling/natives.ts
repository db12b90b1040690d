/** What the two machines do natively, each in its own way. (Espruino dialect: the firmware imports this file) */
export interface SellingNatives {
  /** 32 B. */
  sha256(bytes: Uint8Array): Uint8Array;
  /**
   * HMAC-SHA256(key, message ‖ 00000001) ‖ HMAC-SHA256(key, message ‖ 00000002) ‖ …, cut to `length` bytes, a multiple of 4. That is
   * PBKDF2 (RFC 8018, section 5.2) with one iteration, which Espruino has natively: all of our keyed hashes carry its counter.
   */
  expand(key: Uint8Array, message: Uint8Array, length: number): Uint8Array;
}

/** The bytes of an ASCII text. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** All of them, one behind the other. */
export function joined(parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Four bytes, big-endian. */
export function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, false);
  return bytes;
}

/** Takes as long for equal bytes as for others of their length. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
