/**
 * Secrets that the TPM gives out to released software only (protocol/attestation/policy.ts has the scheme). The blob is made once;
 * each release brings an authorization with which it opens, and stops opening when the TPM's counter is past it.
 */
import { createHash } from 'node:crypto';
import {
  POLICY_REF,
  policyKeyName,
  policyKeyPublic,
  type ReleaseAuthorization,
  releasePolicy,
  sealingPolicy,
  UNSIGNED_LE,
  u64,
} from '../../protocol/attestation/policy.ts';
import { EMPTY, OBJECT, pcrSelection, sized, TPM_ALG, u16, u32 } from '../../protocol/attestation/tpm-wire.ts';
import { SIGNATURE_BYTES } from '../../protocol/crypto/p256.ts';
import { errorNumber, TpmError } from './error.ts';
import { ESYS_TR, type Esys } from './esys.ts';
import type { KeyBlob } from './key-file.ts';
import { flushing, withKey, withStorageRoot } from './keys.ts';
import { ENCRYPT_COMMAND, withPolicySession, withPrivateSession } from './sessions.ts';
import { NO_PCRS } from './structures.ts';

/** What fits into one sealed object of any TPM. */
export const SEALED_MOST_BYTES = 128;

/** TPM_RC_POLICY: PolicyNV's comparison is false. TPM_RC_VALUE: the policy that was signed is not the one that is fulfilled. */
const COMPARISON_IS_FALSE = 0x126;
const WRONG_VALUE = 0x84;
/** TPM_RC_SIGNATURE. */
const WRONG_SIGNATURE = 0x9b;

/** @param policyKey compressed P-256, 33 B: whose releases may open it */
export async function sealSecret(esys: Esys, secret: Uint8Array, policyKey: Uint8Array): Promise<KeyBlob> {
  if (secret.length === 0 || secret.length > SEALED_MOST_BYTES)
    throw new RangeError(`a secret of ${secret.length} bytes cannot be sealed, only of 1 to ${SEALED_MOST_BYTES}`);
  const template = sized(
    u16(TPM_ALG.KEYEDHASH),
    u16(TPM_ALG.SHA256),
    u32(OBJECT.fixedTPM | OBJECT.fixedParent | OBJECT.adminWithPolicy | OBJECT.noDA),
    sized(sealingPolicy(policyKey)),
    u16(TPM_ALG.NULL), // scheme
    EMPTY, // unique
  );
  return withPrivateSession(esys, ENCRYPT_COMMAND, (session) =>
    withStorageRoot(esys, 'sealed', async (root) => {
      const sensitive = sized(EMPTY, sized(secret));
      try {
        const sessions = [ESYS_TR.PASSWORD, session];
        const [privateBlob, publicBlob] = await esys.call(
          'Create',
          root,
          sessions,
          sensitive,
          template,
          EMPTY,
          NO_PCRS,
        );
        return { purpose: 'sealed' as const, privateBlob, publicBlob };
      } finally {
        sensitive.fill(0);
      }
    }),
  );
}

/**
 * @throws TpmError of kind `not released` where PCRs or signature are not the authorization's, `rolled back` where the counter is
 *   past it, `foreign key` where another TPM sealed it
 */
export async function unsealSecret(
  esys: Esys,
  sealed: KeyBlob,
  policyKey: Uint8Array,
  authorization: ReleaseAuthorization,
): Promise<Uint8Array> {
  const { pcrs, counterIndex, counterMost } = authorization;
  const policy = releasePolicy(authorization);
  const ticket = await verifyInTpm(esys, policyKey, policy, authorization.signature);
  const [counter] = await esys.call('TR_FromTPMPublic', counterIndex, []);
  try {
    return await withPolicySession(esys, async (session) => {
      await esys.call('PolicyPCR', session, [], null, pcrSelection(pcrs.map(({ pcr }) => pcr)));
      const most = sized(u64(counterMost));
      await esys
        .call('PolicyNV', counter, counter, session, [ESYS_TR.PASSWORD], most, 0, UNSIGNED_LE)
        .catch(because(COMPARISON_IS_FALSE, 'rolled back', "the TPM's counter is past this release"));
      await esys
        .call('PolicyAuthorize', session, [], sized(policy), sized(POLICY_REF), sized(policyKeyName(policyKey)), ticket)
        .catch(because(WRONG_VALUE, 'not released', 'the PCRs hold other values than this release has'));
      return withKey(esys, sealed, async (object) => {
        const [secret] = await esys.call('Unseal', object, [session]);
        return secret.subarray(2);
      });
    });
  } finally {
    await esys.call('TR_Close', counter).catch(() => {});
  }
}

/** TPMT_TK_VERIFIED: the TPM's own word that it saw this signature. */
async function verifyInTpm(
  esys: Esys,
  policyKey: Uint8Array,
  policy: Uint8Array,
  signature: Uint8Array,
): Promise<Uint8Array> {
  if (signature.length !== SIGNATURE_BYTES)
    throw new RangeError(`the authorization's signature is ${signature.length} bytes long, not ${SIGNATURE_BYTES}`);
  const digest = createHash('sha256').update(policy).update(POLICY_REF).digest();
  const wire = Buffer.concat([
    u16(TPM_ALG.ECDSA),
    u16(TPM_ALG.SHA256),
    sized(signature.subarray(0, 32)),
    sized(signature.subarray(32)),
  ]);
  const [key] = await esys.call('LoadExternal', [], null, policyKeyPublic(policyKey), ESYS_TR.OWNER);
  return flushing(esys, key, async (handle) => {
    const [ticket] = await esys
      .call('VerifySignature', handle, [], sized(digest), wire)
      .catch(because(WRONG_SIGNATURE, 'not released', 'the policy key has not signed this release'));
    return ticket;
  });
}

/** Says in our words what the TPM's number means here. */
const because =
  (number: number, kind: TpmError['kind'], message: string) =>
  (error: unknown): never => {
    if (!(error instanceof TpmError) || error.kind !== 'refused' || errorNumber(error.rc) !== number) throw error;
    throw new TpmError(kind, `${message} (${error.message})`, error.rc, error);
  };
