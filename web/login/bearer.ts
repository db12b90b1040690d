/**
 * A token for the customer's own scripts, which have no browser: `Authorization: Bearer …` on what is read, and on nothing that
 * changes something. There is none until one is made (`quietmeter token`), and one at most; only its hash is kept.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readIfThere, writeWhole } from '../private-files.ts';

const TOKEN_BYTES = 32;
const HASH_HEX = /^[0-9a-f]{64}$/;

/** Makes a token in the place of the one before. It is returned this once. */
export function makeToken(path: string): string {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  writeWhole(path, hashOf(token).toString('hex'));
  return token;
}

/** Whether a request's header carries the token whose hash the file has. The file is read each time: a new token counts at once. */
export function isBearer(path: string, header: string | undefined): boolean {
  const token = /^Bearer ([A-Za-z0-9_-]{20,100})$/.exec(header ?? '')?.[1];
  const kept = token === undefined ? null : readIfThere(path);
  if (token === undefined || kept === null || !HASH_HEX.test(kept)) return false;
  return timingSafeEqual(hashOf(token), Buffer.from(kept, 'hex'));
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
