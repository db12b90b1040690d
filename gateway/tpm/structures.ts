/**
 * What the gateway asks its TPM to make: templates (TPM2B_PUBLIC with an empty `unique`) and the other constant
 * parameters of its commands, in wire format (protocol/attestation/tpm-wire.ts).
 */
import {
  EMPTY,
  OBJECT,
  sized,
  TPM_ALG,
  TPM_ECC_NIST_P256,
  TPM_RH_NULL,
  TPM_ST,
  u16,
  u32,
} from '../../protocol/attestation/tpm-wire.ts';

/** Made in this TPM, from its own randomness, never to leave it; used with an empty password; no lockout by it. */
const BOUND = OBJECT.fixedTPM | OBJECT.fixedParent | OBJECT.sensitiveDataOrigin | OBJECT.userWithAuth | OBJECT.noDA;

/** TPM2B_PUBLIC of a P-256 key whose coordinates the TPM is to fill in. */
function eccTemplate(attributes: number, symmetric: Uint8Array, scheme: Uint8Array): Buffer {
  return sized(
    u16(TPM_ALG.ECC),
    u16(TPM_ALG.SHA256), // nameAlg
    u32(attributes),
    EMPTY, // authPolicy
    symmetric,
    scheme,
    u16(TPM_ECC_NIST_P256),
    u16(TPM_ALG.NULL), // kdf
    EMPTY, // unique.x
    EMPTY, // unique.y
  );
}

const NONE = u16(TPM_ALG.NULL);
const ECDSA_SHA256 = Buffer.concat([u16(TPM_ALG.ECDSA), u16(TPM_ALG.SHA256)]);
export const AES_128_CFB = Buffer.concat([u16(TPM_ALG.AES), u16(128), u16(TPM_ALG.CFB)]);

/**
 * The parent that wraps our keys. The TPM derives it from its hierarchy's seed each time, always the same one, so nothing
 * of it has to be kept (TCG "TPM v2.0 Provisioning Guidance", storage root key).
 */
export const STORAGE_ROOT = eccTemplate(BOUND | OBJECT.restricted | OBJECT.decrypt, AES_128_CFB, NONE);

/** Signs any digest: the pseudonym key. */
export const SIGNING_KEY = eccTemplate(BOUND | OBJECT.sign, NONE, ECDSA_SHA256);

/** Signs only what the TPM says of itself: the attestation key. */
export const ATTESTATION_KEY = eccTemplate(BOUND | OBJECT.sign | OBJECT.restricted, NONE, ECDSA_SHA256);

/** TPM2B_SENSITIVE_CREATE: empty password, no data of ours. */
export const NO_SECRET = sized(EMPTY, EMPTY);

/** TPML_PCR_SELECTION: none. */
export const NO_PCRS = u32(0);

/** TPMT_SIG_SCHEME: the key's own. */
export const OWN_SCHEME = NONE;

/** TPMT_TK_HASHCHECK: the digest was not made by the TPM. */
export const NOT_HASHED_BY_TPM = Buffer.concat([u16(TPM_ST.HASHCHECK), u32(TPM_RH_NULL), EMPTY]);
