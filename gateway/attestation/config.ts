/** What a gateway's configuration says of attestation. */
import * as v from 'valibot';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));

export const attestationConfig = v.strictObject({
  /** The verifier's service. */
  url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
  /** The authority of its certificate, PEM. */
  caFile: path,
  /** Signs results, compressed P-256. */
  resultKey: v.pipe(v.string(), v.regex(/^0[23][0-9a-f]{64}$/, 'is no compressed P-256 key in lower-case hexadecimal')),
  /** Its master key, Ed25519: signs the keys of the attestation passes. */
  passMasterKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not 64 lower-case hexadecimal digits')),
  /** The image that the meter was delivered with: measured until the gateway flashes another one. */
  meterImageFile: v.optional(path),
});
export type AttestationConfig = v.InferOutput<typeof attestationConfig>;

/** With the paths made absolute. */
export const resolveAttestationConfig = (
  config: AttestationConfig,
  resolvePath: (path: string) => string,
): AttestationConfig => ({
  ...config,
  caFile: resolvePath(config.caFile),
  ...(config.meterImageFile && { meterImageFile: resolvePath(config.meterImageFile) }),
});
