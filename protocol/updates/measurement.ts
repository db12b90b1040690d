/**
 * What a meter answers when it is asked with a nonce which image it runs. The gateway asks over the serial line
 * (MEASURE → MEASUREMENT); whoever has the image computes the same.
 *
 *   h₀ = nonce;  hᵢ₊₁ = SHA-256(hᵢ ‖ block i of 4,096 B);  the answer is the last h
 *
 * Chained as a PCR is, because Espruino's SHA-256 takes its input in one piece: one hash over 32 + 45,000 bytes would need 3,300
 * contiguous variables of the meter's memory, and a string in flash has at most 65,535. Of an image of one block it is SHA-256(nonce ‖ image). It says that the bytes were
 * there when the nonce came; against a program that keeps the old image beside itself no such answer helps.
 */
import { createHash } from 'node:crypto';

export const MEASURE_NONCE_BYTES = 32;
export const MEASURE_BLOCK_BYTES = 4096;

/**
 * @param nonce 32 B, never used before
 * @param image bytes as they are stored
 * @returns 32 B
 */
export function measurementOfImage(nonce: Uint8Array, image: Uint8Array): Uint8Array {
  if (nonce.length !== MEASURE_NONCE_BYTES) throw new RangeError(`nonce: is ${nonce.length} bytes long, not 32`);
  if (image.length === 0) throw new RangeError('image: is empty');
  let chain: Uint8Array = nonce;
  for (let at = 0; at < image.length; at += MEASURE_BLOCK_BYTES) {
    chain = createHash('sha256')
      .update(chain)
      .update(image.subarray(at, at + MEASURE_BLOCK_BYTES))
      .digest();
  }
  return chain;
}

/** What the meter knows an image by: 32 B, announced in IMAGE_BEGIN and kept in the head of its area. */
export const digestOfImage = (image: Uint8Array): Uint8Array =>
  measurementOfImage(new Uint8Array(MEASURE_NONCE_BYTES), image);
