/**
 * How a submission says to which provider its reading is sealed: the first bytes of a digest of that provider's reading key. The
 * collector keeps a stream of batches for each provider; it learns which provider a pseudonym of the day has, and needs to.
 *
 *   reference = first 8 B of SHA-256("quietmeter/v1/reading-provider" ‖ 00 ‖ reading key)
 *
 * All customers of a provider send the same one: it tells no two of them apart.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';

export const PROVIDER_REFERENCE_BYTES = 8;
/** A provider's name among the operator's parties: its client certificate's common name, and its topics. */
export const PROVIDER_PARTY_PATTERN = /^provider(-[a-z0-9][a-z0-9-]{0,31})?$/;

/** @param readingKey HPKE, 32 B */
export const providerReference = (readingKey: Uint8Array): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(labelled(LABELS.readingProvider, readingKey))
      .digest()
      .subarray(0, PROVIDER_REFERENCE_BYTES),
  );
