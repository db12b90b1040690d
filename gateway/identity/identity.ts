/**
 * Who the gateway is to the collector: a pseudonym key that never leaves the TPM, and short-lived software keys that it
 * certifies, one per day of UTC (protocol/readings/certificate.ts). The collector learns the pseudonym and nothing else.
 *
 * The pseudonym key is made once; its blobs, which only this TPM can load, are kept in `dataDir`. Software keys live in
 * memory only: after a restart a new one is certified for the same day, which costs the TPM one signature, and what was
 * signed before stays valid.
 */
import { join } from 'node:path';
import { readKeyFile, writeKeyFile } from '../tpm/key-file.ts';
import type { Tpm } from '../tpm/tpm.ts';
import { makeReadingSigner, type ReadingSigner, ReadingSigners } from './reading-signer.ts';

export type { ReadingSigner } from './reading-signer.ts';

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

export async function openIdentity({ tpm, dataDir }: { tpm: IdentityTpm; dataDir: string }): Promise<Identity> {
  const file = join(dataDir, PSEUDONYM_KEY_FILE);
  const kept = await readKeyFile(file);
  const blob = kept ?? (await tpm.createSigningKey());
  if (!kept) await writeKeyFile(file, blob);
  const key = await tpm.loadKey(blob);
  const pseudonym = key.publicKey;

  const signers = new ReadingSigners((day) => makeReadingSigner(tpm, key, day));
  return { pseudonym, signerFor: (slot) => signers.ofSlot(slot) };
}
