/**
 * A day's signer of readings: a short-lived software key that the day's pseudonym key in the TPM certifies
 * (protocol/readings/certificate.ts). It lives in memory only: after a restart a new one is certified for the same day, which
 * costs the TPM one signature, and what was signed before stays valid.
 */
import { createHash } from 'node:crypto';
import { generateSigningKey, signP256 } from '../../protocol/crypto/p256.ts';
import { decodeCertificate, issueCertificate, verifyCertificate } from '../../protocol/readings/certificate.ts';
import { SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import type { TpmKey } from '../tpm/keys.ts';
import type { Tpm } from '../tpm/tpm.ts';

export interface ReadingSigner {
  /** Certificate bytes, layout in protocol/readings/certificate.ts; goes with every submission. */
  readonly certificate: Uint8Array;
  /** Compressed P-256 public key of the TPM key, 33 B. */
  readonly pseudonym: Uint8Array;
  /** The trusted third party's word for the pseudonym on this day. */
  readonly pseudonymCertificate: Uint8Array;
  /** ECDSA by the software key over SHA-256(message): r ‖ s, 64 B. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface SignerSource {
  /**
   * The signer for readings of this quarter hour, past ones too: a backlog is signed with keys of its own days.
   * @throws Error whose message says what is missing: the TPM, or a name for that day; ask again later, nothing is lost
   */
  signerFor(slot: number): Promise<ReadingSigner>;
}

/** @param pseudonymCertificate of this key and day */
export async function makeReadingSigner(
  tpm: Pick<Tpm, 'sign'>,
  key: TpmKey,
  day: number,
  pseudonymCertificate: Uint8Array,
): Promise<ReadingSigner> {
  const software = generateSigningKey();
  const pseudonym = key.publicKey;
  const firstSlot = day * SLOTS_PER_DAY;
  const certificate = await issueCertificate(
    { pseudonym, publicKey: software.publicKey, firstSlot, lastSlot: firstSlot + SLOTS_PER_DAY - 1 },
    (message) => tpm.sign(key, createHash('sha256').update(message).digest()),
  );
  // A day's readings hang on this one signature: better found here than by the collector.
  verifyCertificate(decodeCertificate(certificate), pseudonym, firstSlot);
  return {
    certificate,
    pseudonym,
    pseudonymCertificate,
    sign: async (message) => signP256(software.privateKey, message),
  };
}

/** Signers by day: today's, and the ones of a backlog that is being worked off. The TPM is asked once for each. */
export class ReadingSigners {
  readonly #make: (day: number) => Promise<ReadingSigner>;
  /** In the order in which they were made. */
  readonly #signers = new Map<number, Promise<ReadingSigner>>();

  constructor(make: (day: number) => Promise<ReadingSigner>) {
    this.#make = make;
  }

  ofSlot(slot: number): Promise<ReadingSigner> {
    const day = Math.floor(slot / SLOTS_PER_DAY);
    let signer = this.#signers.get(day);
    if (!signer) {
      signer = this.#make(day);
      this.#signers.set(day, signer);
      signer.catch(() => this.#signers.delete(day)); // the next question asks the TPM again
      if (this.#signers.size > KEPT_SIGNERS) this.#signers.delete(this.#signers.keys().next().value!);
    }
    return signer;
  }

  /** The pseudonyms are others now. */
  forget(): void {
    this.#signers.clear();
  }
}
const KEPT_SIGNERS = 4;
