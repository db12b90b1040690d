/** What a gateway's configuration says of the door. */
import * as v from 'valibot';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));

export const doorConfig = v.strictObject({
  /** The relay's service. */
  url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
  /** The authority of its certificate, PEM. */
  caFile: path,
  /** What every bundle holds, as it was published (protocol/door/plan.ts). */
  planFile: path,
  /** The grid's key that signs plans: Ed25519. */
  planKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is no Ed25519 key in lower-case hexadecimal')),
});
export type DoorConfig = v.InferOutput<typeof doorConfig>;

/** With the paths made absolute. */
export const resolveDoorConfig = (config: DoorConfig, resolvePath: (path: string) => string): DoorConfig => ({
  ...config,
  caFile: resolvePath(config.caFile),
  planFile: resolvePath(config.planFile),
});
