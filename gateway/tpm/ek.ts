/**
 * The endorsement key: the TPM's maker put its certificate into the TPM, and the TPM derives the key from a seed of its own by a
 * template that the TCG fixed ("EK Credential Profile", 2.2.1 and B). It decrypts, it does not sign: what it proves, it proves by
 * opening a credential (protocol/attestation/credential.ts).
 */
import {
  EMPTY,
  OBJECT,
  sized,
  TPM_ALG,
  TPM_ECC_NIST_P256,
  TPM_ECC_NIST_P384,
  u16,
  u32,
} from '../../protocol/attestation/tpm-wire.ts';
import { errorNumber, TpmError } from './error.ts';
import { ESYS_TR, type Esys } from './esys.ts';
import type { KeyBlob } from './key-file.ts';
import { flushing, type Handle, withKey } from './keys.ts';
import { readNv } from './nv.ts';
import { withPolicySession } from './sessions.ts';
import { AES_128_CFB, NO_PCRS, NO_SECRET } from './structures.ts';

/** Endorsement keys that a TPM may have; RSA-2048 is what every maker gives. */
export type EndorsementKind = 'rsa2048' | 'p256' | 'p384';

export interface Endorsement {
  /** X.509, DER, without what may stand behind it in NV memory. */
  certificate: Uint8Array;
  /** TPM2B_PUBLIC. */
  publicBlob: Uint8Array;
}

/** What a credential consists of (protocol/attestation/credential.ts). */
export interface Credential {
  /** TPM2B_ID_OBJECT. */
  idObject: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  encryptedSecret: Uint8Array;
}

const NONE = u16(TPM_ALG.NULL);
const AES_256_CFB = Buffer.concat([u16(TPM_ALG.AES), u16(256), u16(TPM_ALG.CFB)]);
const ATTRIBUTES =
  OBJECT.fixedTPM |
  OBJECT.fixedParent |
  OBJECT.sensitiveDataOrigin |
  OBJECT.adminWithPolicy |
  OBJECT.restricted |
  OBJECT.decrypt;
/** PolicySecret(endorsement hierarchy) (B.3.3). */
const POLICY_A = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');
/** The same in SHA-384, or one that an administrator may set (B.6.2, B.6.4): PolicyOR of both is policy B (B.6.3). */
const POLICY_A_SHA384 = Buffer.from(
  '8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53',
  'hex',
);
const POLICY_C_SHA384 = Buffer.from(
  'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
  'hex',
);
const POLICY_B_SHA384 = Buffer.from(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  'hex',
);
const ecc = (nameAlg: number, attributes: number, policy: Buffer, cipher: Buffer, curve: number, unique: Buffer) =>
  sized(u16(TPM_ALG.ECC), u16(nameAlg), u32(attributes), sized(policy), cipher, NONE, u16(curve), NONE, unique, unique);

/** Always used by its policy: a password, even the empty one, would be refused in a lockout. Where certificates are, and the templates of their keys (EK Credential Profile, 2.2.1.4 and 2.2.1.5: L-1, L-2, H-3). */
const KINDS: Readonly<
  Record<
    EndorsementKind,
    { certificateIndex: number; template: Buffer; hash: number; alternatives: readonly Buffer[] | null }
  >
> = {
  rsa2048: {
    certificateIndex: 0x01c00002,
    template: sized(
      u16(TPM_ALG.RSA),
      u16(TPM_ALG.SHA256),
      u32(ATTRIBUTES),
      sized(POLICY_A),
      AES_128_CFB,
      NONE,
      u16(2048),
      u32(0), // exponent 65537
      sized(Buffer.alloc(256)),
    ),
    hash: TPM_ALG.SHA256,
    alternatives: null,
  },
  p256: {
    certificateIndex: 0x01c0000a,
    template: ecc(TPM_ALG.SHA256, ATTRIBUTES, POLICY_A, AES_128_CFB, TPM_ECC_NIST_P256, sized(Buffer.alloc(32))),
    hash: TPM_ALG.SHA256,
    alternatives: null,
  },
  p384: {
    certificateIndex: 0x01c00016,
    template: ecc(
      TPM_ALG.SHA384,
      ATTRIBUTES | OBJECT.userWithAuth,
      POLICY_B_SHA384,
      AES_256_CFB,
      TPM_ECC_NIST_P384,
      EMPTY,
    ),
    hash: TPM_ALG.SHA384,
    alternatives: [POLICY_A_SHA384, POLICY_C_SHA384],
  },
};

