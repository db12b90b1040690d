/** What a bill is about, and who signs it. */
import type { RequestSigner } from '../../protocol/identity/signed-request.ts';
import type { Contract } from './contracts.ts';

/** The identifier: its certificate, its key in the TPM. */
export interface Identifier extends RequestSigner {
  /** P-256 compressed, 33 B. */
  publicKey: Uint8Array;
}
/**
 * The identifier that a provider knows; null while the household has none, not having been initialised.
 * @throws Error while the TPM is away
 */
export type IdentifierSource = (provider: string) => Promise<Identifier | null>;

/** What a bill is about: the slots of a month that a contract covers, as far as they were measured here and had a price. */
export interface BillPart {
  contract: Contract;
  month: number;
  firstSlot: number;
  /** The first that is not in it. */
  endSlot: number;
}
