import * as v from 'valibot';
import { ED25519_PUBLIC_KEY_BYTES } from '../../protocol/crypto/ed25519.ts';
import { PUBLIC_KEY_BYTES } from '../../protocol/crypto/p256.ts';
import { serviceOf } from '../shared/client.ts';
import { clockKind, count } from '../shared/config.ts';
import { serviceAccess } from '../shared/service.ts';

const publicKey = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `is not ${2 * bytes} lower-case hexadecimal digits`),
    v.transform((text): Uint8Array => Buffer.from(text, 'hex')),
  );

export const verifierConfig = v.strictObject({
  stateDir: v.string(),
  /** For gateways, the grid operator's console, and whoever brings releases. */
  service: serviceAccess,
  /** The makers of TPMs that are believed: certificates, PEM. Who signed itself is a root, others stand between. */
  endorsementRootsDir: v.string(),
  /** The trusted third party's X.509 authority, PEM. */
  authorityFile: v.string(),
  /** Its keys that sign lists of revoked certificates, compressed P-256; and the list, read again when it was written. */
  revokedCertificates: v.optional(
    v.strictObject({
      issuers: v.pipe(v.array(publicKey(PUBLIC_KEY_BYTES)), v.minLength(1, 'is empty')),
      listFile: v.string(),
    }),
  ),
  /** Its release key, Ed25519: manifests are signed by it. */
  releaseKey: publicKey(ED25519_PUBLIC_KEY_BYTES),
  /** The folder of releases that scripts/release writes; what is new in it is taken (artefacts.ts). */
  releasesDir: v.string(),
  /** The grid operator's register: which devices there are, and where. */
  gridOperator: serviceOf,
  /** P-256, PEM, mode 0600: signs results. */
  resultKeyFile: v.string(),
  /** 32 bytes in hexadecimal, mode 0600: knows its own challenges again. */
  challengeKeyFile: v.string(),
  /** Ed25519, PEM, mode 0600: signs the list of the pass keys. */
  passMasterKeyFile: v.string(),
  /** Where that list is published for collectors. */
  passKeysFile: v.optional(v.string()),
  /** Who is told when a device fails or is revoked. */
  webHook: v.optional(
    v.strictObject({
      url: v.pipe(v.string(), v.regex(/^https:\/\/\S+$/, 'is not of the form https://…')),
      /** 32 bytes in hexadecimal, shared with the receiver, mode 0600. */
      keyFile: v.string(),
      /** The authority of the receiver's certificate, PEM; whoever this machine believes unless told. */
      caFile: v.optional(v.string()),
    }),
  ),
  /** How often a gateway is to push evidence. */
  intervalMs: v.optional(count, 15 * 60_000),
  /** How long a trusting result holds: several intervals, so that an evening without network costs nobody their pass. */
  resultLifeMs: v.optional(count, 4 * 3_600_000),
  /** How long a challenge may be answered. In a bench a meter's answer takes a step of the conductor. */
  challengeLifeMs: v.optional(count, 45 * 60_000),
  /** For a workbench only: accepts whatever runs. Every verdict then carries a warning. */
  acceptAnything: v.optional(v.strictObject({ gateway: v.boolean(), meter: v.boolean() })),
  clock: clockKind,
});
export type VerifierConfig = v.InferOutput<typeof verifierConfig>;
