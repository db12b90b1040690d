/**
 * Policies of the TPM, computed without one (Part 1, 19.7; Part 3, chapter 23): what has to hold before a TPM uses an object.
 *
 * A secret that is to survive updates and refuse rollback is sealed to the trusted third party's policy key, not to values:
 *
 *   sealed under   PolicyAuthorize(policy key)                       once, for ever
 *   per release    PolicyPCR(values) and PolicyNV(counter ≤ most)    signed by the policy key, comes with the release
 *
 * TrustedThirdParty ── release's values, highest count, signature ──► Gateway ──► its TPM: is it signed, do my PCRs and my counter
 * agree? Then it opens. After an update the gateway raises the counter over the older release's `counterMost`: that one opens
 * nothing any more, whatever boots.
 *
 * The signature is over SHA-256(policy ‖ label): ECDSA on P-256, because the TPM itself verifies it.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelBytes } from '../crypto/labels.ts';
import { uncompressPublicKey, verifyP256 } from '../crypto/p256.ts';
import { EMPTY, OBJECT, pcrSelection, sized, TPM_ALG, TPM_ECC_NIST_P256, u16, u32 } from './tpm-wire.ts';

/** TPM_CC (Part 2, 6.5.2). */
const TPM_CC = { POLICY_NV: 0x149, POLICY_AUTHORIZE: 0x16a, POLICY_PCR: 0x17f } as const;
/** TPM_EO (6.8): the index holds no more than the operand, both without sign. */
export const UNSIGNED_LE = 0x0009;

/** A policy begins as zeros; each step hashes itself onto it. */
const NOTHING = Buffer.alloc(32);
const step = (before: Uint8Array, ...parts: Uint8Array[]): Buffer => sha256(before, ...parts);
function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

// Registers

/** SHA-256 bank. */
export interface PcrValue {
  pcr: number;
  /** 32 B. */
  value: Uint8Array;
}

/** SHA-256 over the values in the order of their PCRs: what a quote and a policy say of them. */
export const pcrDigest = (pcrs: readonly PcrValue[]): Buffer => sha256(...inOrder(pcrs).map(({ value }) => value));

const inOrder = (pcrs: readonly PcrValue[]): PcrValue[] => [...pcrs].sort((a, b) => a.pcr - b.pcr);

/** TPM2_PolicyPCR, onto `before`. */
export const pcrPolicy = (pcrs: readonly PcrValue[], before: Uint8Array = NOTHING): Buffer =>
  step(before, u32(TPM_CC.POLICY_PCR), pcrSelection(pcrs.map(({ pcr }) => pcr)), pcrDigest(pcrs));

/** One measurement of an event log; `label` is for people. */
export interface LoggedEvent {
  pcr: number;
  /** 32 B, what the PCR was extended by. */
  digest: Uint8Array;
  label?: string;
}

/** The values that the events lead to, from a TPM's start: PCRs begin as zeros. PCRs without an event are not in it. */
export function replayEvents(events: Iterable<LoggedEvent>): Map<number, Uint8Array> {
  const values = new Map<number, Uint8Array>();
  for (const { pcr, digest } of events) values.set(pcr, sha256(values.get(pcr) ?? NOTHING, digest));
  return values;
}

// Counters

/** TPMA_NV (Part 2, 13.4). */
export const NV = {
  OWNERWRITE: 0x2,
  AUTHWRITE: 0x4,
  /** TPM_NT_COUNTER: only goes up, also over a removal of the index. */
  COUNTER: 0x10,
  OWNERREAD: 0x20000,
  AUTHREAD: 0x40000,
  /** Wrong guesses do not count: an unclean stop cannot lock it. */
  NO_DA: 0x2000000,
  WRITTEN: 0x20000000,
} as const;
const OPEN = NV.OWNERWRITE | NV.AUTHWRITE | NV.OWNERREAD | NV.AUTHREAD | NV.NO_DA;
export const COUNTER_BYTES = 8;
/** Indices with our meaning, among those that are the owner's to give (TCG "Registry of Reserved TPM 2.0 Handles"). */
export const NV_INDEX = {
  /** Counter of releases: nothing older than it opens what is sealed. */
  version: 0x01810100,
  /** The log's anchor, and the count of anchors. */
  anchor: 0x01810200,
  anchorCount: 0x01810201,
} as const;

