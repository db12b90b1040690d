import * as v from 'valibot';
import { serviceOf } from '../shared/client.ts';
import { clockKind } from '../shared/config.ts';

/** `serviceOf` with the console's client certificate: its common name is `console`. */
export const consoleConfig = v.strictObject({
  /** Keys and certificate of the page, the password's hash, sessions: only the console's user may read them. */
  stateDir: v.string(),
  /** Stands on the page: `Grid operator, district 4`. */
  name: v.optional(
    v.pipe(v.string(), v.minLength(1, 'is empty'), v.maxLength(100, 'is longer than 100 characters')),
    'Grid operator',
  ),
  /** Port 0 takes any free one. */
  web: v.strictObject({
    port: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535)),
    host: v.string(),
  }),
  /** Whose fleet it is. */
  verifier: serviceOf,
  /** Whose register a revoked device leaves for good; null: the verifier's word only. */
  gridOperator: v.optional(v.nullable(serviceOf), null),
  /** Who sends control messages; null: they are not shown. */
  provider: v.optional(v.nullable(serviceOf), null),
  /** Where households sell without a name; null: they do not. */
  controlCentre: v.optional(v.nullable(serviceOf), null),
  clock: clockKind,
});
export type ConsoleConfig = v.InferOutput<typeof consoleConfig>;
