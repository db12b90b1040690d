import * as v from 'valibot';
import { clockKind } from '../shared/config.ts';
import { serviceAccess } from '../shared/service.ts';

export const trustedThirdPartyConfig = v.strictObject({
  stateDir: v.string(),
  service: serviceAccess,
  /** HPKE, 32 bytes in hexadecimal, mode 0600: initialisation is sealed to it. */
  privateKeyFile: v.string(),
  /** P-256, PKCS #8 PEM, mode 0600: signs pseudonym certificates and lists of what is revoked. */
  issuingKeyFile: v.string(),
  /** X.509 authority for identifier, household and attestation certificates: PEM, and its key (PKCS #8 PEM, mode 0600). */
  authorityCertFile: v.string(),
  authorityKeyFile: v.string(),
  /** Folder of the TPM makers' roots and intermediates that are trusted, PEM; other files in it are ignored. */
  endorsementRootsDir: v.string(),
  /** Where the lists of what is revoked are put, for who takes them from a file; none: over HTTPS only. */
  publicDir: v.optional(v.string()),
  /** Client certificates' common names, and the providers' names that they may bring PINs for. */
  providers: v.optional(v.record(v.string(), v.string()), { provider: 'provider' }),
  /** Releases of meter and gateway; absent: none are offered. */
  releases: v.optional(
    v.strictObject({
      /** As scripts/release writes it. */
      folder: v.string(),
      /** Ed25519, hexadecimal; its private half stays offline. */
      releaseKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not 64 lower-case hexadecimal digits')),
    }),
  ),
  clock: clockKind,
});
export type TrustedThirdPartyConfig = v.InferOutput<typeof trustedThirdPartyConfig>;
