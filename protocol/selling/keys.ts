import type { SellingNatives } from './natives.ts';
import { ascii, joined, word } from './natives.ts';

/**
 * The control centre's keys by their names, and what a key's id says of it. (Espruino dialect: the firmware imports this file)
 *
 * An id is the hash of all that a key is for (protocol/crypto/keyset.ts): so the meter, which cannot check the signature of a
 * keyset, still knows for which purpose, value and month a modulus was published, and keeps the ids that it has seen once.
 */
export const CENTRE_PARTY = 'control-centre';
export const CREDENTIAL_KEY = 'selling-credential';
export const RECEIPT_KEY = 'selling-receipt';
export const SEALING_KEY = 'selling-sealing';
const KIND_BLIND = 1;
const KIND_SEALING = 2;

function text(value: string): Uint8Array {
  return joined([new Uint8Array([value.length]), ascii(value)]);
}

/** keyIdOf of protocol/crypto/keyset.ts, for the two kinds of RSA keys; 32 B. @param value 0 for the sealing key */
export function centreKeyId(
  natives: SellingNatives,
  purpose: string,
  value: number,
  month: number,
  modulus: Uint8Array,
): Uint8Array {
  const kind = purpose === SEALING_KEY ? KIND_SEALING : KIND_BLIND;
  return natives.sha256(
    joined([
      ascii('quietmeter/v1/key-id'),
      new Uint8Array([0]),
      text(CENTRE_PARTY),
      new Uint8Array([kind]),
      text(purpose),
      word(value),
      word(month),
      new Uint8Array([modulus.length >> 8, modulus.length & 255]),
      modulus,
    ]),
  );
}
