import * as v from 'valibot';
import { serviceOf } from '../shared/client.ts';
import { clockKind, count } from '../shared/config.ts';
import { serviceAccess } from '../shared/service.ts';

export const relayConfig = v.strictObject({
  stateDir: v.string(),
  service: serviceAccess,
  /** The door's plan, and the grid's key that signs plans: Ed25519, hexadecimal. */
  planFile: v.string(),
  planKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is no Ed25519 key in lower-case hexadecimal')),
  /** Services of the plan's destinations, by name. */
  destinations: v.record(v.string(), serviceOf),
  /** Cells go on when bundles of so many gateways are there. */
  k: v.optional(count, 3),
  /** From one network address in one slot: several households may share one. */
  bundlesPerAddress: v.optional(count, 8),
  /** So long after the begin of a slot its bundles are shuffled; later ones wait for the next time. */
  closeAfterMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(899_999)), 720_000),
  clock: clockKind,
});
export type RelayConfig = v.InferOutput<typeof relayConfig>;
