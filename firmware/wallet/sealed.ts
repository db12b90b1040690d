/**
 * Values that are too many for the meter's flash: sealed under its key and kept by the gateway, which can neither read nor replay
 * them. (Espruino dialect; the natives are passed in)
 *
 *   sealed   tag 16 ‖ encrypted: length u16 · value · zeros up to a whole block
 *   context  kind u8 · id u32 · version u32 · zeros up to 12 B           (cipher.ts; little-endian)
 *
 * The meter keeps the version that counts (in its vault): an older one, or another value's, does not open. The same value under the
 * same names is the same bytes: it can be made and sent again. Its length shows; whoever minds pads.
 */
import type { Cipher } from './cipher.ts';
import { paddedLength, TAG_BYTES } from './cipher.ts';
import type { Vault } from './vault.ts';

const CONTEXT_BYTES = 12;
const LENGTH_BYTES = 2;
/** Of a value; sealed it is SEALED_MOST_BYTES (protocol/wire/sealed-values.ts). */
export const SEALED_VALUE_MOST_BYTES = 1982;

/** Context, then the text from CONTEXT_BYTES on. */
function messageOf(kind: number, id: number, version: number, textBytes: number): Uint8Array {
  const message = new Uint8Array(CONTEXT_BYTES + textBytes);
  const view = new DataView(message.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, id, true);
  view.setUint32(5, version, true);
  return message;
}

export class Sealer {
  cipher: Cipher;

  /** @param vault open */
  constructor(vault: Vault) {
    this.cipher = vault.keyFor('sealed');
  }

  /** @param kind u8, id u32, version u32: what they mean is the caller's */
  sealValue(kind: number, id: number, version: number, value: Uint8Array): Uint8Array {
    if (value.length > SEALED_VALUE_MOST_BYTES) throw new Error('sealed: ' + value.length + ' bytes are too many');
    const message = messageOf(kind, id, version, paddedLength(LENGTH_BYTES + value.length));
    new DataView(message.buffer).setUint16(CONTEXT_BYTES, value.length, true);
    message.set(value, CONTEXT_BYTES + LENGTH_BYTES);
    const tag = this.cipher.seal(message, CONTEXT_BYTES);
    const sealed = new Uint8Array(TAG_BYTES + message.length - CONTEXT_BYTES);
    sealed.set(tag, 0);
    sealed.set(message.subarray(CONTEXT_BYTES), TAG_BYTES);
    return sealed;
  }

  /** Null where it is anything but what this meter sealed under these names. */
  openSealed(kind: number, id: number, version: number, sealed: Uint8Array): Uint8Array | null {
    const textBytes = sealed.length - TAG_BYTES;
    if (textBytes <= 0 || paddedLength(textBytes) !== textBytes) return null;
    if (textBytes > paddedLength(LENGTH_BYTES + SEALED_VALUE_MOST_BYTES)) return null;
    const message = messageOf(kind, id, version, textBytes);
    message.set(sealed.subarray(TAG_BYTES), CONTEXT_BYTES);
    if (!this.cipher.open(message, CONTEXT_BYTES, sealed.subarray(0, TAG_BYTES))) return null;
    const length = new DataView(message.buffer).getUint16(CONTEXT_BYTES, true);
    return message.subarray(CONTEXT_BYTES + LENGTH_BYTES, CONTEXT_BYTES + LENGTH_BYTES + length);
  }
}
