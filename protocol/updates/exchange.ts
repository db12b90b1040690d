/**
 * How a release reaches a gateway: TrustedThirdParty ◄── Gateway over HTTPS (protocol/services/call.ts). Public, so the gateway
 * does not say who it is; the manifest's signature says what is right, whoever served it.
 *
 *   GET  /releases/newest                                → {manifest}
 *   POST /releases/part {version, of, offset}            → {bytes, length}
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';

export const NEWEST_PATH = '/releases/newest';
export const PART_PATH = '/releases/part';
/** In base64url it fits into an answer. */
export const PART_BYTES = 32_768;

export const newestAnswer = v.object({ manifest: bytes(1, 20_000) });

export const partRequest = v.strictObject({
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  of: v.picklist(['firmware', 'gateway']),
  offset: v.pipe(v.number(), v.integer(), v.minValue(0)),
});
export type PartRequest = v.InferOutput<typeof partRequest>;
export const partAnswer = v.object({ bytes: bytes(1, PART_BYTES), length: v.pipe(v.number(), v.integer()) });
