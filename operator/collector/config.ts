import * as v from 'valibot';
import { brokerAccess, clockKind, count } from '../shared/config.ts';

export const collectorConfig = v.strictObject({
  stateDir: v.string(),
  broker: brokerAccess,
  /** Which pseudonyms belong to which area (registration.ts). */
  registrationFile: v.string(),
  /** 32 bytes in hexadecimal, shared with the provider, mode 0600. */
  macKeyFile: v.string(),
  /** A late slot is released in the settlement only where so many pseudonyms are late. */
  k: v.optional(count, 3),
  /** How long after its end a slot's batch closes. */
  graceMs: v.optional(count, 300_000),
  /** How long after a month's end it is settled: as long as a meter keeps its quarter hours. */
  settlementDelayDays: v.optional(count, 35),
  clock: clockKind,
});
export type CollectorConfig = v.InferOutput<typeof collectorConfig>;
