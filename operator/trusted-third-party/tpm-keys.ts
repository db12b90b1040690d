/**
 * What the trusted third party demands of a TPM's keys before it certifies them. Each objection is a plain sentence.
 */
import {
  OBJECT,
  readSigningPublic,
  TPM_GENERATED,
  TPM_ST,
  TpmReader,
  type TpmSigningPublic,
  TpmWireError,
} from '../../protocol/attestation/tpm-wire.ts';
import { compressPoint, P256Error, verifyP256 } from '../../protocol/crypto/p256.ts';
import type { CertifiedTpmKey } from '../../protocol/identity/initialisation.ts';

/** A key is not what it is said to be. `path` names it: `keys.identifier`. */
export class TpmKeyError extends Error {
  override readonly name = 'TpmKeyError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** Made in a TPM, never to leave it. */
const BOUND = [
  [OBJECT.fixedTPM, 'may leave its TPM'],
  [OBJECT.fixedParent, 'may be moved under another parent'],
  [OBJECT.sensitiveDataOrigin, 'was not made by a TPM'],
  [OBJECT.sign, 'does not sign'],
] as const;

export interface KnownKey {
  /** Compressed P-256, 33 B. */
  publicKey: Uint8Array;
  /** The TPM's name for it. */
  name: Uint8Array;
}

/** The attestation key: signs only what the TPM says of itself. @throws TpmKeyError */
export function checkAttestationKey(publicBlob: Uint8Array, path: string): KnownKey {
  const key = readBound(publicBlob, path);
  if (!(key.attributes & OBJECT.restricted))
    throw new TpmKeyError(path, 'is not restricted: it would sign whatever it is given');
  return known(key);
}

/**
 * A key that the attestation key says to be in its TPM.
 * @param over what the AK was to certify it over (32 B)
 * @throws TpmKeyError
 */
export function checkCertifiedKey(
  { public: publicBlob, attest, signature }: CertifiedTpmKey,
  attestationKey: KnownKey,
  over: Uint8Array,
  path: string,
): KnownKey {
  const key = readBound(publicBlob, path);
  if (key.attributes & OBJECT.restricted) throw new TpmKeyError(path, 'is restricted: it cannot sign what it is for');
  if (!verifyP256(attestationKey.publicKey, attest, signature))
    throw new TpmKeyError(path, 'is not certified by the attestation key');
  const said = readCertification(attest, path);
  if (!said.extraData.equals(over)) throw new TpmKeyError(path, 'was certified for another initialisation');
  if (!said.name.equals(key.name)) throw new TpmKeyError(path, 'is not the key that the TPM certified');
  return known(key);
}

function readBound(publicBlob: Uint8Array, path: string): TpmSigningPublic {
  let key: TpmSigningPublic;
  try {
    key = readSigningPublic(publicBlob);
  } catch (error) {
    if (!(error instanceof TpmWireError)) throw error;
    throw new TpmKeyError(path, `is no P-256 key of a TPM: ${error.message}`);
  }
  for (const [attribute, problem] of BOUND)
    if (!(key.attributes & attribute)) throw new TpmKeyError(path, `${problem}`);
  if (key.attributes & OBJECT.decrypt) throw new TpmKeyError(path, 'also decrypts');
  return key;
}

function known({ x, y, name }: TpmSigningPublic): KnownKey {
  return { publicKey: compressPoint(x, y), name };
}

/** TPMS_ATTEST of type certify (Part 2, 10.12.8). */
function readCertification(attest: Uint8Array, path: string): { extraData: Buffer; name: Buffer } {
  try {
    const reader = new TpmReader(attest, 'attest');
    if (reader.u32('magic') !== TPM_GENERATED) reader.fail('magic', 'does not say that a TPM made it');
    reader.expect16(TPM_ST.ATTEST_CERTIFY, 'type');
    reader.sized('qualifiedSigner');
    const extraData = reader.sized('extraData');
    reader.take(8 + 4 + 4 + 1 + 8, 'clockInfo');
    const name = reader.sized('attested.name');
    reader.sized('attested.qualifiedName');
    reader.end();
    return { extraData, name };
  } catch (error) {
    if (error instanceof TpmWireError || error instanceof P256Error) throw new TpmKeyError(path, error.message);
    throw error;
  }
}
