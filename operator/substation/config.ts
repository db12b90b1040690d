import * as v from 'valibot';
import { CELL_BYTES } from '../../protocol/trading/messages.ts';
import { WITHDRAWAL_MOST } from '../../protocol/trading/services.ts';
import { clockKind, count } from '../shared/config.ts';
import { serviceAccess } from '../shared/service.ts';

export const substationConfig = v.strictObject({
  stateDir: v.string(),
  service: serviceAccess,
  /** The trusted third party's X.509 authority, PEM: identifiers are issued by it. */
  authorityFile: v.string(),
  /** Ed25519, PEM, mode 0600: signs keysets. */
  masterKeyFile: v.string(),
  /** 32 B, mode 0600: the cell's group key of this month. */
  groupKeyFile: v.string(),
  /** 8 B, hex: which cell this is. */
  cell: v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${2 * CELL_BYTES}}$`))),
  /** V: Wh of a piece. */
  value: v.optional(count, 100),
  keyBits: v.optional(v.picklist([2048, 3072]), 2048),
  epochMs: v.optional(count, 10_000),
  /** The DSO sells so long before a request runs out; until then a neighbour may offer. */
  dsoLeadMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 60_000),
  /** Open offers above it are bought by the DSO; absent: never. */
  surplusThreshold: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  /** Coins of one withdrawal. */
  standardCoins: v.optional(v.pipe(count, v.maxValue(WITHDRAWAL_MOST)), WITHDRAWAL_MOST),
  loadingDays: v.optional(count, 5),
  exchangeDays: v.optional(count, 2),
  depositDays: v.optional(count, 20),
  /** Signing threads; one for each core unless told. */
  workers: v.optional(count),
  clock: clockKind,
});
export type SubstationConfig = v.InferOutput<typeof substationConfig>;
