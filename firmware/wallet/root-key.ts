/**
 * The vault's root key, in a page of its own that is written once and never erased again. (Espruino dialect)
 *
 *    0  u32  ROOT_MARK
 *    4  32   key
 *   36  16   code under it
 *
 * It is drawn at the first start. A page that is torn or damaged is one without a key; the caller knows whether that can be.
 */
import type { CipherNatives } from './cipher.ts';
import { deriveKey, KEY_BYTES, sameSecret, TAG_BYTES } from './cipher.ts';
import type { FlashPages } from './flash-pages.ts';

const ROOT_MARK = 0x72746c76;
const CODE_AT = 4 + KEY_BYTES;
const ROOT_BYTES = CODE_AT + TAG_BYTES;
const ROOT_PAGE = 0;

/** Null where there is none. */
export function readRootKey(flash: FlashPages, natives: CipherNatives): Uint8Array | null {
  const bytes = flash.read(ROOT_PAGE, 0, ROOT_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, ROOT_BYTES);
  const key = new Uint8Array(bytes.subarray(4, CODE_AT));
  const right = sameSecret(deriveKey(natives, key, 'root'), bytes.subarray(CODE_AT), TAG_BYTES);
  return right && view.getUint32(0, true) === ROOT_MARK ? key : null;
}

export function writeRootKey(flash: FlashPages, natives: CipherNatives, key: Uint8Array): void {
  const bytes = new Uint8Array(ROOT_BYTES);
  new DataView(bytes.buffer).setUint32(0, ROOT_MARK, true);
  bytes.set(key, 4);
  bytes.set(deriveKey(natives, key, 'root').subarray(0, TAG_BYTES), CODE_AT);
  flash.erase(ROOT_PAGE);
  flash.write(ROOT_PAGE, 0, bytes);
}
