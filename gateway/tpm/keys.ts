/**
 * Keys in the TPM: P-256, made under a storage root key, kept outside as blobs that only this TPM can load.
 *
 * Nothing stays loaded between two jobs: a key is loaded for its use and flushed in `finally`. A TPM without a resource
 * manager in front has room for three objects, and a TPM that was reset in between has forgotten them all.
 */
import { EMPTY, readEcdsaSignature, readSigningPublic, sized } from '../../protocol/attestation/tpm-wire.ts';
import { compressPoint } from '../../protocol/crypto/p256.ts';
import { TpmError } from './error.ts';
import { ESYS_TR, type Esys } from './esys.ts';
import type { KeyBlob } from './key-file.ts';
import {
  ATTESTATION_KEY,
  NO_PCRS,
  NO_SECRET,
  NOT_HASHED_BY_TPM,
  OWN_SCHEME,
  SIGNING_KEY,
  STORAGE_ROOT,
} from './structures.ts';

/** A key that the TPM has taken at least once. Holds no secret that could be used without the TPM. */
export interface TpmKey {
  readonly blob: KeyBlob;
  /** Compressed P-256 point, 33 B. */
  readonly publicKey: Uint8Array;
  /** The TPM's name for it: 000b ‖ SHA-256 of its public area. */
  readonly name: Uint8Array;
}

/** What the TPM says of a key (TPMS_ATTEST of type certify), and the attestation key's signature over it. */
export interface Certification {
  /** TPMS_ATTEST, without the size. */
  attest: Uint8Array;
  /** r ‖ s over SHA-256(attest), 64 B. */
  signature: Uint8Array;
}

/** Handle of an object or session that is loaded now. */
export type Handle = number;

/**
 * Attestation keys live in the endorsement hierarchy, where a TPM tells its reset counters as they are; elsewhere it
 * obfuscates them. All others belong to the owner.
 */
const HIERARCHY = { signing: ESYS_TR.OWNER, sealed: ESYS_TR.OWNER, attestation: ESYS_TR.ENDORSEMENT } as const;
const NOUN = { signing: 'signing key', attestation: 'attestation key', sealed: 'sealed secret' } as const;
const TEMPLATE = { signing: SIGNING_KEY, attestation: ATTESTATION_KEY } as const;
export type KeyPurpose = keyof typeof TEMPLATE;

export async function createKey(esys: Esys, purpose: KeyPurpose): Promise<KeyBlob> {
  return withStorageRoot(esys, purpose, async (root) => {
    const [privateBlob, publicBlob] = await esys.call(
      'Create',
      root,
      [ESYS_TR.PASSWORD],
      NO_SECRET,
      TEMPLATE[purpose],
      EMPTY,
      NO_PCRS,
    );
    return { purpose, privateBlob, publicBlob };
  });
}

/**
 * Loads the key, hands its handle to `use`, flushes it.
 * @throws TpmError of kind `foreign key` where the blob is not of this TPM
 */
export async function withKey<T>(esys: Esys, blob: KeyBlob, use: (key: Handle) => Promise<T>): Promise<T> {
  const key = await withStorageRoot(esys, blob.purpose, async (root) => {
    try {
      const [handle] = await esys.call('Load', root, [ESYS_TR.PASSWORD], blob.privateBlob, blob.publicBlob);
      return handle;
    } catch (error) {
      if (!(error instanceof TpmError) || error.kind !== 'refused') throw error;
      const message = `this TPM does not take the ${NOUN[blob.purpose]}: it was made by another TPM, or this one was cleared`;
      throw new TpmError('foreign key', `${message} (${error.message})`, error.rc, error);
    }
  });
  return flushing(esys, key, use);
}

export const describeKey = (blob: KeyBlob): TpmKey => {
  const { x, y, name } = readSigningPublic(blob.publicBlob);
  return { blob, publicKey: compressPoint(x, y), name };
};

/** ECDSA over a SHA-256 digest: r ‖ s, 64 B. */
export async function signDigest(esys: Esys, key: Handle, digest: Uint8Array): Promise<Uint8Array> {
  const [signature] = await esys.call('Sign', key, [ESYS_TR.PASSWORD], sized(digest), OWN_SCHEME, NOT_HASHED_BY_TPM);
  return readEcdsaSignature(signature);
}

/** Has `attestationKey` say that `key` is in the same TPM, and what it is. `nonce` comes back inside (at most 64 B). */
export async function certifyKey(
  esys: Esys,
  key: Handle,
  attestationKey: Handle,
  nonce: Uint8Array,
): Promise<Certification> {
  const passwords = [ESYS_TR.PASSWORD, ESYS_TR.PASSWORD];
  const [attest, signature] = await esys.call('Certify', key, attestationKey, passwords, sized(nonce), OWN_SCHEME);
  return { attest: attest.subarray(2), signature: readEcdsaSignature(signature) };
}

/** Hands a storage root key to `use`: the parent of keys of this purpose. */
export async function withStorageRoot<T>(
  esys: Esys,
  purpose: KeyBlob['purpose'],
  use: (root: Handle) => Promise<T>,
): Promise<T> {
  const hierarchy = HIERARCHY[purpose];
  const [root] = await esys.call(
    'CreatePrimary',
    hierarchy,
    [ESYS_TR.PASSWORD],
    NO_SECRET,
    STORAGE_ROOT,
    EMPTY,
    NO_PCRS,
  );
  return flushing(esys, root, use);
}

/** Hands the object or session to `use`, and flushes it. */
export async function flushing<T>(esys: Esys, handle: Handle, use: (handle: Handle) => Promise<T>): Promise<T> {
  try {
    return await use(handle);
  } finally {
    // Where this fails the TPM is gone, and the object with it; the error of `use` says more.
    await esys.call('FlushContext', handle).catch(() => {});
  }
}
