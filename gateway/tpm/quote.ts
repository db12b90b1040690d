/**
 * What the TPM says of itself, signed by its attestation key. Who reads it: protocol/attestation/quote.ts.
 */
import { pcrSelection, readEcdsaSignature, sized } from '../../protocol/attestation/tpm-wire.ts';
import { ESYS_TR, type Esys } from './esys.ts';
import type { Certification, Handle } from './keys.ts';
import { OWN_SCHEME } from './structures.ts';

/** TPMS_ATTEST without its size, and r ‖ s over SHA-256 of it. */
export type Attestation = Certification;

/** Over PCRs of the SHA-256 bank. `nonce` comes back inside (at most 64 B). */
export async function quotePcrs(
  esys: Esys,
  attestationKey: Handle,
  nonce: Uint8Array,
  pcrs: readonly number[],
): Promise<Attestation> {
  const [attest, signature] = await esys.call(
    'Quote',
    attestationKey,
    [ESYS_TR.PASSWORD],
    sized(nonce),
    OWN_SCHEME,
    pcrSelection(pcrs),
  );
  return { attest: attest.subarray(2), signature: readEcdsaSignature(signature) };
}
