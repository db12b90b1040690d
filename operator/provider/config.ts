import * as v from 'valibot';
import { PROVIDER_PARTY_PATTERN } from '../../protocol/readings/provider.ts';
import { brokerAccess, clockKind, count } from '../shared/config.ts';
import { billingConfig } from './billing.ts';
import { controlConfig } from './control.ts';
import { invoicesConfig } from './invoices.ts';

export const providerConfig = v.strictObject({
  stateDir: v.string(),
  broker: brokerAccess,
  /** Common name of its client certificate: `provider`, or `provider-<name>` where there are several. */
  party: v.optional(
    v.pipe(v.string(), v.regex(PROVIDER_PARTY_PATTERN, 'is neither provider nor provider-<name>')),
    'provider',
  ),
  /** 32 bytes in hexadecimal, shared with the collector, mode 0600. */
  macKeyFile: v.string(),
  /** HPKE private key (X25519), 32 bytes in hexadecimal, mode 0600. */
  privateKeyFile: v.string(),
  /** A sum of fewer readings is neither kept nor shown. */
  k: v.optional(count, 3),
  /** A household connection of 3 × 80 A at 230 V carries 13.8 kWh in a quarter hour; more is no reading of one. */
  mostWhPerSlot: v.optional(count, 15_000),
  /** Prices and bills; absent: none. */
  billing: v.optional(billingConfig),
  /** Messages to appliances; absent: none. */
  control: v.optional(controlConfig),
  /** The grid operator's invoices; absent: they come on paper. */
  invoices: v.optional(invoicesConfig),
  clock: clockKind,
});
export type ProviderConfig = v.InferOutput<typeof providerConfig>;
