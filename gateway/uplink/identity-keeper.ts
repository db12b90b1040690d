/**
 * The gateway's identity, which needs the TPM: opened when it is first asked for, and again after the TPM was away. While it is
 * away, readings wait in the store, unsealed. One connection to the TPM for all of the gateway.
 */
import { HouseholdIdentity, type HouseholdIdentityOptions } from '../identity/household-identity.ts';
import type { ReadingSigner, SignerSource } from '../identity/reading-signer.ts';
import { Tpm } from '../tpm/tpm.ts';

export class IdentityKeeper implements SignerSource {
  readonly #tcti: string;
  #tpm: Promise<Tpm> | null = null;
  /** Names that the trusted third party certifies; null: none, and no reading leaves the house. */
  readonly household: HouseholdIdentity | null;

  constructor(tcti: string, options: Omit<HouseholdIdentityOptions, 'tpm'> | null = null) {
    this.#tcti = tcti;
    this.household = options && new HouseholdIdentity({ ...options, tpm: () => this.tpm() });
  }

  async signerFor(slot: number): Promise<ReadingSigner> {
    if (!this.household) throw new Error('no trusted third party is configured that would certify a pseudonym');
    return this.household.signerFor(slot);
  }

  /** Opens the TPM, where it is not open. @throws TpmError */
  tpm(): Promise<Tpm> {
    this.#tpm ??= Tpm.open(this.#tcti).catch((error) => {
      this.#tpm = null;
      throw error;
    });
    return this.#tpm;
  }

  /** Opens the TPM, and goes on with an initialisation that was under way. @throws TpmError */
  async open(): Promise<void> {
    this.household?.resume();
    await this.tpm();
  }

  async close(): Promise<void> {
    await this.household?.close();
    const tpm = await this.#tpm?.catch(() => null);
    await tpm?.close();
  }
}
