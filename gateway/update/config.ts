/** What a gateway's configuration says of updates. */
import * as v from 'valibot';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));

export const updatesConfig = v.strictObject({
  /** The trusted third party's service, or a folder as scripts/release writes it. */
  source: v.union([
    v.strictObject({
      url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
      /** The authority of its certificate, PEM. */
      caFile: path,
    }),
    v.strictObject({ folder: path }),
  ]),
  /** Ed25519, pinned: signs releases. */
  releaseKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not 64 lower-case hexadecimal digits')),
  /** The release that meter and gateway were delivered with; 0: none, and the first one is installed like any other. */
  delivered: v.optional(v.pipe(v.number(), v.integer('is no whole number'), v.minValue(0, 'is less than 0')), 0),
  /** Where the gateway is installed in releases (installation.ts); absent: its own software is replaced by hand. */
  installation: v.optional(path),
  /** Minutes between two looks for a release. */
  everyMinutes: v.optional(v.pipe(v.number(), v.integer('is no whole number'), v.minValue(1, 'is less than 1')), 60),
});
export type UpdatesConfig = v.InferOutput<typeof updatesConfig>;

/** With the paths made absolute. */
export const resolveUpdatesConfig = (config: UpdatesConfig, resolvePath: (path: string) => string): UpdatesConfig => ({
  ...config,
  source:
    'folder' in config.source
      ? { folder: resolvePath(config.source.folder) }
      : { ...config.source, caFile: resolvePath(config.source.caFile) },
  ...(config.installation && { installation: resolvePath(config.installation) }),
});
