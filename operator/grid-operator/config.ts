import * as v from 'valibot';
import { PROVIDER_CHANGE } from '../../protocol/grid-fees/provider-change.ts';
import { PROVIDER_PARTY_PATTERN } from '../../protocol/readings/provider.ts';
import { serviceOf } from '../shared/client.ts';
import { clockKind } from '../shared/config.ts';
import { serviceAccess } from '../shared/service.ts';

export const gridOperatorConfig = v.strictObject({
  stateDir: v.string(),
  /** For technicians (scripts/provision) and the company's console. */
  service: serviceAccess,
  /** Folder of the TPM makers' roots and intermediates that are trusted, PEM; other files in it are ignored. */
  endorsementRootsDir: v.string(),
  /** Who is given the list of devices. */
  trustedThirdParty: serviceOf,
  /** Yearly readings, invoices, changes of provider; absent: none. */
  gridFees: v.optional(
    v.strictObject({
      /** As invoices name the grid operator. */
      name: v.string(),
      /** Thousandths of a cent per kWh drawn. */
      feeMilliCentPerKwh: v.pipe(v.number(), v.integer(), v.minValue(0)),
      /** Signs invoices and changes of provider: Ed25519, PKCS #8 PEM, mode 0600. */
      keyFile: v.string(),
      /** The trusted third party's authority for household certificates, PEM. */
      authorityFile: v.string(),
      /** The providers that supply here: customers may choose them, and each asks for its own invoices. */
      providers: v.optional(
        v.pipe(
          v.array(
            v.strictObject({
              /** Common name of its client certificate. */
              party: v.pipe(v.string(), v.regex(PROVIDER_PARTY_PATTERN, 'is neither provider nor provider-<name>')),
              ...PROVIDER_CHANGE.entries.provider.entries,
            }),
          ),
          v.check((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has a name twice'),
          // prices are published by the tariff's name
          v.check((all) => new Set(all.map(({ tariff }) => tariff)).size === all.length, 'has a tariff twice'),
        ),
        [],
      ),
    }),
  ),
  clock: clockKind,
});
export type GridOperatorConfig = v.InferOutput<typeof gridOperatorConfig>;