/** @throws TpmError of kind `refused` where the TPM has no certificate of this kind */
export async function readEndorsement(esys: Esys, kind: EndorsementKind): Promise<Endorsement> {
  const found = await readNv(esys, KINDS[kind].certificateIndex);
  if (!found) throw new TpmError('refused', `the TPM has no certificate of its maker for a ${kind} endorsement key`);
  const publicBlob = await withEndorsementKey(esys, kind, async (_, described) => described);
  return { certificate: withoutPadding(found), publicBlob };
}

/**
 * The secret inside, which crosses the bus encrypted.
 * @throws TpmError of kind `foreign credential` where it was made for another endorsement key or another key than this
 */
export function activate(
  esys: Esys,
  kind: EndorsementKind,
  attestationKey: KeyBlob,
  credential: Credential,
): Promise<Uint8Array> {
  const { idObject, encryptedSecret } = credential;
  const { PASSWORD, ENDORSEMENT } = ESYS_TR;
  const { hash, alternatives } = KINDS[kind];
  const open = async (session: Handle): Promise<Uint8Array> => {
    await esys.call('PolicySecret', ENDORSEMENT, session, [PASSWORD], null, null, null, 0);
    if (alternatives) await esys.call('PolicyOR', session, [], digestList(alternatives));
    return withEndorsementKey(esys, kind, (ek) =>
      withKey(esys, attestationKey, async (ak) => {
        try {
          const [secret] = await esys.call(
            'ActivateCredential',
            ak,
            ek,
            [PASSWORD, session],
            idObject,
            encryptedSecret,
          );
          return secret.subarray(2);
        } catch (error) {
          if (!(error instanceof TpmError) || !(await isForeign(esys, error))) throw error;
          const message = 'the credential was made for another endorsement key, or for another attestation key';
          throw new TpmError('foreign credential', `${message} (${error.message})`, error.rc, error);
        }
      }),
    );
  };
  return withPolicySession(esys, open, hash);
}
/** TPML_DIGEST. */
const digestList = (digests: readonly Buffer[]): Buffer =>
  Buffer.concat([u32(digests.length), ...digests.map((digest) => sized(digest))]);
/** TPM_RC_VALUE, _SIZE, _INTEGRITY, _INSUFFICIENT, _ECC_POINT: what decrypting with another key comes to. */
const FOREIGN = new Set([0x84, 0x95, 0x9f, 0x9a, 0xa7]);

/** libtpms says TPM_RC_FAILURE where RSA-OAEP does not decrypt; a TPM that has failed says so to the next command, too. */
async function isForeign(esys: Esys, { kind, rc }: TpmError): Promise<boolean> {
  if (kind === 'refused') return FOREIGN.has(errorNumber(rc));
  if (kind !== 'failed') return false;
  await esys.call('ReadClock', []);
  return true;
}

async function withEndorsementKey<T>(
  esys: Esys,
  kind: EndorsementKind,
  use: (key: Handle, publicBlob: Buffer) => Promise<T>,
): Promise<T> {
  const [key, publicBlob] = await esys.call(
    'CreatePrimary',
    ESYS_TR.ENDORSEMENT,
    [ESYS_TR.PASSWORD],
    NO_SECRET,
    KINDS[kind].template,
    EMPTY,
    NO_PCRS,
  );
  return flushing(esys, key, () => use(key, publicBlob));
}

/** A DER certificate ends where its outermost SEQUENCE says; makers define larger areas than they fill. */
function withoutPadding(certificate: Buffer): Buffer {
  const long = certificate[0] === 0x30 && certificate[1] === 0x82;
  return long ? certificate.subarray(0, 4 + certificate.readUInt16BE(2)) : certificate;
}
