/**
 * The gateway's identity, which needs the TPM: opened when it is first asked for, and again after the TPM was away.
 * While it is away, readings wait in the store, unsealed.
 */
import { type Identity, openIdentity, type ReadingSigner } from '../identity/identity.ts';
import { Tpm } from '../tpm/tpm.ts';

export interface SignerSource {
  /** @throws Error whose message says what is wrong with the TPM; ask again later */
  signerFor(slot: number): Promise<ReadingSigner>;
}

export class IdentityKeeper implements SignerSource {
  readonly #tcti: string;
  readonly #dataDir: string;
  #tpm: Tpm | null = null;
  #identity: Promise<Identity> | null = null;
  #pseudonym: string | null = null;

  constructor(tcti: string, dataDir: string) {
    this.#tcti = tcti;
    this.#dataDir = dataDir;
  }

  async signerFor(slot: number): Promise<ReadingSigner> {
    const identity = await this.open();
    return identity.signerFor(slot);
  }

  /** The public key that is registered with the grid side, hexadecimal; null before the TPM was first reached. */
  get pseudonym(): string | null {
    return this.#pseudonym;
  }

  /** Opens TPM and identity, where they are not. @throws TpmError */
  open(): Promise<Identity> {
    this.#identity ??= this.#openBoth().catch((error) => {
      this.#identity = null;
      throw error;
    });
    return this.#identity;
  }

  async #openBoth(): Promise<Identity> {
    this.#tpm ??= await Tpm.open(this.#tcti);
    const identity = await openIdentity({ tpm: this.#tpm, dataDir: this.#dataDir });
    this.#pseudonym = Buffer.from(identity.pseudonym).toString('hex');
    return identity;
  }

  async close(): Promise<void> {
    await this.#identity?.catch(() => {});
    await this.#tpm?.close();
  }
}
