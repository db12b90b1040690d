import * as v from 'valibot';
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
    }),
  ),
  clock: clockKind,
});
export type GridOperatorConfig = v.InferOutput<typeof gridOperatorConfig>;
