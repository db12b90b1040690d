/** What a gateway's configuration says of selling. */
import * as v from 'valibot';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));

export const sellingConfig = v.strictObject({
  /** The customer's choice. What was sold already is still settled where it is false. */
  enabled: v.optional(v.boolean(), true),
  /** The control centre's service. */
  url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
  /** The authority of its certificate, PEM. */
  caFile: path,
  /** The control centre's offline key that signs its keysets: Ed25519. */
  masterKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is no Ed25519 key in lower-case hexadecimal')),
});
export type SellingConfig = v.InferOutput<typeof sellingConfig>;

/** With the paths made absolute. */
export const resolveSellingConfig = (config: SellingConfig, resolvePath: (path: string) => string): SellingConfig => ({
  ...config,
  caFile: resolvePath(config.caFile),
});
