/** Signers without a TPM: the pseudonym is a software key. What a TPM adds is tested with one (identity, main). */

import type { ReadingSigner, SignerSource } from '../../../gateway/identity/reading-signer.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { issueCertificate } from '../../../protocol/readings/certificate.ts';
import { SLOTS_PER_DAY } from '../../../protocol/time/slots.ts';

export class SoftwareSigners implements SignerSource {
  readonly #certify: (day: number, publicKey: Uint8Array) => Promise<Uint8Array>;
  readonly #days = new Map<number, Promise<ReadingSigner>>();
  /** Set to an error: the TPM is away. */
  away: Error | null = null;

  /** @param certify the trusted third party's step */
  constructor(certify: (day: number, publicKey: Uint8Array) => Promise<Uint8Array>) {
    this.#certify = certify;
  }

  async signerFor(slot: number): Promise<ReadingSigner> {
    if (this.away) throw this.away;
    const day = Math.floor(slot / SLOTS_PER_DAY);
    let signer = this.#days.get(day);
    if (signer === undefined) {
      signer = this.#make(day * SLOTS_PER_DAY);
      this.#days.set(day, signer);
    }
    return signer;
  }

  async #make(firstSlot: number): Promise<ReadingSigner> {
    const software = generateSigningKey();
    const pseudonym = generateSigningKey();
    const pseudonymCertificate = await this.#certify(firstSlot / SLOTS_PER_DAY, pseudonym.publicKey);
    const key = {
      pseudonym: pseudonym.publicKey,
      publicKey: software.publicKey,
      firstSlot,
      lastSlot: firstSlot + SLOTS_PER_DAY - 1,
    };
    const certificate = await issueCertificate(key, (message) => signP256(pseudonym.privateKey, message));
    return {
      certificate,
      pseudonym: pseudonym.publicKey,
      pseudonymCertificate,
      sign: async (message) => signP256(software.privateKey, message),
    };
  }
}
