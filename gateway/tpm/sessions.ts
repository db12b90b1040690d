/**
 * Sessions of the TPM. On a Raspberry Pi its bus is open to whoever holds a probe to it: what is secret crosses it encrypted,
 * and what must be true comes back under an HMAC. Both under a key that is derived from a salt, which only the TPM's storage
 * root key decrypts (Part 1, 19.6). That holds against who listens and who alters what passes; it does not against who sat
 * between processor and TPM from the start and gave us a root key of his own.
 *
 * A TPM has room for three sessions: each is flushed in `finally`. The root key is loaded only while the session is begun.
 */
import { TPM_ALG, u16 } from '../../protocol/attestation/tpm-wire.ts';
import { ESYS_TR, type Esys } from './esys.ts';
import { flushing, type Handle, withStorageRoot } from './keys.ts';
import { AES_128_CFB } from './structures.ts';

/** TPM_SE (6.11). */
const SESSION = { HMAC: 0, POLICY: 1, TRIAL: 3 } as const;
/** TPMA_SESSION (8.4): it stays after a command; first parameter of the command, of the response, is encrypted. */
const CONTINUE = 0x01;
export const ENCRYPT_COMMAND = 0x20;
export const ENCRYPT_RESPONSE = 0x40;
const ALL_ATTRIBUTES = 0xff;
const NO_CIPHER = u16(TPM_ALG.NULL);

/**
 * A salted HMAC session for several commands, that authorizes with an empty password.
 * @param encrypted ENCRYPT_COMMAND and ENCRYPT_RESPONSE, where the commands have such a parameter
 */
export function withPrivateSession<T>(esys: Esys, encrypted: number, use: (session: Handle) => Promise<T>): Promise<T> {
  return withSalted(esys, SESSION.HMAC, encrypted, use);
}

/**
 * A salted policy session; what it authorizes answers encrypted.
 * @param hash of the policies of the object that is authorized, TPM_ALG_ID
 */
export function withPolicySession<T>(
  esys: Esys,
  use: (session: Handle) => Promise<T>,
  hash: number = TPM_ALG.SHA256,
): Promise<T> {
  return withSalted(esys, SESSION.POLICY, ENCRYPT_RESPONSE, use, hash);
}

/** The digest that `policy` comes to, as the TPM computes it. */
export async function trialPolicy(esys: Esys, policy: (session: Handle) => Promise<unknown>): Promise<Buffer> {
  const session = await start(esys, ESYS_TR.NONE, SESSION.TRIAL, NO_CIPHER);
  return flushing(esys, session, async () => {
    await policy(session);
    const [digest] = await esys.call('PolicyGetDigest', session, []);
    return digest.subarray(2);
  });
}

async function withSalted<T>(
  esys: Esys,
  type: number,
  encrypted: number,
  use: (session: Handle) => Promise<T>,
  hash: number = TPM_ALG.SHA256,
): Promise<T> {
  const session = await withStorageRoot(esys, 'signing', (root) => start(esys, root, type, AES_128_CFB, hash));
  return flushing(esys, session, async () => {
    await esys.call('TRSess_SetAttributes', session, CONTINUE | encrypted, ALL_ATTRIBUTES);
    return use(session);
  });
}

async function start(
  esys: Esys,
  salt: Handle,
  type: number,
  cipher: Uint8Array,
  hash: number = TPM_ALG.SHA256,
): Promise<Handle> {
  const [session] = await esys.call(
    'StartAuthSession',
    salt,
    ESYS_TR.NONE,
    [],
    null, // nonce: the library draws it
    type,
    cipher,
    hash,
  );
  return session;
}
