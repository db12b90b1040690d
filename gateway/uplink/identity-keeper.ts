/**
 * The gateway's identity, which needs the TPM: opened when it is first asked for, and again after the TPM was away. While it is
 * away, readings wait in the store, unsealed. One connection to the TPM for all of the gateway.
 */
import { HouseholdIdentity, type HouseholdIdentityOptions } from '../identity/household-identity.ts';
import { type Identity, openIdentity, type ReadingSigner } from '../identity/identity.ts';
import { Tpm } from '../tpm/tpm.ts';

export interface SignerSource {
  /** @throws Error whose message says what is wrong with the TPM; ask again later */
  signerFor(slot: number): Promise<ReadingSigner>;
}

export class IdentityKeeper implements SignerSource {
  readonly #tcti: string;
  readonly #dataDir: string;
  #tpm: Promise<Tpm> | null = null;
  #identity: Promise<Identity> | null = null;
  #pseudonym: string | null = null;
  /** Names that the trusted third party certifies; null: one pseudonym, registered by hand. */
  readonly household: HouseholdIdentity | null;

  constructor(tcti: string, dataDir: string, options: Omit<HouseholdIdentityOptions, 'tpm'> | null = null) {
    this.#tcti = tcti;
    this.#dataDir = dataDir;
    this.household = options && new HouseholdIdentity({ ...options, tpm: () => this.tpm() });
  }

  async signerFor(slot: number): Promise<ReadingSigner> {
    if (this.household) return this.household.signerFor(slot);
    const identity = await this.#openRegistered();
    return identity.signerFor(slot);
  }

  /** The public key that is registered with the grid side, hexadecimal; null before the TPM was first reached, or without one. */
  get pseudonym(): string | null {
    return this.#pseudonym;
  }

  /** Opens the TPM, where it is not open. @throws TpmError */
  tpm(): Promise<Tpm> {
    this.#tpm ??= Tpm.open(this.#tcti).catch((error) => {
      this.#tpm = null;
      throw error;
    });
    return this.#tpm;
  }

  /** Opens TPM and identity, where they are not. @throws TpmError */
  async open(): Promise<void> {
    if (!this.household) await this.#openRegistered();
    else {
      this.household.resume();
      await this.tpm();
    }
  }

  #openRegistered(): Promise<Identity> {
    this.#identity ??= this.#openBoth().catch((error) => {
      this.#identity = null;
      throw error;
    });
    return this.#identity;
  }

  async #openBoth(): Promise<Identity> {
    const identity = await openIdentity({ tpm: await this.tpm(), dataDir: this.#dataDir });
    this.#pseudonym = Buffer.from(identity.pseudonym).toString('hex');
    return identity;
  }

  async close(): Promise<void> {
    await this.household?.close();
    await this.#identity?.catch(() => {});
    const tpm = await this.#tpm?.catch(() => null);
    await tpm?.close();
  }
}
