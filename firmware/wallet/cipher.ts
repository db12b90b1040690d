/**
 * Authenticated encryption with what Espruino has natively. (Espruino dialect; the natives are passed in)
 *
 *   tag    = first 16 B of HMAC-SHA256(macKey, context ‖ plaintext ‖ 00000001)
 *   cipher = AES-256-CBC(encryptKey, iv = tag, plaintext)         whole blocks of 16 B, no padding
 *
 * The tag is code and iv in one (the composition of RFC 5297, with HMAC as the keyed function): nothing has to be drawn or counted
 * for it, so nothing can repeat after a restart or where an old image of the flash was put back. Equal texts in one context have
 * equal ciphers; whoever minds has something in the context that is used once. Espruino's CTR would be no help, it ignores its iv;
 * CBC takes it (test/firmware/wallet/cipher.test.ts asks the interpreter). The counter 00000001 is its PBKDF2's.
 */
export interface CipherNatives {
  /** HMAC-SHA256(key, message ‖ 00000001), 32 B. */
  hmac(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** AES-256-CBC of whole blocks; key 32 B, iv 16 B. */
  encrypt(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array;
  decrypt(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array;
}

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
export const BLOCK_BYTES = 16;

/** A key of its own for each label. */
export function deriveKey(natives: CipherNatives, root: Uint8Array, label: string): Uint8Array {
  const message = new Uint8Array(label.length);
  for (let i = 0; i < label.length; i++) message[i] = label.charCodeAt(i);
  return natives.hmac(root, message);
}

/** Whether both begin with the same `length` bytes, a multiple of 4; takes as long whatever they hold. */
export function sameSecret(a: Uint8Array, b: Uint8Array, length: number): boolean {
  if (a.length < length || b.length < length) return false;
  const left = new DataView(a.buffer, a.byteOffset, length);
  const right = new DataView(b.buffer, b.byteOffset, length);
  let difference = 0;
  for (let at = 0; at < length; at += 4) difference |= left.getInt32(at) ^ right.getInt32(at);
  return difference === 0;
}

/** A copy of a part; natively, which `new Uint8Array(part)` is not. */
export function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const copy = new Uint8Array(to - from);
  copy.set(bytes.subarray(from, to), 0);
  return copy;
}

/** The next whole number of blocks. */
export function paddedLength(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

export class Cipher {
  natives: CipherNatives;
  macKey: Uint8Array;
  encryptKey: Uint8Array;

  /** @param label no other cipher under this root has it */
  constructor(natives: CipherNatives, root: Uint8Array, label: string) {
    this.natives = natives;
    this.macKey = deriveKey(natives, root, label + ' mac');
    this.encryptKey = deriveKey(natives, root, label + ' encrypt');
  }

  /**
   * Encrypts a part of `message` in place.
   * @param message context, then from `at` on the plaintext: whole blocks, to the end
   * @return the tag, 16 B
   */
  seal(message: Uint8Array, at: number): Uint8Array {
    const tag = copyOf(this.code(message), 0, TAG_BYTES);
    if (message.length > at) message.set(this.natives.encrypt(this.encryptKey, tag, message.subarray(at)), at);
    return tag;
  }

  /** Decrypts a part of `message` in place. False, and nothing in it is to be used, where the tag is not its own. */
  open(message: Uint8Array, at: number, tag: Uint8Array): boolean {
    if (message.length > at) message.set(this.natives.decrypt(this.encryptKey, tag, message.subarray(at)), at);
    return sameSecret(this.code(message), tag, TAG_BYTES);
  }

  /** Tag of what is not encrypted. */
  code(message: Uint8Array): Uint8Array {
    return this.natives.hmac(this.macKey, message).subarray(0, TAG_BYTES);
  }
}
