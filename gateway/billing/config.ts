/** What a gateway's configuration says of billing. */
import * as v from 'valibot';
import { TARIFF_PATTERN } from '../../protocol/billing/prices.ts';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));
const p256 = v.pipe(v.string(), v.regex(/^0[23][0-9a-f]{64}$/, 'is no compressed P-256 key in lower-case hexadecimal'));

export const billingConfig = v.strictObject({
  /** Name of the household's tariff. */
  tariff: v.pipe(v.string(), v.regex(TARIFF_PATTERN, 'is no name of a tariff')),
  /** The provider's key that signs tariffs, kept offline. */
  offlineKey: p256,
  /** The provider's service. */
  provider: v.strictObject({
    /** As identifier certificates name it. */
    name: v.pipe(v.string(), v.minLength(1, 'is empty'), v.maxLength(100, 'is longer than 100 characters')),
    url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
    /** The authority of its certificate, PEM. */
    caFile: path,
  }),
  /** In which states of this gateway the TPM gives the log's key out. */
  sealing: v.strictObject({
    /** The trusted third party's key that signs released states. */
    policyKey: p256,
    /** Signed states, as they came with the releases (release-file.ts). */
    authorizationsFile: path,
  }),
});
export type BillingConfig = v.InferOutput<typeof billingConfig>;

/** With the paths made absolute. */
export const resolveBillingConfig = (config: BillingConfig, resolvePath: (path: string) => string): BillingConfig => ({
  ...config,
  provider: { ...config.provider, caFile: resolvePath(config.provider.caFile) },
  sealing: { ...config.sealing, authorizationsFile: resolvePath(config.sealing.authorizationsFile) },
});
