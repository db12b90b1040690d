/**
 * Who the gateway is to the collector: a pseudonym key that never leaves the TPM, and short-lived software keys that it
 * certifies, one per day of UTC (protocol/readings/certificate.ts). The collector learns the pseudonym and nothing else.
 *
 * The pseudonym key is made once; its blobs, which only this TPM can load, are kept in `dataDir`. Software keys live in
 * memory only: after a restart a new one is certified for the same day, which costs the TPM one signature, and what was
 * signed before stays valid.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { generateSigningKey, signP256 } from '../../protocol/crypto/p256.ts';
import { decodeCertificate, issueCertificate, verifyCertificate } from '../../protocol/readings/certificate.ts';
import { SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { readKeyFile, writeKeyFile } from '../tpm/key-file.ts';
import type { Tpm } from '../tpm/tpm.ts';

export interface ReadingSigner {
  /** Certificate bytes, layout in protocol/readings/certificate.ts; goes with every submission. */
  readonly certificate: Uint8Array;
  /** Compressed P-256 public key of the TPM key, 33 B. */
  readonly pseudonym: Uint8Array;
  /** The trusted third party's word for the pseudonym on this day; absent where the household was not initialised. */
  readonly pseudonymCertificate?: Uint8Array;
  /** ECDSA by the software key over SHA-256(message): r ‖ s, 64 B. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface Identity {
  /** Compressed P-256 public key of the TPM key, 33 B: what is registered with the grid side. */
  readonly pseudonym: Uint8Array;
  /**
   * The signer for readings of this quarter hour, past ones too: a backlog is signed with keys of its own days.
   * @throws TpmError of kind `gone` while the TPM is away; ask again later, nothing is lost.
   */
  signerFor(slot: number): Promise<ReadingSigner>;
}

/** What the identity needs of a TPM. */
export type IdentityTpm = Pick<Tpm, 'createSigningKey' | 'loadKey' | 'sign'>;

/** Where the pseudonym key's blobs are kept in `dataDir`. */
export const PSEUDONYM_KEY_FILE = 'pseudonym.tpmkey';

/** Signers that are kept: today's, and the ones of a backlog that is being worked off. */
const KEPT_SIGNERS = 4;

export async function openIdentity({ tpm, dataDir }: { tpm: IdentityTpm; dataDir: string }): Promise<Identity> {
  const file = join(dataDir, PSEUDONYM_KEY_FILE);
  const kept = await readKeyFile(file);
  const blob = kept ?? (await tpm.createSigningKey());
  if (!kept) await writeKeyFile(file, blob);
  const key = await tpm.loadKey(blob);
  const pseudonym = key.publicKey;

  async function makeSigner(day: number): Promise<ReadingSigner> {
    const software = generateSigningKey();
    const firstSlot = day * SLOTS_PER_DAY;
    const certificate = await issueCertificate(
      { pseudonym, publicKey: software.publicKey, firstSlot, lastSlot: firstSlot + SLOTS_PER_DAY - 1 },
      (message) => tpm.sign(key, createHash('sha256').update(message).digest()),
    );
    // A day's readings hang on this one signature: better found here than by the collector.
    verifyCertificate(decodeCertificate(certificate), pseudonym, firstSlot);
    return { certificate, pseudonym, sign: async (message) => signP256(software.privateKey, message) };
  }

  /** By day; in the order in which they were made. */
  const signers = new Map<number, Promise<ReadingSigner>>();
  return {
    pseudonym,
    signerFor(slot) {
      const day = Math.floor(slot / SLOTS_PER_DAY);
      let signer = signers.get(day);
      if (!signer) {
        signer = makeSigner(day);
        signers.set(day, signer);
        signer.catch(() => signers.delete(day)); // the next question asks the TPM again
        if (signers.size > KEPT_SIGNERS) signers.delete(signers.keys().next().value!);
      }
      return signer;
    },
  };
}
