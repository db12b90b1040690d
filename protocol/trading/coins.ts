import type { SellingNatives } from '../selling/natives.ts';
import { ascii, joined, word } from '../selling/natives.ts';
import { isFactor } from '../selling/values.ts';

/**
 * Coins (microgrid-trading.txt, section 5.3, procedures 1 to 3). (Espruino dialect: the firmware imports this file)
 *
 *   payload, 40 B, big-endian   id 32 · month u32 · V u32 (pieces' denomination, Wh)
 *   identity, 32 B              SHA-256(keyId ‖ payload): never the signature
 *   seed, 32 B                  drawn for each; id and blinding factor come from it and never leave the meter
 *
 * What is signed is RSABSSA-SHA384-PSSZERO-Deterministic over the payload. Month and V must be those of the key.
 */
export const SUBSTATION_PARTY = 'substation';
export const COIN_KEY = 'trade-coin';
export const TRADE_SEALING_KEY = 'trade-sealing';
/** Ed25519: signs beacons, batches, statements. */
export const TRADE_ANNOUNCEMENT_KEY = 'trade-announcement';
export const COIN_PAYLOAD_BYTES = 40;

export function coinPayload(id: Uint8Array, month: number, value: number): Uint8Array {
  return joined([id, word(month), word(value)]);
}
export function coinIdentity(natives: SellingNatives, keyId: Uint8Array, payload: Uint8Array): Uint8Array {
  return natives.sha256(joined([keyId, payload]));
}
export function coinIdOfSeed(natives: SellingNatives, seed: Uint8Array, keyId: Uint8Array): Uint8Array {
  return natives.expand(seed, joined([ascii('quietmeter/v1/coin-id'), keyId]), 32);
}
/** Uniform in 2 … n − 1: what is not below the modulus is drawn again. */
export function coinFactorOfSeed(
  natives: SellingNatives,
  seed: Uint8Array,
  keyId: Uint8Array,
  modulus: Uint8Array,
): Uint8Array {
  for (let attempt = 0; ; attempt++) {
    const label = joined([ascii('quietmeter/v1/coin-factor'), keyId, word(attempt)]);
    const factor = natives.expand(seed, label, modulus.length);
    if (isFactor(factor, modulus)) return factor;
  }
}

/** Whether 1 < blinded < n − 1: 0, 1 and n − 1 are their own signatures. n is odd, so n − 1 differs from it in the last byte only. */
export function isToken(blinded: Uint8Array, modulus: Uint8Array): boolean {
  if (!isFactor(blinded, modulus)) return false;
  const last = modulus.length - 1;
  if (blinded[last] !== modulus[last] - 1) return true;
  for (let i = 0; i < last; i++) if (blinded[i] !== modulus[i]) return true;
  return false;
}
