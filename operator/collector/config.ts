import * as v from 'valibot';
import { ED25519_PUBLIC_KEY_BYTES } from '../../protocol/crypto/ed25519.ts';
import { HPKE_PUBLIC_KEY_BYTES } from '../../protocol/crypto/hpke.ts';
import { PUBLIC_KEY_BYTES } from '../../protocol/crypto/p256.ts';
import { PROVIDER_PARTY_PATTERN } from '../../protocol/readings/provider.ts';
import { brokerAccess, clockKind, count } from '../shared/config.ts';

const publicKey = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `is not ${2 * bytes} lower-case hexadecimal digits`),
    v.transform((text): Uint8Array => Buffer.from(text, 'hex')),
  );

/** Whom the collector believes (trust.ts). */
export const trustConfig = v.strictObject({
  /** The trusted third party's keys for pseudonyms, compressed P-256, hexadecimal: the present one, and the one before. */
  pseudonymIssuers: v.pipe(v.array(publicKey(PUBLIC_KEY_BYTES)), v.minLength(1, 'is empty')),
  /** Pseudonyms that are no longer believed (protocol/identity/revocation-list.ts); read again when it was written. */
  revocationFile: v.string(),
  /** The verifier's master key, Ed25519, hexadecimal. */
  passMasterKey: publicKey(ED25519_PUBLIC_KEY_BYTES),
  /** The verifier's keys of the days (protocol/attestation/pass-keys.ts); read again when it was written. */
  passKeysFile: v.string(),
});
export type TrustConfig = v.InferOutput<typeof trustConfig>;

export const collectorConfig = v.strictObject({
  stateDir: v.string(),
  broker: brokerAccess,
  trust: trustConfig,
  /** Whom it delivers to: a stream of batches each. */
  providers: v.pipe(
    v.array(
      v.strictObject({
        /** Common name of its client certificate at the broker. */
        party: v.pipe(v.string(), v.regex(PROVIDER_PARTY_PATTERN, 'is neither provider nor provider-<name>')),
        /** HPKE, hexadecimal: what is sealed to one of them is for this provider. The present one, and those before it. */
        readingKeys: v.pipe(v.array(publicKey(HPKE_PUBLIC_KEY_BYTES)), v.minLength(1, 'is empty')),
        /** 32 bytes in hexadecimal, shared with this provider, mode 0600. */
        macKeyFile: v.string(),
      }),
    ),
    v.minLength(1, 'is empty'),
    v.check((all) => new Set(all.map(({ party }) => party)).size === all.length, 'has a party twice'),
    v.check((all) => {
      const keys = all.flatMap(({ readingKeys }) => readingKeys.map((key) => Buffer.from(key).toString('hex')));
      return new Set(keys).size === keys.length;
    }, 'has a reading key twice'),
  ),
  /** A late slot is released in the settlement only where so many pseudonyms of a provider are late. */
  k: v.optional(count, 3),
  /** How long after its end a slot's batch closes. */
  graceMs: v.optional(count, 300_000),
  /** How long after a month's end it is settled: as long as a meter keeps its quarter hours. */
  settlementDelayDays: v.optional(count, 35),
  clock: clockKind,
});
export type CollectorConfig = v.InferOutput<typeof collectorConfig>;
