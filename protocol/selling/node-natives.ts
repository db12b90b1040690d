import { createHash, pbkdf2Sync } from 'node:crypto';
import type { SellingNatives } from './natives.ts';

/** The same on Node. (The firmware binds Espruino's.) */
export const nodeNatives: SellingNatives = {
  sha256: (bytes) => createHash('sha256').update(bytes).digest(),
  expand: (key, message, length) => pbkdf2Sync(key, message, 1, length, 'sha256'),
};