/** TPMS_NV_PUBLIC of an area of so many bytes, or of a counter. */
export const nvPublic = (index: number, kind: 'counter' | number, written = false): Buffer =>
  Buffer.concat([
    u32(index),
    u16(TPM_ALG.SHA256),
    u32(OPEN | (kind === 'counter' ? NV.COUNTER : 0) | (written ? NV.WRITTEN : 0)),
    EMPTY, // authPolicy
    u16(kind === 'counter' ? COUNTER_BYTES : kind),
  ]);

/** The TPM's name for it, once it has been written to. */
export const nvName = (index: number, kind: 'counter' | number): Buffer =>
  Buffer.concat([u16(TPM_ALG.SHA256), sha256(nvPublic(index, kind, true))]);

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** TPM2_PolicyNV: the counter holds `most` or less. Onto `before`. */
export const counterPolicy = (index: number, most: number, before: Uint8Array = NOTHING): Buffer =>
  step(before, u32(TPM_CC.POLICY_NV), sha256(u64(most), u16(0), u16(UNSIGNED_LE)), nvName(index, 'counter'));

// Releases

/** The state in which a release opens what is sealed. */
export interface ReleaseState {
  /** Values after its start. */
  pcrs: readonly PcrValue[];
  counterIndex: number;
  /** Highest count at which it still opens. */
  counterMost: number;
}
/** A state that the policy key has signed. */
export interface ReleaseAuthorization extends ReleaseState {
  /** r ‖ s, 64 B, over SHA-256 of `authorizedBytes`. */
  signature: Uint8Array;
}

/** 32 B: the policy that is fulfilled in this state only. */
export const releasePolicy = ({ pcrs, counterIndex, counterMost }: ReleaseState): Buffer =>
  counterPolicy(counterIndex, counterMost, pcrPolicy(pcrs));

/** What stands beside the policy in the signature, so that it can be a signature over nothing else. */
export const POLICY_REF = Buffer.from(labelBytes(LABELS.sealingPolicy));

/** The message that the policy key signs (ECDSA with SHA-256). */
export const authorizedBytes = (state: ReleaseState): Buffer => Buffer.concat([releasePolicy(state), POLICY_REF]);

/** What the TPM will find, without it. */
export const isAuthorized = (policyKey: Uint8Array, authorization: ReleaseAuthorization): boolean =>
  verifyP256(policyKey, authorizedBytes(authorization), authorization.signature);

/** TPM2B_PUBLIC of the policy key as the TPM loads it for verification. @param publicKey compressed P-256, 33 B */
export function policyKeyPublic(publicKey: Uint8Array): Buffer {
  const point = Buffer.from(uncompressPublicKey(publicKey));
  return sized(
    u16(TPM_ALG.ECC),
    u16(TPM_ALG.SHA256),
    u32(OBJECT.sign | OBJECT.userWithAuth),
    EMPTY, // authPolicy
    u16(TPM_ALG.NULL), // symmetric
    u16(TPM_ALG.ECDSA),
    u16(TPM_ALG.SHA256),
    u16(TPM_ECC_NIST_P256),
    u16(TPM_ALG.NULL), // kdf
    sized(point.subarray(1, 33)),
    sized(point.subarray(33)),
  );
}
export const policyKeyName = (publicKey: Uint8Array): Buffer =>
  Buffer.concat([u16(TPM_ALG.SHA256), sha256(policyKeyPublic(publicKey).subarray(2))]);

/** TPM2_PolicyAuthorize: what secrets are sealed under. @param publicKey compressed P-256, 33 B */
export const sealingPolicy = (publicKey: Uint8Array): Buffer =>
  step(step(NOTHING, u32(TPM_CC.POLICY_AUTHORIZE), policyKeyName(publicKey)), POLICY_REF);
