import type { SellingNatives } from './natives.ts';
import { ascii, joined, word } from './natives.ts';
import { BID_BYTES, DIGEST_BYTES } from './registration.ts';
import { CREDENTIAL, factorOfSeed, idOfSeed, KEY_ID_BYTES, SEED_BYTES } from './values.ts';

/**
 * The paper's m-of-n mode, sections 4.C and 4.D, what the meter says in it. (Espruino dialect: the firmware imports this file)
 *
 *   L3       the meter's: (BID, seed) of each credential whose sale was accepted
 *   L4       a commitment for each: SHA-256("L4" ‖ BID ‖ CID ‖ F ‖ u), in an order that says nothing of time. u is 32 fresh bytes,
 *            never derived from sk or the seed. Under the paper's own L4, HMAC(sk, BID ‖ F), the centre tries F = s_B/s_C for every
 *            pair that it has signed and seen, and links every sale with nothing opened (protocols.md, A9)
 *   digest   d = 32 zero bytes; for each entry of L4: d = SHA-256(d ‖ entry)
 *   tag      HMAC(sk, "quietmeter/v1/L4" ‖ keyId ‖ n u32 ‖ lapsed u32 ‖ d ‖ 00000001): over the whole list, so it can be neither
 *            exchanged nor shortened on its way
 *   L5       indices into L4, chosen by the centre
 *   reveal   80 B for each: BID 16 · seed 32 · u 32. CID and F follow from the seed: a factor that was computed so that one's own B
 *            opens to another customer's CID (A2) has no seed
 */
export const SALT_BYTES = 32;
export const COMMITMENT_BYTES = 32;
export const REVEAL_BYTES = BID_BYTES + SEED_BYTES + SALT_BYTES;

export interface Reveal {
  bid: Uint8Array;
  seed: Uint8Array;
  salt: Uint8Array;
}

export function commitmentOf(
  natives: SellingNatives,
  reveal: Reveal,
  keyId: Uint8Array,
  modulus: Uint8Array,
): Uint8Array {
  const id = idOfSeed(natives, CREDENTIAL, reveal.seed, keyId);
  const factor = factorOfSeed(natives, CREDENTIAL, reveal.seed, keyId, modulus);
  return natives.sha256(joined([ascii('L4'), reveal.bid, id, factor, reveal.salt]));
}

export interface UsedList {
  keyId: Uint8Array;
  /** n: entries of L4. */
  count: number;
  /** Credentials that were shown and refused, or never given an answer: they lapse. */
  lapsed: number;
  /** Of all entries, in order. */
  digest: Uint8Array;
}

/** 32 B. */
export function usedListTag(natives: SellingNatives, sharedKey: Uint8Array, list: UsedList): Uint8Array {
  const numbers = joined([word(list.count), word(list.lapsed)]);
  return natives.expand(
    sharedKey,
    joined([ascii('quietmeter/v1/L4'), list.keyId.subarray(0, KEY_ID_BYTES), numbers, list.digest]),
    DIGEST_BYTES,
  );
}
