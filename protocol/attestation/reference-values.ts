/**
 * What software and firmware a device may run: several values for each of both at a time, because a fleet is never updated at
 * once. A value is what a PCR was extended by (protocol/attestation/evidence.ts): the digest of the gateway's software, the
 * digest of the meter's image.
 *
 *   release 3  ├──────── accepted ────────┤ untilMs        retired: no longer accepted
 *   release 4               fromMs ├──────── accepted ─────────…
 *
 * They come from manifests that the trusted third party signed (protocol/updates/manifest.ts). `anything` accepts whatever is
 * there, for the day a workbench is set up: every verdict then carries a warning.
 */
export interface AcceptedValue {
  /** SHA-256, 32 B. */
  digest: Uint8Array;
  /** Of the release; a device never goes back to a smaller one. */
  version: number;
  /** Accepted from this instant on, Unix ms. */
  fromMs: number;
  /** And before this one; null: until further notice. */
  untilMs: number | null;
}
export type Accepted = readonly AcceptedValue[] | 'anything';

export interface ReferenceValues {
  /** Names these values in results: which manifests they are of. */
  policyId: string;
  gateway: Accepted;
  meter: Accepted;
  /**
   * Whether a release accepts that the gateway never flashed its meter since the TPM's start: PCR 9 is zero then, and what the
   * meter answers has to be one of the accepted images.
   */
  meterMayBeUnmeasured?: boolean;
  /** The bytes of a released image, by its digest: only who has them can judge the meter's answer to a nonce. */
  imageOf(digest: Uint8Array): Uint8Array | undefined;
  /** The files of a released gateway, by its digest, so that a verdict can name the file that differs. */
  filesOf?(digest: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined;
}

export type Standing = 'accepted' | 'unknown' | 'not yet' | 'retired';

/** Where a digest stands now, and the release it is of. */
export function standingOf(
  accepted: Accepted,
  digest: Uint8Array,
  nowMs: number,
): { standing: Standing; version: number | null } {
  if (accepted === 'anything') return { standing: 'accepted', version: null };
  let best: { standing: Standing; version: number | null } = { standing: 'unknown', version: null };
  for (const value of accepted) {
    if (Buffer.compare(value.digest, digest) !== 0) continue;
    const { version } = value;
    if (nowMs < value.fromMs) best = { standing: 'not yet', version };
    else if (value.untilMs !== null && nowMs >= value.untilMs) best = { standing: 'retired', version };
    else return { standing: 'accepted', version };
  }
  return best;
}
