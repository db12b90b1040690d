/**
 * Proof that committed values lie from 0 to 2^bits − 1, all at once: a lookup of their digits (lookup-proof.ts). Three values of 36 bits
 * make a proof of about 1.2 kB.
 */
import type { EquationBatch } from './equations.ts';
import type { Element } from './group.ts';
import { type LookupStatement, lookupEquations, lookupProofBytes, proveLookup } from './lookup-proof.ts';
import type { Transcript } from './transcript.ts';

/** Digits of this size need the shortest vectors for a few values. */
const DIGIT_BITS = 6;

function statementOf(commitments: readonly Element[], bits: number): LookupStatement {
  if (bits % DIGIT_BITS !== 0) throw new RangeError(`${bits} bits are no multiple of ${DIGIT_BITS}`);
  return { commitments, digitBits: DIGIT_BITS, digits: bits / DIGIT_BITS };
}

/** @param bits a multiple of 6 @throws RangeError where a value is out of the range: what is false cannot be proved */
export const proveRange = (
  transcript: Transcript,
  commitments: readonly Element[],
  bits: number,
  values: readonly bigint[],
  randomness: readonly bigint[],
  random: (bytes: number) => Uint8Array,
): Uint8Array =>
  proveLookup(transcript, statementOf(commitments, bits), { values, randomness, totalRandomness: 0n }, random);

/** Adds to `batch` what holds if the proof does. @throws GroupError with the field's path where it is malformed */
export const rangeEquations = (
  batch: EquationBatch,
  transcript: Transcript,
  commitments: readonly Element[],
  bits: number,
  proof: Uint8Array,
  path?: string,
): void => lookupEquations(batch, transcript, statementOf(commitments, bits), proof, path);

export const rangeProofBytes = (values: number, bits: number): number =>
  lookupProofBytes({ commitments: { length: values } as Element[], digitBits: DIGIT_BITS, digits: bits / DIGIT_BITS });
