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
  clock: clockKind,
});
export type GridOperatorConfig = v.InferOutput<typeof gridOperatorConfig>;
