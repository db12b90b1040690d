/**
 * How a gateway is attested, under its household's name (protocol/identity/signed-request.ts).
 *
 *   Gateway                                                      Verifier
 *   POST /attestation/challenge {} ────────────────────────────► fresh nonce for this device
 *   {nonce, expiresMs} ◄───────────────────────────────────────
 *   asks the meter with meterNonceOf(nonce), quotes PCRs
 *   POST /attestation/evidence {evidence} ─────────────────────► judges, keeps, signs
 *   {result, nextMs, explain} ◄──────────────────────────────── EAR; when to come again; whether to name its files
 *
 * The gateway pushes; the verifier says how soon it wants to hear again, later after failures. The same evidence gets the same
 * answer. The result is the gateway's own: collector and provider never see it.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { EVIDENCE_MOST_BYTES, NONCE_BYTES } from './evidence.ts';

export const CHALLENGE_PATH = '/attestation/challenge';
export const EVIDENCE_PATH = '/attestation/evidence';

const ms = v.pipe(v.number(), v.integer(), v.minValue(0));

export const challengeRequest = v.strictObject({});
export const challengeAnswer = v.object({ nonce: bytes(NONCE_BYTES), expiresMs: ms });
export type ChallengeAnswer = v.InferOutput<typeof challengeAnswer>;

export const evidenceRequest = v.strictObject({ evidence: bytes(1, EVIDENCE_MOST_BYTES) });
export const evidenceAnswer = v.object({
  /** EAR as JWT (attestation-result.ts). */
  result: v.pipe(v.string(), v.maxLength(20_000)),
  /** From now, protocol time: the next evidence. */
  nextMs: ms,
  /** The next evidence should list the gateway's files: what was measured is not known. */
  explain: v.boolean(),
});
export type EvidenceAnswer = v.InferOutput<typeof evidenceAnswer>;
