import * as v from 'valibot';
import { MODE_M_OF_N, MODE_RECEIPTS } from '../../protocol/selling/messages.ts';
import { SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { clockKind, count } from '../shared/config.ts';
import { doorAccess } from '../shared/door.ts';
import { serviceAccess } from '../shared/service.ts';

const weight = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));

export const controlCentreConfig = v.strictObject({
  stateDir: v.string(),
  service: serviceAccess,
  /** How anonymous sales come in; absent: not at all. */
  door: v.optional(doorAccess),
  /** The trusted third party's X.509 authority, PEM: identifiers are issued by it. */
  authorityFile: v.string(),
  /** Ed25519, PEM, mode 0600: signs keysets. */
  masterKeyFile: v.string(),
  /** Ed25519 keyset in force, written here whenever it changes. */
  keysetFile: v.optional(v.string()),
  /** `receipts` opens nothing; `m of n` is the paper's. Of months whose terms are not made yet. */
  mode: v.optional(
    v.pipe(
      v.picklist(['receipts', 'm of n']),
      v.transform((mode) => (mode === 'receipts' ? MODE_RECEIPTS : MODE_M_OF_N)),
    ),
    'receipts',
  ),
  /** V: credits of a credential. With 100 credits per kWh and 10 credits, a credential is worth 100 Wh. */
  value: v.optional(count, 10),
  /** Credentials that everybody registers for a month. */
  amount: v.optional(count, 3000),
  /** c. */
  candidatesEach: v.optional(count, 1),
  /** k. */
  perSale: v.optional(count, 1),
  /** D: a slot is sold for so many slots after it. */
  windowSlots: v.optional(count, SLOTS_PER_DAY),
  /** What a credit is paid, 1/1000 cent. */
  creditMilliCent: v.optional(count, 80),
  /** R, credits per kWh: one for all slots of a day, or one for each. */
  weights: v.optional(
    v.pipe(
      v.union([weight, v.pipe(v.array(weight), v.length(SLOTS_PER_DAY, `are not ${SLOTS_PER_DAY}`))]),
      v.transform((given): number[] => (Array.isArray(given) ? given : new Array(SLOTS_PER_DAY).fill(given))),
    ),
    100,
  ),
  keyBits: v.optional(v.picklist([2048, 3072]), 2048),
  /** Registration opens so long before its month. */
  registrationDays: v.optional(count, 5),
  /** How long registration lasts for the month in which the centre begins. */
  lateRegistrationMs: v.optional(count, 60 * 60_000),
  /** After the last sale of a month, for deposits, reconciliation and payment. */
  settlementDays: v.optional(count, 30),
  /** m/n of the first round. */
  challengeShare: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.1),
  /** So long after the last sale lists of used credentials are taken. */
  listDays: v.optional(count, 7),
  /** Whether claims are held against the exports that households committed to; without, they are paid as they are. */
  compareExports: v.optional(v.boolean(), true),
  /** Signing threads; one for each core unless told. */
  workers: v.optional(count),
  clock: clockKind,
});
export type ControlCentreConfig = v.InferOutput<typeof controlCentreConfig>;
