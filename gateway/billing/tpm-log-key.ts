/**
 * The log's key: made once, from the kernel's and the TPM's random bytes, sealed by the TPM to software that was released. It is
 * on the disk only as a blob that this TPM opens, in a released state (gateway/tpm/seal.ts).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { ReleaseAuthorization } from '../../protocol/attestation/policy.ts';
import { MAC_KEY_BYTES } from '../../protocol/crypto/mac.ts';
import { TpmError } from '../tpm/error.ts';
import { type KeyBlob, readKeyFile, writeKeyFile } from '../tpm/key-file.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { LogKeySource } from './household-log.ts';

export type SealingTpm = Pick<Tpm, 'randomBytes' | 'seal' | 'unseal'>;

export interface TpmLogKeyOptions {
  /** Opens it where it is not open. @throws TpmError */
  tpm: () => Promise<SealingTpm>;
  /** Where the sealed key is kept. */
  file: string;
  /** Compressed P-256, 33 B: whose releases may open it. */
  policyKey: Uint8Array;
  /** Of the release that runs, and of the one before it or after it during an update; any of them will do. */
  authorizations: () => readonly ReleaseAuthorization[] | Promise<readonly ReleaseAuthorization[]>;
}

export class TpmLogKey implements LogKeySource {
  readonly #options: TpmLogKeyOptions;

  constructor(options: TpmLogKeyOptions) {
    this.#options = options;
  }

  /** @throws TpmError: `not released` and `rolled back` say that the software is not what it should be */
  async key(): Promise<Uint8Array> {
    const { file } = this.#options;
    const tpm = await this.#options.tpm();
    const sealed = await readKeyFile(file);
    if (sealed) return this.#unseal(tpm, sealed);
    const made = await this.#make(tpm);
    const key = await this.#unseal(tpm, made); // a key that does not open would lock the log for ever
    await writeKeyFile(file, made);
    return key;
  }

  async #make(tpm: SealingTpm): Promise<KeyBlob> {
    const secret = createHash('sha256')
      .update(randomBytes(MAC_KEY_BYTES))
      .update(await tpm.randomBytes(MAC_KEY_BYTES))
      .digest();
    try {
      return await tpm.seal(secret, this.#options.policyKey);
    } finally {
      secret.fill(0);
    }
  }

  async #unseal(tpm: SealingTpm, sealed: KeyBlob): Promise<Uint8Array> {
    const { policyKey, authorizations } = this.#options;
    let refusal: TpmError | null = null;
    for (const authorization of await authorizations()) {
      try {
        return Uint8Array.from(await tpm.unseal(sealed, policyKey, authorization));
      } catch (error) {
        if (!(error instanceof TpmError && (error.kind === 'not released' || error.kind === 'rolled back')))
          throw error;
        refusal = error;
      }
    }
    throw refusal ?? new TpmError('not released', 'no release is known that may open the key of the log');
  }
}
