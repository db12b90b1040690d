/**
 * HMAC-SHA256 under a label. Keys are exactly 32 bytes: HMAC pads a shorter key with zeros, so a key and the same key
 * with a zero byte behind it would be one (protocols.md, A17).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Label, labelled } from './labels.ts';

export const MAC_BYTES = 32;
export const MAC_KEY_BYTES = 32;

/** 32 B. The parts are joined as they are (see `labelled`). @throws RangeError where the key is not 32 bytes long. */
export function mac(key: Uint8Array, label: Label, ...parts: Uint8Array[]): Uint8Array {
  if (key.length !== MAC_KEY_BYTES) throw new RangeError(`MAC key is ${key.length} bytes long, not ${MAC_KEY_BYTES}`);
  return createHmac('sha256', key)
    .update(labelled(label, ...parts))
    .digest();
}

/** Compares in constant time; a tag of another length is simply false. */
export function macMatches(key: Uint8Array, tag: Uint8Array, label: Label, ...parts: Uint8Array[]): boolean {
  const expected = mac(key, label, ...parts);
  return tag.length === MAC_BYTES && timingSafeEqual(expected, tag);
}
